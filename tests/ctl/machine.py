"""Machines for `culvertctl check-host --root`: the files below /sys and /proc that it reads, made in a directory."""
import os
import shutil
import tempfile
import weakref

FAST_CPU = "fpu ssse3 pclmulqdq aes avx2 avx512f avx512bw vaes vpclmulqdq"


class Machine:
    """A tree of files. `put` writes one, `link` makes a symbolic link as those of /sys are."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="culvert-host-")
        weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)

    def _path(self, path):
        whole = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        return whole

    def put(self, path, text):
        with open(self._path(path), "w") as file:
            file.write(text)

    def link(self, path, target):
        os.symlink(target, self._path(path))

    def remove(self, path):
        whole = os.path.join(self.root, path)
        if os.path.isdir(whole) and not os.path.islink(whole):
            shutil.rmtree(whole)
        else:
            os.remove(whole)

    def node(self, number, cpus, reserved, free=None):
        node = f"sys/devices/system/node/node{number}"
        self.put(f"{node}/cpulist", cpus + "\n")
        for name, count in (("nr", reserved), ("free", reserved if free is None else free)):
            self.put(f"{node}/hugepages/hugepages-2048kB/{name}_hugepages", f"{count}\n")
            self.put(f"{node}/hugepages/hugepages-1048576kB/{name}_hugepages", "0\n")

    def nic(self, address, driver, node=0, kind="0x020000"):
        device = f"sys/bus/pci/devices/{address}"
        self.put(f"{device}/class", kind + "\n")
        self.put(f"{device}/vendor", "0x8086\n")
        self.put(f"{device}/device", "0x1583\n")
        self.put(f"{device}/numa_node", f"{node}\n")
        if driver:
            os.makedirs(os.path.join(self.root, "sys/bus/pci/drivers", driver), exist_ok=True)
            self.link(f"{device}/driver", f"../../drivers/{driver}")

    def cpus(self, n, governor, siblings=1, isolated="", tickless="(null)"):
        """CPU i and CPU i + n/2 are siblings where there are two."""
        cpu = "sys/devices/system/cpu"
        self.put(f"{cpu}/online", f"0-{n - 1}\n")
        self.put(f"{cpu}/isolated", isolated + "\n")
        self.put(f"{cpu}/nohz_full", tickless + "\n")
        self.put(f"{cpu}/smt/active", f"{siblings - 1}\n")
        for i in range(n):
            first = i % (n // siblings)
            pair = [str(first + k * (n // siblings)) for k in range(siblings)]
            self.put(f"{cpu}/cpu{i}/topology/thread_siblings_list", ",".join(pair) + "\n")
            if governor:
                self.put(f"{cpu}/cpu{i}/cpufreq/scaling_governor", governor + "\n")

    def program(self, pid, name):
        self.put(f"proc/{pid}/comm", name + "\n")

    def limits(self, locked, capabilities="0000000000000000"):
        self.put("proc/self/limits", "Limit                     Soft Limit           Hard Limit           Units\n"
            f"Max locked memory         {locked:<20} {locked:<20} bytes\n")
        self.put("proc/self/status", f"Name:\tculvertctl\nCapInh:\t0000000000000000\nCapEff:\t{capabilities}\n")

    def cpuinfo(self, flags, vendor="GenuineIntel"):
        self.put("proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n\nprocessor\t: 1\n")


def good():
    """Nothing is to do: one node, two NICs at vfio-pci, isolated CPUs."""
    machine = Machine()
    machine.node(0, "0-7", reserved=1024, free=512)
    machine.cpus(8, "performance", isolated="2-7", tickless="2-7")
    machine.cpuinfo(FAST_CPU)
    machine.limits("unlimited")
    machine.put("proc/mounts", "proc /proc proc rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw 0 0\n")
    machine.put("proc/cmdline", "BOOT_IMAGE=/vmlinuz intel_iommu=on iommu=pt\n")
    machine.put("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    machine.put("sys/kernel/iommu_groups/0/type", "DMA\n")
    machine.nic("0000:41:00.0", "vfio-pci")
    machine.nic("0000:41:00.1", "vfio-pci")
    machine.nic("0000:00:1f.0", None, kind="0x060100")
    machine.program(1, "systemd")
    return machine


def bare():
    """As it comes from an installer."""
    machine = Machine()
    machine.node(0, "0-3", reserved=0)
    machine.cpus(4, "powersave", siblings=2)
    machine.cpuinfo("fpu ssse3 pclmulqdq aes avx2")
    machine.limits(8388608)
    machine.put("proc/mounts", "proc /proc proc rw 0 0\n")
    machine.put("proc/cmdline", "BOOT_IMAGE=/vmlinuz quiet\n")
    machine.put("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    machine.nic("0000:41:00.0", "ixgbe")
    machine.nic("0000:41:00.1", None)
    machine.program(1, "systemd")
    machine.program(812, "irqbalance")
    return machine


def two_nodes():
    """Memory, one NIC and its CPUs on either node, but all hugepages on node 0."""
    machine = good()
    machine.node(0, "0-3", reserved=1024)
    machine.node(1, "4-7", reserved=0)
    machine.nic("0000:81:00.0", "vfio-pci", node=1)
    return machine
