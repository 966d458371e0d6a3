"""Two gateways whose SAs charon makes, in network namespaces of the test's own.

    lhost --- lan --- left --- wan --- right --- lan --- rhost

Left and right are culvertd with strongSwan's charon-systemd and the plugin kernel-culvert. IKE comes to charon by
culvertd's host interface, and its kernel has no other way.
"""
import contextlib
import ctypes
import itertools
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

from culvert import CPUS, Daemon, yaml_text

CHARON = os.environ.get("CULVERT_CHARON", "/usr/sbin/charon-systemd")
SWANCTL = "/usr/sbin/swanctl"
PLUGINS = "/usr/lib/ipsec/plugins"
PLUGIN = os.environ.get("CULVERT_IKE_PLUGIN", "")
OFFLOADS = "tx off rx off sg off tso off gso off gro off".split()
SECRET = "a secret of the tests"
WAIT_SECONDS = 15
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
QUEUE_BYTES = 8 << 20


def needs():
    """Raise SkipTest, saying what is lacking, if nothing can be run here."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("network namespaces need root")
    for path in (CHARON, SWANCTL):
        if not os.access(path, os.X_OK):
            raise unittest.SkipTest(f"{path} is not there: tools/setup --ike")
    if not os.path.exists(PLUGIN):
        raise unittest.SkipTest("the plugin is not built: tools/strongswan says why")


def command(*words, **options):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(words)}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_until(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not in {seconds} s: {what()}"
        time.sleep(0.05)
    return value


class End:
    """The addresses of a gateway and of the host behind it."""

    def __init__(self, number, name):
        self.number, self.name, self.host = number, name, name[0] + "host"
        self.wan, self.lan, self.inside = f"192.0.2.{number}", f"10.{number}.0.1", f"10.{number}.0.10"
        self.net = f"10.{number}.0.0/16"


LEFT, RIGHT = End(1, "left"), End(2, "right")


class Charon:
    """strongSwan's daemon in a namespace, with files and sockets of its own."""

    def __init__(self, network, end, directory, kernel, settings=""):
        self.directory, self.name = directory, end.name
        self.log = os.path.join(directory, "charon.log")
        self.network, self.end, self.kernel = network, end, kernel
        self._write("strongswan.conf", self._conf(settings))
        self._plugins()
        self.environment = {**os.environ, "STRONGSWAN_CONF": self._path("strongswan.conf"),
            "SWANCTL_DIR": self._path("swanctl")}
        self.start()

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _write(self, name, text):
        os.makedirs(os.path.dirname(self._path(name)), exist_ok=True)
        with open(self._path(name), "w") as file:
            file.write(text)

    def _conf(self, settings):
        # libipsec's packets find their way by routes.
        return f"""
            charon-systemd {{
                load = random nonce openssl aes sha1 sha2 hmac kdf gcm ccm ctr chapoly xcbc cmac {self.kernel} kernel-netlink socket-default vici updown
                install_routes = {'yes' if self.kernel == 'kernel-libipsec' else 'no'}
                retransmit_timeout = 1
                replay_window = 1024
                {settings}
                plugins {{
                    vici {{ socket = unix://{self._path("vici")} }}
                    kernel-culvert {{ socket = {self._path("run/control.sock")} }}
                }}
                filelog {{ log {{ path = {self.log}
                    default = 1
                    knl = 2
                    ike = 2
                    flush_line = yes
                    append = yes }} }}
                journal {{ default = -1 }}
            }}
            swanctl {{ load = random openssl }}
        """

    def _plugins(self):
        """The distribution's plugins and ours beside them."""
        self.plugins = self._path("plugins")
        shutil.copytree(PLUGINS, self.plugins)
        shutil.copy(PLUGIN, self.plugins)

    def start(self):
        mount = f"mount --bind {self.plugins} {PLUGINS} && exec {CHARON}"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([*self.network.within(self.name), "unshare", "-m", "sh", "-c", mount],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._finalizer = weakref.finalize(self, Charon._end, self.process)
        wait_until(self._answers, lambda: f"vici answers:\n{self.text()}")

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self._path("vici")) == 0

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
            process.wait()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(20)

    def text(self):
        with open(self.log) as file:
            return file.read()

    def wait_log(self, pattern, what=None, seconds=WAIT_SECONDS, start=0):
        what = what or (lambda: f"'{pattern}' is in the log of {self.name}")
        return wait_until(lambda: re.search(pattern, self.text()[start:]),
            lambda: f"{what()}:\n{self.text()}", seconds)

    def swanctl(self, *words, check=True):
        done = subprocess.run([*self.network.within(self.name), SWANCTL, *words, "--uri",
            f"unix://{self._path('vici')}"], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}\n{self.text()}"
        return done.stdout

    def load(self, connections):
        """Load a swanctl.conf that has nothing but these connections and the secret."""
        self._write("swanctl/swanctl.conf", f"connections {{\n{connections}\n}}\n"
            f'secrets {{ ike-1 {{ secret = "{SECRET}" }} }}\n')
        self.swanctl("--load-all", "--noprompt")

    def connect(self, there, **options):
        self.load(self.connection(there, **options))

    def connection(self, there, esp="aes128gcm16-esn", child="", ike="", local_ts=None, remote_ts=None, addresses=True,
            remote=None):
        """One that has the networks behind the gateways for its only child, both named t."""
        here = self.end
        proposals = f"esp_proposals = {esp}" if esp else ""
        return f"""
            t {{
                version = 2
                local_addrs = {here.wan if addresses else "%any"}
                remote_addrs = {remote or there.wan}
                proposals = aes128-sha256-curve25519
                {ike}
                local {{ auth = psk
                    id = {here.name} }}
                remote {{ auth = psk
                    id = {there.name} }}
                children {{ t {{
                    local_ts = {local_ts or here.net}
                    remote_ts = {remote_ts or there.net}
                    {proposals}
                    {child}
                }} }}
            }}"""


class Network:
    """Namespaces and cables."""

    numbers = itertools.count()

    def __init__(self, ends, others=()):
        self.prefix = f"culvert-ike-{os.getpid()}-{next(Network.numbers)}-"
        self.places = [*(place for end in ends for place in (end.name, end.host)), *others]
        self._finalizer = weakref.finalize(self, Network._remove, [self.prefix + place for place in self.places])
        for place in self.places:
            command("ip", "netns", "add", self.prefix + place)
            # Nothing but what the tests send.
            self.run(place, "sysctl", "-q", "-w", *(f"net.ipv6.conf.{which}.disable_ipv6=1" for which in ("all", "default")))
            self.ip(place, "link set lo up")
        for end in ends:
            self.cable(end.name, "lan", end.host, "lan")
            self.ip(end.host, f"addr add {end.inside}/24 dev lan")
            self.ip(end.host, f"route add default via {end.lan}")

    @staticmethod
    def _remove(names):
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def close(self):
        self._finalizer()

    def within(self, place):
        return ["ip", "netns", "exec", self.prefix + place]

    def run(self, place, *words):
        return command(*self.within(place), *words)

    def ip(self, place, words):
        return command("ip", "-n", self.prefix + place, *words.split())

    def cable(self, a, a_port, b, b_port):
        command("ip", "link", "add", a_port, "netns", self.prefix + a, "type", "veth",
            "peer", "name", b_port, "netns", self.prefix + b)
        for place, port in ((a, a_port), (b, b_port)):
            self.run(place, "ethtool", "-K", port, *OFFLOADS)
            self.ip(place, f"link set {port} up")

    def socket(self, place, *kind):
        """A UDP socket in a namespace, or one of that kind. It stays where it was made, and only the thread that makes it goes there."""
        made = []

        def make():
            with open(f"/run/netns/{self.prefix}{place}") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.socket(*(kind or (socket.AF_INET, socket.SOCK_DGRAM))))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert made, f"no socket in {place}"
        return made[0]


class Echo:
    """Datagrams from one place to another's address, where they are sent back; what comes late is waited for."""

    PORT = 7007

    def __init__(self, network, asking, answering, address):
        self.address = address
        self.asking, self.answering = network.socket(asking), network.socket(answering)
        # A busy machine is no loss on the way.
        for one in (self.asking, self.answering):
            one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)
        self.answering.bind((self.address, self.PORT))
        self.number = 0
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        with contextlib.suppress(OSError):
            while True:
                question, asker = self.answering.recvfrom(2000)
                if asker is None:
                    return  # it was shut down
                self.answering.sendto(question, asker)

    def close(self):
        with contextlib.suppress(OSError):
            self.answering.shutdown(socket.SHUT_RDWR)
        self.answering.close()
        self.asking.close()

    def _receive(self, wanted, seconds):
        """What comes within that time."""
        until = time.monotonic() + seconds
        while wanted and (left := until - time.monotonic()) > 0:
            self.asking.settimeout(left)
            with contextlib.suppress(socket.timeout):
                wanted.discard(int(self.asking.recv(2000)))

    def run(self, count, interval=0, seconds=3):
        """Send so many; returns how many did not come back within so many seconds after the last."""
        wanted = set(range(self.number, self.number + count))
        self.number += count
        for number in sorted(wanted):
            self.asking.sendto(b"%064d" % number, (self.address, self.PORT))
            if interval:
                self._receive(wanted, interval)
        self._receive(wanted, seconds)
        return len(wanted)


class Gateway:
    """culvertd in a namespace, with its configuration."""

    def __init__(self, network, end, there, directory, addresses=()):
        self.network, self.end, self.directory = network, end, directory
        self.conf = {
            "control": {"directory": self.path("run"), "state_directory": self.path("state")},
            "memory": {"hugepages": False, "packets": 4095},
            "workers": {"lcores": [CPUS[end.number % len(CPUS)]], "idle_sleep_us": 200},
            "ports": {
                "lan": {"device": "net_af_packet0,iface=lan,blocksz=65536,framesz=2048,framecnt=1024",
                    "side": "protected", "addresses": [f"{end.lan}/24"]},
                "wan": {"device": "net_af_packet1,iface=wan,blocksz=65536,framesz=2048,framecnt=1024",
                    "side": "unprotected", "addresses": [f"{address}/24" for address in (end.wan, *addresses)]},
            },
            "routes": [{"to": "0.0.0.0/0", "via": there.wan}],
            "host": {"interface": "culvert0"},
        }
        # What culvertd takes from a cable the kernel sees too, and must not answer: it is not from where it would send to.
        network.run(end.name, "sysctl", "-q", "-w", *(f"net.ipv4.conf.{port}.rp_filter=1" for port in ("lan", "wan")))
        self.start()

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self):
        with open(self.path("site.yaml"), "w") as file:
            file.write(yaml_text(self.conf))
        self.daemon = Daemon(["--config", self.path("site.yaml")], self.directory, self.network.within(self.end.name))
        self.daemon.wait_ready()
        return self

    def sas(self):
        """All that is known of each, by name; one may go between two questions."""
        names = [sa["name"] for sa in self.daemon.control("show-sas")["sas"]]
        answers = [self.daemon.ask("show-sa", name=name) for name in names]
        return {name: answer["result"]["sa"] for name, answer in zip(names, answers) if answer["ok"]}

    def policies(self):
        return self.daemon.control("show-policies")["policies"]

    def stop(self):
        self.daemon.signal()
        return self.daemon.wait()


class PortNat:
    """A NAT on the wan's cable, which gives what comes from the right other UDP source ports, and the left's answers the
    old ones again. The addresses stay. It does not know ESP, so that nothing but UDP passes."""

    FIRST = 50000

    def __init__(self, network, place):
        self.shift = self.FIRST
        self.sockets = [network.socket(place, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) for _ in range(2)]
        for port, one in zip(("left", "right"), self.sockets):
            one.bind((port, 0))
        for source, sink, rewrite in ((*self.sockets, self._to_right), (*self.sockets[::-1], self._to_left)):
            threading.Thread(target=self._carry, args=(source, sink, rewrite), daemon=True).start()

    def rebind(self):
        """Forget the ports that were given, and give others."""
        self.shift += 1

    def close(self):
        for one in self.sockets:
            one.close()

    def _carry(self, source, sink, rewrite):
        with contextlib.suppress(OSError):
            while True:
                frame, address = source.recvfrom(2048)
                if address[2] != socket.PACKET_OUTGOING and (carried := self._rewritten(frame, rewrite)):
                    sink.send(carried)

    @staticmethod
    def _rewritten(frame, rewrite):
        """The frame, with other ports; None if it does not pass."""
        if frame[12:14] != b"\x08\x00":
            return frame
        if frame[23] != socket.IPPROTO_UDP:
            return None
        sport, dport, length = struct.unpack_from("!HHH", frame, 34)
        ports = rewrite(sport, dport)
        # Without a checksum, as UDP over IPv4 may be.
        return ports and frame[:34] + struct.pack("!HHHH", *ports, length, 0) + frame[42:]

    def _to_left(self, sport, dport):
        return sport + self.shift, dport

    def _to_right(self, sport, dport):
        return (sport, dport - self.shift) if dport - self.shift in (500, 4500) else None


class Router:
    """A gateway that is the namespace's own kernel."""

    def __init__(self, network, end, there):
        network.ip(end.name, f"addr add {end.wan}/24 dev wan")
        network.ip(end.name, f"addr add {end.lan}/24 dev lan")
        network.run(end.name, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1",
            *(f"net.ipv4.conf.{port}.rp_filter=0" for port in ("all", "default", "lan", "wan")))


class Lab:
    """Left is always culvert. So is right, or else it is a kernel with strongSwan's own ESP above it, libipsec."""

    def __init__(self, right="kernel-culvert", addresses=(), settings="", nat=False):
        self.directory = tempfile.mkdtemp(prefix="culvert-ike-")
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.network = Network((LEFT, RIGHT), ("nat",) if nat else ())
        self._wan(nat)
        for end in (LEFT, RIGHT):
            os.makedirs(self.path(end.name))
        self.left = Gateway(self.network, LEFT, RIGHT, self.path("left"), addresses)
        self.gateways = [self.left]
        if right == "kernel-culvert":
            self.right = Gateway(self.network, RIGHT, LEFT, self.path("right"))
            self.gateways.append(self.right)
        else:
            Router(self.network, RIGHT, LEFT)
        self.ike_left = Charon(self.network, LEFT, self.path("left"), "kernel-culvert", settings)
        self.ike_right = Charon(self.network, RIGHT, self.path("right"), right, settings)
        self.charons = [self.ike_left, self.ike_right]
        self.echo = Echo(self.network, LEFT.host, RIGHT.host, RIGHT.inside)

    def _wan(self, nat):
        if not nat:
            self.network.cable("left", "wan", "right", "wan")
            return
        for end in (LEFT, RIGHT):
            self.network.cable(end.name, "wan", "nat", end.name)
        self.nat = PortNat(self.network, "nat")

    def path(self, name):
        return os.path.join(self.directory, name)

    def close(self):
        self.echo.close()
        for charon in self.charons:
            charon.stop()
            assert charon.process.returncode == 0, charon.text()
        for gateway in self.gateways:
            code = gateway.stop()
            assert code == 0, gateway.daemon.stderr()
        self.network.close()
        self._finalizer()
