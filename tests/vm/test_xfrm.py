"""Linux's own IPsec as the peer: a Debian kernel in QEMU, with the same keys.

CASES is the table. Each case sets both sides, pings and moves files both ways over both inner families, and then holds
culvert's counters against Linux's.
"""
import contextlib
import copy
import re
import signal
import socket
import unittest
from typing import NamedTuple

import needs
from culvert import A, B, ALGORITHMS

# Each remainder of the smallest alignment that a trailer pads to, and larger ones; what just fits comes besides.
SIZES = (0, 1, 2, 3, 56, 700, 1300)
# What culvert may drop: what is said on its links beside the test (to a group, or to another station), and
# TCP's first segments, from whose loss it learns the tunnel's MTU.
EXPECTED_DROPS = {"in_multicast", "eth_not_ours", "out_mtu"}
PING_HEADER_BYTES = {4: 28, 6: 48}  # IP and ICMP echo
ICMP_HEADER_BYTES = 8
LINK_MTU = 1500
N_PACKETS = 10
# The guest's next sequence number: a file later it has passed 2^32; far enough below for the first packet not to look
# like one from before 0 (RFC 4303 appendix A2.2, case B).
ALMOST_WRAPPED = "replay-oseq 0xfffffb00"
PACKET_OUTGOING = 4
IPPROTO_ESP = 50

if needs.missing():
    raise unittest.SkipTest(needs.missing())

from lab import Exchange, Lab, LiveSite, eventually  # noqa: E402
from xfrm import UDP_HEADER_BYTES, XFRM_ALGORITHMS, ah_mtu, tunnel_mtu  # noqa: E402

lab = None


def setUpModule():
    global lab
    # A test that runs out of time ends like any other: without its guest and its namespaces.
    # An interruption, since unittest takes any other exception for the failure of one case and goes on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = Lab(needs.KERNEL)
    unittest.addModuleCleanup(lab.close)


class Case(NamedTuple):
    """A row: one SA each way for each inner family, all of the same kind."""

    esp: str
    outer: int
    esn: bool = False
    mode: str = "tunnel"

    def name(self):
        esn = "_with_esn" if self.esn else ""
        return f"{self.esp.replace('-', '_')}_in_ipv{self.outer}_{self.mode}{esn}"

    def site(self):
        site = LiveSite(lab)
        for inner in (4, 6):
            site.tunnel(f"v{inner}", self.esp, self.outer, inner, spi=0x1000 + inner, esn=self.esn, mode=self.mode,
                **({"allow_insecure": True} if self.esp.startswith("3des") else {}))
        return site


CASES = [Case(esp, outer, esn) for esp in ALGORITHMS for outer in (4, 6) for esn in (False, True)]
# The other algorithms that both know: every second outside IPv4, and every second pair with ESN.
BRIEF_CASES = [Case(esp, (4, 6)[i % 2], i // 2 % 2 == 1)
    for i, esp in enumerate(esp for esp in XFRM_ALGORITHMS if esp not in ALGORITHMS)]


class Checks(unittest.TestCase):
    def check_mtu(self, exchange, inner, mtu):
        """PMT: what just fits passes both ways, and a byte more is answered with the size that fits."""
        size = mtu - PING_HEADER_BYTES[inner]
        refused = exchange.ping_refused(size + 1, inner)
        self.assertRegex(refused, rf"[Ff]rom {A.lan[inner]} .*mtu ?= ?{mtu}\b")
        exchange.ping(size, inner, "-M", "do")
        exchange.ping_back([size], inner)

    def check_counts(self, exchange):
        """Nothing was lost, refused or counted twice."""
        ours, theirs = exchange.settled_counts()
        self.assertEqual(ours, theirs)
        self.assertEqual(exchange.guest_errors(), {})
        self.assertEqual(exchange.drops().keys() - EXPECTED_DROPS, set(), exchange.drops())


class Interoperation(Checks):
    def check(self, case):
        with Exchange(case.site()) as exchange:
            for inner in (4, 6):
                for size in SIZES:
                    exchange.ping(size, inner)
                exchange.ping_back(SIZES, inner)
                self.check_mtu(exchange, inner, tunnel_mtu(case.esp, case.outer))
                exchange.bulk(inner)
            self.check_counts(exchange)

    def test_sequence_numbers_of_linux_pass_2_to_the_32(self):
        # REP: culvert infers the upper half, RFC 4303 appendix A2.2.
        for esp in ("aes128gcm16", "aes256-sha512", "chacha20poly1305"):
            with self.subTest(esp), Exchange(Case(esp, 4, esn=True).site(), options={"v4-in": ALMOST_WRAPPED}) as exchange:
                exchange.bulk(4)

                self.check_counts(exchange)
                self.assertEqual(lab.guest.run("/sbin/ip xfrm state | grep -c 'oseq-hi 0x1,'").strip(), "1")


def add_case(case):
    setattr(Interoperation, f"test_{case.name()}", lambda self: self.check(case))


for row in CASES:
    add_case(row)


class OtherAlgorithms(Checks):
    """The rest of what both know, without the files."""

    def check_each(self, pattern):
        for case in BRIEF_CASES:
            if re.match(pattern, case.esp):
                with self.subTest(case.name()):
                    self.check_briefly(case)

    def check_briefly(self, case):
        """Every length of padding both ways, and what just fits: of one inner family, for the crypto knows none."""
        inner = 10 - case.outer
        with Exchange(case.site()) as exchange:
            for size in SIZES:
                exchange.ping(size, inner)
            exchange.ping_back(SIZES, inner)
            self.check_mtu(exchange, inner, tunnel_mtu(case.esp, case.outer))
            self.check_counts(exchange)

    def test_gcm_and_ccm_with_icvs_of_each_length(self):
        # ALG-1, ALG-8
        self.check_each("aes[0-9]+[gc]cm")

    def test_gmac(self):
        # ALG-5
        self.check_each("aes[0-9]+gmac")

    def test_ctr_with_integrity(self):
        # ALG-7
        self.check_each("aes[0-9]+ctr-")

    def test_cbc_with_each_kind_of_integrity(self):
        # ALG-2, ALG-3, ALG-4
        self.check_each("aes[0-9]+-")

    def test_integrity_alone(self):
        # ALG-9
        self.check_each("null-")

    def test_3des_where_an_sa_allows_it(self):
        # ALG-11
        self.check_each("3des-")


class InUdp(Checks):
    """ESP in UDP by Linux's own socket for it; no NAT is on the way."""

    def check_tunnel(self, esp, outer, esn):
        site = LiveSite(lab)
        for inner in (4, 6):
            site.tunnel(f"v{inner}", esp, outer, inner, spi=0x1000 + inner, esn=esn, encap="udp")
        with Exchange(site) as exchange:
            for inner in (4, 6):
                for size in SIZES:
                    exchange.ping(size, inner)
                exchange.ping_back(SIZES, inner)
                self.check_mtu(exchange, inner, tunnel_mtu(esp, outer, LINK_MTU - UDP_HEADER_BYTES))
                exchange.bulk(inner)
            self.check_counts(exchange)

    def test_tunnels(self):
        # NAT-1, NAT-3, PMT-1
        for esp, outer, esn in (("aes128gcm16", 4, False), ("aes256-sha256", 4, True), ("aes128gcm16", 6, True)):
            with self.subTest(esp=esp, outer=outer, esn=esn):
                self.check_tunnel(esp, outer, esn)


class TransportMode(Checks):
    """Between the gateways themselves: Linux asks, and culvert answers."""

    def check_pings(self, esp, version, encap):
        site = LiveSite(lab)
        site.tunnel("t", esp, version, policies=False, mode="transport", encap=encap)
        for direction, source, destination in (("out", A, B), ("in", B, A)):
            site.policy(direction, "protect", source=source.wan[version], destination=destination.wan[version],
                sas=[f"t-{direction}"])
        longest = tunnel_mtu(esp, version, LINK_MTU - (UDP_HEADER_BYTES if encap == "udp" else 0)) - ICMP_HEADER_BYTES
        sizes = (*SIZES, longest)
        with Exchange(site) as exchange:
            exchange.ping_gateway(sizes, version)
            ours, theirs = eventually(lambda: packets(exchange), lambda counts: counts[0] == counts[1])

            self.assertEqual(ours, theirs)
            self.assertEqual(ours, {"t-out": len(sizes), "t-in": len(sizes)})
            self.assertEqual(exchange.guest_errors(), {})
            self.assertEqual(exchange.drops().keys() - EXPECTED_DROPS, set(), exchange.drops())

    def test_pings(self):
        # TUN-10, NAT-1, NAT-3
        for esp in ("aes128gcm16", "aes256-sha256"):
            for version in (4, 6):
                for encap in ("none", "udp"):
                    with self.subTest(esp=esp, version=version, encap=encap):
                        self.check_pings(esp, version, encap)


class AuthenticationHeader(Checks):
    """AH in tunnel mode, and around a tunnel of ESP; the e2e suite has transport mode and options."""

    def site(self, auth, outer, esn=False, inners=(4, 6)):
        site = LiveSite(lab)
        for inner in inners:
            site.tunnel(f"v{inner}", f"null-{auth}", outer, inner, spi=0x1000 + inner, esn=esn)
        for sa in site.conf["sas"].values():
            sa["ah"] = sa.pop("esp").removeprefix("null-")
        return site

    def check_tunnel(self, auth, outer, esn=False):
        with Exchange(self.site(auth, outer, esn)) as exchange:
            for inner in (4, 6):
                for size in SIZES:
                    exchange.ping(size, inner)
                exchange.ping_back(SIZES, inner)
                self.check_mtu(exchange, inner, ah_mtu(auth, outer))
                exchange.bulk(inner)
            self.check_counts(exchange)

    def test_tunnels(self):
        # AH-1, AH-2, AH-4, AH-5
        for auth, outer, esn in (("sha256", 4, False), ("sha256", 6, True), ("sha1", 4, True), ("sha384", 6, False),
                ("aesxcbc", 4, False)):
            with self.subTest(auth=auth, outer=outer, esn=esn):
                self.check_tunnel(auth, outer, esn)

    def bundle(self, version):
        """Linux finds no state in transport mode for a policy of the other family."""
        site = self.site("sha256", version, inners=(version,))
        for name, sa in list(site.conf["sas"].items()):
            sa["mode"] = "transport"
            site.conf["sas"][f"esp-{name}"] = self.esp_of(sa)
        for policy in site.conf["policies"]:
            policy["sas"].insert(0, f"esp-{policy['sas'][0]}")
        return site

    def test_esp_in_ah(self):
        # SPD-14
        for version in (4, 6):
            with self.subTest(version=version), Exchange(self.bundle(version)) as exchange:
                for size in SIZES:
                    exchange.ping(size, version)
                exchange.ping_back(SIZES, version)
                exchange.bulk(version)
                ours, theirs = eventually(lambda: packets(exchange), lambda counts: counts[0] == counts[1])
                self.assertEqual(ours, theirs)
                self.assertEqual(exchange.guest_errors(), {})
                self.assertEqual(exchange.drops().keys() - EXPECTED_DROPS, set(), exchange.drops())

    @staticmethod
    def esp_of(ah):
        """A tunnel between the same ends, with 20 bytes of the key."""
        return {"spi": ah["spi"] + 0x100, "source": ah["source"], "destination": ah["destination"],
            "esp": "aes128gcm16", "key": ah["key"][:42]}


class Compression(unittest.TestCase):
    """IPComp in tunnel mode inside ESP in transport mode. Pings of some sizes can be compressed, and files can't."""

    def site(self, version):
        site = LiveSite(lab)
        site.tunnel("esp", "aes128gcm16", version, version, mode="transport")
        for number, way in enumerate(("out", "in")):
            esp = site.conf["sas"][f"esp-{way}"]
            site.conf["sas"][f"comp-{way}"] = {"spi": 0x0401 + number, "source": esp["source"],
                "destination": esp["destination"], "ipcomp": "deflate"}
        for policy in site.conf["policies"]:
            policy["sas"].insert(0, policy["sas"][0].replace("esp", "comp"))
        return site

    def counts(self, exchange):
        """Packets of each SA. Linux does not count for IPComp what came in uncompressed."""
        ours = {name: exchange.sa(name) for name in exchange.site.conf["sas"]}
        theirs = {name: exchange.state(name).packets for name in ours}
        theirs["comp-out"] += ours["comp-out"]["uncompressed"]
        return {name: sa["packets"] for name, sa in ours.items()}, theirs

    def test_ipcomp_in_esp(self):
        # IPC-1, IPC-2, IPC-3
        for version in (4, 6):
            with self.subTest(version=version), Exchange(self.site(version)) as exchange:
                for size in SIZES:
                    exchange.ping(size, version)
                exchange.ping_back(SIZES, version)
                exchange.bulk(version)

                ours, theirs = eventually(lambda: self.counts(exchange), lambda counts: counts[0] == counts[1])
                self.assertEqual(ours, theirs)
                self.assertEqual(exchange.guest_errors(), {})
                self.assertEqual(exchange.drops().keys() - EXPECTED_DROPS, set(), exchange.drops())
                for name in ("comp-out", "comp-in"):
                    sa = exchange.sa(name)
                    self.assertGreater(sa["uncompressed"], 0)
                    self.assertGreater(sa["packets"], sa["uncompressed"])


class Replays(unittest.TestCase):
    def test_linux_refuses_as_replays_what_culvert_sent_before(self):
        with Exchange(Case("aes128gcm16", 4).site()) as exchange, lab.network.packet_socket("gateway", "wan") as wire:
            for _ in range(N_PACKETS):
                exchange.ping(100, 4)
            sent = esp_frames_sent(wire)
            for frame in sent:
                wire.send(frame)
            errors = eventually(exchange.guest_errors, lambda errors: sum(errors.values()) == N_PACKETS)

            self.assertEqual(len(sent), N_PACKETS)
            self.assertEqual(errors, {"XfrmInStateSeqError": N_PACKETS})
            self.assertEqual(exchange.state("v4-out").replayed, N_PACKETS)
            self.assertEqual(exchange.state("v4-out").packets, N_PACKETS)

    def test_culvert_refuses_every_second_one_of_what_linux_sends_twice(self):
        with Exchange(Case("aes128gcm16", 4).site()) as exchange, linux_link("duplicate 100%"):
            exchange.bulk(4)
            exchange.ping_back([100], 4)
            ours, theirs = exchange.settled_counts()
            drops = eventually(lambda: exchange.sa("v4-in").get("in_replay"), lambda n: n == ours["v4-in"][0])

            self.assertEqual(ours, theirs)
            self.assertEqual(drops, ours["v4-in"][0])
            self.assertEqual(exchange.drops().keys() - EXPECTED_DROPS, {"in_replay"})

    def test_packets_that_overtake_each_other_are_no_replays(self):
        with Exchange(Case("aes128gcm16", 4).site()) as exchange, linux_link("delay 3ms 2ms"):
            before = n_overtaken()
            exchange.bulk(4)
            ours, theirs = exchange.settled_counts()

            self.assertGreater(n_overtaken(), before)
            self.assertEqual(ours, theirs)
            self.assertEqual(exchange.drops().keys() - EXPECTED_DROPS, set(), exchange.drops())


class Disagreement(unittest.TestCase):
    """The two sides are configured differently, and each says so by name."""

    def refused(self, site, guest_conf):
        with Exchange(site, guest_conf=guest_conf) as exchange:
            exchange.ping_in_vain(N_PACKETS)
            errors = eventually(exchange.guest_errors, lambda errors: sum(errors.values()) == N_PACKETS)
            exchange.ping_back_in_vain(N_PACKETS)
            eventually(lambda: exchange.sa("v4-in"), lambda sa: sa.get("in_icv") == N_PACKETS)

            self.assertEqual(errors, {"XfrmInStateProtoError": N_PACKETS})
            self.assertEqual(exchange.state("v4-out").failed, N_PACKETS)
            self.assertEqual(exchange.sa("v4-in").get("in_icv"), N_PACKETS)
            self.assertEqual((exchange.sa("v4-in")["packets"], exchange.state("v4-out").packets), (0, 0))

    def test_a_wrong_key_is_a_wrong_icv_on_both_sides(self):
        for esp in ("aes128gcm16", "aes128-sha256", "chacha20poly1305"):
            with self.subTest(esp):
                site = Case(esp, 4).site()
                guest_conf = copy.deepcopy(site.conf)
                for name in ("v4-out", "v4-in"):
                    guest_conf["sas"][name]["key"] = other_key(guest_conf["sas"][name]["key"])

                self.refused(site, guest_conf)

    def test_extended_sequence_numbers_on_one_side_alone_are_a_wrong_icv(self):
        for esp in ("aes128gcm16", "aes128-sha256"):
            with self.subTest(esp):
                site = Case(esp, 4, esn=True).site()
                guest_conf = copy.deepcopy(site.conf)
                for name in ("v4-out", "v4-in"):
                    guest_conf["sas"][name]["esn"] = False

                self.refused(site, guest_conf)

    def test_what_linux_sends_in_clear_is_not_let_in(self):
        # SPD-4
        site = Case("aes128gcm16", 4).site()
        guest_conf = copy.deepcopy(site.conf)
        guest_conf["policies"] = [p for p in guest_conf["policies"] if p["direction"] == "out"]
        with Exchange(site, guest_conf=guest_conf) as exchange:
            exchange.ping_back_in_vain(N_PACKETS)
            drops = eventually(exchange.drops, lambda drops: drops.get("in_tmpl_mismatch") == N_PACKETS)

            self.assertEqual(drops.get("in_tmpl_mismatch"), N_PACKETS, drops)


def packets(exchange):
    """Linux leaves the IP header out of the bytes that it counts in transport mode."""
    return [{name: n for name, (n, _) in side.items()} for side in exchange.counts()]


def esp_frames_sent(wire):
    """What went out by the interface as ESP in IPv4 and lies in the socket."""
    frames = []
    wire.settimeout(0.5)
    while True:
        try:
            frame, (_, _, kind, _, _) = wire.recvfrom(2048)
        except socket.timeout:
            return frames
        if kind == PACKET_OUTGOING and frame[12:14] == b"\x08\x00" and frame[23] == IPPROTO_ESP:
            frames.append(frame)


@contextlib.contextmanager
def linux_link(netem):
    """The guest's link with what the kernel's netem does to all that it sends."""
    lab.guest.run(f"/sbin/tc qdisc add dev eth0 root netem limit 10000 {netem}")
    try:
        yield
    finally:
        lab.guest.run("/sbin/tc qdisc del dev eth0 root")


def n_overtaken():
    """Segments that TCP at the host got before one that was sent earlier."""
    return int(lab.network.run("host", "nstat", "-asz", "TcpExtTCPOFOQueue").split()[-2])


def other_key(key):
    """The same but for one bit of its last byte: of the salt, or of the authentication key."""
    return f"{key[:-2]}{int(key[-2:], 16) ^ 1:02x}"
