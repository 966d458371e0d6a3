"""The host interface: real sockets of this host, in a network namespace of their own, behind the real gateway."""
import contextlib
import ctypes
import errno
import fcntl
import os
import re
import socket
import struct
import subprocess
import unittest

from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.ipsec import ESP
from scapy.packet import Raw

from culvert import A, B, Daemon, Site, built, ip, udp
from test_modes import transport
from test_natt import nat_site, from_b

INTERFACE = "culvert0"
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO, IP_MTU = 10, 0, 2, 14
MARKER = bytes(4)
IKE = bytes(range(1, 29))
L2TP = 1701
PEER = B.wan
PORT_UNREACHABLE = {"type": 3, "code": 3}


def enter_namespace():
    """A network namespace for this process and what it starts: as root, else as everybody may."""
    libc = ctypes.CDLL(None, use_errno=True)
    ids = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise unittest.SkipTest(f"no network namespace can be had: {os.strerror(ctypes.get_errno())}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {ids[0]} 1"), ("gid_map", f"0 {ids[1]} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def try_tun():
    tun = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tried0", IFF_TUN | IFF_NO_PI))
    finally:
        os.close(tun)


def ip_command(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


def setUpModule():
    enter_namespace()
    try:
        try_tun()
        ip_command("link", "set", "lo", "up")
    except OSError as error:
        raise unittest.SkipTest(f"no TUN device can be had: {error}") from None


def ends_of(packet):
    """Who sends it to whom, and what, of a UDP packet."""
    return packet.src, packet[UDP].sport, packet.dst, packet[UDP].dport, bytes(packet[UDP].payload)


class Host:
    """A running gateway with its host interface, and a port that it is fed by."""

    def __init__(self, case, site=None, port="wan", **host):
        self.site = site or Site()
        self.site.conf["host"] = {"interface": INTERFACE, **host}
        self.port = port
        self.daemon, self.feed = self.site.start_fed(port)
        self.sockets = contextlib.ExitStack()
        case.addCleanup(self.sockets.close)
        self.daemon.wait_ready()

    def bound(self, address, port, timeout=10):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        bound = self.sockets.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        bound.settimeout(timeout)
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

    def wait_sent(self, packets):
        """So many of the host's packets are with the worker, and it has come round to them."""
        self.wait_total("from_host", packets)
        self.put()

    def wait_drops(self, **expected):
        self.daemon.wait_until(lambda: self.drops() == {**expected, "eth_not_ours": self.drops().get("eth_not_ours")},
            lambda: f"{expected} are dropped: {self.drops()}")

    def end(self):
        """What the gateway did; it has ended then."""
        self.daemon.signal()
        self.feed.put([])
        self.feed.close()
        run = self.site.result(self.daemon)
        run.drops.pop("eth_not_ours", None)  # the feed's
        return run


class Ike(unittest.TestCase):
    def test_ike_reaches_sockets_and_its_answers_leave_in_clear(self):
        # SPD-12: whatever policies say, which here is no to everything, and both versions.
        site = Site()
        site.policy("in", "discard")
        site.policy("out", "discard")
        host = Host(self, site)
        for v in (4, 6):
            ike, natt = host.bound(A.wan[v], 500), host.bound(A.wan[v], 4500)

            host.put(udp(PEER[v], A.wan[v], IKE, 500, 500), udp(PEER[v], A.wan[v], MARKER + IKE, 61234, 4500))
            asked = ike.recvfrom(2000), natt.recvfrom(2000)
            ike.sendto(b"answer", asked[0][1])
            natt.sendto(MARKER + b"answer", asked[1][1])
            natt.sendto(b"\xff", asked[1][1])

            self.assertEqual([(data, place[:2]) for data, place in asked],
                [(IKE, (PEER[v], 500)), (MARKER + IKE, (PEER[v], 61234))])
        host.wait_total("from_host", 6)
        run = host.end()

        self.assertEqual([ends_of(packet) for packet in run.wan], [
            (A.wan[v], *sent, data) for v in (4, 6) for sent, data in (((500, PEER[v], 500), b"answer"),
                ((4500, PEER[v], 61234), MARKER + b"answer"), ((4500, PEER[v], 61234), b"\xff"))]
        )
        self.assertEqual({getattr(packet, "ttl", None) or packet.hlim for packet in run.wan}, {64})
        self.assertEqual((run.lan, run.drops), ([], {}))
        self.assertEqual((run.total["to_host"], run.total["from_host"]), (4, 6))

    def test_esp_in_udp_is_the_gateways_and_not_the_hosts(self):
        site, peer = nat_site()
        host = Host(self, site)
        natt = host.bound(A.wan[4], 4500)

        host.put(peer.seal(from_b()), udp(PEER[4], A.wan[4], b"\xff", 4500, 4500), udp(PEER[4], A.wan[4], MARKER + IKE, 4500, 4500))

        self.assertEqual(natt.recv(2000), MARKER + IKE)
        run = host.end()
        self.assertEqual((len(run.lan), run.drops, run.total["to_host"]), (1, {"in_keepalive": 1}, 1))

    def test_long_ike_comes_whole_and_leaves_in_fragments(self):
        host = Host(self)
        ike = host.bound(A.wan[4], 500)
        long = bytes(range(250)) * 16

        host.put(*map(built, fragment(udp(PEER[4], A.wan[4], long, 500, 500), 1400)))
        self.assertEqual(ike.recv(9000), long)
        ike.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        ike.sendto(long, (PEER[4], 500))
        host.wait_total("from_host", 3)
        run = host.end()

        payload = b"".join(bytes(packet.payload) for packet in run.wan)
        self.assertEqual((payload[8:], len(run.wan), run.drops), (long, 3, {}))

    def test_icmp_errors_about_what_the_host_sent_are_told_to_it(self):
        site = Site()
        site.conf["icmp"] = {"accept": ["unreachable"]}
        host = Host(self, site)
        ike = host.bound(A.wan[4], 500)
        ike.connect((PEER[4], 500))
        ike.send(IKE)
        host.wait_sent(1)
        quote = bytes(udp(A.wan[4], PEER[4], IKE, 500, 500))

        host.put(built(ip(PEER[4], A.wan[4]) / ICMP(**PORT_UNREACHABLE) / Raw(quote)),
            built(ip(PEER[4], A.wan[4]) / ICMP(**PORT_UNREACHABLE) / Raw(bytes(udp(A.lan[4], PEER[4], IKE, 500, 500)))))

        with self.assertRaises(ConnectionRefusedError):
            ike.recv(2000)
        run = host.end()
        self.assertEqual((run.drops, run.total["to_host"]), ({"icmp_quote": 1}, 1))


class Policies(unittest.TestCase):
    def test_what_is_not_ike_needs_a_policy_both_ways(self):
        # SPD-12, SPD-2: from the unprotected side, and ports of IKE with another address or without the marker too.
        site = Site()
        site.policy("in", "bypass", source=PEER[4], destination=A.wan[4], protocol="udp", destination_port=53)
        site.policy("out", "bypass", source=A.wan[4], destination=PEER[4], protocol="udp", source_port=53)
        host = Host(self, site)
        dns, other = host.bound(A.wan[4], 53), host.bound(A.wan[4], 54)
        inside = host.bound(A.lan[4], 500)

        host.put(udp(PEER[4], A.wan[4], b"refused", 53, 54), udp(PEER[4], A.lan[4], b"refused", 500, 500),
            built(ip(PEER[4], A.wan[4]) / ICMP() / b"answered"), udp(PEER[4], A.wan[4], b"asked", 1024, 53))
        question, asker = dns.recvfrom(2000)
        dns.sendto(b"answer", asker)
        other.sendto(b"refused", asker)
        inside.sendto(IKE, (PEER[4], 500))
        host.wait_total("from_host", 3)
        run = host.end()

        self.assertEqual(question, b"asked")
        self.assertEqual([ends_of(packet) for packet in run.wan if UDP in packet], [(A.wan[4], 53, PEER[4], 1024, b"answer")])
        self.assertEqual([packet[ICMP].type for packet in run.wan if ICMP in packet], [0])
        self.assertEqual(run.drops, {"in_no_policy": 2, "out_no_policy": 2})
        self.assertEqual(run.total["to_host"], 1)

    def test_the_protected_side_needs_one_too_but_for_ike(self):
        # SPD-12
        site = Site()
        site.policy("in", "bypass", source=A.host[4], destination=A.lan[4], protocol="udp", destination_port=53)
        site.policy("out", "bypass", source=A.lan[4], destination=A.host[4])
        host = Host(self, site, "lan")
        dns, ike = host.bound(A.lan[4], 53), host.bound(A.wan[4], 500)

        host.put(udp(A.host[4], A.lan[4], b"refused", 1024, 54), udp(A.host[4], A.wan[4], IKE, 500, 500),
            built(ip(A.host[4], A.lan[4]) / ICMP() / b"answered"), udp(A.host[4], A.lan[4], b"asked", 1024, 53))
        self.assertEqual(ike.recv(2000), IKE)
        question, asker = dns.recvfrom(2000)
        dns.sendto(b"answer", asker)
        host.wait_total("from_host", 1)
        run = host.end()

        self.assertEqual(question, b"asked")
        self.assertEqual([ends_of(packet) for packet in run.lan if UDP in packet], [(A.lan[4], 53, A.host[4], 1024, b"answer")])
        self.assertEqual(run.drops, {"in_no_policy": 1})

    def test_l2tp_in_transport_mode_reaches_a_socket_and_back(self):
        # TUN-10
        for v in (4, 6):
            site = Site()
            peer = transport(site, "t", v, policies=False)
            ends = {"out": (A.wan[v], PEER[v], {"source_port": L2TP}), "in": (PEER[v], A.wan[v], {"destination_port": L2TP})}
            for way, (source, destination, port) in ends.items():
                site.policy(way, "protect", source=source, destination=destination, protocol="udp", **port, sas=[f"t-{way}"])
            host = Host(self, site)
            l2tp, other = host.bound(A.wan[v], L2TP), host.bound(A.wan[v], 54)

            host.put(peer.seal(udp(PEER[v], A.wan[v], b"call", L2TP, L2TP)), udp(PEER[v], A.wan[v], b"in clear", L2TP, L2TP),
                peer.seal(udp(PEER[v], A.wan[v], b"not the SA's", L2TP, 54)))
            called, caller = l2tp.recvfrom(2000)
            l2tp.sendto(b"answer", caller)
            host.wait_total("from_host", 1)
            run = host.end()

            self.assertEqual((called, caller[:2]), (b"call", (PEER[v], L2TP)))
            (sealed,) = run.wan
            self.assertEqual(ends_of(peer.open(sealed)), (A.wan[v], L2TP, PEER[v], L2TP, b"answer"))
            self.assertEqual(run.drops, {"in_tmpl_mismatch": 1, "in_selector": 1})

    def test_the_host_sends_through_a_tunnel_and_hears_what_fits(self):
        # PMT-2, TUN-2
        site = Site()
        peer = site.tunnel()
        host = Host(self, site)
        inside = host.bound(A.lan[4], 5000)

        host.put(peer.seal(udp(B.host[4], A.lan[4], b"hello", 5001, 5000)))
        self.assertEqual(inside.recvfrom(2000), (b"hello", (B.host[4], 5001)))
        inside.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        inside.connect((B.host[4], 5001))
        inside.send(b"short")
        inside.send(bytes(1472))
        host.wait_sent(2)
        host.wait_total("to_host", 2)
        with self.assertRaises(OSError) as told:
            inside.send(bytes(1472))
        inside.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        mtu = inside.getsockopt(socket.IPPROTO_IP, IP_MTU)
        run = host.end()

        self.assertEqual((told.exception.errno, mtu), (errno.EMSGSIZE, 1446))
        (sealed,) = run.wan
        packet = peer.open(sealed)
        self.assertEqual((packet.ttl, ends_of(packet)), (64, (A.lan[4], 5000, B.host[4], 5001, b"short")))
        self.assertEqual((run.drops, run.sas["t-out"].packets), ({"out_mtu": 1}, 1))

    def test_what_passes_through_never_comes_to_the_host(self):
        site = Site()
        peer = site.tunnel()
        site.policy("in", "bypass")
        host = Host(self, site)

        host.put(peer.seal(udp(B.host[4], A.host[4], IKE, 500, 500)), udp(PEER[4], A.host[4], IKE, 500, 500),
            udp(PEER[4], A.host[4], MARKER + IKE, 4500, 4500))
        run = host.end()

        self.assertEqual((len(run.lan), run.total["to_host"], run.total["from_host"]), (3, 0, 0))


class Interface(unittest.TestCase):
    def test_it_has_the_ports_addresses_alone_and_goes_with_the_daemon(self):
        site = Site(mtu=1400)
        host = Host(self, site, routes=["0.0.0.0/0", "::/0", f"{PEER[4]}/32"])

        addresses = ip_command("-o", "address", "show", "dev", INTERFACE)
        link = ip_command("link", "show", "dev", INTERFACE)
        routes = ip_command("route", "show", "dev", INTERFACE) + ip_command("-6", "route", "show", "default")

        shown = {line.split()[3] for line in addresses.splitlines()}
        self.assertEqual(shown, {f"{place[v]}{'/32' if v == 4 else '/128'}" for place in (A.lan, A.wan) for v in (4, 6)})
        self.assertIn("UP", link)
        self.assertIn("mtu 1400", link)
        for route in (f"default scope link src {A.wan[4]} metric 65536", f"{PEER[4]} scope link src {A.wan[4]} metric 65536",
                f"default dev {INTERFACE} src {A.wan[6]} metric 65536"):
            self.assertIn(route, " ".join(routes.replace("proto static ", "").split()))
        site.conf["host"]["routes"] = []
        site.write()
        self.assertIn("can't change while the gateway runs", host.daemon.ctl("reload", code=1)[1])
        host.end()
        self.assertNotIn(INTERFACE, ip_command("link", "show"))

    def test_other_sources_and_a_deleted_device_have_a_name_and_the_rest_goes_on(self):
        site = Site()
        peer = site.tunnel()
        host = Host(self, site)
        ip_command("address", "add", "203.0.113.77/32", "dev", "lo")
        self.addCleanup(ip_command, "address", "del", "203.0.113.77/32", "dev", "lo")

        host.bound("203.0.113.77", 500).sendto(IKE, (PEER[4], 500))
        host.wait_sent(1)
        host.wait_drops(host_source=1)
        ip_command("link", "set", INTERFACE, "down")
        host.put(udp(PEER[4], A.wan[4], IKE, 500, 500))
        host.wait_drops(host_source=1, host_interface=1)
        ip_command("link", "del", INTERFACE)
        host.daemon.wait_until(lambda: "the host interface is gone" in host.daemon.stderr(), lambda: "it is told")
        for number in range(2):
            host.put(udp(PEER[4], A.wan[4], IKE, 500, 500), peer.seal(from_b(number)))
        host.wait_drops(host_source=1, host_interface=3)
        run = host.end()

        self.assertEqual((len(run.lan), run.stderr.count("the host interface is gone")), (2, 1))
        self.assertEqual((run.total["to_host"], run.total["from_host"]), (0, 1))

    def test_a_device_that_is_there_is_used_as_it_is(self):
        ip_command("tuntap", "add", INTERFACE, "mode", "tun")
        self.addCleanup(ip_command, "tuntap", "del", INTERFACE, "mode", "tun")
        ip_command("address", "add", f"{A.wan[4]}/32", "dev", INTERFACE)
        ip_command("link", "set", INTERFACE, "up")
        ip_command("route", "add", "default", "dev", INTERFACE)
        before = ip_command("-o", "-4", "address", "show", "dev", INTERFACE)
        host = Host(self)

        ike = host.bound(A.wan[4], 500)
        host.put(udp(PEER[4], A.wan[4], IKE, 500, 500))
        self.assertEqual(ike.recv(2000), IKE)
        run = host.end()

        lacking = re.findall(r"lacks an address.* address=(\S+)", run.stderr)
        self.assertEqual(lacking, [A.lan[4], A.lan[6], A.wan[6]])
        self.assertEqual(ip_command("-o", "-4", "address", "show", "dev", INTERFACE), before)

    def test_a_name_that_is_taken_stops_the_start(self):
        site = Site()
        site.conf["host"] = {"interface": "lo"}

        daemon = site.start()

        self.assertEqual(daemon.wait(), 1)
        self.assertIn("host.interface: lo is no TUN device that is free", daemon.stderr())


if __name__ == "__main__":
    unittest.main()
