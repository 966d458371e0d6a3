"""Run the real culvertd on capture files, and look at what comes out.

A Site is one gateway between its network (port lan, protected) and the Internet (port wan, unprotected). A test
changes its configuration, adds tunnels, and calls run() with packets for each port. Both ports are DPDK's net_pcap,
so neither privileges nor a network are needed, and nothing depends on time. A Peer is scapy in the place of the
gateway at a tunnel's far end; it shares no code with culvert.

Every run must end well: exit code 0, each packet accounted for, no key in what the daemon says.

The environment variable CULVERT_E2E_WAY makes every Site that says nothing else use another way of crypto, or two
workers (WAYS), so that a suite can run in each.
"""
import functools
import hashlib
import hmac
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import weakref

from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import AUTH_ALGOS, ESP, AuthAlgo, SecurityAssociation, _ESPPlain
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import RawPcapReader

CULVERTD = os.environ["CULVERTD"]
CULVERTCTL = os.environ.get("CULVERTCTL")
CPUS = sorted(os.sched_getaffinity(0))
RUN_SECONDS_MAX = 120
SETTLE_SECONDS_MAX = 60
HOST_MAC = "02:00:00:00:01:10"    # of the host on the lan
ROUTER_MAC = "02:00:00:00:01:fe"  # of the router on the wan
PORTS = ("lan", "wan")
# What `workers` gets in each way. With two workers each port has two queues: what comes by the lan is in the first
# worker's, what comes by the wan in the second's, so that each port's packets keep their order.
WAYS = {
    "default": {},
    "async": {"crypto_mode": "async"},
    "cryptodev": {"crypto_mode": "sync", "crypto": ["aesni_gcm", "aesni_mb"]},
    "two-workers": {"lcores": CPUS[:2]},
}
WAY = os.environ.get("CULVERT_E2E_WAY", "default")

# culvert's name: scapy's cipher, bytes of its key with the salt, scapy's integrity algorithm, bytes of its key.
ALGORITHMS = {
    "aes128gcm16": ("AES-GCM", 20, None, 0),
    "aes256gcm16": ("AES-GCM", 36, None, 0),
    "aes128-sha256": ("AES-CBC", 16, "SHA2-256-128", 32),
    "aes256-sha256": ("AES-CBC", 32, "SHA2-256-128", 32),
    "aes256-sha512": ("AES-CBC", 32, "SHA2-512-256", 64),
    "null-sha256": ("NULL", 0, "SHA2-256-128", 32),
    "chacha20poly1305": ("CHACHA20-POLY1305", 36, None, 0),
}

# The others that scapy knows, with the ICV's bytes where scapy has one length too many. It has neither XCBC, GMAC nor
# implicit IVs, and always takes AES-GCM's whole ICV: tests/kat has those. HMAC-SHA2-256-96 is made of its parts here.
MORE_ALGORITHMS = {
    "aes192gcm16": ("AES-GCM", 28, None, 0),
    "aes128ccm8": ("AES-CCM", 19, None, 0, 8),
    "aes128ccm12": ("AES-CCM", 19, None, 0, 12),
    "aes256ccm16": ("AES-CCM", 35, None, 0, 16),
    "aes128-sha1": ("AES-CBC", 16, "HMAC-SHA1-96", 20),
    "aes192-sha384": ("AES-CBC", 24, "SHA2-384-192", 48),
    "aes128-sha256_96": ("AES-CBC", 16, "SHA2-256-96", 32),
    "aes256-aescmac": ("AES-CBC", 32, "AES-CMAC-96", 16),
    "aes128ctr-sha256": ("AES-CTR", 20, "SHA2-256-128", 32),
    "aes192ctr-sha1": ("AES-CTR", 28, "HMAC-SHA1-96", 20),
    "aes256ctr-sha512": ("AES-CTR", 36, "SHA2-512-256", 64),
    "aes256ctr-aescmac": ("AES-CTR", 36, "AES-CMAC-96", 16),
    "null-sha1": ("NULL", 0, "HMAC-SHA1-96", 20),
    "null-sha384": ("NULL", 0, "SHA2-384-192", 48),
    "null-aescmac": ("NULL", 0, "AES-CMAC-96", 16),
    "3des-sha1": ("3DES", 24, "HMAC-SHA1-96", 20),
    "3des-sha256": ("3DES", 24, "SHA2-256-128", 32),
}
# Those that scapy has not, in the same shape: a tunnel of them has no Peer.
ALGORITHMS_WITHOUT_PEER = {
    "aes128gcm8": (None, 20, None, 0),
    "aes256gcm12": (None, 36, None, 0),
    "aes128gmac": (None, 20, None, 0),
    "aes192gmac": (None, 28, None, 0),
    "aes256gmac": (None, 36, None, 0),
    "aes128-aesxcbc": (None, 16, None, 16),
    "null-aesxcbc": (None, 0, None, 16),
}
EVERY_ALGORITHM = {**ALGORITHMS, **MORE_ALGORITHMS, **ALGORITHMS_WITHOUT_PEER}
AUTH_ALGOS["SHA2-256-96"] = AuthAlgo("SHA2-256-96", mac=HMAC, digestmod=SHA256, icv_size=12)

# More than a burst of frames for other stations: what is behind it is looked at when what is before is done.
PAUSE = [Ether(dst="02:00:00:00:09:09", type=0x0800)] * 100


class Place:
    """The addresses of one site; each by IP version."""

    def __init__(self, number, wan4, wan6):
        self.net = {4: f"10.{number}.0.0/16", 6: f"fd00:{number}::/32"}
        self.lan = {4: f"10.{number}.0.1", 6: f"fd00:{number}::1"}
        self.host = {4: f"10.{number}.0.10", 6: f"fd00:{number}::10"}
        self.wan = {4: f"{wan4}.1", 6: f"{wan6}::1"}
        self.router = {4: f"{wan4}.254", 6: f"{wan6}::fe"}
        self.number = number


A = Place(1, "192.0.2", "2001:db8:a")
B = Place(2, "198.51.100", "2001:db8:b")


def version_of(address):
    return ipaddress.ip_address(address).version


def ip(source, destination, **fields):
    """An IP header of the version that the addresses have."""
    return (IP if version_of(source) == 4 else IPv6)(src=source, dst=destination, **fields)


def udp(source, destination, payload=b"payload", sport=1000, dport=2000, **fields):
    """A UDP packet, built, so that it can be compared as bytes."""
    return built(ip(source, destination, **fields) / UDP(sport=sport, dport=dport) / Raw(payload))


def built(packet):
    return packet.__class__(bytes(packet))


def routed(packet, hops=1):
    """The packet as so many routers leave it."""
    packet = packet.copy()
    if isinstance(packet, IP):
        packet.ttl -= hops
        del packet.chksum
    else:
        packet.hlim -= hops
    return built(packet)


def key_bytes(label, length):
    """Keying material, another for each label."""
    return hashlib.shake_256(label.encode()).digest(length)


def mac_of(auth, key, data):
    """The whole of it, by scapy's name."""
    if auth == "AES-CMAC-96":
        mac = CMAC(algorithms.AES(key))
        mac.update(data)
        return mac.finalize()
    return hmac.digest(key, data, "sha1" if "SHA1" in auth else "sha" + auth.split("-")[1])


class Peer:
    """The far end of a tunnel, played by scapy: it opens what culvert sends and seals what culvert shall receive."""

    def __init__(self, esp, ours, theirs, spi_to, spi_from, key_to, key_from, esn=False):
        cipher, key_length, auth, _, *icv_size = EVERY_ALGORITHM[esp]
        header = IP if version_of(ours) == 4 else IPv6
        self.esn, self.auth_name = esn, auth

        def association(spi, key, source, destination):
            return SecurityAssociation(ESP, spi=spi, crypt_algo=cipher, crypt_key=key[:key_length],
                auth_algo=auth, auth_key=key[key_length:] if auth else None, crypt_icv_size=next(iter(icv_size), None),
                tunnel_header=header(src=source, dst=destination), esn_en=esn, esn=0)

        self.to_culvert = association(spi_to, key_to, theirs, ours)
        self.from_culvert = association(spi_from, key_from, ours, theirs)

    def seal(self, packet, seq=None, high=0, **outer):
        """The packet in ESP from the peer. `high` is the upper half of an extended sequence number, and `outer`
        changes fields of the tunnel's header."""
        sa = self.to_culvert
        plain = sa.tunnel_header
        if outer:
            sa.tunnel_header = plain.copy()
            for field, value in outer.items():
                setattr(sa.tunnel_header, field, value)
        sealed = sa.encrypt(packet, seq_num=seq, esn=high)
        sa.tunnel_header = plain
        return built(self._sign_esn(sealed, high))

    def seal_payload(self, payload, next_header, seq=1, padding=None):
        """ESP of any payload, with any next header and padding."""
        sa = self.to_culvert
        esp = _ESPPlain(spi=sa.spi, seq=seq, iv=sa.crypt_algo.generate_iv(), data=payload, nh=next_header)
        esp = sa.crypt_algo.pad(esp)
        if padding is not None:
            esp.padding, esp.padlen = padding
        esp = sa.auth_algo.sign(sa.crypt_algo.encrypt(sa, esp, sa.crypt_key), sa.auth_key)
        return built(sa.tunnel_header / esp)

    def open(self, packet, high=0):
        """The inner packet; raises IPSecIntegrityError."""
        sa = self.from_culvert
        if not (self.esn and self.auth_name):
            return sa.decrypt(packet.copy(), esn=high)
        assert bytes(self._sign_esn(packet, high, sa)) == bytes(packet), "the ICV is wrong"
        return sa.decrypt(packet.copy(), verify=False)

    def _sign_esn(self, packet, high, sa=None):
        """scapy leaves the upper half of the sequence number out of an ICV of its own (RFC 4303 section 3.3.2.1
        appends it); so that ICV is made here."""
        sa = sa or self.to_culvert
        if not (self.esn and self.auth_name):
            return packet
        esp = bytes(packet[ESP])[:-sa.auth_algo.icv_size]
        icv = mac_of(self.auth_name, sa.auth_key, esp + struct.pack("!I", high))
        return packet.__class__(bytes(packet)[:-sa.auth_algo.icv_size] + icv[:sa.auth_algo.icv_size])


class SaCounters:
    def __init__(self, packets, size, drops):
        self.packets, self.bytes, self.drops = packets, size, drops


def is_balanced(total):
    """Is every packet that came, or was made here, accounted for?"""
    return (total["received"] + total["generated"]
        == total["sent"] + total["dropped"] + total["consumed"] + total["held"])


class Statistics:
    """The table that culvertd prints, the last one in the text."""

    def __init__(self, text):
        self.ports, self.drops, self.sas, self.total = {}, {}, {}, {}
        section = None
        for line in text.splitlines():
            words = line.split()
            if re.match(r"port +rx packets", line):
                self.__init__("")
                section = "port"
            elif re.match(r"drop +packets +cause", line) or re.match(r"sa +spi +dir", line):
                section = words[0]
            elif line.startswith("total: "):
                self.total = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}
                section = None
            elif section == "port":
                self.ports[words[0]] = [int(word) for word in words[1:]]
            elif section == "drop":
                self.drops[words[0]] = int(words[1])
            elif section == "sa" and not line.startswith("..."):
                drops = {key: int(value) for key, value in (word.split("=") for word in words[5:])}
                self.sas[words[0]] = SaCounters(int(words[3]), int(words[4]), drops)

    def check_balance(self):
        t = self.total
        assert t, "no statistics were printed"
        assert is_balanced(t), f"not every packet is accounted for: {t}"
        assert sum(self.drops.values()) == t["dropped"], f"{self.drops} do not add up to {t['dropped']}"


LOG_VALUE = r'[^\x00- ="\\\x7f]+|"(?:[^"\\\x00-\x1f\x7f]|\\["\\n])*"'
LOG_PAIR = re.compile(rf"([a-z_][a-z0-9_]*)=({LOG_VALUE})(?: |$)")


def logfmt(line):
    """The pairs of a line of the log, as a dictionary; raises ValueError at what is not strictly logfmt."""
    pairs, place = {}, 0
    while place < len(line):
        match = LOG_PAIR.match(line, place)
        if not match or match[1] in pairs:
            raise ValueError(f"no logfmt from column {place} on: {line}")
        value = match[2]
        pairs[match[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value[1:-1]) if value[0] == '"' else value
        place = match.end()
    if line.endswith(" ") or pairs.get("level") not in ("info", "warning", "error"):
        raise ValueError(f"no line of the log: {line}")
    return pairs


def check_log(stderr):
    """Each line is of the log, or a finding in the file, or DPDK's own, which begins with a part or a function of it."""
    for line in stderr.splitlines():
        if not re.match(r"(?!culvertd)(/.*:\d+:\d+|[A-Z][A-Z0-9_]*|[a-z0-9_]+\(\)): ", line):
            logfmt(line)


def is_link_talk(frame):
    """ARP and neighbour discovery: what the gateway says to its links by itself."""
    if frame.haslayer(ARP):
        return True
    return frame.haslayer(IPv6) and frame[IPv6].nh == 58 and 133 <= bytes(frame[IPv6].payload)[0] <= 137


class Run:
    """What came of one run: packets out of each port (lan, wan: from the IP header on), all frames of each port
    (raw: as bytes), and the statistics."""

    def __init__(self, stdout, stderr, raw):
        self.stdout, self.stderr, self.raw = stdout, stderr, raw
        self.statistics = Statistics(stdout)
        self.total, self.drops, self.sas = self.statistics.total, self.statistics.drops, self.statistics.sas

    @functools.cached_property
    def frames(self):
        return {port: [Ether(frame) for frame in self.raw[port]] for port in PORTS}

    @functools.cached_property
    def lan(self):
        return self.packets("lan")

    @functools.cached_property
    def wan(self):
        return self.packets("wan")

    def packets(self, port):
        found = []
        for frame in self.frames[port]:
            if not is_link_talk(frame):
                found.append(frame[Dot1Q].payload if frame.haslayer(Dot1Q) else frame.payload)
        return found


PCAP_HEADER = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)


def pcap_record(frame):
    return struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame


def pcap_write(path, frames):
    with open(path, "wb") as file:
        file.write(PCAP_HEADER)
        for frame in frames:
            file.write(pcap_record(frame))


def pcap_read(path):
    if not os.path.exists(path):
        return []
    reader = RawPcapReader(path)
    frames = [data for data, _ in reader]
    reader.close()
    return frames


def yaml_text(conf):
    """Sections in block style, and what is in them in flow style, which is JSON's."""
    lines = []
    for section, content in conf.items():
        if not content:
            continue
        lines.append(f"{section}:")
        if isinstance(content, dict):
            lines += [f"  {key}: {json.dumps(value)}" for key, value in content.items()]
        else:
            lines += [f"  - {json.dumps(item)}" for item in content]
    return "\n".join(lines) + "\n"


class Daemon:
    """A culvertd that runs until it is stopped; `within` is the command that enters a namespace, if any."""

    def __init__(self, arguments, directory, within=()):
        self.directory = directory
        self._out = tempfile.TemporaryFile("w+")
        self._err = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*within, CULVERTD, *arguments], stdout=self._out,
            stderr=self._err, stdin=subprocess.DEVNULL)
        self._finalizer = weakref.finalize(self, Daemon._end, self.process)

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
            process.wait()

    def stdout(self):
        return self._read(self._out)

    def stderr(self):
        return self._read(self._err)

    @staticmethod
    def _read(file):
        # By position: the daemon writes through the same open file.
        return os.pread(file.fileno(), 1 << 24, 0).decode()

    def wait_until(self, condition, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"culvertd ended before {what()}:\n{self.stderr()}"
            assert time.monotonic() < deadline, f"not in {seconds} s: {what()}\n{self.stderr()}"
            time.sleep(0.02)
        return self

    def wait_ready(self):
        return self.wait_until(lambda: "forwarding" in self.stderr(), lambda: "it forwards", SETTLE_SECONDS_MAX)

    def wait_settled(self, n_packets):
        """Until so many packets were received and each is accounted for, twice in the same way."""
        totals = [None]

        def is_settled():
            before, totals[0] = totals[0], self.telemetry("/culvert/totals")
            return totals[0] == before and before["received"] == n_packets and is_balanced(before)

        self.wait_ready()
        return self.wait_until(is_settled, lambda: f"{n_packets} packets are dealt with: {totals}", SETTLE_SECONDS_MAX)

    def wait(self, seconds=RUN_SECONDS_MAX):
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._end(self.process)
            raise AssertionError(f"culvertd did not end in {seconds} s:\n{self.stderr()}") from None

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def control_path(self):
        return os.path.join(self.directory, "run", "control.sock")

    def connect(self, seconds=60):
        """A connection to the control socket."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(seconds)
        client.connect(self.control_path())
        return client

    def ask(self, command, **arguments):
        """What the control socket answers to a request, as it is."""
        with self.connect() as client, client.makefile("rb") as answers:
            try:
                client.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
            except BrokenPipeError:
                pass  # one that has no room for us says so, and closes before it is asked
            return json.loads(answers.readline())

    def control(self, command, **arguments):
        """What the control socket answers to a request; fails where that is an error."""
        answer = self.ask(command, **arguments)
        assert answer["ok"], f"{command} {arguments}: {answer['error']}"
        return answer["result"]

    def refusal(self, command, **arguments):
        """The error that the control socket answers; fails where that is none."""
        answer = self.ask(command, **arguments)
        assert not answer["ok"], answer
        return answer["error"]

    def ctl(self, *arguments, text=None, code=0):
        """What the real culvertctl prints; a pair with standard error where it is to fail with the code."""
        done = subprocess.run([CULVERTCTL, "--socket", self.control_path(), *arguments], input=text,
            capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{arguments}: {done}"
        assert code != 0 or done.stderr == "", done
        return done.stdout if code == 0 else (done.stdout, done.stderr)

    def ctl_json(self, *arguments, **others):
        return json.loads(self.ctl("--json", *arguments, **others))

    def wait_adopted(self):
        """Until every worker has adopted the last change."""
        return self.wait_until(lambda: self.control("settled")["pending"] == 0, lambda: "the workers adopt the change")

    def telemetry_text(self, command):
        """What the telemetry socket answers, as text."""
        path = os.path.join(self.directory, "run", "dpdk", "culvert", "dpdk_telemetry.v2")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(10)
            client.connect(path)
            limit = json.loads(client.recv(1024))["max_output_len"]
            client.send(command.encode())
            return client.recv(limit).decode()

    def telemetry(self, command):
        return json.loads(self.telemetry_text(command))[command.split(",")[0]]


class Feed:
    """What a port receives while the daemon runs. Its worker asks for a whole burst, and waits for the rest of one, so
    each time a burst is written, of which frames for other stations are the rest. What the worker did with it, and
    with a burst of each other port, is done when it waits for the next; control does not wait."""

    BURST = 32  # WORKER_RX_BURST

    def __init__(self, path):
        os.mkfifo(path)
        # For reading too, so that neither end waits for the other's beginning.
        self.file = os.open(path, os.O_RDWR)
        self.n = 0
        os.write(self.file, PCAP_HEADER)

    def put(self, frames):
        assert len(frames) <= self.BURST
        rest = [bytes(PAUSE[0])] * (self.BURST - len(frames))
        self.put_records(b"".join(map(pcap_record, [*frames, *rest])))

    def put_records(self, burst):
        """A whole burst, as the file has it."""
        os.write(self.file, burst)
        self.n += self.BURST

    def close(self):
        os.close(self.file)


class Load(threading.Thread):
    """Writes bursts of one packet to a feed until it is stopped, with a pause after each."""

    def __init__(self, feed, frame, pause_seconds=0):
        super().__init__(daemon=True)
        self.feed, self.burst, self.is_over = feed, pcap_record(frame) * Feed.BURST, threading.Event()
        self.pause_seconds = pause_seconds

    def run(self):
        while not self.is_over.is_set():
            self.feed.put_records(self.burst)
            if self.pause_seconds:
                time.sleep(self.pause_seconds)

    def stop(self):
        self.is_over.set()
        self.join()


class Site:
    """A gateway's configuration, and runs of it."""

    def __init__(self, here=A, there=B, queues=None, tx_queues=None, mtu=1500, way=None):
        self.here, self.there = here, there
        way = WAYS[way or WAY] if queues is None else {}
        if "lcores" in way and len(CPUS) < 2:
            raise unittest.SkipTest("two workers need two CPUs, and there is one")
        self.is_split = "lcores" in way
        self.queues = queues or (2 if self.is_split else 1)
        self.tx_queues = tx_queues or self.queues
        self.keys = []
        self.directory = tempfile.mkdtemp(prefix="culvert-e2e-")
        weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.conf = {
            "control": {"directory": self.path("run"), "state_directory": self.path("state")},
            # Capture files fill no rings, and each page of the pool costs time at the start and at the end.
            "memory": {"hugepages": False, "packets": 4095},
            # Suites that run at the same time take different CPUs. A worker that waits with its test leaves its CPU to the others.
            "workers": {"lcores": [CPUS[os.getpid() % len(CPUS)]], "idle_sleep_us": 1000, **way},
            "ports": {
                "lan": self._port("lan", "protected", [f"{here.lan[4]}/24", f"{here.lan[6]}/64"], mtu),
                "wan": self._port("wan", "unprotected", [f"{here.wan[4]}/24", f"{here.wan[6]}/64"], mtu),
            },
            "routes": [{"to": "0.0.0.0/0", "via": here.router[4]}, {"to": "::/0", "via": here.router[6]}],
            "neighbours": [
                *({"port": "lan", "address": here.host[v], "mac": HOST_MAC} for v in (4, 6)),
                *({"port": "wan", "address": here.router[v], "mac": ROUTER_MAC} for v in (4, 6)),
            ],
            "sas": {},
            "policies": [],
        }

    def path(self, name):
        return os.path.join(self.directory, name)

    def _files(self, port, way):
        count = self.queues if way == "rx" else self.tx_queues
        return [self.path(f"{port}-{way}{queue}.pcap") for queue in range(count)]

    def _port(self, name, side, addresses, mtu):
        files = "".join(f",{way}_pcap={path}" for way in ("rx", "tx") for path in self._files(name, way))
        return {"device": f"net_pcap{PORTS.index(name)}{files}", "side": side, "addresses": addresses, "mtu": mtu}

    def mac(self, port):
        """net_pcap's own: 02, `pcap`, the number of the device."""
        return f"02:70:63:61:70:{PORTS.index(port):02x}"

    def policy(self, direction, action, **selector):
        """Append a policy; the first match wins. The far site's addresses are the default."""
        number = len(self.conf["policies"])
        self.conf["policies"].append({"name": f"p{number}", "direction": direction, "action": action, **selector})

    def tunnel(self, name="t", esp="aes128gcm16", outer=4, inner=4, spi=0x1001, here=None, there=None, policies=True,
            peer_address=None, replay_window=None, **options):
        """Add SAs NAME-out and NAME-in with their policies. From site A to B the SPI is `spi`, back it is 0x1000
        more. Returns the Peer for the far end, if scapy can play it."""
        here = here or self.here.net[inner]
        there = there or self.there.net[inner]
        ours, theirs = self.here.wan[outer], peer_address or self.there.wan[outer]
        spis = {A.number: spi, B.number: spi + 0x1000}
        length = EVERY_ALGORITHM[esp][1] + EVERY_ALGORITHM[esp][3]
        key_out, key_in = (key_bytes(f"{name} from {place.number}", length) for place in (self.here, self.there))
        self.keys += [key_out, key_in]
        spi_out, spi_in = spis[self.here.number], spis[self.there.number]
        window = {} if replay_window is None else {"replay_window": replay_window}
        self.conf["sas"][f"{name}-out"] = {"spi": spi_out, "source": ours, "destination": theirs, "esp": esp,
            "key": "0x" + key_out.hex(), **options}
        self.conf["sas"][f"{name}-in"] = {"spi": spi_in, "source": theirs, "destination": ours, "esp": esp,
            "key": "0x" + key_in.hex(), **window, **options}
        if policies:
            self.policy("out", "protect", source=here, destination=there, sas=[f"{name}-out"])
            self.policy("in", "protect", source=there, destination=here, sas=[f"{name}-in"])
        if esp in ALGORITHMS_WITHOUT_PEER:
            return None
        return Peer(esp, ours, theirs, spi_in, spi_out, key_in, key_out, esn=options.get("esn", False))

    def frame(self, port, packet):
        """The packet in a frame for the port; bytes and Ethernet frames are left as they are."""
        if isinstance(packet, bytes):
            return packet
        if isinstance(packet, Ether):
            return bytes(packet)
        assert isinstance(packet, Packet)
        vlan = self.conf["ports"][port].get("vlan")
        source = HOST_MAC if port == "lan" else ROUTER_MAC
        kind = 0x0800 if isinstance(packet, IP) else 0x86dd
        ether = Ether(src=source, dst=self.mac(port), type=0x8100 if vlan else kind)
        return bytes(ether / Dot1Q(vlan=vlan, type=kind) / packet if vlan else ether / packet)

    def write(self, lan=(), wan=()):
        """Write the configuration and what the ports will receive, spread over the queues; returns the number of
        packets."""
        with open(self.path("site.yaml"), "w") as file:
            file.write(yaml_text(self.conf))
        for port, packets in (("lan", lan), ("wan", wan)):
            frames = [self.frame(port, packet) for packet in packets]
            for queue, path in enumerate(self._files(port, "rx")):
                pcap_write(path, self._dealt(port, frames, queue))
        return len(lan) + len(wan)

    def _dealt(self, port, frames, queue):
        """What of the port's frames comes by that queue."""
        if self.is_split:
            return frames if queue == PORTS.index(port) else []
        return frames[queue::self.queues]

    def start(self, lan=(), wan=(), arguments=()):
        self.write(lan, wan)
        return Daemon(["--config", self.path("site.yaml"), *arguments], self.directory)

    def start_fed(self, port, **others):
        """Start the gateway, which has one worker, with a Feed for the port. Returns both."""
        self.write(**others)
        path, = self._files(port, "rx")
        os.remove(path)
        feed = Feed(path)
        return Daemon(["--config", self.path("site.yaml")], self.directory), feed

    def run(self, lan=(), wan=(), idle_seconds=None):
        """Run the gateway until it is done with these packets, or until nothing has come for so many seconds."""
        lan, wan = list(lan), list(wan)
        if idle_seconds is None:
            daemon = self.start(lan, wan).wait_settled(len(lan) + len(wan))
            daemon.signal()
        else:
            daemon = self.start(lan, wan, ["--until-idle", str(idle_seconds)])
        return self.result(daemon, len(lan) + len(wan))

    def ended(self, daemon):
        """What the daemon printed once it has ended; checks what is true of every end."""
        code = daemon.wait()
        stdout, stderr = daemon.stdout(), daemon.stderr()
        assert code == 0, f"culvertd's exit code is {code}:\n{stderr}"
        # UndefinedBehaviorSanitizer says so, and goes on.
        assert "runtime error:" not in stderr, stderr
        Statistics(stdout).check_balance()
        check_log(stderr)
        self.check_no_key(stdout + stderr)
        return stdout, stderr

    def result(self, daemon, n_packets=None):
        """What the daemon, once it has ended, did with so many packets; checks what is true of every run."""
        stdout, stderr = self.ended(daemon)
        raw = {port: [frame for path in self._files(port, "tx") for frame in pcap_read(path)] for port in PORTS}
        run = Run(stdout, stderr, raw)
        for port in PORTS:
            assert f"port={port} " in stderr and f"mac={self.mac(port)} " in stderr, f"no port {port} in:\n{stderr}"
        if self.is_split:
            for worker, port in enumerate(PORTS):
                assert f"worker={worker} port={port} rx_queue={worker}\n" in stderr, stderr
        if n_packets is not None:
            assert run.total["received"] == n_packets, f"{n_packets} packets were sent, but: {run.total}"
        assert run.total["sent"] == sum(map(len, raw.values())), f"{run.total}, but the captures hold other counts"
        return run

    def check_no_key(self, text):
        for key in self.keys:
            assert key.hex()[:8] not in text.lower(), "key bytes are in what culvertd said"
