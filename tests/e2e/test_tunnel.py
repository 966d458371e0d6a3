"""What a tunnel does to packets, and what it must leave alone."""
import unittest

from scapy.layers.inet import IP, IPOption_Router_Alert, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN, RouterAlert
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Dot1Q, Ether

from culvert import A, B, Site, built, ip, routed, udp


def both_gateways(packets, **tunnel):
    """Carry packets from a host at site A to site B, by a gateway at each; the runs of both."""
    sites = Site(A, B), Site(B, A)
    for site in sites:
        site.tunnel(**tunnel)
    sent = sites[0].run(lan=packets)
    return sent, sites[1].run(wan=sent.wan)


class RoundTrip(unittest.TestCase):
    def test_two_gateways_carry_a_packet_from_lan_to_lan(self):
        # MAN-1
        packet = udp(A.host[4], B.host[4])

        sent, received = both_gateways([packet])

        self.assertEqual([p.proto for p in sent.wan], [50])
        self.assertNotIn(b"payload", bytes(sent.wan[0]))
        self.assertEqual([bytes(p) for p in received.lan], [bytes(routed(packet, 2))])

    def test_payloads_of_every_size_survive(self):
        # ESP-1: every alignment of the padding, up to nearly the link's MTU; every size that is small, and of the others every
        # seventh, so that each is some multiple of a block and so many bytes.
        sizes = [*range(1, 65), *range(65, 1377, 7), 1376]
        for esp in ("aes128gcm16", "aes256-sha512"):
            packets = [udp(A.host[4], B.host[4], bytes(i & 255 for i in range(size))) for size in sizes]

            _, received = both_gateways(packets, esp=esp)

            self.assertEqual([bytes(p) for p in received.lan], [bytes(routed(p, 2)) for p in packets])

    def test_an_ipv6_packet_crosses_an_ipv4_tunnel(self):
        # TUN-1
        packet = built(ip(A.host[6], B.host[6]) / TCP(dport=443, seq=7) / b"over four")

        sent, received = both_gateways([packet], inner=6, outer=4)

        self.assertIsInstance(sent.wan[0], IP)
        self.assertEqual([bytes(p) for p in received.lan], [bytes(routed(packet, 2))])

    def test_frames_reach_the_next_hops_that_were_configured(self):
        sent, received = both_gateways([udp(A.host[4], B.host[4])])

        frame = next(f for f in sent.frames["wan"] if f.haslayer(ESP))
        self.assertEqual((frame.src, frame.dst), ("02:70:63:61:70:01", "02:00:00:00:01:fe"))
        frame = next(f for f in received.frames["lan"] if f.haslayer(UDP))
        self.assertEqual((frame.src, frame.dst), ("02:70:63:61:70:00", "02:00:00:00:01:10"))


class Headers(unittest.TestCase):
    def test_the_outer_header_is_the_tunnels_own(self):
        # TUN-2, TUN-3: TTL 64 whatever the inner one, a good checksum, ends of the SA, no fragments.
        site = Site()
        site.tunnel()

        outer = site.run(lan=[udp(A.host[4], B.host[4], ttl=9)]).wan[0]

        self.assertEqual((outer.src, outer.dst, outer.ttl, outer.proto), (A.wan[4], B.wan[4], 64, 50))
        again = outer.copy()
        del again.chksum
        self.assertEqual(built(again).chksum, outer.chksum)
        self.assertEqual(outer.flags, "DF")

    def test_the_ttl_falls_by_one_at_each_gateway(self):
        # TUN-2
        packets = [udp(A.host[4], B.host[4], ttl=ttl) for ttl in (3, 64, 255)]

        _, received = both_gateways(packets)

        self.assertEqual([p.ttl for p in received.lan], [1, 62, 253])

    def test_dscp_and_ecn_are_copied_to_the_outer_header(self):
        # TUN-5, TUN-6: all four ECN code points with best effort, AF41 and EF.
        classes = [dscp << 2 | ecn for dscp in (0, 34, 46) for ecn in range(4)]
        for outer_version, field in ((4, "tos"), (6, "tc")):
            site = Site()
            peer = site.tunnel(outer=outer_version)

            run = site.run(lan=[udp(A.host[4], B.host[4], tos=tos) for tos in classes])

            self.assertEqual([getattr(p, field) for p in run.wan], classes)
            self.assertEqual([peer.open(p).tos for p in run.wan], classes)

    def test_a_fixed_dscp_stands_in_every_outer_header(self):
        # TUN-5: 0 is a number like the others; ECN is copied all the same, and the inner header is left alone.
        for dscp in (0, 34):
            for outer_version, field in ((4, "tos"), (6, "tc")):
                site = Site()
                peer = site.tunnel(outer=outer_version, dscp=dscp)

                run = site.run(lan=[udp(A.host[4], B.host[4], tos=tos) for tos in (0, 0xb8, 0xbb)])

                self.assertEqual([getattr(p, field) for p in run.wan], [dscp << 2, dscp << 2, dscp << 2 | 3])
                self.assertEqual([peer.open(p).tos for p in run.wan], [0, 0xb8, 0xbb])

    def test_df_of_the_outer_header_is_what_the_sa_says(self):
        # TUN-3, TUN-4: and without DF each packet has another ID.
        expected = {"set": ("DF", "DF", "DF"), "clear": ("", "", ""), "copy": ("DF", "", "DF")}
        for df, flags in expected.items():
            site = Site()
            peer = site.tunnel(df=df, policies=False)
            site.policy("out", "protect", sas=["t-out"])
            packets = [udp(A.host[4], B.host[4], flags="DF"), udp(A.host[4], B.host[4]), udp(A.host[6], B.host[6])]

            run = site.run(lan=packets * 3)

            self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(p)) for p in packets * 3])
            self.assertEqual([str(p.flags) for p in run.wan], list(flags) * 3, df)
            ids = [p.id for p in run.wan if not p.flags]
            self.assertEqual(len(set(ids)), len(ids))
            for outer in run.wan:
                again = outer.copy()
                del again.chksum
                self.assertEqual(built(again).chksum, outer.chksum)

    def test_the_outer_flow_label_is_that_of_the_inner_flow(self):
        # TUN-8
        for inner in (4, 6):
            site = Site()
            site.tunnel(inner=inner, outer=6)
            flows = [udp(A.host[inner], B.host[inner], sport=sport) for sport in (1000, 1001)]

            run = site.run(lan=flows * 3)

            labels = [p.fl for p in run.wan]
            self.assertEqual(labels, labels[:2] * 3)
            self.assertNotIn(0, labels)
            self.assertNotEqual(labels[0], labels[1])

    def test_congestion_marks_merge_by_rfc_6040(self):
        # TUN-7: inner and outer of Not-ECT, ECT(1), ECT(0), CE, by their numbers; None is dropped.
        merged = {0: (0, 0, 0, None), 1: (1, 1, 1, 3), 2: (2, 1, 2, 3), 3: (3, 3, 3, 3)}
        for version, field in ((4, "tos"), (6, "tc")):
            site = Site()
            peer = site.tunnel(inner=version)
            cells = [(inner, outer) for inner in range(4) for outer in range(4)]
            sealed = [peer.seal(udp(B.host[version], A.host[version], bytes([i, o]), **{field: 0xb8 | i}), tos=o)
                for i, o in cells]

            run = site.run(wan=sealed)

            self.assertEqual(run.drops, {"in_ecn": 1})
            came = {tuple(p[UDP].payload.load): p for p in run.lan}
            for inner, outer in cells:
                expected = merged[inner][outer]
                if expected is None:
                    self.assertNotIn((inner, outer), came)
                    continue
                packet = came[inner, outer]
                self.assertEqual(getattr(packet, field), 0xb8 | expected, (inner, outer))
                if version == 4:
                    again = packet.copy()
                    del again.chksum
                    self.assertEqual(built(again).chksum, packet.chksum)

    def test_the_inner_dscp_does_not_come_from_the_outer_header(self):
        # TUN-5
        site = Site()
        peer = site.tunnel()

        run = site.run(wan=[peer.seal(udp(B.host[4], A.host[4], tos=0xb8), tos=0x28)])

        self.assertEqual([p.tos for p in run.lan], [0xb8])


class Shapes(unittest.TestCase):
    def test_ipv4_options_go_through_the_tunnel(self):
        # TUN-3: they stay inside.
        packet = built(IP(src=A.host[4], dst=B.host[4], options=[IPOption_Router_Alert()]) / UDP(dport=9) / b"options")

        sent, received = both_gateways([packet])

        self.assertEqual(sent.wan[0].ihl, 5)
        self.assertEqual([bytes(p) for p in received.lan], [bytes(routed(packet, 2))])

    def test_a_policy_finds_udp_behind_extension_headers(self):
        # SPD-7
        site = Site()
        peer = site.tunnel(inner=6, policies=False)
        site.policy("out", "protect", protocol="udp", destination_port=9, sas=["t-out"])
        headers = IPv6ExtHdrHopByHop(options=[RouterAlert()]) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
        packet = built(IPv6(src=A.host[6], dst=B.host[6]) / headers / UDP(dport=9) / b"extensions")
        other = built(IPv6(src=A.host[6], dst=B.host[6]) / headers / UDP(dport=10) / b"extensions")

        run = site.run(lan=[packet, other])

        self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(packet))])
        self.assertEqual(run.drops, {"out_no_policy": 1})

    def test_ethernet_padding_does_not_enter_the_tunnel(self):
        # NAT-9: a frame has at least 60 bytes, and what is behind the IP packet is no part of it.
        site = Site()
        peer = site.tunnel()
        small = udp(A.host[4], B.host[4], b"1")
        frame = site.frame("lan", small).ljust(60, b"\xee")

        run = site.run(lan=[frame])

        self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(small))])
        self.assertEqual(run.wan[0].len, 20 + 8 + 8 + 32 + 16)

    def test_ethernet_padding_behind_esp_is_not_taken_for_the_icv(self):
        # NAT-9
        site = Site()
        peer = site.tunnel()
        small = udp(B.host[4], A.host[4], b"1")

        run = site.run(wan=[site.frame("wan", peer.seal(small)) + bytes(n) for n in (0, 1, 7, 46)])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(small))] * 4)

    def test_tfc_padding_is_cut_off(self):
        # ESP-5
        site = Site()
        peer = site.tunnel()
        inner = udp(B.host[4], A.host[4])

        run = site.run(wan=[peer.seal_payload(bytes(inner) + bytes(200), next_header=4)])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(inner))])

    def test_a_dummy_packet_is_dropped_and_its_number_used_up(self):
        # ESP-4
        site = Site()
        peer = site.tunnel()

        run = site.run(wan=[peer.seal_payload(b"cover", 59, seq=1), peer.seal_payload(b"cover", 59, seq=1)])

        self.assertEqual(run.drops, {"in_dummy": 1, "in_replay": 1})

    def test_padding_that_does_not_count_up_is_refused(self):
        # ESP-2, TUN-9, TUN-10: authentic, but not what a sender may make; nor may the next header be of the other version.
        site = Site()
        peer = site.tunnel()
        inner = bytes(udp(B.host[4], A.host[4], b"123"))
        wan = [
            peer.seal_payload(inner, 4, seq=1, padding=(b"\x01\x02\x04\x04\x05\x06\x07", 7)),
            peer.seal_payload(inner, 4, seq=2, padding=(b"\x01\x02\x03", 250)),
            peer.seal_payload(inner, 41, seq=3),
            peer.seal_payload(inner, 17, seq=4),
            peer.seal_payload(inner[:19], 4, seq=5),
            peer.seal_payload(b"", 4, seq=6),
        ]

        run = site.run(wan=wan)

        self.assertEqual(run.lan, [])
        self.assertEqual(run.drops, {"in_sa_proto": 6})
        self.assertEqual(run.sas["t-in"].drops, {"in_sa_proto": 6})

    def test_ports_with_a_vlan_take_and_give_tagged_frames(self):
        site = Site()
        peer = site.tunnel()
        site.conf["ports"]["lan"]["vlan"] = 7
        site.conf["ports"]["wan"]["vlan"] = 4094
        out, back = udp(A.host[4], B.host[4]), udp(B.host[4], A.host[4])

        run = site.run(lan=[out, Ether(dst=site.mac("lan")) / out], wan=[peer.seal(back)])

        self.assertEqual({f[Dot1Q].vlan for f in run.frames["lan"]}, {7})
        self.assertEqual({f[Dot1Q].vlan for f in run.frames["wan"]}, {4094})
        self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(out))])
        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(back))])
        self.assertEqual(run.drops, {"eth_vlan": 1})

    def test_frames_for_other_stations_and_of_other_types_are_dropped(self):
        site = Site()
        site.tunnel()
        packet = udp(A.host[4], B.host[4])

        run = site.run(lan=[Ether(dst="02:00:00:00:09:09") / packet, Ether(dst=site.mac("lan"), type=0x88cc) / b"lldp"])

        self.assertEqual(run.drops, {"eth_not_ours": 1, "eth_type": 1})

    def test_a_site_that_is_reached_by_another_tunnel_gets_what_came_by_the_first(self):
        # SPD-14: hub and spoke; the packet crosses the boundary twice.
        site = Site()
        first = site.tunnel("first", there="10.2.0.0/16", here="0.0.0.0/0")
        second = site.tunnel("second", spi=0x1002, there="10.3.0.0/16", here="0.0.0.0/0", peer_address="203.0.113.1")
        packet = udp("10.2.0.10", "10.3.0.10", b"by way of the hub")

        run = site.run(wan=[first.seal(packet)])

        self.assertEqual([bytes(second.open(p)) for p in run.wan], [bytes(routed(packet))])

    def test_a_policy_for_its_own_tunnels_ends_does_not_go_round(self):
        # SPD-14: it covers the ESP packets that it makes, in both versions, which are not looked up again.
        for outer in (4, 6):
            site = Site()
            peer = site.tunnel(outer=outer, inner=outer, policies=False)
            site.policy("out", "protect", sas=["t-out"])
            packets = [udp(A.host[outer], B.wan[outer]), udp(A.host[outer], A.router[outer])]

            run = site.run(lan=packets)

            self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(p)) for p in packets])
            self.assertEqual(run.drops, {})

    def test_a_tunnel_that_leads_back_to_itself_ends_with_the_ttl(self):
        # SPD-14: each gateway sends what comes out of the tunnel into it again, until the inner TTL is used up.
        sites = Site(A, B), Site(B, A)
        for site in sites:
            site.tunnel(policies=False)
            for way in ("out", "in"):
                site.policy(way, "protect", destination="10.9.0.0/16", sas=[f"t-{way}"])
        packets, hops = [udp(A.host[4], "10.9.0.1", ttl=8)], 0

        run = sites[0].run(lan=packets)
        while run.wan:
            hops += 1
            run = sites[hops % 2].run(wan=run.wan)

        # No policy is there for the ICMP error, which would else answer it.
        self.assertEqual((hops, run.drops), (7, {"ttl_expired": 1, "out_no_policy": 1}))


class Lookup(unittest.TestCase):
    """SAs with one SPI, told apart by the addresses of a packet."""

    SECOND = "192.0.2.77"

    def setUp(self):
        self.site = Site()
        self.site.conf["ports"]["wan"]["addresses"].append(f"{self.SECOND}/24")
        self.peers = {}
        for number, lookup in enumerate(("source", "destination", "spi"), 1):
            self.peers[lookup] = self.site.tunnel(lookup, peer_address=f"198.51.100.{number}",
                there=f"10.{number + 1}.0.0/16")
            self.site.conf["sas"][f"{lookup}-in"]["lookup"] = lookup

    def packet(self, lookup, seq, **outer):
        """From the host behind that peer, with what its tunnel's header says else."""
        inner = udp(f"10.{list(self.peers).index(lookup) + 2}.0.10", A.host[4], b"%d" % seq)
        return inner, self.peers[lookup].seal(inner, seq=seq, **outer)

    def test_a_packet_is_of_the_most_specific_sa_that_it_matches(self):
        # SAL-1
        sent = [self.packet("source", 1), self.packet("destination", 1),
            self.packet("spi", 1, dst=self.SECOND), self.packet("spi", 2, src="203.0.113.9", dst=self.SECOND),
            self.packet("source", 2), self.packet("destination", 2), self.packet("spi", 3, dst=self.SECOND)]

        run = self.site.run(wan=[sealed for _, sealed in sent])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(inner)) for inner, _ in sent])
        self.assertEqual({name: sa.packets for name, sa in run.sas.items() if name.endswith("-in")},
            {"source-in": 2, "destination-in": 2, "spi-in": 3})
        self.assertEqual(run.drops, {})

    def test_where_the_more_specific_sas_are_not_the_next_one_is_found(self):
        # SAL-1: a packet with another SA's key has a wrong ICV there.
        for absent, finder in ((("source",), "destination"), (("source", "destination"), "spi")):
            self.setUp()
            for name in absent:
                self.site.conf["policies"] = [p for p in self.site.conf["policies"]
                    if not p["sas"][0].startswith(name)]
                del self.site.conf["sas"][f"{name}-in"], self.site.conf["sas"][f"{name}-out"]
            _, sealed = self.packet("source", 1, src=f"198.51.100.{2 if finder == 'destination' else 1}")

            run = self.site.run(wan=[sealed])

            self.assertEqual((run.sas[f"{finder}-in"].drops, run.drops), ({"in_icv": 1}, {"in_icv": 1}))
