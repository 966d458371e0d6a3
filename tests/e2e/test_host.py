"""The host interface: real sockets of this host, in a network namespace of their own, behind the real gateway."""
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import unittest

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

from culvert import A, B, Site, built, ip, key_bytes, udp

INTERFACE = "culvert0"
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFMTU, IFF_UP = 0x8913, 0x8914, 0x8921, 1
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
MARKER = bytes(4)
IKE = bytes(range(1, 29))
PEER = B.wan


def enter_namespace():
    """A network namespace for this process and what it starts; a privileged one's way, else anybody's."""
    libc = ctypes.CDLL(None, use_errno=True)
    ids = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise unittest.SkipTest(f"no network namespace can be had: {os.strerror(ctypes.get_errno())}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {ids[0]} 1"), ("gid_map", f"0 {ids[1]} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def tun_open(name):
    """The descriptor of a TUN device, which goes with it."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError:
        os.close(tun)
        raise
    return tun


def setUpModule():
    try:
        enter_namespace()
        os.close(tun_open("tried0"))
    except OSError as error:
        raise unittest.SkipTest(f"no TUN device can be had: {error}") from None


def set_flags(name, flags):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags))


def run_ip(*arguments):
    import subprocess
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


class Host:
    """A running gateway with its host interface, fed by one port."""

    def __init__(self, case, site, port="wan", **host):
        site.conf["host"] = {"interface": INTERFACE, **host}
        self.case, self.site = case, site
        self.daemon, self.feed = site.start_fed(port)
        self.port = port
        self.sockets = contextlib.ExitStack()
        case.addCleanup(self.sockets.close)
        self.daemon.wait_ready()

    def bound(self, address, port, kind=socket.SOCK_DGRAM):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        bound = self.sockets.enter_context(socket.socket(family, kind))
        bound.settimeout(10)
        bound.bind((address, port))
        return bound

    def put(self, *packets):
        self.feed.put([self.site.frame(self.port, packet) for packet in packets])

    def totals(self):
        return self.daemon.telemetry("/culvert/totals")

    def drops(self):
        return self.daemon.telemetry("/culvert/drops") or {}

    def wait_total(self, name, value):
        self.daemon.wait_until(lambda: self.totals()[name] >= value, lambda: f"{name} is {value}: {self.totals()}")

    def wait_drop(self, name, value=1):
        self.daemon.wait_until(lambda: self.drops().get(name, 0) >= value, lambda: f"{name} is {value}: {self.drops()}")

    def end(self):
        """The daemon ends; what it did."""
        self.daemon.signal()
        self.feed.put([])
        self.feed.close()
        return self.site.result(self.daemon)


class Ike(unittest.TestCase):
    def test_ike_reaches_a_socket_and_its_answer_leaves_in_clear(self):
        # SPD-12: with no policy at all, and to the ports of IKE alone.
        for v in (4, 6):
            with self.subTest(version=v):
                host = Host(self, Site())
                ike = host.bound(A.wan[v], 500)
                natt = host.bound(A.wan[v], 4500)

                host.put(udp(PEER[v], A.wan[v], IKE, 500, 500), udp(PEER[v], A.wan[v], MARKER + IKE, 61234, 4500))
                asked = ike.recvfrom(2000), natt.recvfrom(2000)
                ike.sendto(b"answer", asked[0][1])
                natt.sendto(MARKER + b"answer", asked[1][1])
                natt.sendto(b"\xff", asked[1][1])
                host.wait_total("from_host", 3)
                run = host.end()

                self.assertEqual([(data, place[:2]) for data, place in asked],
                    [(IKE, (PEER[v], 500)), (MARKER + IKE, (PEER[v], 61234))])
                self.assertEqual([(packet.src, packet.dst, packet[UDP].sport, packet[UDP].dport, bytes(packet[UDP].payload))
                    for packet in run.wan], [(A.wan[v], PEER[v], 500, 500, b"answer"),
                        (A.wan[v], PEER[v], 4500, 61234, MARKER + b"answer"), (A.wan[v], PEER[v], 4500, 61234, b"\xff")])
                self.assertEqual({packet.ttl if v == 4 else packet.hlim for packet in run.wan}, {64})
                self.assertEqual((run.lan, run.total["to_host"], run.total["from_host"]), ([], 2, 3))


if __name__ == "__main__":
    unittest.main()
