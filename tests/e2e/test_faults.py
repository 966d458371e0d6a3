"""What goes wrong outside the gateway while it runs: ports that go, disks that are full, buffers that are used up, a
daemon that is killed, configurations with faults. Each is named and counted, the rest goes on, and what can come back
does."""
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

from scapy.layers.l2 import Ether
from scapy.utils import checksum

from culvert import A, B, CULVERTD, Daemon, Feed, HOST_MAC, Load, Site, key_bytes, pcap_read, udp, yaml_text

SANITIZED = os.environ.get("CULVERT_SANITIZE", "none") != "none"
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
BLOCK = 1 << 20  # SEQ_BLOCK_MIN
PAYLOAD = b"x" * 64
OUT = udp(A.host[4], B.host[4], PAYLOAD)


def ask(daemon, command, **arguments):
    """The whole answer of the control socket, an error too."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(os.path.join(daemon.directory, "run", "control.sock"))
        client.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        return json.loads(client.makefile().readline())


class Events:
    """What the control socket tells of, as long as this lives."""

    def __init__(self, daemon):
        self.client = socket.socket(socket.AF_UNIX)
        self.client.connect(os.path.join(daemon.directory, "run", "control.sock"))
        self.client.sendall(b'{"command": "events"}\n')
        self.text, self.told = b"", []
        while not self.text.endswith(b"\n"):
            self.text += self.client.recv(1 << 16)
        self.text = b""

    def all(self, name):
        while select.select([self.client], [], [], 0)[0]:
            more = self.client.recv(1 << 16)
            if not more:
                break
            self.text += more
        *lines, self.text = self.text.split(b"\n")
        self.told += map(json.loads, lines)
        return [event for event in self.told if event["event"] == name]

    def close(self):
        self.client.close()


def sa_conf(spi, source, destination, key, **options):
    return {"spi": spi, "source": source, "destination": destination, "esp": "aes128gcm16",
        "key": "0x" + key_bytes(key, 20).hex(), **options}


def esp_numbers(site):
    """The sequence numbers of all that left by the wan."""
    frames = [frame for path in site._files("wan", "tx") for frame in pcap_read(path)]
    return [int.from_bytes(frame[38:42], "big") for frame in frames if frame[12:14] == b"\x08\x00" and frame[23] == 50]


def mounted(test, size="1m"):
    """A small file system of its own for the test, or the test is skipped."""
    directory = test.site.path("small")
    os.mkdir(directory, 0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", directory],
            capture_output=True, check=False).returncode != 0:
        test.skipTest("a file system can't be mounted here")
    test.addCleanup(subprocess.run, ["umount", "-l", directory], check=True)
    return directory


def filled(directory):
    """Fill the file system to its last page; the file to remove for room."""
    path = os.path.join(directory, "other")
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return path


class Fed(unittest.TestCase):
    """A gateway with a tunnel, whose lan is fed."""

    def begin(self, pause_seconds=0.0):
        self.daemon, self.feed = self.site.start_fed("lan")
        self.daemon.wait_ready()
        self.load = Load(self.feed, self.site.frame("lan", OUT), pause_seconds)
        self.load.start()

    def wait(self, condition, what, seconds=20):
        self.daemon.wait_until(condition, lambda: what, seconds)

    def sa(self, name):
        return self.daemon.control("show-sa", name=name)["sa"]

    def end(self):
        self.load.stop()
        self.daemon.wait_settled(self.feed.n)
        self.feed.close()
        self.daemon.signal()
        return self.site.ended(self.daemon)


class Reloads(Fed):
    TIMES = 20

    def setUp(self):
        self.site = Site(way="default")
        self.site.tunnel()
        self.file = self.site.path("site.yaml")

    def put(self, conf):
        self.put_text(yaml_text(conf))

    def put_text(self, text):
        # At once, so that no reload sees half of it.
        with open(self.file + ".new", "w") as file:
            file.write(text)
        os.replace(self.file + ".new", self.file)

    def faulty_yaml(self):
        self.put_text(yaml_text(self.site.conf) + "sas: [\n")
        return "site.yaml"

    def vanished(self):
        if os.path.exists(self.file):
            os.remove(self.file)
        return "No such file or directory"

    def changed_port(self):
        ports = {**self.site.conf["ports"], "wan": {**self.site.conf["ports"]["wan"], "mtu": 1400}}
        self.put({**self.site.conf, "ports": ports})
        return "can't change while the gateway runs"

    def taken_spi(self):
        taken = {**self.site.conf["sas"]["t-in"], "key": "0x" + "11" * 20}
        self.put({**self.site.conf, "sas": {**self.site.conf["sas"], "u-in": taken}})
        return "t-in"

    def open_key_file(self):
        path = self.site.path("open.key")
        with open(path, "w") as file:
            file.write("0x" + "22" * 20 + "\n")
        os.chmod(path, 0o644)
        sa = {key: value for key, value in self.site.conf["sas"]["t-out"].items() if key != "key"}
        self.put({**self.site.conf, "sas": {**self.site.conf["sas"], "v-out": {**sa, "spi": 0x3003, "key_file": path}}})
        return "the key file has mode 0644"

    def good(self, number):
        """With another SA or without, by turns."""
        sas = dict(self.site.conf["sas"])
        if number % 2 == 0:
            sas["more"] = sa_conf(0x4000 + number, A.wan[4], B.wan[4], f"more {number}")
        self.put({**self.site.conf, "sas": sas})
        return len(sas)

    def reload(self, by_signal):
        """The error, or None, and what was said in the log or the answer."""
        if not by_signal:
            answer = ask(self.daemon, "reload")
            return answer["ok"], json.dumps(answer)
        before = len(self.daemon.stderr())
        self.daemon.signal(signal.SIGHUP)

        def said():
            return self.daemon.stderr()[before:]

        self.wait(lambda: "reload failed" in said() or "by=reload" in said(), "it has reloaded")
        return "by=reload" in said(), said()

    def test_reloads_with_faults_and_good_ones_lose_no_packet_under_load(self):
        # SPD-13
        self.begin(pause_seconds=0.0005)
        events = Events(self.daemon)
        faults = [self.faulty_yaml, self.vanished, self.changed_port, self.taken_spi, self.open_key_file]
        n_good, generation = 0, None

        for number in range(self.TIMES):
            for by_signal in (False, True) if number % 4 == 0 else (number % 2 == 0,):
                cause = faults[number % len(faults)]()
                before = self.sa("t-out")["sequence"]

                is_made, said = self.reload(by_signal)

                self.assertFalse(is_made, said)
                self.assertIn(cause, said)
                self.assertGreaterEqual(self.sa("t-out")["sequence"], before)
                self.assertEqual(len(events.all("changed")), n_good)
            n_sas = self.good(number)

            is_made, said = self.reload(number % 3 == 0)

            n_good += 1
            self.assertTrue(is_made, said)
            self.assertEqual(self.daemon.control("show-sas")["total"], n_sas)
            self.wait(lambda n=n_good: len(events.all("changed")) == n, "the change is told of")
            # What failed in between took no generation either.
            now = events.all("changed")[-1]["generation"]
            self.assertIn(now, (generation and generation + 1, now if generation is None else None))
            generation = now

        events.close()
        sent, _ = self.end()
        numbers = esp_numbers(self.site)
        self.assertEqual(numbers, list(range(1, self.feed.n + 1)))
        self.assertIn("dropped=0 ", sent)
        self.assertGreater(self.feed.n, 10000)


class Changes(Fed):
    RATE_HZ = 100
    SECONDS = 4
    # Memory that is used for the first time comes in pieces, for some hundred changes. What is lost grows in each window.
    WINDOW = 50
    GROWTH_KB_MAX = 64

    def setUp(self):
        self.site = Site(way="default")
        self.site.tunnel()

    def rss_kb(self):
        with open(f"/proc/{self.daemon.process.pid}/status") as file:
            line, = (line for line in file if line.startswith("VmRSS:"))
        return int(line.split()[1])

    def change(self, number):
        """Add a pair of SAs, or delete the pair before."""
        if number % 2:
            return self.daemon.control("change", delete_sas=[f"o{number - 1}", f"i{number - 1}"])
        return self.daemon.control("change", sas={
            f"o{number}": sa_conf(0x10000 + number, A.wan[4], B.wan[4], f"out {number}"),
            f"i{number}": sa_conf(0x10000 + number, B.wan[4], A.wan[4], f"in {number}")})

    def test_a_hundred_changes_a_second_lose_nothing_and_keep_no_memory(self):
        # SPD-13
        self.begin(pause_seconds=0.0005)
        n = self.RATE_HZ * self.SECONDS
        start = time.monotonic()
        sizes_kb = []

        for number in range(n):
            time.sleep(max(0, start + number / self.RATE_HZ - time.monotonic()))
            if number % self.WINDOW == 0:
                sizes_kb.append(self.rss_kb())
            self.change(number)
        took = time.monotonic() - start
        self.daemon.wait_adopted()
        grown_kb = min(after - before for before, after in zip(sizes_kb, sizes_kb[1:]))

        self.assertEqual(self.daemon.control("show-sas")["total"], 2)
        sent, _ = self.end()
        self.assertEqual(esp_numbers(self.site), list(range(1, self.feed.n + 1)))
        self.assertIn("dropped=0 ", sent)
        # As fast as it was meant, but where others have the machine.
        self.assertLess(took, self.SECONDS * 5)
        # AddressSanitizer keeps what is freed for a while, and tells of leaks itself.
        if not SANITIZED:
            self.assertLess(grown_kb, self.GROWTH_KB_MAX, sizes_kb)


class FullDisk(Fed):
    # With t-out's, the first batch fills the file's first page: the next one needs another.
    N_SAS = 124

    def setUp(self):
        self.site = Site(way="default")
        self.directory = mounted(self)
        self.site.conf["control"]["state_directory"] = os.path.join(self.directory, "state")
        self.site.tunnel()
        for number in range(self.N_SAS - 1):
            self.site.conf["sas"][f"x{number}"] = sa_conf(0x5000 + number, A.wan[4], B.wan[4], f"x {number}")
        # A million packets are nothing to keep.
        self.site.conf["ports"]["wan"]["device"] = "net_null0,no-rx=1"

    def n_reserved_drops(self):
        return self.sa("t-out")["drop_reasons"].get("out_seq_reserved", 0)

    def test_sas_send_what_is_reserved_and_go_on_when_there_is_room_again(self):
        # MAN-1
        self.begin()
        other = filled(self.directory)
        events = Events(self.daemon)
        more = sa_conf(0x6000, A.wan[4], B.wan[4], "more")
        seconds = 60 if SANITIZED else 20

        self.wait(lambda: self.n_reserved_drops() > 0, "what was reserved is used up", seconds)
        self.assertEqual(self.sa("t-out")["packets"], BLOCK)
        answer = ask(self.daemon, "change", sas={"more": more})
        self.assertFalse(answer["ok"])
        self.assertIn(f"{self.directory}/state/sequences: No space left on device", answer["error"]["text"])
        self.assertIn("set control.state_directory", answer["error"]["text"])
        self.put_more(more)
        self.daemon.signal(signal.SIGHUP)
        self.wait(lambda: "reload failed: " in self.daemon.stderr(), "the reload has failed")
        self.assertEqual(self.daemon.control("show-sas")["total"], self.N_SAS + 1)
        self.assertEqual(events.all("changed"), [])
        # What needs no numbers needs no disk.
        self.daemon.control("change", sas={"more-in": sa_conf(0x6000, B.wan[4], A.wan[4], "more in")})
        self.daemon.control("change", delete_sas=["more-in"])
        # It tries again each second, and says so once.
        time.sleep(2.2)
        self.assertEqual(self.sa("t-out")["packets"], BLOCK)
        self.assertEqual(self.daemon.stderr().count("no sequence numbers can be reserved"), 1)

        os.remove(other)

        self.wait(lambda: self.sa("t-out")["packets"] > BLOCK, "it sends again")
        self.daemon.control("change", sas={"more": more})
        self.assertEqual(self.daemon.control("show-sas")["total"], self.N_SAS + 2)
        events.close()
        _, said = self.end()
        self.assertEqual(said.count("sequence numbers can be reserved again"), 1)

    def put_more(self, sa):
        with open(self.site.path("site.yaml"), "w") as file:
            file.write(yaml_text({**self.site.conf, "sas": {**self.site.conf["sas"], "more": sa}}))


class Paths(unittest.TestCase):
    """What a daemon says that can't have its files; it ends with exit code 1."""

    DIRECTORY_MAX = 107 - len("/dpdk/culvert/dpdk_telemetry.v2")

    def refused(self, site):
        site.write()
        done = subprocess.run([CULVERTD, "--config", site.path("site.yaml")], capture_output=True, text=True,
            timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("msg=forwarding", done.stderr)
        return done.stderr

    def site(self, **control):
        site = Site(way="default")
        site.conf["control"].update({key: site.path(value) for key, value in control.items()})
        return site

    def test_a_socket_in_a_directory_that_is_not_there(self):
        site = self.site(socket="nowhere/control.sock")

        self.assertIn(f"control socket {site.path('nowhere/control.sock')}: No such file or directory",
            self.refused(site))

    def test_a_socket_whose_path_is_too_long(self):
        site = self.site(socket="s" * 108)

        self.assertRegex(self.refused(site), r"control socket \S+: the path is longer than 107 characters; set "
            "control.socket")

    def test_a_socket_where_something_else_is(self):
        site = self.site(socket="thing")
        with open(site.path("thing"), "w"):
            pass

        self.assertIn("something else is there", self.refused(site))
        self.assertTrue(os.path.exists(site.path("thing")))

    def test_a_control_directory_that_can_not_be_made(self):
        site = self.site(directory="file/run")
        with open(site.path("file"), "w"):
            pass

        self.assertIn(f"control directory {site.path('file/run')} can't be made: Not a directory", self.refused(site))

    def test_a_control_directory_whose_path_is_too_long(self):
        for key, length in (("directory", self.DIRECTORY_MAX + 1), ("directory", 1000), ("state_directory", 1000)):
            with self.subTest(key, length=length):
                site = Site(way="default")
                site.tunnel()
                site.conf["control"][key] = self.path(site, length)

                text = self.refused(site)

                self.assertRegex(text, rf"the path of the \w+ directory is longer than \d+ characters; set control.{key}")

    def test_the_longest_control_directory_will_do(self):
        site = Site(way="default")
        site.conf["control"]["directory"] = self.path(site, self.DIRECTORY_MAX)

        daemon = site.start().wait_ready()

        daemon.directory = os.path.dirname(site.conf["control"]["directory"])
        self.assertTrue(os.path.exists(os.path.join(site.conf["control"]["directory"], "dpdk/culvert/dpdk_telemetry.v2")))
        daemon.signal()
        site.ended(daemon)

    @staticmethod
    def path(site, length):
        """Below the site's directory, of so many characters."""
        room = length - len(site.directory)
        return "/".join([site.directory, *["d" * 99] * (room // 100), "e" * (room % 100 - 1)])

    def test_a_directory_that_can_not_be_written_to(self):
        site = self.site(directory="run")
        os.mkdir(site.path("run"), 0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=0700", "tmpfs", site.path("run")],
                capture_output=True, check=False).returncode != 0:
            self.skipTest("a file system can't be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", site.path("run")], check=True)

        self.assertIn(f"{site.path('run')}/lock: Read-only file system", self.refused(site))


class Killed(Fed):
    SECONDS_MAX = 20 if SANITIZED else 5

    def test_a_daemon_that_is_killed_under_load_is_back_with_the_same_file_in_seconds(self):
        self.site = Site(way="default")
        self.site.tunnel()
        self.begin(pause_seconds=0.0005)
        self.wait(lambda: self.sa("t-out")["packets"] > 1000, "it forwards")
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.load.is_over.set()
        left = set(os.listdir(self.site.path("run")))
        # What it was writing has no reader any more.
        while self.load.is_alive():
            if select.select([self.feed.file], [], [], 0.01)[0]:
                os.read(self.feed.file, 1 << 16)
        self.feed.close()
        os.remove(self.site.path("lan-rx0.pcap"))
        self.assertLessEqual({"control.sock", "lock"}, left)

        start = time.monotonic()
        self.daemon, self.feed = self.site.start_fed("lan")
        self.load = Load(self.feed, self.site.frame("lan", OUT), 0.0005)
        self.load.start()
        self.daemon.wait_ready()
        self.wait(lambda: self.sa("t-out")["packets"] > 1000, "it forwards again")
        took = time.monotonic() - start

        self.end()
        self.assertEqual(esp_numbers(self.site), list(range(BLOCK + 1, BLOCK + 1 + self.feed.n)))
        self.assertLess(took, self.SECONDS_MAX)
        print(f"killed and forwarding again in {took:.2f} s ...", end=" ", flush=True)


class Buffers(Fed):
    """With the fewest buffers that can be configured."""

    N_FLOOD = 2048
    N_BURSTS_AFTER = 50

    def received_and_missed(self):
        port, = (port for port in self.daemon.control("show-ports")["ports"] if port["name"] == "lan")
        return port["rx_packets"], port["missed"]

    def is_counted(self):
        """What found no buffer is counted by the port. It ends a burst early, and then the last one may wait for more
        in the driver. Control has had its packets."""
        tables = self.daemon.telemetry("/culvert/tables")
        return self.feed.n - sum(self.received_and_missed()) < Feed.BURST and tables["to_control"]["used"] == 0

    def fragment(self, number):
        """The first one of a packet for the gateway itself; each from another host."""
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 84, number, 0x2000, 64, 17, 0,
            bytes([10, 1, number >> 8, number & 0xff]), socket.inet_aton(A.lan[4]))
        header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
        return bytes(Ether(dst=self.site.mac("lan"), src=HOST_MAC, type=0x0800)) + header + bytes(64)

    def put(self, frames):
        for at in range(0, len(frames), Feed.BURST):
            self.feed.put(frames[at:at + Feed.BURST])

    def test_packets_that_wait_leave_buffers_to_those_that_do_not(self):
        # FRG-6
        self.site = Site(way="default")
        self.site.conf["memory"]["packets"] = 512
        self.site.tunnel()
        self.site.policy("out", "bypass", destination="192.0.2.0/24")
        self.daemon, self.feed = self.site.start_fed("lan")
        self.daemon.wait_ready()
        nobody = [self.site.frame("lan", udp(A.host[4], f"192.0.2.{2 + number}")) for number in range(200)] * 11

        for at in range(0, self.N_FLOOD, Feed.BURST):
            self.put([self.fragment(number) for number in range(at, at + Feed.BURST)])
            self.put(nobody[at:at + Feed.BURST])
        self.wait(self.is_counted, "all that came is counted")
        before, missed = self.sa("t-out")["packets"], self.received_and_missed()[1]
        for _ in range(self.N_BURSTS_AFTER):
            self.put([self.site.frame("lan", OUT)] * Feed.BURST)
        self.wait(self.is_counted, "all that came is counted")
        drops = self.daemon.telemetry("/culvert/drops")
        totals = self.daemon.telemetry("/culvert/totals")

        self.assertEqual(self.daemon.telemetry("/culvert/pools")["packets"]["capacity"], 512)
        self.assertGreater(drops["frag_full"], self.N_FLOOD // 4)
        self.assertGreater(drops["neigh_full"], self.N_FLOOD // 4)
        # The flood's last packets wait still, and nothing is missed for that.
        self.assertGreater(totals["held"], 100)
        self.assertGreater(self.sa("t-out")["packets"] - before, (self.N_BURSTS_AFTER - 1) * Feed.BURST)
        self.assertEqual(self.received_and_missed()[1], missed)
        self.feed.close()
        self.daemon.signal()
        self.site.ended(self.daemon)


class Namespace:
    """A network namespace of the test's own, and sockets in it."""

    def __init__(self, name):
        self.name = name
        self.is_made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0

    def ip(self, *words):
        subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True)

    def delete(self):
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def raw_socket(self, interface):
        """All frames of the interface; made by a thread that enters the namespace and ends."""
        made = []

        def make():
            with open(f"/run/netns/{self.name}") as file:
                assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) == 0
            made.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made[0].bind((interface, ETH_P_ALL))
        return made[0]


class Ports(unittest.TestCase):
    """Lan is an interface of the kernel's (a veth), dmz and wan are TAP devices."""

    DMZ_HOST = "10.9.0.10"
    FAR = "203.0.113.9"
    RING_FRAMES = 1024  # more than net_af_packet keeps for sending

    def setUp(self):
        self.net = Namespace(f"culvert-{os.getpid()}")
        if not self.net.is_made:
            self.skipTest("a network namespace can't be made here")
        self.addCleanup(self.net.delete)
        self.net.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
        for interface in ("lan0", "lan1"):
            self.net.ip("link", "set", interface, "up")
        self.site = Site(way="default")
        ports = self.site.conf["ports"]
        ports["lan"]["device"] = "net_af_packet0,iface=lan0"
        ports["wan"]["device"] = "net_tap0,iface=wan0"
        ports["dmz"] = {"device": "net_tap1,iface=dmz0", "side": "protected", "addresses": ["10.9.0.1/24"], "mtu": 1500}
        self.site.conf["neighbours"].append({"port": "dmz", "address": self.DMZ_HOST, "mac": "02:00:00:00:02:10"})
        self.site.policy("out", "bypass")
        self.site.policy("in", "bypass")
        self.site.write()
        self.daemon = Daemon(["--config", self.site.path("site.yaml")], self.site.directory,
            ["ip", "netns", "exec", self.net.name]).wait_ready()
        self.events = Events(self.daemon)
        self.addCleanup(self.events.close)
        self.sockets = {}
        for port, interface in (("lan", "lan1"), ("wan", "wan0"), ("dmz", "dmz0")):
            self.sockets[port] = self.net.raw_socket(interface)
            self.sockets[port].settimeout(5)
            self.addCleanup(self.sockets[port].close)
        self.macs = {port["name"]: port["mac"] for port in self.daemon.control("show-ports")["ports"]}
        self.number = 0

    def send(self, port, source, destination):
        """One packet; its payload, which no other has."""
        self.number += 1
        payload = b"number %06d" % self.number
        packet = udp(source, destination, payload)
        self.sockets[port].send(bytes(Ether(src="02:00:00:00:05:05", dst=self.macs[port], type=0x0800) / packet))
        return payload

    def arrives(self, port, payload, seconds=5):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.sockets[port]], [], [], 0.05)[0] and payload in self.sockets[port].recv(2048):
                return True
        return False

    def assert_forwards(self, port, source, to="wan", destination=FAR):
        self.assertTrue(self.arrives(to, self.send(port, source, destination)), f"{port} to {to}")

    def port(self, name):
        port, = (port for port in self.daemon.control("show-ports")["ports"] if port["name"] == name)
        return port

    def n_told(self, event, port):
        return sum(told["port"] == port for told in self.events.all(event))

    def wait_told(self, event, port, n=1):
        what = "down" if event == "port-down" else "up"
        self.daemon.wait_until(lambda: self.n_told(event, port) == n, lambda: f"{event} of {port}")
        self.assertEqual(self.daemon.stderr().count(f'msg="port is {what}" port={port}'), n)
        self.assertEqual(self.port(port)["link"], what)

    def cpu_seconds(self):
        with open(f"/proc/{self.daemon.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.daemon.signal()
        return self.site.ended(self.daemon)

    def test_an_interface_that_goes_down_comes_back_and_one_that_is_deleted_does_not(self):
        self.assert_forwards("lan", A.host[4])
        self.assert_forwards("dmz", self.DMZ_HOST)

        self.net.ip("link", "set", "lan0", "down")

        self.wait_told("port-down", "lan")
        self.assert_forwards("dmz", self.DMZ_HOST)
        before = self.port("lan")["tx_errors"]
        self.send("wan", self.FAR, A.host[4])
        self.daemon.wait_until(lambda: self.port("lan")["tx_errors"] > before, lambda: "it is counted")

        self.net.ip("link", "set", "lan0", "up")

        self.wait_told("port-up", "lan")
        self.assert_forwards("lan", A.host[4])
        self.assert_forwards("wan", self.FAR, "lan", A.host[4])

        self.net.ip("link", "del", "lan0")

        self.wait_told("port-down", "lan", 2)
        for _ in range(self.RING_FRAMES):
            self.send("wan", self.FAR, A.host[4])
        self.assert_forwards("dmz", self.DMZ_HOST)
        self.assertGreater(self.port("lan")["tx_errors"], self.RING_FRAMES // 2)
        lines, cpu = self.daemon.stderr().count("\n"), self.cpu_seconds()
        time.sleep(1.5)
        self.assertEqual(self.daemon.stderr().count("\n"), lines)
        self.assertLess(self.cpu_seconds() - cpu, 1.2)
        self.end()

    def test_a_tap_device_that_is_deleted_is_down_and_the_rest_goes_on(self):
        self.assert_forwards("dmz", self.DMZ_HOST)

        self.net.ip("link", "del", "dmz0")

        self.wait_told("port-down", "dmz")
        self.assert_forwards("lan", A.host[4])
        self.assert_forwards("wan", self.FAR, "lan", A.host[4])
        self.send("wan", self.FAR, self.DMZ_HOST)
        self.daemon.wait_until(lambda: self.daemon.telemetry("/culvert/drops").get("tx_full", 0) > 0,
            lambda: "it is dropped by name")
        lines, cpu = self.daemon.stderr().count("\n"), self.cpu_seconds()
        time.sleep(1.5)
        self.assertEqual(self.daemon.stderr().count("\n"), lines)
        self.assertLess(self.cpu_seconds() - cpu, 1.2)
        self.end()


class Files(Fed):
    """Ports on capture files."""

    def test_a_port_whose_file_ends_leaves_the_other_to_go_on_and_one_whose_file_is_removed_is_down(self):
        self.site = Site(way="default")
        peer = self.site.tunnel()
        sealed = [peer.seal(udp(B.host[4], A.host[4], PAYLOAD), seq=number) for number in range(1, 11)]
        self.daemon, self.feed = self.site.start_fed("lan", wan=sealed)
        self.daemon.wait_ready()
        events = Events(self.daemon)
        frames = [self.site.frame("lan", OUT)] * Feed.BURST

        # The wan's file has ended by now.
        for _ in range(10):
            self.feed.put(frames)
        self.daemon.wait_settled(self.feed.n + len(sealed))
        os.remove(self.site.path("wan-rx0.pcap"))
        self.wait(lambda: [event["port"] for event in events.all("port-down")] == ["wan"], "the port is down")
        for _ in range(10):
            self.feed.put(frames)
        self.daemon.wait_settled(self.feed.n + len(sealed))
        links = {port["name"]: port["link"] for port in self.daemon.control("show-ports")["ports"]}

        events.close()
        self.feed.close()
        self.daemon.signal()
        _, said = self.site.ended(self.daemon)
        self.assertEqual(links, {"lan": "up", "wan": "down"})
        self.assertEqual(said.count('msg="port is down" port=wan'), 1)
        self.assertEqual(esp_numbers(self.site), list(range(1, self.feed.n + 1)))


if __name__ == "__main__":
    unittest.main()
