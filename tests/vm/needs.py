"""What the tests in the virtual machine need of this one. As a program it prints what is missing, and fails."""
import os
import shutil
import sys

KERNEL = os.environ.get("CULVERT_VM", "")
PROGRAMS = ("qemu-system-x86_64", "busybox", "ip", "tc", "nstat", "ethtool", "sysctl", "ping", "curl", "setpriv", "ldd",
    "gcc")


def missing():
    """A sentence, or None."""
    if os.geteuid() != 0:
        return "network namespaces and a tap interface need root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    for name in PROGRAMS:
        if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return f"there is no {name}; tools/setup --vm brings it"
    if not os.path.exists(os.path.join(KERNEL, "vmlinuz")):
        return "there is no kernel for the guest; tools/setup --vm brings it"
    return None


if __name__ == "__main__":
    what = missing()
    if what:
        sys.exit(print(what) or 1)
