"""culvertd as an operator meets it: what it refuses and how it says so, signals, telemetry, several workers."""
import glob
import os
import resource
import signal
import subprocess
import tempfile
import unittest

from scapy.layers.inet import UDP
from scapy.layers.ipsec import ESP

from culvert import A, ALGORITHMS, B, CPUS, Daemon, Site, check_log, logfmt, routed, udp


def check(site, text=None):
    """Run culvertd --check; the exit code and what it said."""
    site.write()
    if text is not None:
        with open(site.path("site.yaml"), "w") as file:
            file.write(text)
    daemon = Daemon(["--check", site.path("site.yaml")], site.directory)
    return daemon.wait(), daemon.stdout() + daemon.stderr()


def refused(site):
    """What culvertd says when it can't run the site."""
    daemon = site.start()
    code = daemon.wait()
    site.check_no_key(daemon.stdout() + daemon.stderr())
    check_log(daemon.stderr())
    assert code == 1, f"the exit code is {code}:\n{daemon.stderr()}"
    return daemon.stderr()


class TheFile(unittest.TestCase):
    def test_a_good_file_passes_the_check(self):
        site = Site()
        site.tunnel()

        self.assertEqual(check(site), (0, ""))
        self.assertFalse(os.path.exists(site.path("run")))

    def test_every_fault_is_told_with_its_line_and_column(self):
        site = Site()
        text = "\n".join([
            "workers: {lcores: [0]}",
            "ports:",
            "  lan: {device: net_null0, side: protected}",
            "  wan: {device: net_null1, side: unprotected, addresses: [192.0.2.1/24]}",
            "sas:",
            "  hq-out: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,",
            '           key: "0x000102030405060708090a0b0c0d0e0f"}',
            "policies:",
            "  - {name: hq, direction: out, acton: protect, sas: [hq-out]}",
        ])

        code, said = check(site, text)

        path = site.path("site.yaml")
        self.assertEqual(code, 1)
        self.assertIn(f"{path}:7:17: sas.hq-out.key: 16 bytes given, aes128gcm16 needs 20 (16 key + 4 salt)", said)
        self.assertRegex(said, rf"{path}:9:\d+: policies\[0\].*'acton'.*did you mean 'action'\?")
        self.assertNotIn("0001020304", said)

    def test_a_file_that_is_not_there_is_told(self):
        daemon = Daemon(["--check", "/nowhere/site.yaml"], None)

        self.assertEqual(daemon.wait(), 1)
        self.assertIn("/nowhere/site.yaml", daemon.stderr())

    def test_what_check_refuses_does_not_run(self):
        site = Site()
        site.tunnel()
        site.policy("out", "protect", sas=["nobody"])

        self.assertIn("no SA is named 'nobody'", refused(site))

    def test_wrong_options_are_told_with_the_usage(self):
        for arguments in ([], ["--frobnicate"], ["--config"], ["--config", "x", "--until-idle", "soon"]):
            daemon = Daemon(arguments, None)

            self.assertEqual(daemon.wait(), 2, arguments)
            self.assertIn("usage: culvertd", daemon.stderr())


class TheMachine(unittest.TestCase):
    def test_a_driver_that_is_not_there_is_told(self):
        site = Site()
        site.conf["ports"]["lan"]["device"] = "net_nosuch0"

        self.assertRegex(refused(site), r"level=error msg=\"port lan: the device 'net_nosuch0' can't be opened")

    def test_a_capture_file_that_is_not_there_is_told(self):
        site = Site()
        site.conf["ports"]["wan"]["device"] = "net_pcap1,rx_pcap=/nowhere/in.pcap,tx_pcap=/nowhere/out.pcap"

        self.assertIn("level=error msg=\"port wan: the device 'net_pcap1,rx_pcap=/nowhere/in.pcap", refused(site))

    def test_a_nic_that_is_not_there_is_told(self):
        site = Site()
        site.conf["ports"]["wan"]["device"] = "0000:ff:1f.7"

        self.assertIn("0000:ff:1f.7", refused(site))

    def test_a_cpu_that_is_not_there_is_told(self):
        site = Site()
        site.conf["workers"]["lcores"] = [1000]

        self.assertIn("level=error msg=\"workers.lcores: cpu 1000 is not there, or not for this process", refused(site))

    def test_missing_hugepages_are_told(self):
        counts = glob.glob("/sys/kernel/mm/hugepages/*/free_hugepages")
        if any(int(open(path).read()) for path in counts):
            self.skipTest("this machine has free hugepages")
        site = Site()
        site.conf["memory"]["hugepages"] = True

        self.assertRegex(refused(site), r"level=error msg=\"no free hugepages: .*memory.hugepages to false")

    def test_a_second_culvertd_with_the_same_control_directory_is_refused(self):
        site = Site()
        first = site.start().wait_ready()

        self.assertRegex(refused(site), r"lock is held: another culvertd")

        first.signal()
        self.assertEqual(first.wait(), 0)
        site.run()

    def test_a_control_directory_that_others_can_write_to_is_refused(self):
        site = Site()
        os.mkdir(site.path("run"))
        os.chmod(site.path("run"), 0o777)

        self.assertIn("others can't write to", refused(site))


class Signals(unittest.TestCase):
    def test_sigterm_and_sigint_end_it_with_statistics(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            site = Site()
            site.tunnel()
            daemon = site.start(lan=[udp(A.host[4], B.host[4])]).wait_settled(1)
            self.assertEqual(daemon.stdout(), "")

            daemon.signal(number)

            run = site.result(daemon, 1)
            self.assertEqual(run.sas["t-out"].packets, 1)
            self.assertIn("stopping", run.stderr)

    def test_sigusr1_prints_statistics_and_it_goes_on(self):
        site = Site()
        daemon = site.start(lan=[udp(A.host[4], B.host[4])]).wait_settled(1)

        daemon.signal(signal.SIGUSR1)
        daemon.wait_until(lambda: "total: received=1 " in daemon.stdout(), lambda: "it printed statistics")
        daemon.signal()

        run = site.result(daemon, 1)
        self.assertEqual(run.stdout.count("total: received=1 "), 2)

    def test_a_signal_while_it_starts_ends_it_too(self):
        site = Site()
        daemon = site.start()
        daemon.wait_until(lambda: "msg=crypto device" in daemon.stderr(), lambda: "it opened its crypto devices")

        daemon.signal()

        self.assertEqual(daemon.wait(), 0)

    def test_the_log_says_where_each_algorithm_is_encrypted(self):
        for mode, expected in (("auto", "device=ipsec_mb synchronous=yes"),
                               ("async", "device=crypto_aesni_mb synchronous=no")):
            for esp in ("aes128gcm16", "aes128-sha256"):
                site = Site()
                site.tunnel(esp=esp)
                site.conf["workers"]["crypto_mode"] = mode

                run = site.run(lan=[udp(A.host[4], B.host[4])])

                self.assertEqual(run.stderr.count(f"crypto esp={esp} {expected}\n"), 1)
                self.assertEqual(run.stderr.count("crypto esp="), 1)

    def test_the_log_warns_where_a_driver_compares_icvs_with_memcmp(self):
        # ESP-3: nowhere, unless the configuration asks for a driver of IPsec-MB.
        for workers, warns in (({}, False), ({"crypto_mode": "async"}, True), ({"crypto": ["aesni_gcm"]}, True),
                               ({"crypto": ["openssl"]}, False)):
            for esp in ("aes128gcm16",) if "crypto" in workers else ("aes128gcm16", "3des-sha256"):
                site = Site(way="default")
                site.tunnel(esp=esp, **({"allow_insecure": True} if esp.startswith("3des") else {}))
                site.conf["workers"].update(workers)

                run = site.run(lan=[udp(A.host[4], B.host[4])])

                self.assertEqual(run.stderr.count(f"compares the ICVs of esp={esp},"), int(warns), run.stderr)

    def test_until_idle_ends_it_when_nothing_comes(self):
        site = Site()
        site.tunnel()

        run = site.run(lan=[udp(A.host[4], B.host[4])] * 100, idle_seconds=1)

        self.assertEqual(len(run.wan), 100)


class Log(unittest.TestCase):
    """Site.ended reads each line of every run, so what is held here is the reader."""

    def test_the_reader_refuses_what_is_no_logfmt(self):
        self.assertEqual(logfmt(r'level=info msg="a \"b\"\n" sa=x'), {"level": "info", "msg": 'a "b"\n', "sa": "x"})
        for line in ("culvertd: info: forwarding", "level=info msg=peer moved", 'level=info msg="a', "level=info a==b",
                     'level=info device=a,b=c', 'level=info a=b"c', "level=info a=", "level=info a=1 a=2",
                     "level=info a=1 ", "level=info  a=1", "msg=forwarding", "level=loud a=1", "", 'level=info a="\t"'):
            with self.assertRaises(ValueError, msg=line):
                logfmt(line)

    def test_a_device_with_arguments_is_one_value(self):
        site = Site()

        run = site.run()

        ports = [pairs for pairs in map(logfmt, filter(lambda line: line.startswith("level="), run.stderr.splitlines()))
            if "device" in pairs and "side" in pairs]
        self.assertEqual([pairs["device"] for pairs in ports], [site.conf["ports"][port]["device"] for port in ("lan", "wan")])

    def test_the_journal_gets_a_priority_of_each_line(self):
        site = Site()
        site.conf["ports"]["lan"]["device"] = "net_nosuch0"
        site.write()
        with tempfile.TemporaryFile() as journal:
            status = os.fstat(journal.fileno())
            for stream, expected in ((f"{status.st_dev}:{status.st_ino}", b"<3>level=error"), ("1:1", b"level=error")):
                journal.seek(0)
                journal.truncate()
                subprocess.run([os.environ["CULVERTD"], "--config", site.path("site.yaml")], stderr=journal,
                    env={**os.environ, "JOURNAL_STREAM": stream}, check=False)
                journal.seek(0)
                last = journal.read().splitlines()[-1]
                self.assertTrue(last.startswith(expected), last)


class Keys(unittest.TestCase):
    def all_tunnels(self):
        site = Site()
        for index, esp in enumerate(ALGORITHMS):
            site.tunnel(f"t{index}", esp, spi=0x1001 + index, there=f"10.2.{index}.0/24")
        return site, [udp(A.host[4], f"10.2.{index}.10") for index in range(len(ALGORITHMS))]

    def test_no_key_is_in_what_the_daemon_says(self):
        # ALG-13: log, statistics, and each answer that telemetry has, of SAs with every algorithm.
        site, packets = self.all_tunnels()
        daemon = site.start(lan=packets).wait_settled(len(packets))
        commands = daemon.telemetry("/")
        commands += [f"/culvert/sa,{name}" for name in site.conf["sas"]]

        said = [daemon.telemetry_text(command) for command in commands]
        daemon.signal(signal.SIGUSR1)
        daemon.wait_until(lambda: "total: " in daemon.stdout(), lambda: "it printed statistics")
        daemon.signal()

        self.assertIn("/culvert/sas", commands)
        site.check_no_key("".join(said))
        site.result(daemon, len(packets))

    def test_a_crash_leaves_no_core_file(self):
        # ALG-13: the keys are in the daemon's memory, and a core file would hold that.
        site, packets = self.all_tunnels()
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
        try:
            daemon = site.start(lan=packets).wait_settled(len(packets))
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, limits)

        daemon.signal(signal.SIGABRT)

        _, status = os.waitpid(daemon.process.pid, 0)
        daemon.process.returncode = -os.WTERMSIG(status)
        self.assertEqual(os.WTERMSIG(status), signal.SIGABRT)
        self.assertFalse(os.WCOREDUMP(status))

    def test_gateways_with_the_same_key_that_do_not_know_of_each_other_repeat_no_iv_but_by_chance(self):
        # REK-6: each counts from another random number. Where they know, see test_restart.py.
        for esp, size in (("aes128gcm16", 8), ("chacha20poly1305", 8), ("aes128-sha256", 16)):
            ivs = set()
            for _ in range(2):
                site = Site()
                site.tunnel(esp=esp)
                run = site.run(lan=[udp(A.host[4], B.host[4])] * 100)
                ivs |= {packet[ESP].data[:size] for packet in run.wan}

            self.assertEqual(len(ivs), 200, esp)


class Telemetry(unittest.TestCase):
    def test_it_tells_what_the_statistics_tell(self):
        site = Site()
        peer = site.tunnel()
        forged = peer.seal(udp(B.host[4], A.host[4]), seq=9)
        forged[ESP].data = bytes(len(forged[ESP].data))
        lan = [udp(A.host[4], B.host[4])] * 3 + [udp(A.host[4], "203.0.113.1")]
        daemon = site.start(lan=lan, wan=[forged]).wait_settled(5)

        totals = daemon.telemetry("/culvert/totals")
        drops = daemon.telemetry("/culvert/drops")
        ports = daemon.telemetry("/culvert/ports")
        names = daemon.telemetry("/culvert/sas")
        out, inbound = (daemon.telemetry(f"/culvert/sa,t-{way}") for way in ("out", "in"))
        workers = daemon.telemetry("/culvert/workers")
        nobody = daemon.telemetry("/culvert/sa,nobody")
        site.check_no_key("".join(daemon.telemetry_text(command) for command in
            ["/", "/culvert/sas", "/culvert/sa,t-out", "/culvert/sa,t-in", "/culvert/sa,nobody", "/eal/params"]))
        daemon.signal()

        run = site.result(daemon, 5)
        self.assertEqual(totals, run.total)
        self.assertEqual(drops, {"in_icv": 1, "out_no_policy": 1})
        self.assertEqual((ports["lan"]["rx_packets"], ports["lan"]["drops"], ports["wan"]["rx_packets"]), (4, 1, 1))
        self.assertEqual(ports["wan"]["tx_packets"], len(run.frames["wan"]))
        self.assertEqual(names, ["t-out", "t-in"])
        self.assertEqual((out["direction"], out["spi"], out["packets"], out["sequence"]), ("out", 0x1001, 3, 3))
        self.assertEqual((inbound["direction"], inbound["in_icv"], inbound["sequence"]), ("in", 1, 0))
        self.assertEqual((out["source"], out["destination"], out["esp"]), (A.wan[4], B.wan[4], "aes128gcm16"))
        self.assertEqual(workers["worker0"]["cpu"], site.conf["workers"]["lcores"][0])
        self.assertIsNone(nobody)


    def test_it_tells_of_policies_tables_and_pools(self):
        site = Site()
        site.tunnel()
        site.policy("out", "discard", protocol="tcp", destination_port=23)
        daemon = site.start(lan=[udp(A.host[4], B.host[4])] * 3).wait_settled(3)

        names = daemon.telemetry("/culvert/policies")
        rest = daemon.telemetry("/culvert/policies,2")
        policy = daemon.telemetry("/culvert/policy,p1")
        discard = daemon.telemetry("/culvert/policy,p2")
        nobody = daemon.telemetry("/culvert/policy,nobody")
        tables = daemon.telemetry("/culvert/tables")
        pools = daemon.telemetry("/culvert/pools")
        worker = daemon.telemetry("/culvert/workers")["worker0"]
        daemon.signal()

        site.result(daemon, 3)
        self.assertEqual((names, rest, nobody), (["p0", "p1", "p2"], ["p2"], None))
        self.assertEqual(policy, {"place": 1, "direction": "in", "action": "protect", "sas": "t-in", "alternatives": ""})
        self.assertEqual((discard["direction"], discard["action"], discard["sas"]), ("out", "discard", ""))
        self.assertEqual((tables["sad_in"]["used"], tables["sad_out"]["used"]), (1, 1))
        self.assertEqual(tables["neighbours"]["used"], len(site.conf["neighbours"]))
        self.assertTrue(all(0 <= table["used"] <= table["capacity"] for table in tables.values()), tables)
        self.assertEqual(pools["packets"]["capacity"], site.conf["memory"]["packets"])
        self.assertEqual((worker["rx_packets"], worker["rx_bursts"]), (3, 1))


@unittest.skipIf(len(CPUS) < 2, "two workers need two CPUs, and there is one")
class TwoWorkers(unittest.TestCase):
    """Each port has a queue for each worker, and one SA serves both."""

    N = 400
    # One worker may be ahead of the other by all packets, and none may be late for that.
    WINDOW = 2048

    def site(self, **queues):
        site = Site(queues=2, **queues)
        site.conf["workers"]["lcores"] = CPUS[:2]
        return site, site.tunnel(replay_window=self.WINDOW)

    def test_packets_of_one_sa_are_numbered_once_each(self):
        # ESP-6, PCP-2: two workers seal for one SA; also where they have to share a queue to the link.
        for tx_queues in (2, 1):
            site, peer = self.site(tx_queues=tx_queues)
            packets = [udp(A.host[4], B.host[4], number.to_bytes(4, "big")) for number in range(self.N)]

            run = site.run(lan=packets)

            self.assertEqual(sorted(packet[ESP].seq for packet in run.wan), list(range(1, self.N + 1)))
            opened = {bytes(peer.open(packet)) for packet in run.wan}
            self.assertEqual(opened, {bytes(routed(packet)) for packet in packets})
            self.assertEqual(run.drops, {})

    def test_no_number_is_used_twice_however_long_both_workers_seal(self):
        # ESP-6, ALG-1: both never run out of packets, until the gateway is stopped in the middle of them; with one
        # queue to the link they also have to wait for each other.
        for tx_queues, crypto_mode in ((1, "sync"), (2, "async")):
            site, peer = self.site(tx_queues=tx_queues)
            site.conf["workers"]["crypto_mode"] = crypto_mode
            site.conf["ports"]["lan"]["device"] += ",infinite_rx=1"
            daemon = site.start(lan=[udp(A.host[4], B.host[4])] * 4).wait_ready()
            daemon.wait_until(lambda: daemon.telemetry("/culvert/sa,t-out")["packets"] > 100000,
                lambda: "much is sealed")
            workers = daemon.telemetry("/culvert/workers")
            daemon.signal()

            run = site.result(daemon)

            esp = 14 + 20
            numbers = [frame[esp + 4:esp + 8] for frame in run.raw["wan"] if frame[12:14] == b"\x08\x00"]
            ivs = [frame[esp + 8:esp + 16] for frame in run.raw["wan"] if frame[12:14] == b"\x08\x00"]
            self.assertGreater(len(numbers), 100000)
            self.assertEqual(len(set(numbers)), len(numbers))
            self.assertEqual(len(set(ivs)), len(ivs))
            self.assertTrue(all(worker["busy_loops"] > 100 for worker in workers.values()))

    def test_packets_of_one_sa_are_all_delivered_once(self):
        site, peer = self.site()
        sealed = [peer.seal(udp(B.host[4], A.host[4], number.to_bytes(4, "big")), seq=number + 1)
            for number in range(self.N)]

        run = site.run(wan=sealed)

        self.assertEqual(sorted(packet[UDP].payload.load for packet in run.lan),
            [number.to_bytes(4, "big") for number in range(self.N)])
        self.assertEqual(run.drops, {})

    def test_of_a_packet_that_both_receive_one_passes(self):
        # AR-6: the same packets in both queues, so both workers have each of them at about the same time.
        site, peer = self.site()
        sealed = [peer.seal(udp(B.host[4], A.host[4], number.to_bytes(4, "big")), seq=number + 1)
            for number in range(self.N)]

        run = site.run(wan=[packet for packet in sealed for _ in range(2)])

        self.assertEqual(sorted(packet[UDP].payload.load for packet in run.lan),
            [number.to_bytes(4, "big") for number in range(self.N)])
        self.assertEqual(run.drops, {"in_replay": self.N})
