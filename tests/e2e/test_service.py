"""culvertd as a service: what it tells the service manager and the journal, and what it has given up when it runs."""
import contextlib
import errno
import os
import select
import signal
import socket
import unittest
from unittest import mock

from culvert import A, B, CPUS, Daemon, Site, udp

SANITIZED = os.environ.get("CULVERT_SANITIZE", "none") != "none"
CAP_IPC_LOCK = 1 << 14


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, site, **environment):
        self.path = site.path("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)
        self.environment = {"NOTIFY_SOCKET": self.path, **environment}

    def start(self, site, **packets):
        with mock.patch.dict(os.environ, self.environment):
            return site.start(**packets)

    def told(self):
        return self.socket.recv(1024).decode()

    def all_told(self):
        messages = []
        while select.select([self.socket], [], [], 0)[0]:
            messages.append(self.told())
        return messages


class Notify(unittest.TestCase):
    def setUp(self):
        self.site = Site()

    def test_it_tells_when_it_forwards_and_when_it_stops(self):
        manager = Manager(self.site)
        daemon = manager.start(self.site)

        self.assertEqual(manager.told(), "READY=1\nSTATUS=forwarding")
        self.assertIn("forwarding", daemon.stderr())
        daemon.signal()
        self.site.result(daemon)
        self.assertEqual(manager.all_told(), ["STOPPING=1\nSTATUS=draining"])

    def test_it_tells_when_it_reads_the_file_again(self):
        manager = Manager(self.site)
        daemon = manager.start(self.site)
        self.assertEqual(manager.told(), "READY=1\nSTATUS=forwarding")

        daemon.signal(signal.SIGHUP)

        self.assertRegex(manager.told(), r"^RELOADING=1\nMONOTONIC_USEC=[0-9]+$")
        self.assertEqual(manager.told(), "READY=1\nSTATUS=forwarding")
        daemon.signal()
        self.site.result(daemon)

    def test_a_start_that_fails_is_never_ready(self):
        manager = Manager(self.site)
        self.site.conf["ports"]["wan"]["device"] = "net_nosuch0"

        self.assertEqual(manager.start(self.site).wait(), 1)
        self.assertEqual(manager.all_told(), [])

    def test_signs_of_life_come_while_it_runs(self):
        manager = Manager(self.site, WATCHDOG_USEC="400000")
        daemon = manager.start(self.site)

        messages = [manager.told() for _ in range(4)]

        self.assertEqual(messages, ["READY=1\nSTATUS=forwarding"] + ["WATCHDOG=1"] * 3)
        daemon.signal()
        self.site.result(daemon)

    def test_a_worker_that_hangs_ends_the_signs_of_life(self):
        # The worker waits in the driver for the rest of a file that is a pipe.
        manager = Manager(self.site, WATCHDOG_USEC="400000")
        with mock.patch.dict(os.environ, manager.environment):
            daemon, feed = self.site.start_fed("lan")
        self.assertEqual(manager.told(), "READY=1\nSTATUS=forwarding")

        daemon.wait_until(lambda: "a worker does not come round" in daemon.stderr(), lambda: "it is told")
        manager.all_told()

        self.assertFalse(select.select([manager.socket], [], [], 0.5)[0])
        feed.put([])
        self.assertTrue(select.select([manager.socket], [], [], 20)[0])
        daemon.signal()
        feed.close()
        self.site.ended(daemon)


class Journal(unittest.TestCase):
    def test_lines_have_their_priority_where_standard_error_is_the_journal(self):
        site = Site()
        site.write()
        with open(site.path("journal"), "w+") as journal:
            status = os.fstat(journal.fileno())
            with mock.patch.dict(os.environ, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}), \
                    mock.patch("tempfile.TemporaryFile", lambda mode: journal):
                daemon = Daemon(["--config", site.path("site.yaml")], site.directory)
            daemon.wait_ready()
            daemon.signal()
            daemon.wait()
            said = daemon.stderr()

        self.assertIn("<6>level=info msg=forwarding\n", said)
        self.assertTrue(all(line[0] == "<" for line in said.splitlines() if "level=" in line), said)


class RuntimeDirectory(unittest.TestCase):
    def test_the_services_directory_is_taken_where_the_file_names_none(self):
        site = Site()
        site.conf["control"] = {}
        os.mkdir(site.path("run"), 0o750)
        with mock.patch.dict(os.environ, {"RUNTIME_DIRECTORY": site.path("run") + ":/nowhere"}):
            daemon = site.start().wait_ready()

        self.assertTrue(os.path.exists(site.path("run/lock")))
        daemon.signal()
        site.result(daemon)


@unittest.skipIf(SANITIZED, "a sanitizer's check at the end needs what is given up")
class Privileges(unittest.TestCase):
    """What /proc says of each thread of a gateway that forwards."""

    # A worker, the control thread, and DPDK's own.
    THREADS_MIN = 4

    def threads(self, daemon):
        tasks = f"/proc/{daemon.process.pid}/task"
        for task in os.listdir(tasks):
            # DPDK's threads for clients of telemetry come and go.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"{tasks}/{task}/status") as file:
                yield dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    def started(self, *arguments, site=None):
        site = site or Site()
        site.tunnel()
        packets = [udp(A.host[4], B.host[4])]
        return site, site.start(lan=packets, arguments=arguments).wait_settled(len(packets))

    def test_every_thread_has_given_up_capabilities_and_system_calls(self):
        site, daemon = self.started()

        threads = list(self.threads(daemon))

        self.assertGreaterEqual(len(threads), self.THREADS_MIN)
        for thread in threads:
            for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                self.assertEqual(int(thread[kind], 16) & ~CAP_IPC_LOCK, 0, thread["Name"])
            self.assertEqual((thread["NoNewPrivs"], thread["Seccomp"]), ("1", "2"), thread["Name"])
        daemon.signal()
        run = site.result(daemon, 1)
        self.assertIn("syscall_filter=on", run.stderr)

    def test_what_dpdk_starts_later_has_none_either(self):
        # DPDK makes a thread for each client of telemetry.
        site, daemon = self.started()
        path = os.path.join(site.directory, "run", "dpdk", "culvert", "dpdk_telemetry.v2")
        before = {thread["Pid"] for thread in self.threads(daemon)}

        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(path)
            client.recv(1024)
            new = [thread for thread in self.threads(daemon) if thread["Pid"] not in before]

        self.assertTrue(new)
        for thread in new:
            self.assertEqual((int(thread["CapEff"], 16) & ~CAP_IPC_LOCK, thread["Seccomp"]), (0, "2"))
        daemon.signal()
        site.result(daemon, 1)

    def test_the_filter_can_be_left_out(self):
        site, daemon = self.started("--no-seccomp")

        for thread in self.threads(daemon):
            self.assertEqual((thread["NoNewPrivs"], thread["Seccomp"]), ("1", "0"), thread["Name"])
            self.assertEqual(int(thread["CapEff"], 16) & ~CAP_IPC_LOCK, 0, thread["Name"])
        daemon.signal()
        self.assertIn("syscall_filter=off", site.result(daemon, 1).stderr)

    @unittest.skipIf(len(CPUS) < 2, "two workers need two CPUs, and there is one")
    def test_every_worker_is_covered(self):
        site = Site(queues=2)
        site.conf["workers"]["lcores"] = CPUS[:2]
        site, daemon = self.started(site=site)

        names = [thread["Name"] for thread in self.threads(daemon) if thread["Seccomp"] == "2"]

        self.assertEqual(sum(name.startswith("rte-worker") for name in names), 2, names)
        daemon.signal()
        site.result(daemon, 1)

    def test_its_memory_can_not_be_read_by_a_process_without_privileges(self):
        site, daemon = self.started()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setresuid(65534, 65534, 65534)
                os.open(f"/proc/{daemon.process.pid}/mem", os.O_RDONLY)
            except OSError as error:
                code = 0 if error.errno == errno.EACCES else 2
            finally:
                os._exit(code)

        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        daemon.signal()
        site.result(daemon, 1)
