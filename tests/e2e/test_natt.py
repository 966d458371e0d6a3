"""ESP in UDP: through NATs, from peers that move, and with what else comes by the same port.

scapy puts ESP into UDP by itself (nat_t_header), but leaves udp.len of IPv4 at 8: NatPeer corrects it. What culvert
sends is taken out of UDP here, byte by byte, and opened by scapy as bare ESP.
"""
import struct
import unittest

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, in6_chksum
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from culvert import A, B, PAUSE, Site, built, ip, routed, udp
from test_fragments import pieces, sized
from test_ipcomp import Bundle
from test_modes import transport
from test_pmtu import told_mtu

PORT = 4500
OTHER_NAT = "203.0.113.77"
HEADER = {4: 20, 6: 40}
ALGORITHMS = ("aes128gcm16", "aes128-sha256")


class NatPeer:
    """The far end of a tunnel in UDP."""

    def __init__(self, peer, version=4):
        self.peer, self.version = peer, version

    def seal(self, packet, sport=PORT, dport=PORT, checksum=0, trailer=b"", **options):
        """The packet in ESP in UDP, with any UDP checksum; `trailer` is in the IP packet, behind UDP's end."""
        self.peer.to_culvert.nat_t_header = UDP(sport=sport, dport=dport)
        raw = bytearray(bytes(self.peer.seal(packet, **options)))
        self.peer.to_culvert.nat_t_header = None
        at = HEADER[self.version]
        raw[at + 4:at + 8] = struct.pack("!HH", len(raw) - at, checksum)
        return relengthened(bytes(raw) + trailer, self.version)

    def open(self, packet, high=0):
        return self.peer.open(bare(packet), high)


def relengthened(raw, version):
    """The IP packet of these bytes, with the lengths and the checksum of its header put right."""
    packet = (IP if version == 4 else IPv6)(raw[:HEADER[version]])
    if version == 4:
        packet.len = len(raw)
        del packet.chksum
    else:
        packet.plen = len(raw) - HEADER[version]
    return packet.__class__(bytes(packet) + raw[HEADER[version]:])


def bare(packet):
    """The ESP packet that is inside UDP."""
    header = packet.copy()
    header.remove_payload()
    version = 4 if isinstance(packet, IP) else 6
    raw = bytes(packet)
    return built(ip(packet.src, packet.dst, **({"proto": 50} if version == 4 else {"nh": 50}))
        / ESP(raw[HEADER[version] + 8:]))


def in_udp(packet, version):
    """ESP in UDP of a packet of bare ESP."""
    raw = bytes(packet)
    at = HEADER[version]
    whole = raw[:at] + struct.pack("!HHHH", PORT, PORT, len(raw) - at + 8, 0) + raw[at:]
    packet = (IP if version == 4 else IPv6)(whole[:at])
    setattr(packet, "proto" if version == 4 else "nh", 17)
    return relengthened(bytes(packet) + whole[at:], version)


def udp_of(packet):
    """Source port, destination port, length and checksum of the UDP header behind the IP header."""
    at = HEADER[4 if isinstance(packet, IP) else 6]
    return struct.unpack("!HHHH", bytes(packet)[at:at + 8])


def to_port(payload, sport=PORT, dport=PORT, version=4, **header):
    """Any payload in UDP from the peer's gateway to this one; `header` is of UDP."""
    return built(ip(B.wan[version], A.wan[version]) / UDP(sport=sport, dport=dport, **header) / Raw(payload))


def nat_site(outer=4, esp="aes128gcm16", out=None, into=None, **options):
    """A site with a tunnel in UDP; `out` and `into` are more keys of its SAs."""
    site = Site()
    peer = site.tunnel(outer=outer, esp=esp, encap="udp", **options)
    site.conf["sas"]["t-out"].update(out or {})
    site.conf["sas"]["t-in"].update(into or {})
    return site, NatPeer(peer, outer)


def from_b(number=0, **fields):
    return udp(B.host[4], A.host[4], b"to A %d" % number, **fields)


class Outbound(unittest.TestCase):
    def test_esp_leaves_in_udp_over_ipv4_with_no_checksum(self):
        # NAT-1: the header is 8 bytes between IP and ESP; both lengths count it; the checksum is 0.
        for esp in ALGORITHMS:
            site, peer = nat_site(esp=esp, esn=True)
            packets = [udp(A.host[4], B.host[4], bytes(n)) for n in (1, 2, 33, 1300)]

            run = site.run(lan=packets)

            self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(p)) for p in packets])
            for packet in run.wan:
                raw = bytes(packet)
                self.assertEqual((packet.proto, packet.len, packet.ihl), (17, len(raw), 5))
                self.assertEqual(udp_of(packet), (4500, 4500, len(raw) - 20, 0))
                again = packet.copy()
                del again.chksum
                self.assertEqual(built(again).chksum, packet.chksum)
                self.assertEqual(raw[28:32], struct.pack("!I", 0x1001))
            self.assertEqual((run.sas["t-out"].packets, run.drops), (4, {}))

    def test_esp_leaves_in_udp_over_ipv6_with_a_right_checksum(self):
        # NAT-1: odd and even lengths.
        for esp in ALGORITHMS:
            site, peer = nat_site(6, esp)
            packets = [udp(A.host[4], B.host[4], bytes(n)) for n in range(1, 40)]

            run = site.run(lan=packets)

            self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(p)) for p in packets])
            for packet in run.wan:
                raw = bytes(packet)
                self.assertEqual((packet.nh, packet.plen), (17, len(raw) - 40))
                self.assertEqual(udp_of(packet)[:3], (4500, 4500, len(raw) - 40))
                self.assertNotEqual(udp_of(packet)[3], 0)
                self.assertEqual(in6_chksum(17, packet, raw[40:]), 0)

    def test_the_checksum_over_ipv6_may_be_zero(self):
        # NAT-1: RFC 6935.
        site, peer = nat_site(6, out={"udp_checksum": "zero"})
        packet = udp(A.host[4], B.host[4])

        run = site.run(lan=[packet])

        self.assertEqual([udp_of(p)[3] for p in run.wan], [0])
        self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(packet))])

    def test_the_ports_are_those_of_the_sa(self):
        # NAT-1
        site, _ = nat_site(out={"source_port": 10000, "destination_port": 61234})

        run = site.run(lan=[udp(A.host[4], B.host[4])])

        self.assertEqual([udp_of(p)[:2] for p in run.wan], [(10000, 61234)])

    def test_the_tunnels_mtu_counts_the_udp_header(self):
        # PMT-2, NAT-1: 1438 with AES-GCM over IPv4, 1418 over IPv6.
        for outer, mtu in ((4, 1438), (6, 1418)):
            site, _ = nat_site(outer)
            fits, too_big = (sized(A.host[4], B.host[4], mtu + more, flags="DF") for more in (0, 1))

            run = site.run(lan=[fits, too_big])

            self.assertEqual([p[ICMP].nexthopmtu for p in run.lan if ICMP in p], [mtu])
            self.assertEqual([len(p) for p in run.wan], [1500])

    def test_an_ipv6_host_learns_the_tunnels_mtu(self):
        # PMT-2
        site, _ = nat_site(inner=6)

        run = site.run(lan=[sized(A.host[6], B.host[6], 1439)])

        self.assertEqual([p[ICMPv6PacketTooBig].mtu for p in run.lan if ICMPv6PacketTooBig in p], [1438])


    def test_the_tunnels_mtu_is_exact(self):
        # PMT-1: each outer and inner version, and ciphers of other blocks; a byte more does not fit, and no block more
        # would have.
        for esp, block in (("aes128gcm16", 4), ("aes128-sha256", 16)):
            for outer in (4, 6):
                for inner in (4, 6):
                    site, peer = nat_site(outer, esp, inner=inner)
                    df = {"flags": "DF"} if inner == 4 else {}
                    packets = [sized(A.host[inner], B.host[inner], size, **df) for size in range(1380, 1445)]

                    run = site.run(lan=packets)

                    sent = [built(peer.open(p)) for p in run.wan]
                    mtu = len(sent[-1])
                    self.assertEqual([bytes(p) for p in sent], [bytes(routed(p)) for p in packets if len(p) <= mtu])
                    self.assertEqual({told_mtu(p) for p in run.lan}, {mtu})
                    longest = max(map(len, run.wan))
                    self.assertLessEqual(longest, 1500)
                    self.assertGreater(longest + block, 1500)


class Inbound(unittest.TestCase):
    def test_esp_in_udp_is_taken_from_the_peer(self):
        # NAT-3
        for outer, esp, esn in ((4, "aes128gcm16", False), (4, "aes128-sha256", True), (6, "aes128gcm16", True),
                (6, "aes128-sha256", False)):
            site, peer = nat_site(outer, esp, esn=esn)
            packets = [from_b(n) for n in range(5)]

            run = site.run(wan=[peer.seal(p) for p in packets])

            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets])
            self.assertEqual((run.sas["t-in"].packets, run.drops), (5, {}))

    def test_any_udp_checksum_will_do(self):
        # NAT-2: none, the right one, a wrong one: the ICV is what counts.
        for outer in (4, 6):
            site, peer = nat_site(outer)
            packets = [from_b(n) for n in range(3)]
            sealed = [peer.seal(p, seq=n + 1) for n, p in enumerate(packets)]
            sealed[1][UDP].chksum = None
            sealed[1] = built(sealed[1])
            sealed[2] = peer.seal(packets[2], seq=3, checksum=0xbad)
            self.assertEqual([udp_of(p)[3] for p in sealed][::2], [0, 0xbad])
            self.assertNotEqual(udp_of(sealed[1])[3], 0)

            run = site.run(wan=sealed)

            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets])

    def test_ike_keepalives_and_rubbish_are_told_from_esp(self):
        # NAT-3, SAL-3: four zeroes in front are IKE's, and no SPI.
        site, peer = nat_site()
        ike = to_port(bytes(4) + b"an IKE message, more or less, of some length")
        keepalive = to_port(b"\xff")
        rubbish = [to_port(b""), to_port(b"\xfe"), to_port(b"\xff\xff"), to_port(b"abc"),
            to_port(b"long enough", len=7), to_port(b"long enough", len=200), to_port(b"long enough", len=0)]
        packet = from_b()

        run = site.run(wan=[ike, keepalive, *rubbish, to_port(b"seven b"), peer.seal(packet)])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(packet))])
        self.assertEqual(run.drops,
            {"host_no_service": 1, "in_keepalive": 1, "in_udp": len(rubbish), "in_hdr": 1})
        self.assertEqual(run.sas["t-in"].packets, 1)

    def test_other_ports_are_not_looked_at(self):
        # NAT-3: 4500 always is one, others only where an SA says so.
        for port, drops in ((4500, {"in_keepalive": 1}), (4501, {"host_no_service": 1}), (10000, {"in_keepalive": 1})):
            site, _ = nat_site(into={"destination_port": 10000})

            run = site.run(wan=[to_port(b"\xff", dport=port)])

            self.assertEqual(run.drops, drops)

    def test_a_port_of_the_sas_own_is_served(self):
        # NAT-1
        site, peer = nat_site(into={"destination_port": 10000, "source_port": 500})
        packet = from_b()

        run = site.run(wan=[peer.seal(packet, sport=500, dport=10000)])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(packet))])

    def test_the_udp_length_bounds_the_esp_packet(self):
        # NAT-9: neither what is behind UDP in the IP packet, nor the frame's padding, is taken for the ICV.
        for outer in (4, 6):
            site, peer = nat_site(outer)
            packets = [from_b(n) for n in range(2)]
            first = peer.seal(packets[0], trailer=b"behind the end of UDP")
            second = peer.seal(packets[1])
            padded = Ether(src="02:00:00:00:01:fe", dst=site.mac("wan"), type=0x0800 if outer == 4 else 0x86dd) \
                / Raw(bytes(second) + bytes(46))

            run = site.run(wan=[first, padded])

            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets])

    def test_fragments_of_esp_in_udp_are_made_whole_first(self):
        # NAT-3, FRG-6
        for outer in (4, 6):
            site, peer = nat_site(outer)
            packet = sized(B.host[4], A.host[4], 1400)
            parts = pieces(peer.seal(packet), 600)

            run = site.run(wan=parts[::-1])

            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(packet))])
            self.assertGreater(len(parts), 2)

    def test_esp_without_udp_is_taken_too_unless_the_sa_forbids_it(self):
        # NAT-4
        for allowed in (True, False):
            site, peer = nat_site(into={"bare_esp": allowed})
            packets = [from_b(n) for n in range(2)]

            run = site.run(wan=[peer.peer.seal(packets[0]), peer.seal(packets[1])])

            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets[not allowed:]])
            self.assertEqual(run.drops, {} if allowed else {"in_encap": 1})
            self.assertEqual(run.sas["t-in"].drops, {} if allowed else {"in_encap": 1})

    def test_an_sa_that_is_not_in_udp_takes_nothing_in_udp(self):
        # NAT-3
        site = Site()
        peer = NatPeer(site.tunnel())

        run = site.run(wan=[peer.seal(from_b())])

        self.assertEqual((run.lan, run.drops), ([], {"in_encap": 1}))

    def test_a_peer_that_does_not_move_is_known_by_address_and_port(self):
        # NAT-6
        site, peer = nat_site()
        wrong = [peer.seal(from_b(), sport=4501), peer.seal(from_b(), src=OTHER_NAT), peer.peer.seal(from_b(), src=OTHER_NAT)]

        run = site.run(wan=wrong)

        self.assertEqual((run.lan, run.drops), ([], {"in_endpoint": 3}))

    def test_an_sa_in_udp_may_be_found_by_its_spi_alone(self):
        # SAL-1: in UDP from anywhere, and without UDP where that is allowed.
        for bare_esp in (True, False):
            site, peer = nat_site(into={"lookup": "spi", "bare_esp": bare_esp})
            inner = [udp(B.host[4], A.host[4], b"%d" % number) for number in range(3)]
            wan = [peer.seal(inner[0], seq=1), peer.seal(inner[1], seq=2, src="203.0.113.9", sport=999),
                peer.peer.seal(inner[2], seq=3, src="203.0.113.9")]

            run = site.run(wan=wan)

            self.assertEqual(run.drops, {} if bare_esp else {"in_encap": 1})
            self.assertEqual(sorted(bytes(p) for p in run.lan),
                sorted(bytes(routed(p)) for p in inner[:2 + bare_esp]))


def moving_site(outer=4, **options):
    return nat_site(outer, out={"follows": "t-in"}, **options)


class TransportMode(unittest.TestCase):
    """The gateway itself, pinged from behind a NAT. Only ICMPv6, of what it answers, sums over addresses."""

    HOST_BEHIND = {4: "192.168.1.2", 6: "fd00:99::2"}

    def pinged(self, version, site, seal):
        """What the gateway answers to pings that a NAT gave the address of B's gateway."""
        pings = [built(ip(self.HOST_BEHIND[version], A.wan[version]) / (ICMP() if version == 4 else ICMPv6EchoRequest())
            / Raw(bytes(range(n)))) for n in range(40)]
        sealed = [seal(ping) for ping in pings]
        for packet in sealed:
            packet.src = B.wan[version]

        run = site.run(wan=[in_udp(packet, version) for packet in sealed])

        self.assertEqual(run.drops, {})
        self.assertEqual(len(run.wan), len(pings))
        return pings, run.wan

    def check(self, version, pings, answers):
        for ping, answer in zip(pings, answers):
            self.assertEqual((answer.src, answer.dst), (A.wan[version], B.wan[version]))
            self.assertEqual(bytes(answer)[HEADER[version] + 8:], bytes(ping)[HEADER[version] + 8:])
            if version == 6:
                self.assertEqual(in6_chksum(58, answer, bytes(answer)[40:]), 0)

    def test_a_ping_from_behind_a_nat_is_answered_with_a_right_checksum(self):
        # NAT-7
        for version in (4, 6):
            for esp in ALGORITHMS:
                site = Site()
                peer = transport(site, "t", version, esp=esp, encap="udp")

                pings, answers = self.pinged(version, site, peer.seal)

                self.check(version, pings, [peer.open(bare(packet)) for packet in answers])

    def test_so_is_one_that_two_sas_are_around(self):
        # NAT-7: the NAT changed what the inner one's packet had been summed with.
        site = Site()
        inside = transport(site, "inside", 6, policies=False, spi=0x1001)
        around = transport(site, "around", 6, policies=False, spi=0x1002, encap="udp")
        for direction, source, destination in (("out", A, B), ("in", B, A)):
            site.policy(direction, "protect", source=source.wan[6], destination=destination.wan[6],
                sas=[f"inside-{direction}", f"around-{direction}"])

        pings, answers = self.pinged(6, site, lambda ping: around.seal(inside.seal(ping)))

        self.check(6, pings, [inside.open(built(around.open(bare(packet)))) for packet in answers])

    def test_so_is_one_that_was_compressed(self):
        # NAT-7: what ESP has inside is IPComp's, and what that has inside is mended.
        site = Site()
        bundle = Bundle(site, "transport", "transport", 6, 6)
        for name in ("e-out", "e-in"):
            site.conf["sas"][name]["encap"] = "udp"

        pings, answers = self.pinged(6, site, lambda ping: bundle.seal(bundle.compressed(ping)))

        self.check(6, pings, [bundle.open(bare(packet))[0] for packet in answers])


class Moving(unittest.TestCase):
    def test_the_outbound_sa_follows_the_newest_authentic_packet(self):
        # NAT-6: to another port, or another address and port; the sequence goes on, and the window knows what it knew.
        for outer, esp, where, port in ((4, "aes128gcm16", B.wan[4], 61000), (4, "aes128-sha256", OTHER_NAT, 1024),
                (6, "aes128gcm16", "2001:db8:c::77", 61000)):
            site, peer = moving_site(outer, esp=esp)
            before, after = [[udp(A.host[4], B.host[4], bytes([n])) for n in range(i, i + 3)] for i in (0, 3)]
            first = peer.seal(from_b(1), seq=10)
            moved = peer.seal(from_b(2), seq=11, sport=port, src=where)

            run = site.run(lan=[*before, *PAUSE, *after], wan=[*PAUSE[:70], first, moved, first, moved])

            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(from_b(n))) for n in (1, 2)])
            self.assertEqual(run.drops["in_replay"], 2)
            self.assertEqual([(p.dst, udp_of(p)[1]) for p in run.wan], [(B.wan[outer], PORT)] * 3 + [(where, port)] * 3)
            self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(p)) for p in before + after])
            at = HEADER[outer] + 12
            self.assertEqual([struct.unpack("!I", bytes(p)[at:at + 4])[0] for p in run.wan], [1, 2, 3, 4, 5, 6])
            self.assertIn(f"\"peer moved\" sa=t-out spi=0x00001001 address={where} port={port} moves=1\n", run.stderr)
            for packet in run.wan:
                if outer == 4:
                    again = packet.copy()
                    del again.chksum
                    self.assertEqual(built(again).chksum, packet.chksum)
                else:
                    self.assertEqual(in6_chksum(17, packet, bytes(packet)[40:]), 0)

    def test_nothing_else_moves_it(self):
        # NAT-6: an old packet, a replay, a forged one, or ESP without UDP.
        old, newest = from_b(1), from_b(2)
        for name in ("old", "replay", "forged", "bare", "next"):
            site, peer = moving_site()
            first = peer.seal(newest, seq=100)
            elsewhere = {
                "old": peer.seal(old, seq=99, sport=61000, src=OTHER_NAT),
                "replay": peer.seal(newest, seq=100, sport=61000, src=OTHER_NAT),
                "forged": peer.seal(old, seq=101, sport=61000, src=OTHER_NAT),
                "bare": peer.peer.seal(old, seq=101),
                "next": peer.seal(old, seq=101, sport=61000, src=OTHER_NAT),
            }[name]
            if name == "forged":
                raw = bytearray(bytes(elsewhere))
                raw[-1] ^= 1
                elsewhere = IP(bytes(raw))

            run = site.run(lan=[*PAUSE, udp(A.host[4], B.host[4])], wan=[first, elsewhere])

            moved = (OTHER_NAT, 61000) if name == "next" else (B.wan[4], PORT)
            self.assertEqual([(p.dst, udp_of(p)[1]) for p in run.wan], [moved], name)
            self.assertEqual("peer moved" in run.stderr, name == "next", name)
            self.assertEqual(len(run.lan), {"old": 2, "replay": 1, "forged": 1, "bare": 2, "next": 2}[name], name)

    def test_a_peer_moves_once_a_second_at_most(self):
        # NAT-6: what comes from a third place is taken all the same.
        site, peer = moving_site()
        first, second = (peer.seal(from_b(n), seq=n + 1, sport=60000 + n) for n in range(2))

        run = site.run(lan=[*PAUSE, *PAUSE, *PAUSE, udp(A.host[4], B.host[4])], wan=[first, *PAUSE, second])

        self.assertEqual(len(run.lan), 2)
        self.assertEqual([udp_of(p)[1] for p in run.wan], [60000])
        self.assertEqual(run.stderr.count("peer moved"), 1)

    def test_a_new_place_behind_another_next_hop_is_reached_by_it(self):
        # NAT-6: flows that were looked up before the move go there too.
        site, peer = moving_site()
        mac = "02:00:00:00:01:fd"
        site.conf["routes"].append({"to": f"{OTHER_NAT}/32", "via": "192.0.2.253"})
        site.conf["neighbours"].append({"port": "wan", "address": "192.0.2.253", "mac": mac})
        packet = udp(A.host[4], B.host[4])

        run = site.run(lan=[packet, *PAUSE, packet], wan=[*PAUSE[:70], peer.seal(from_b(), src=OTHER_NAT)])

        self.assertEqual([f.dst for f in run.frames["wan"] if f.type == 0x0800], ["02:00:00:00:01:fe", mac])


class Keepalives(unittest.TestCase):
    def test_an_idle_sa_sends_keepalives(self):
        # NAT-5: 0xff alone, as often as the SA says, and not counted as its traffic.
        for outer in (4, 6):
            site, _ = nat_site(outer, out={"keepalive": 1, "source_port": 10000, "destination_port": 61000})

            run = site.run(lan=[udp(A.host[4], B.host[4])], idle_seconds=4)

            sent = [p for p in run.wan if bytes(p)[HEADER[outer] + 8:] == b"\xff"]
            self.assertIn(len(sent), (2, 3, 4))
            self.assertEqual(len(run.wan), len(sent) + 1)
            for packet in sent:
                self.assertEqual((packet.src, packet.dst), (A.wan[outer], B.wan[outer]))
                self.assertEqual(udp_of(packet)[:3], (10000, 61000, 9))
                self.assertEqual(bytes(built(packet)), bytes(packet))
                if outer == 4:
                    again = packet.copy()
                    del again.chksum
                    self.assertEqual(built(again).chksum, packet.chksum)
                    self.assertEqual(udp_of(packet)[3], 0)
                else:
                    self.assertEqual(in6_chksum(17, packet, bytes(packet)[40:]), 0)
            self.assertEqual(run.sas["t-out"].packets, 1)

    def test_without_a_word_of_it_none_is_sent(self):
        # NAT-5
        site, _ = nat_site()

        run = site.run(idle_seconds=3)

        self.assertEqual(run.wan, [])


class Overlap(unittest.TestCase):
    def test_peers_behind_one_nat_with_one_inner_address_are_told_apart(self):
        # NAT-8: both behind B's NAT, both 10.2.0.10 inside; by SPI on the way in, by port on the way out, and by what
        # they talk to here in the policies.
        site = Site()
        servers = ["10.1.0.10", "10.1.0.11"]
        site.conf["neighbours"].append({"port": "lan", "address": servers[1], "mac": "02:00:00:00:01:10"})
        peers, ports = [], (61001, 61002)
        for n, (server, port) in enumerate(zip(servers, ports)):
            peers.append(NatPeer(site.tunnel(name=f"t{n}", spi=0x1001 + n, here=f"{server}/32", encap="udp")))
            site.conf["sas"][f"t{n}-out"]["destination_port"] = port
            site.conf["sas"][f"t{n}-in"]["source_port"] = port
        to_a = [udp(B.host[4], server, b"to %d" % n) for n, server in enumerate(servers)]
        to_b = [udp(server, B.host[4], b"from %d" % n) for n, server in enumerate(servers)]
        stolen = peers[0].seal(to_a[1], sport=ports[0])

        run = site.run(lan=to_b, wan=[*(peer.seal(p, sport=port) for peer, p, port in zip(peers, to_a, ports)), stolen])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in to_a])
        self.assertEqual([udp_of(p)[1] for p in run.wan], list(ports))
        self.assertEqual([bytes(peer.open(p)) for peer, p in zip(peers, run.wan)], [bytes(routed(p)) for p in to_b])
        self.assertEqual(run.drops, {"in_selector": 1})
