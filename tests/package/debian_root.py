"""A minimal Debian 12 in a directory, for tests that install packages into it.

It is made once, by debootstrap from the mirror that this machine's apt has, and kept as a tar file; each Root is unpacked
from it. What apt downloads into one is kept beside it for the next.
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import weakref

SUITE = "bookworm"
SOURCES = ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]
CLOCK_OPTIONS = 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n'


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def debian_sources():
    """The files of apt's sources that are for this Debian, and the mirror that they name first."""
    found, mirror = [], None
    for path in sorted(SOURCES):
        if os.path.isfile(path):
            with open(path) as file:
                text = file.read()
            match = re.search(r"(https?://\S+/debian)/?\s", text)
            if match and SUITE in text:
                found.append(path)
                mirror = mirror or match.group(1)
    return found, mirror


def missing():
    """Why there can be no such root here; None if there can."""
    if os.geteuid() != 0:
        return "debootstrap and chroot need root"
    for program in ("debootstrap", "chroot", "unshare", "tar"):
        if shutil.which(program) is None:
            return f"{program} is not there"
    return None if debian_sources()[1] else f"apt here has no mirror of Debian's {SUITE}"


def make_base(cache):
    """The tar file of a fresh root with the lists of its packages; raises SkipTest if the mirror does not give it."""
    base = os.path.join(cache, "debian12.tar")
    if os.path.exists(base):
        return base
    root = tempfile.mkdtemp(prefix="debian12-", dir=cache)
    sources, mirror = debian_sources()
    try:
        done = run("debootstrap", "--variant=minbase", SUITE, root, mirror)
        if done.returncode == 0:
            os.remove(f"{root}/etc/apt/sources.list")
            for path in sources:
                shutil.copy(path, root + path)
            with open(f"{root}/etc/apt/apt.conf.d/90test", "w") as file:
                file.write(CLOCK_OPTIONS + 'APT::Sandbox::User "root";\nDpkg::Options { "--force-unsafe-io"; };\n')
            done = run("chroot", root, "sh", "-c", "apt-get update && apt-get clean")
        if done.returncode != 0:
            raise unittest.SkipTest("a Debian 12 can't be had: " + (done.stderr or done.stdout).strip()[-300:])
        subprocess.run(["tar", "-C", root, "-cf", base + ".new", "."], check=True)
        os.rename(base + ".new", base)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return base


class Root:
    """A fresh one, which is removed at the end."""

    def __init__(self, cache):
        self.archives = os.path.join(cache, "archives")
        os.makedirs(self.archives, exist_ok=True)
        base = make_base(cache)
        self.path = tempfile.mkdtemp(prefix="root-", dir=cache)
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        subprocess.run(["tar", "-C", self.path, "-xf", base], check=True)
        os.chmod(self.path, 0o755)
        for package in os.listdir(self.archives):
            os.link(os.path.join(self.archives, package), self._archive(package))

    def _archive(self, name):
        return os.path.join(self.path, "var/cache/apt/archives", name)

    # /proc and /sys are there for the command alone, in a mount name space of its own: nobody can remove them with the root.
    MOUNTED = 'mount -t proc proc "$0/proc" && mount --rbind /sys "$0/sys" && exec chroot "$0" "$@"'

    def run(self, *command):
        return run("unshare", "--mount", "--propagation", "private", "sh", "-c", self.MOUNTED, self.path, *command, timeout=600,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})

    def apt(self, *arguments):
        """Asserts that apt-get does it, and keeps what it has downloaded."""
        done = self.run("apt-get", "-y", "--no-install-recommends", *arguments)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        for path in glob.glob(self._archive("*.deb")):
            kept = os.path.join(self.archives, os.path.basename(path))
            if not os.path.exists(kept):
                shutil.copy(path, kept)
        return done.stdout + done.stderr

    def files(self):
        """Every path in it, but for what packages' own machinery and temporary files change."""
        found = set()
        for directory, names, files in os.walk(self.path):
            here = os.path.relpath(directory, self.path)
            if here in ("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "proc", "dev", "tmp"):
                names.clear()
            else:
                found.update(os.path.join(here, name) for name in names + files)
        return found


class Booted:
    """What a script says in a Root that systemd has booted, in a container of systemd-nspawn's; it ends the container."""

    UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/local/bin/probe
ExecStopPost=/bin/systemctl poweroff --force
StandardOutput=file:/var/probe
[Install]
WantedBy=default.target
"""

    def __init__(self, root, script):
        with open(f"{root.path}/etc/systemd/system/probe.service", "w") as file:
            file.write(self.UNIT)
        program = f"{root.path}/usr/local/bin/probe"
        with open(program, "w") as file:
            file.write("#!/bin/sh\necho booted\n" + script)
        os.chmod(program, 0o755)
        root.run("systemctl", "enable", "probe")
        # nspawn shows little of /sys; DPDK looks for modules there.
        self.log = run("timeout", "180", "systemd-nspawn", "-D", root.path, "--boot", "--private-network", "--register=no",
            "--keep-unit", "--bind-ro=/sys/module", stdin=subprocess.DEVNULL, errors="replace").stdout
        self.said = ""
        if os.path.exists(f"{root.path}/var/probe"):
            with open(f"{root.path}/var/probe") as file:
                self.said = file.read()
        if not self.said.startswith("booted"):
            raise unittest.SkipTest("systemd does not boot in a container here: " + self.log.strip()[-300:])
