"""culvertctl check-host on made machines: what it finds, and the command that it gives."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from machine import Machine, bare, good, two_nodes  # noqa: E402

CULVERTCTL = os.environ["CULVERTCTL"]
STATES = {"ok", "advice", "lacks", "unknown"}

SITE = """
workers: {lcores: [%s]}
ports:
  lan: {device: "%s", side: protected, addresses: [10.1.0.1/24]}
  wan: {device: "41:00.1", side: unprotected, addresses: [192.0.2.1/24]}
"""


def ctl(*arguments):
    return subprocess.run([CULVERTCTL, *arguments], capture_output=True, text=True, timeout=60)


class Found:
    """What check-host says of a machine: `of[check]` lists (state, text, cure)."""

    def __init__(self, machine, *arguments):
        done = ctl("check-host", "--root", machine.root, "--json", *arguments)
        assert done.stderr == "", done.stderr
        said = json.loads(done.stdout)
        self.code, self.ready, self.of = done.returncode, said["ready"], {}
        for finding in said["findings"]:
            assert finding["state"] in STATES, finding
            self.of.setdefault(finding["check"], []).append((finding["state"], finding["text"], finding["cure"]))

    def one(self, check):
        (finding,) = self.of[check]
        return finding

    def states(self, check):
        return [state for state, _, _ in self.of[check]]


class CheckHost(unittest.TestCase):
    def setUp(self):
        self.machine = good()

    def found(self, *arguments):
        return Found(self.machine, *arguments)

    def expect(self, check, state, text, cure=""):
        found = self.found().one(check)
        self.assertEqual(found[0], state, found)
        self.assertIn(text, found[1])
        self.assertIn(cure, found[2])
        self.assertEqual(bool(found[2]), bool(cure), found)


class Machines(CheckHost):
    def test_of_a_good_machine_all_is_well(self):
        found = self.found()

        self.assertEqual((found.code, found.ready), (0, True))
        self.assertEqual({state for states in found.of.values() for state, _, _ in states}, {"ok"})
        self.assertEqual(found.one("hugepages")[1], "node0: 2048 MB reserved, 1024 MB free")
        self.assertIn("/dev/hugepages", found.one("hugetlbfs")[1])
        self.assertEqual([text for _, text, _ in found.of["nic"]],
            [f"0000:41:00.{i} (0x8086 0x1583, node 0) is bound to vfio-pci" for i in (0, 1)])

    def test_a_bare_machine_lacks_much_and_each_has_a_cure(self):
        self.machine = bare()

        found = self.found()

        self.assertEqual((found.code, found.ready), (1, False))
        states = {check: found.states(check)[0] for check in found.of}
        self.assertEqual(states, {"hugepages": "lacks", "hugetlbfs": "ok", "memlock": "lacks", "thp": "advice",
            "iommu": "lacks", "vfio": "lacks", "nic": "ok", "nics": "lacks", "cpu": "advice", "isolation": "advice",
            "smt": "advice", "governor": "advice", "irqbalance": "advice"})
        for findings in found.of.values():
            for state, text, cure in findings:
                self.assertTrue(cure or state == "ok", text)
        self.assertEqual([cure for _, _, cure in found.of["nic"]],
            [f"dpdk-devbind.py --bind=vfio-pci 0000:41:00.{i}" for i in (0, 1)])

    def test_a_node_without_hugepages_beside_one_with_some_is_advice(self):
        self.machine = two_nodes()

        (first, second) = self.found().of["hugepages"]

        self.assertEqual(first[0], "ok")
        self.assertEqual(second, ("advice", "node1: none reserved; its workers would use another node's memory",
            "echo 512 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"))

    def test_a_machine_that_tells_nothing_is_unknown_and_not_well(self):
        self.machine = Machine()

        found = self.found()

        self.assertEqual(found.states("hugepages") + found.states("cpu") + found.states("memlock"), ["unknown"] * 3)
        self.assertEqual(found.states("iommu"), ["lacks"])


class Memory(CheckHost):
    def test_hugepages_that_are_all_taken_are_lacking(self):
        self.machine.node(0, "0-7", reserved=512, free=0)

        self.expect("hugepages", "lacks", "1024 MB reserved, 0 MB free", "echo 1024 > ")

    def test_a_node_without_cpus_needs_no_hugepages(self):
        self.machine.node(1, "", reserved=0)

        self.assertEqual(len(self.found().of["hugepages"]), 1)

    def test_pages_of_1_gb_count(self):
        for name in ("nr", "free"):
            self.machine.put(f"sys/devices/system/node/node0/hugepages/hugepages-1048576kB/{name}_hugepages", "3\n")

        self.expect("hugepages", "ok", "5120 MB reserved, 4096 MB free")

    def test_a_limit_of_locked_memory_is_none_to_who_may_lock_all(self):
        self.machine.limits(8388608)
        self.expect("memlock", "lacks", "8192 kB", "limits.d")
        self.machine.limits(8388608, capabilities="0000000000004000")
        self.expect("memlock", "ok", "CAP_IPC_LOCK")


class Nics(CheckHost):
    def test_without_an_iommu_the_cure_depends_on_the_cpu_and_the_command_line(self):
        self.machine.remove("sys/kernel/iommu_groups")
        self.expect("iommu", "lacks", "off", "VT-d")
        self.machine.put("proc/cmdline", "quiet\n")
        self.expect("iommu", "lacks", "off", "intel_iommu=on")
        self.machine.cpuinfo("aes", vendor="AuthenticAMD")
        self.expect("iommu", "lacks", "off", "AMD-Vi")

    def test_the_mode_of_vfio_without_an_iommu_is_advised_against(self):
        self.machine.remove("sys/kernel/iommu_groups")
        self.machine.put("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")

        self.expect("iommu", "advice", "may write to any memory", "VT-d")

    def test_uio_instead_of_vfio_is_advised_against(self):
        self.machine = bare()
        self.machine.nic("0000:51:00.0", "uio_pci_generic")

        found = self.found()

        self.assertEqual(found.states("vfio"), ["advice"])
        self.assertNotIn("nics", found.of)

    def test_a_driver_that_serves_kernel_and_user_space_is_good(self):
        self.machine = bare()
        self.machine.nic("0000:51:00.0", "mlx5_core")

        self.assertNotIn("nics", self.found().of)

    def test_without_any_nic_it_says_so(self):
        self.machine.remove("sys/bus/pci/devices")

        self.expect("nics", "unknown", "only virtual ports")


class Cpus(CheckHost):
    def test_a_cpu_without_aes_is_lacking(self):
        self.machine.cpuinfo("fpu ssse3 pclmulqdq vaes avx2")

        self.expect("cpu", "lacks", "no aes:", "firmware")

    def test_what_would_be_faster_is_named(self):
        self.machine.cpuinfo("ssse3 pclmulqdq aes avx2 avx512f vaes")

        self.expect("cpu", "advice", "no avx512bw vpclmulqdq", "faster")

    def test_an_isolated_cpu_with_a_tick_is_named(self):
        self.machine.cpus(8, "performance", isolated="2-7", tickless="2-4")

        self.expect("isolation", "advice", "CPU 5 is not in nohz_full", "nohz_full=")

    def test_one_cpu_with_another_governor_is_enough(self):
        self.machine.put("sys/devices/system/cpu/cpu5/cpufreq/scaling_governor", "schedutil\n")

        self.expect("governor", "advice", "schedutil", "performance")

    def test_irqbalance_leaves_isolated_cpus_alone(self):
        self.machine.program(70, "irqbalance")
        self.expect("irqbalance", "ok", "it runs")
        self.machine.put("sys/devices/system/cpu/isolated", "\n")
        self.expect("irqbalance", "advice", "it runs", "systemctl disable --now irqbalance")


class Configured(CheckHost):
    def check(self, lcores, lan="0000:41:00.0"):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(SITE % (lcores, lan))
            file.flush()
            return self.found("--config", file.name)

    def test_its_cpus_and_nics_are_looked_at(self):
        found = self.check("2, 3")

        self.assertEqual(found.states("worker"), ["ok", "ok"])
        self.assertEqual([text for _, text, _ in found.of["port"]],
            ["lan: 0000:41:00.0 is bound to vfio-pci", "wan: 0000:41:00.1 is bound to vfio-pci"])

    def test_a_cpu_that_is_not_there_or_not_isolated_is_told(self):
        found = self.check("1, 8")

        self.assertEqual(found.states("worker"), ["advice", "lacks"])
        self.assertEqual(found.code, 1)

    def test_two_workers_on_one_core_are_told(self):
        self.machine.cpus(8, "performance", siblings=2, isolated="2-7", tickless="2-7")

        found = self.check("2, 3, 6")

        self.assertEqual(found.states("worker"), ["advice", "ok", "advice"])
        self.assertIn("CPU 2 shares its core with CPU 6", found.of["worker"][0][1])

    def test_a_nic_that_is_not_there_or_the_kernels_is_told(self):
        self.machine.nic("0000:51:00.0", "ixgbe")

        kernels, absent = (self.check("2", lan=f"0000:{bus}:00.0").of["port"][0] for bus in (51, 61))

        self.assertEqual(kernels, ("lacks", "lan: 0000:51:00.0 is bound to ixgbe",
            "dpdk-devbind.py --bind=vfio-pci 0000:51:00.0"))
        self.assertEqual(absent[:2], ("lacks", "lan: there is no device 0000:61:00.0"))

    def test_a_nic_on_another_node_than_all_workers_is_told(self):
        self.machine = two_nodes()

        far, near = (self.check(cpu, lan="81:00.0").of["port"][0] for cpu in (2, 5))

        self.assertEqual(far[:2], ("advice", "lan: no worker is on the node of 0000:81:00.0"))
        self.assertEqual(near[0], "ok")

    def test_a_virtual_port_needs_nothing(self):
        self.assertEqual(len(self.check("2", lan="net_null0").of["port"]), 1)

    def test_a_faulty_file_is_told_as_check_does(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("worker: {}\n")
            file.flush()
            done = ctl("check-host", "--root", self.machine.root, "--config", file.name)

        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"{file.name}:1:1: ", done.stderr)
        self.assertIn("did you mean 'workers'?", done.stderr)


class People(CheckHost):
    def test_the_table_has_a_line_for_each_finding_and_its_cure_below(self):
        self.machine = bare()

        lines = ctl("check-host", "--root", self.machine.root).stdout.splitlines()

        at = next(i for i, line in enumerate(lines) if line.startswith("lacks    vfio "))
        self.assertRegex(lines[at + 1], r"^ +modprobe vfio-pci")
        self.assertEqual(lines[-1], "3 ok, 5 lacking, 6 to improve, 0 that can't be told")

    def test_this_machine_can_be_looked_at(self):
        done = ctl("check-host")

        self.assertIn(done.returncode, (0, 1))
        self.assertRegex(done.stdout, r"\n[0-9]+ ok, [0-9]+ lacking, ")


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE, ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
