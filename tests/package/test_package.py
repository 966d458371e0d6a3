"""The Debian package, in a fresh minimal Debian 12: it installs with what it depends on, works, and goes without trace."""
import os
import re
import shutil
import stat
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import debian_root  # noqa: E402

PACKAGE = os.environ.get("PACKAGE", "")
VERSION = os.environ.get("CULVERT_VERSION", "")
EXAMPLES = "/usr/share/doc/culvert/examples"
CONFIGURATION = "/etc/culvert/culvert.yaml"
EMPTY_PCAP = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")

REASON = debian_root.missing()
if not REASON and not os.path.exists(PACKAGE):
    REASON = "there is no package; tools/package makes it"
if REASON:
    raise unittest.SkipTest(REASON)
debian_root.make_base(os.path.dirname(PACKAGE))


class Package(unittest.TestCase):
    """One root for all cases, which go in the order of their numbers, as an operator does."""

    @classmethod
    def setUpClass(cls):
        cls.root = debian_root.Root(os.path.dirname(PACKAGE))
        shutil.copy(PACKAGE, f"{cls.root.path}/tmp/culvert.deb")
        # What the package depends on comes first, so that only its own files are looked at.
        cls.said = cls.root.apt("install", "/tmp/culvert.deb")

    def path(self, path):
        return self.root.path + path

    def run_in(self, *command):
        return self.root.run(*command)

    def owner(self, path):
        done = self.run_in("stat", "-c", "%U:%G:%a", path)
        return done.stdout.strip()

    def test_1_the_programs_run_with_the_libraries_that_it_brought(self):
        for program in ("culvertd", "culvertctl"):
            done = self.run_in(program, "--version")

            self.assertEqual((done.returncode, done.stdout), (0, f"{program} {VERSION}\n"), done.stderr)

    def test_1_check_passes_the_examples(self):
        done = self.run_in("culvertd", "--check", f"{EXAMPLES}/hub.yaml")

        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_1_check_tells_the_faults_of_a_file(self):
        with open(self.path("/tmp/faulty.yaml"), "w") as file:
            file.write("worker: {lcores: [1]}\n")

        done = self.run_in("culvertd", "--check", "/tmp/faulty.yaml")

        self.assertEqual(done.returncode, 1)
        self.assertIn("did you mean 'workers'?", done.stdout + done.stderr)

    def test_1_it_forwards_with_the_drivers_that_it_depends_on(self):
        # Not only the libraries: DPDK loads drivers by name, and each kind of port without a NIC needs its own.
        with open(self.path("/tmp/site.yaml"), "w") as file:
            file.write("memory: {hugepages: false, packets: 4095}\nworkers: {lcores: [%d], crypto: [aesni_mb, openssl]}\n"
                "control: {directory: /tmp/run}\n"
                "ports:\n"
                '  lan: {device: "net_pcap0,rx_pcap=/tmp/empty.pcap,tx_pcap=/tmp/out.pcap", side: protected}\n'
                '  wan: {device: "net_pcap1,rx_pcap=/tmp/empty.pcap,tx_pcap=/tmp/out1.pcap", side: unprotected}\n'
                % min(os.sched_getaffinity(0)))
        with open(self.path("/tmp/empty.pcap"), "wb") as file:
            file.write(EMPTY_PCAP)

        done = self.run_in("culvertd", "--config", "/tmp/site.yaml", "--until-idle", "1")

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("forwarding", done.stderr)

    def test_2_it_has_a_user_and_directories_with_narrow_modes(self):
        self.assertRegex(self.run_in("getent", "passwd", "culvert").stdout, r"^culvert:x:\d+:\d+:.*:/usr/sbin/nologin$")
        self.assertEqual(self.owner("/etc/culvert"), "root:culvert:750")
        self.assertEqual(self.owner("/var/lib/culvert"), "culvert:culvert:700")
        self.assertEqual(self.owner("/run/culvert"), "culvert:culvert:750")

    def test_2_what_is_not_configured_is_neither_enabled_nor_started(self):
        wanted = self.path("/etc/systemd/system/multi-user.target.wants/culvertd.service")

        self.assertFalse(os.path.lexists(wanted))
        with open(self.path("/lib/systemd/system/culvertd.service")) as file:
            unit = file.read()
        self.assertIn(f"ConditionPathExists={CONFIGURATION}\n", unit)
        program = re.search(r"ExecStart=(\S+)", unit).group(1)
        self.assertTrue(os.stat(self.path(program)).st_mode & stat.S_IXUSR)
        self.assertFalse(os.path.exists(self.path(CONFIGURATION)))

    def test_2_manual_pages_and_completion_are_there(self):
        for path in ("man1/culvertctl.1.gz", "man5/culvert.yaml.5.gz", "man8/culvertd.8.gz"):
            self.assertTrue(os.path.exists(self.path(f"/usr/share/man/{path}")), path)
        self.assertTrue(os.path.exists(self.path("/usr/share/bash-completion/completions/culvertctl")))

    def test_3_a_changed_option_outlives_an_upgrade_and_a_removal(self):
        options = self.path("/etc/culvert/culvertd.options")
        with open(options, "a") as file:
            file.write("# mine\n")

        self.root.apt("install", "--reinstall", "/tmp/culvert.deb")
        self.root.apt("remove", "culvert")

        with open(options) as file:
            self.assertIn("# mine", file.read())
        self.assertFalse(os.path.exists(self.path("/usr/bin/culvertd")))

    def test_4_a_purge_leaves_nothing_but_the_user_and_the_operators_files(self):
        self.root.apt("install", "/tmp/culvert.deb")
        for path in ("/etc/culvert/site.key", "/var/lib/culvert/state"):
            open(self.path(path), "w").close()

        self.root.apt("purge", "culvert")

        # The user stays, in files of the system's that are not culvert's.
        left = {path for path in self.root.files() if "culvert" in path}
        self.assertEqual(left, {"etc/culvert", "etc/culvert/site.key"})
        os.remove(self.path("/etc/culvert/site.key"))
        os.rmdir(self.path("/etc/culvert"))

    def test_5_a_purge_without_such_files_leaves_nothing(self):
        self.root.apt("install", "/tmp/culvert.deb")

        self.root.apt("purge", "culvert")

        self.assertEqual({path for path in self.root.files() if "culvert" in path}, set())


@unittest.skipIf(shutil.which("systemd-nspawn") is None, "systemd-nspawn is not there")
class Service(unittest.TestCase):
    """The package's own unit, under a real systemd."""

    SITE = """memory: {hugepages: false, packets: 4095}
workers: {lcores: [%d]}
ports:
  lan: {device: "net_pcap0,rx_pcap=/var/lib/culvert/empty.pcap,tx_pcap=/var/lib/culvert/lan.pcap", side: protected}
  wan: {device: "net_pcap1,rx_pcap=/var/lib/culvert/empty.pcap,tx_pcap=/var/lib/culvert/wan.pcap", side: unprotected}
"""
    # Longer than the watchdog waits, so that it would have ended a daemon without signs of life.
    PROBE = """
systemctl is-active culvertd
sleep 12
systemctl show culvertd --property=ActiveState,SubState,NRestarts,StatusText
pid=$(systemctl show culvertd --property=MainPID --value)
for task in /proc/$pid/task/*; do grep -E '^(Uid|CapPrm|CapBnd|NoNewPrivs|Seccomp):' $task/status; done
systemctl stop culvertd
systemctl show culvertd --property=Result,ExecMainStatus
journalctl -u culvertd -p err --quiet
echo errors end
journalctl -u culvertd -o cat --quiet
"""

    def test_it_starts_gives_signs_of_life_and_stops(self):
        root = debian_root.Root(os.path.dirname(PACKAGE))
        shutil.copy(PACKAGE, f"{root.path}/tmp/culvert.deb")
        root.apt("install", "systemd-sysv", "/tmp/culvert.deb")
        with open(root.path + CONFIGURATION, "w") as file:
            file.write(self.SITE % min(os.sched_getaffinity(0)))
        with open(root.path + "/var/lib/culvert/empty.pcap", "wb") as file:
            file.write(EMPTY_PCAP)
        root.run("chown", "culvert:culvert", CONFIGURATION, "/var/lib/culvert/empty.pcap")
        self.assertEqual(root.run("systemctl", "enable", "culvertd").returncode, 0)

        said = debian_root.Booted(root, self.PROBE).said

        lines = said.splitlines()
        self.assertEqual(lines[1], "active", said)
        for line in ("ActiveState=active", "SubState=running", "NRestarts=0", "StatusText=forwarding", "Result=success",
                     "ExecMainStatus=0", "level=info msg=forwarding", "level=info msg=stopping"):
            self.assertIn(line, lines, said)
        threads = {line for line in lines if re.match(r"(Uid|CapPrm|CapBnd|NoNewPrivs|Seccomp):", line)}
        self.assertEqual({line.split()[0]: set(line.split()[1:]) for line in threads if not line.startswith("Uid")},
            {"CapPrm:": {"0" * 16}, "CapBnd:": {"0" * 16}, "NoNewPrivs:": {"1"}, "Seccomp:": {"2"}}, said)
        (uid,) = [line for line in threads if line.startswith("Uid")]
        self.assertNotIn("0", uid.split())
        # journald knows levels by the prefix: among errors there is none of the lines above.
        self.assertEqual(lines[lines.index("errors end") - 1], "ExecMainStatus=0", said)


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE, ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
