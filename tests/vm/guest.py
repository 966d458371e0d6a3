"""The Linux guest: boots once, and runs shell scripts that come through a virtio port (init says how)."""
import os
import shutil
import socket
import subprocess
import tempfile
import time
import weakref

import initramfs

BOOT_SECONDS_MAX = 120
SCRIPT_SECONDS_MAX = 60
MEMORY_MB = 512
END = b"end of script, exit code "
MAC = "02:00:00:00:01:fe"
# The far gateway sees only whole checksums and frames of at most an MTU: what is unfinished when it is encrypted
# arrives as corrupt.
NO_OFFLOADS = "csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ufo=off,host_tso4=off,host_tso6=off," \
    "host_ufo=off,guest_ecn=off,host_ecn=off,mrg_rxbuf=off"


class ScriptError(AssertionError):
    pass


class Guest:
    """Boots on construction. `within` is the command that enters the namespace that has the tap interface."""

    def __init__(self, kernel, within, tap):
        self.directory = tempfile.mkdtemp(prefix="culvert-vm-")
        self._clean = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        image = os.path.join(self.directory, "initramfs")
        initramfs.build(kernel, image)
        path = os.path.join(self.directory, "commands")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            with open(self.path("qemu.log"), "wb") as log:
                # Not even a test that is killed leaves the guest behind.
                self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *within,
                    *self._command(kernel, image, path, tap)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self._finalizer = weakref.finalize(self, Guest._end, self.process)
            listener.settimeout(BOOT_SECONDS_MAX)
            self.commands, _ = listener.accept()
        self._unread = b""
        self._answer(BOOT_SECONDS_MAX)

    def path(self, name):
        return os.path.join(self.directory, name)

    def _command(self, kernel, image, commands, tap):
        return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(MEMORY_MB), "-smp", "1", "-nodefaults",
            "-display", "none", "-no-reboot", "-kernel", os.path.join(kernel, "vmlinuz"), "-initrd", image,
            "-append", "console=ttyS0 panic=-1 quiet mitigations=off random.trust_cpu=on",
            "-serial", f"file:{self.path('console.log')}",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=commands,path={commands}",
            "-device", "virtserialport,chardev=commands,name=commands",
            "-netdev", f"tap,id=wan,ifname={tap},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=wan,mac={MAC},romfile=,{NO_OFFLOADS}"]

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
            process.wait()

    def close(self):
        self.commands.close()
        self._finalizer()
        self._clean()

    def log(self):
        """The end of what the guest's kernel and QEMU said."""
        text = ""
        for name in ("qemu.log", "console.log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), errors="replace") as file:
                    text += file.read()[-4000:]
        return text

    def _answer(self, seconds):
        """What a script printed, and its exit code."""
        deadline = time.monotonic() + seconds
        while True:
            *lines, _ = self._unread.split(b"\n")
            if lines and lines[-1].startswith(END):
                output, self._unread = b"\n".join(lines[:-1]), b""
                return output.decode(errors="replace"), int(lines[-1].removeprefix(END))
            self.commands.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                data = self.commands.recv(65536)
            except socket.timeout:
                raise ScriptError(f"the guest did not answer in {seconds} s: {self._unread}\n{self.log()}") from None
            if not data:
                raise ScriptError(f"the guest is gone:\n{self.log()}")
            self._unread += data

    def start(self, script):
        """Send a script; finish() waits for it. One at a time."""
        self.commands.sendall(script.strip().encode() + b"\n.\n")

    def finish(self, seconds=SCRIPT_SECONDS_MAX):
        output, code = self._answer(seconds)
        if code:
            raise ScriptError(f"the guest's script ended with {code}: {output}")
        return output

    def run(self, script, seconds=SCRIPT_SECONDS_MAX):
        """What the script printed; raises where a command of it failed."""
        self.start(script)
        return self.finish(seconds)
