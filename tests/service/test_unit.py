"""The systemd unit: what systemd finds wrong with it, and how much it leaves exposed."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = os.environ["UNIT"]
EXPOSURE_MAX = 2.5


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})


@unittest.skipIf(shutil.which("systemd-analyze") is None, "systemd-analyze is not there")
class Unit(unittest.TestCase):
    def test_little_is_exposed(self):
        done = analyze("security", "--offline=true", "--no-pager", UNIT)

        (level,) = re.findall(r"Overall exposure level for culvertd.service: ([0-9.]+)", done.stdout)
        self.assertLessEqual(float(level), EXPOSURE_MAX, done.stdout)
        print(f"exposure={level}")

    def test_with_kernel_ports_it_is_still_little(self):
        with tempfile.TemporaryDirectory() as directory:
            unit = os.path.join(directory, "culvertd.service")
            with open(UNIT) as file, open(os.environ["DROP_IN"]) as drop_in, open(unit, "w") as whole:
                whole.write(file.read().replace("[Install]", drop_in.read() + "\n[Install]"))
            done = analyze("security", "--offline=true", "--no-pager", unit)

        (level,) = re.findall(r"Overall exposure level for culvertd.service: ([0-9.]+)", done.stdout)
        self.assertLessEqual(float(level), EXPOSURE_MAX, done.stdout)

    def test_systemd_finds_nothing_wrong(self):
        with tempfile.TemporaryDirectory() as directory:
            unit = os.path.join(directory, "culvertd.service")
            with open(UNIT) as file, open(unit, "w") as here:
                here.write(re.sub(r"ExecStart=\S+", "ExecStart=" + os.environ["CULVERTD"], file.read()))
            done = analyze("verify", "--man=no", unit)

        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_it_runs_what_the_daemon_understands(self):
        with open(UNIT) as file:
            (line,) = re.findall(r"ExecStart=(.*)", file.read())
        help_ = subprocess.run([os.environ["CULVERTD"], "--help"], capture_output=True, text=True).stdout

        program, *arguments = line.split()
        self.assertEqual(os.path.basename(program), "culvertd")
        for argument in arguments:
            self.assertTrue(argument.startswith("/") or argument == "$OPTIONS" or argument in help_, argument)


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE, ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
