#!/usr/bin/env python3
"""The manual pages: without a warning from roff, and complete. The environment names the pages and the programs."""
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
PAGES = os.environ["MANUALS"].split(":")


def page(name):
    (path,) = [path for path in PAGES if os.path.basename(path) == name]
    return path


def text(name):
    """The page as a reader sees it, without the ends of lines."""
    done = subprocess.run(f"tbl {page(name)} | groff -mandoc -Tascii -P-cbou -rLL=2000n", shell=True,
        capture_output=True, text=True, check=True)
    return done.stdout


def options_of(said):
    return set(re.findall(r"--[a-z][a-z-]+", said))


@unittest.skipIf(shutil.which("groff") is None, "groff is not there")
class Manuals(unittest.TestCase):
    def test_roff_has_no_warning(self):
        for path in PAGES:
            done = subprocess.run(f"tbl {path} | groff -ww -mandoc -Tutf8 -z", shell=True, capture_output=True,
                text=True)

            self.assertEqual((done.returncode, done.stderr), (0, ""), path)

    @unittest.skipIf(shutil.which("man") is None, "man is not there")
    def test_man_has_no_warning(self):
        for path in PAGES:
            done = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True,
                env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})

            self.assertEqual((done.returncode, done.stderr), (0, ""), path)
            self.assertIn("SEE ALSO", done.stdout)

    def test_no_mark_up_is_left_in_what_is_read(self):
        for path in PAGES:
            self.assertNotIn("`", text(os.path.basename(path)), path)

    def test_culvert_yaml_has_each_key_of_the_reference(self):
        said = text("culvert.yaml.5")
        with open(os.path.join(ROOT, "docs", "configuration.md")) as file:
            reference = file.read()
        sections = re.findall(r"^## `(\w+)`", reference, re.M)
        keys = re.findall(r"^\| `(\w+)` \| [a-z]", reference, re.M)

        self.assertGreater(len(keys), 40)
        for key in keys:
            self.assertRegex(said, rf"(?m)^ +{key}: [a-z]")
        for section in sections:
            self.assertRegex(said, rf"(?m)^ +{section}$")

    def test_culvertctl_has_each_command_and_option_of_its_help(self):
        said = text("culvertctl.1")
        help_ = subprocess.run([os.environ["CULVERTCTL"], "--help"], capture_output=True, text=True).stdout

        for line in help_.splitlines():
            if re.match(r"  [a-z]", line):
                self.assertIn(line.strip(), said)
        self.assertEqual(options_of(said), options_of(help_))

    @unittest.skipUnless("CULVERTD" in os.environ, "this build has no culvertd")
    def test_culvertd_has_each_option_of_its_help_and_no_other(self):
        said = text("culvertd.8")
        help_ = subprocess.run([os.environ["CULVERTD"], "--help"], capture_output=True, text=True).stdout

        self.assertEqual(options_of(said), options_of(help_))
        for signal in re.findall(r"SIG\w+", help_):
            self.assertIn(signal, said)


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE, ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
