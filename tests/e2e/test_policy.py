"""Which packets may pass, in clear or by a tunnel, and which may not."""
import itertools
import unittest

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6ExtHdrFragment
from scapy.layers.ipsec import ESP
from scapy.packet import Raw

from culvert import A, B, Site, built, ip, routed, udp, version_of

OUTSIDE = {4: "203.0.113.9", 6: "2001:db8:f::9"}


def payloads(packets):
    return [packet[UDP].payload.load for packet in packets]


class Actions(unittest.TestCase):
    def test_each_packet_gets_the_action_of_its_policy(self):
        # SPD-1: both directions, both versions.
        for version in (4, 6):
            site = Site()
            site.policy("out", "discard", protocol="udp", destination_port=23)
            site.policy("in", "discard", protocol="udp", destination_port=23)
            site.policy("out", "bypass", protocol="udp", destination_port=53)
            site.policy("in", "bypass", protocol="udp", source_port=53)
            peer = site.tunnel(inner=version)
            query, answer = (udp(A.host[version], OUTSIDE[version], b"query", dport=53),
                udp(OUTSIDE[version], A.host[version], b"answer", sport=53))
            out, back = (udp(A.host[version], B.host[version], b"out"), udp(B.host[version], A.host[version], b"back"))

            run = site.run(
                lan=[query, out, udp(A.host[version], B.host[version], dport=23)],
                wan=[answer, peer.seal(back), udp(OUTSIDE[version], A.host[version], dport=23)])

            clear = [packet for packet in run.wan if not packet.haslayer(ESP)]
            self.assertEqual([bytes(packet) for packet in clear], [bytes(routed(query))])
            self.assertEqual([bytes(peer.open(p)) for p in run.wan if p.haslayer(ESP)], [bytes(routed(out))])
            self.assertEqual({bytes(packet) for packet in run.lan}, {bytes(routed(answer)), bytes(routed(back))})
            self.assertEqual(run.drops, {"out_policy_block": 1, "in_policy_block": 1})

    def test_the_first_policy_that_matches_wins(self):
        # SPD-2: the same overlapping policies in every order give three different answers.
        selector = {"source": A.net[4], "destination": OUTSIDE[4]}
        policies = {"bypass": {}, "discard": {}, "protect": {"sas": ["t-out"]}}
        for first in policies:
            site = Site()
            site.tunnel(policies=False)
            for action in [first, *(other for other in policies if other != first)]:
                site.policy("out", action, **selector, **policies[action])

            run = site.run(lan=[udp(A.host[4], OUTSIDE[4])])

            seen = ["discard"] if run.drops else ["protect" if p.haslayer(ESP) else "bypass" for p in run.wan]
            self.assertEqual(seen, [first])

    def test_what_no_policy_matches_is_dropped(self):
        # SPD-3: no policies at all; both ways, both versions.
        site = Site()

        run = site.run(lan=[udp(A.host[version], OUTSIDE[version]) for version in (4, 6)],
            wan=[udp(OUTSIDE[version], A.host[version]) for version in (4, 6)])

        self.assertEqual(run.drops, {"out_no_policy": 2, "in_no_policy": 2})
        self.assertEqual((run.lan, run.wan), ([], []))

    def test_a_destination_without_a_route_is_dropped(self):
        site = Site()
        site.conf["routes"] = []
        site.policy("out", "bypass")

        run = site.run(lan=[udp(A.host[4], OUTSIDE[4])])

        self.assertEqual(run.drops, {"no_route": 1})


class Changes(unittest.TestCase):
    """Lists of policies that overlap, and that change from one run of the gateway to the next. Each is held against the
    packets that came out and every counter."""

    ACTIONS = ("bypass", "discard", "protect")
    NARROW = {4: "203.0.113.0/28", 6: "2001:db8:f::/64"}
    WIDE = {4: "203.0.113.0/24", 6: "2001:db8:f::/48"}

    @staticmethod
    def site():
        site = Site()
        return site, site.tunnel(policies=False)

    @staticmethod
    def add(site, direction, action, **selector):
        site.policy(direction, action, **selector, **({"sas": [f"t-{direction}"]} if action == "protect" else {}))

    def check_out(self, site, peer, lan, actions):
        """Each packet met the action; so many came out, and so many are in each counter."""
        run = site.run(lan=lan)

        clear, protected = ([bytes(routed(p)) for p, found in zip(lan, actions) if found == wanted]
            for wanted in ("bypass", "protect"))
        self.assertEqual([bytes(p) for p in run.wan if not p.haslayer(ESP)], clear)
        self.assertEqual([bytes(peer.open(p)) for p in run.wan if p.haslayer(ESP)], protected)
        self.check_counters(run, actions, "out")
        self.assertEqual((run.sas["t-out"].packets, run.sas["t-out"].bytes), (len(protected), sum(map(len, protected))))

    def check_counters(self, run, actions, direction):
        drops = {f"{direction}_policy_block": actions.count("discard"), f"{direction}_no_policy": actions.count(None)}
        self.assertEqual(run.drops, {name: n for name, n in drops.items() if n})
        # What the gateway says to its links by itself is sent besides.
        self.assertEqual(run.total["sent"] - run.total["generated"], len(actions) - sum(drops.values()))

    @staticmethod
    def ranges(number):
        """A narrow range and a wide one around it of each version, and what to send to one and to the other: of their own for
        each number, so that many cases share a list and a run."""
        return ([f"203.0.{number}.0/28", f"2001:db8:f{number:02x}::/64"], [f"203.0.{number}.0/24", f"2001:db8:f{number:02x}::/48"],
            [udp(A.host[version_of(to)], to, b"x") for to in (f"203.0.{number}.9", f"203.0.{number}.200",
                f"2001:db8:f{number:02x}::9", f"2001:db8:f{number:02x}:1::9")])

    def test_of_two_that_overlap_the_first_has_what_both_match(self):
        # SPD-1, SPD-2: every pair of actions, the narrow one first and last.
        site, peer = self.site()
        lan, met = [], []
        for number, (narrow, wide, narrow_first) in enumerate(itertools.product(self.ACTIONS, self.ACTIONS, (True, False))):
            inside, around, packets = self.ranges(number)
            pair = [(narrow, inside), (wide, around)]
            for action, ranges in pair if narrow_first else pair[::-1]:
                self.add(site, "out", action, destination=ranges)
            lan += packets
            met += [narrow if narrow_first else wide, wide] * 2

        self.check_out(site, peer, lan, met)

    def test_a_policy_is_for_its_range_and_no_address_beside_it(self):
        # SPD-1, SPD-6: a range with each action inside a wider range of another one, at its edges.
        edges = (["203.0.113.4", "203.0.113.5", "203.0.113.9", "203.0.113.10"],
            ["2001:db8:f::4", "2001:db8:f::5", "2001:db8:f::1:9", "2001:db8:f::1:a"])
        lan = [udp(A.host[6 if ":" in to else 4], to) for places in edges for to in places]
        for n, action in enumerate(self.ACTIONS):
            around = self.ACTIONS[n - 1]
            site, peer = self.site()
            self.add(site, "out", action, destination=[f"{first}-{last}" for _, first, last, _ in edges])
            self.add(site, "out", around, destination=list(self.WIDE.values()))

            self.check_out(site, peer, lan, [around, action, action, around] * 2)

    def test_a_policy_that_is_taken_away_and_comes_back_counts_again(self):
        # SPD-1, SPD-3: three runs; without it, the packets are of the next policy, or of none.
        cases = [(action, behind) for n, action in enumerate(self.ACTIONS) for behind in (None, self.ACTIONS[n - 1])]
        for there in (True, False, True):
            site, peer = self.site()
            lan, met = [], []
            for number, (action, behind) in enumerate(cases):
                inside, around, packets = self.ranges(number)
                if there:
                    self.add(site, "out", action, destination=inside)
                if behind:
                    self.add(site, "out", behind, destination=around)
                lan += packets
                met += [action if there else behind, behind] * 2

            self.check_out(site, peer, lan, met)

    def test_inbound_the_order_decides_in_the_same_way(self):
        # SPD-1, SPD-2, SPD-4, SPD-5: in clear and by the tunnel; what a policy protects comes by its SA alone, and what
        # it does not, never does.
        fate = {"bypass": ("let in", "in_selector"), "discard": ("in_policy_block", "in_selector"),
            "protect": ("in_tmpl_mismatch", "let in")}
        clear, tunnelled = ([udp(OUTSIDE[version], A.host[version], way) for version in (4, 6)]
            for way in (b"clear", b"tunnelled"))
        for first in self.ACTIONS:
            site, peer = self.site()
            for action in (first, *(other for other in self.ACTIONS if other != first)):
                self.add(site, "in", action, source=list((self.NARROW if action == first else self.WIDE).values()))

            run = site.run(wan=[*clear, *map(peer.seal, tunnelled)])

            let_in = [p for packets, end in zip((clear, tunnelled), fate[first]) if end == "let in" for p in packets]
            self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in let_in])
            self.assertEqual(run.drops, {end: 2 for end in fate[first] if end != "let in"})
            self.assertEqual(run.sas["t-in"].packets, 2)


class WithoutSa(unittest.TestCase):
    """Policies that protect, by an SA that is not there."""

    def test_the_packet_is_dropped_and_the_log_says_once_which_sa_it_wants(self):
        # SPD-10: one line a policy, with the selectors of the packet that was first.
        for version in (4, 6):
            site = Site()
            site.policy("out", "protect", protocol="udp", sas=[])
            site.policy("out", "protect", sas=[])
            lan = [udp(A.host[version], B.host[version], sport=5000 + n, dport=53) for n in range(50)]
            other = built(ip(A.host[version], B.host[version], proto=47) / b"gre" if version == 4
                else ip(A.host[version], B.host[version], nh=47) / b"gre")

            run = site.run(lan=[*lan, other])

            addresses = f"source={A.host[version]} destination={B.host[version]}"
            lines = [line for line in run.stderr.splitlines() if " msg=acquire " in line]
            self.assertEqual(len(lines), 2, run.stderr)
            self.assertIn(f"acquire policy=p0 {addresses} protocol=17 source_port=5000 destination_port=53 suppressed=0",
                lines[0])
            self.assertIn(f"acquire policy=p1 {addresses} protocol=47 suppressed=0", lines[1])
            self.assertEqual(run.drops, {"out_no_sa": 51})
            self.assertEqual((run.lan, run.wan), ([], []))

    def test_the_sender_is_told_if_the_policy_says_so(self):
        # SPD-10: administratively prohibited, with the packet; no error about an error.
        for version, (kind, code) in ((4, (3, 13)), (6, (1, 1))):
            site = Site()
            site.policy("out", "protect", sas=[], tell_sender=True)
            packet = udp(A.host[version], B.host[version], b"wanted")
            error = (built(IP(src=A.host[4], dst=B.host[4]) / ICMP(type=3, code=1) / bytes(28)) if version == 4
                else built(ip(A.host[6], B.host[6]) / ICMPv6DestUnreach() / bytes(48)))

            run = site.run(lan=[packet, error])

            self.assertEqual(len(run.lan), 1)
            header = 20 if version == 4 else 40
            answer = bytes(run.lan[0])
            self.assertEqual((run.lan[0].src, run.lan[0].dst), (A.lan[version], A.host[version]))
            self.assertEqual((answer[header], answer[header + 1]), (kind, code))
            self.assertEqual(answer[header + 8:], bytes(packet))
            self.assertEqual(run.drops, {"out_no_sa": 2})

    def test_a_packet_in_clear_that_such_a_policy_protects_is_not_let_in(self):
        # SPD-4, SPD-10
        for version in (4, 6):
            site = Site()
            site.policy("in", "protect", sas=[])

            run = site.run(wan=[udp(B.host[version], A.host[version])])

            self.assertEqual(run.drops, {"in_tmpl_mismatch": 1})
            self.assertEqual(run.lan, [])


class TheBoundary(unittest.TestCase):
    def test_a_packet_in_clear_that_should_be_protected_is_dropped(self):
        # SPD-4, the most important one: what a tunnel should bring must not come without it.
        for version in (4, 6):
            site = Site()
            site.tunnel(inner=version)

            run = site.run(wan=[udp(B.host[version], A.host[version])])

            self.assertEqual(run.drops, {"in_tmpl_mismatch": 1})
            self.assertEqual(run.lan, [])

    def test_a_packet_in_clear_to_the_gateway_is_dropped_where_protection_is_demanded(self):
        # SPD-4
        site = Site()
        site.tunnel()

        run = site.run(wan=[built(ip(B.host[4], A.lan[4]) / ICMP() / b"ping")])

        self.assertEqual(run.drops, {"in_tmpl_mismatch": 1})

    def test_an_inner_packet_outside_its_sas_selectors_is_dropped(self):
        # SPD-5: authentic, but the far site may not speak for these addresses; the number is used up.
        site = Site()
        peer = site.tunnel()
        site.tunnel("other", spi=0x1002, there="10.3.0.0/16", peer_address="203.0.113.1")
        wan = [
            peer.seal(udp("10.3.0.10", A.host[4]), seq=1),   # is another SA's
            peer.seal(udp(OUTSIDE[4], A.host[4]), seq=2),    # is nobody's
            peer.seal(udp(B.host[4], OUTSIDE[4]), seq=3),    # goes somewhere else
            peer.seal(udp(B.host[6], A.host[6]), seq=4),     # is of the other version
            peer.seal(udp(B.host[4], A.host[4]), seq=1),     # has a number that was accepted
            peer.seal(udp(B.host[4], A.host[4]), seq=5),
        ]

        run = site.run(wan=wan)

        self.assertEqual(len(run.lan), 1)
        self.assertEqual(run.drops, {"in_selector": 4, "in_replay": 1})
        self.assertEqual(run.sas["t-in"].drops, {"in_selector": 4, "in_replay": 1})

    def test_a_bypass_policy_does_not_open_the_tunnel_to_its_packets(self):
        # SPD-5: what may come in clear may not come out of an SA that is not meant for it.
        site = Site()
        site.policy("in", "bypass", source=OUTSIDE[4])
        peer = site.tunnel()

        run = site.run(wan=[peer.seal(udp(OUTSIDE[4], A.host[4]))])

        self.assertEqual(run.drops, {"in_selector": 1})

    def test_esp_to_a_host_behind_the_gateway_is_a_packet_like_any_other(self):
        site = Site()
        site.tunnel()
        site.policy("in", "bypass", protocol="esp", destination=A.host[4])
        through = built(ip(OUTSIDE[4], A.host[4]) / ESP(spi=0x2001, seq=1, data=bytes(40)))

        run = site.run(wan=[through])

        self.assertEqual([bytes(packet) for packet in run.lan], [bytes(routed(through))])


class Selectors(unittest.TestCase):
    def test_a_range_of_addresses_need_not_be_a_prefix(self):
        # SPD-6: both edges, and one beyond each.
        site = Site()
        site.policy("out", "bypass", destination="203.0.113.5-203.0.113.9")
        site.policy("out", "bypass", destination="2001:db8:f::5-2001:db8:f::1:9")
        inside = ["203.0.113.5", "203.0.113.9", "2001:db8:f::5", "2001:db8:f::1:9"]
        beyond = ["203.0.113.4", "203.0.113.10", "2001:db8:f::4", "2001:db8:f::1:a"]

        run = site.run(lan=[udp(A.host[6 if ":" in to else 4], to) for to in inside + beyond])

        self.assertEqual({packet.dst for packet in run.wan}, set(inside))
        self.assertEqual(run.drops, {"out_no_policy": len(beyond)})

    def test_a_range_of_ports_includes_its_ends(self):
        # SPD-6
        site = Site()
        site.policy("out", "bypass", protocol="udp", source_port="1000-1009", destination_port="53-443")
        pairs = [(1000, 53), (1009, 443), (999, 53), (1010, 53), (1000, 52), (1000, 444)]

        run = site.run(lan=[udp(A.host[4], OUTSIDE[4], sport=sport, dport=dport) for sport, dport in pairs]
            + [built(ip(A.host[4], OUTSIDE[4]) / TCP(sport=1000, dport=53))])

        self.assertEqual([(p[UDP].sport, p[UDP].dport) for p in run.wan], pairs[:2])
        self.assertEqual(run.drops, {"out_no_policy": 5})

    def test_icmp_type_and_code_select_packets(self):
        # SPD-6
        site = Site()
        site.policy("out", "bypass", protocol="icmp", icmp_type=3, icmp_code="1-3")
        site.policy("out", "bypass", protocol="icmpv6", icmp_type=128)
        good = [built(ip(A.host[4], OUTSIDE[4]) / ICMP(type=3, code=code)) for code in (1, 3)]
        good.append(built(ip(A.host[6], OUTSIDE[6]) / ICMPv6EchoRequest()))
        bad = [built(ip(A.host[4], OUTSIDE[4]) / ICMP(type=kind, code=code)) for kind, code in ((3, 0), (3, 4), (8, 1))]
        bad.append(built(ip(A.host[6], OUTSIDE[6]) / ICMPv6EchoReply()))

        run = site.run(lan=good + bad)

        self.assertEqual([bytes(packet) for packet in run.wan], [bytes(routed(packet)) for packet in good])
        self.assertEqual(run.drops, {"out_no_policy": len(bad)})

    def test_the_type_of_a_mobility_header_selects_packets(self):
        # SPD-6: both edges of a range, and one beyond each.
        site = Site()
        site.policy("out", "bypass", protocol="mobility", mobility_type="5-6")
        headers = [built(ip(A.host[6], OUTSIDE[6], nh=135) / Raw(bytes([59, 0, kind, 0, 0, 0, 0, 0])))
            for kind in (4, 5, 6, 7)]

        run = site.run(lan=headers)

        self.assertEqual([bytes(packet) for packet in run.wan], [bytes(routed(packet)) for packet in headers[1:3]])
        self.assertEqual(run.drops, {"out_no_policy": 2})

    def test_what_can_not_be_seen_has_a_policy_of_its_own(self):
        # SPD-6, FRG-2: fragments with ports by one tunnel, those without by another, and none waits for the rest.
        site = Site()
        peers = {name: site.tunnel(name, spi=spi, policies=False, peer_address=address) for name, spi, address in (
            ("seen", 0x1001, "198.51.100.1"), ("opaque", 0x1002, "198.51.100.2"))}
        site.policy("out", "protect", protocol="udp", source_port=1000, sas=["seen-out"])
        site.policy("out", "protect", protocol="udp", source_port="opaque", sas=["opaque-out"])
        site.policy("out", "protect", protocol="opaque", sas=["opaque-out"])
        first, *later = [built(p) for p in fragment(udp(A.host[4], B.host[4], bytes(range(256)) * 8), fragsize=1000)]
        options = built(ip(A.host[6], B.host[6]) / IPv6ExtHdrFragment(nh=60, offset=2, m=0, id=7) / Raw(bytes(16)))
        other_port = udp(A.host[4], B.host[4], sport=1001)

        run = site.run(lan=[first, *later, options, other_port])

        by = {name: [bytes(peer.open(p)) for p in run.wan if p.dst == peer.from_culvert.tunnel_header.dst]
            for name, peer in peers.items()}
        self.assertEqual(by, {"seen": [bytes(routed(first))],
            "opaque": [bytes(routed(p)) for p in (*later, options)]})
        self.assertEqual(run.drops, {"out_no_policy": 1})

    def test_a_later_fragment_alone_passes_no_policy_with_ports(self):
        # SPD-8, FRG-4: its ports can't be seen, and are not 0 either; so it waits for the first one.
        site = Site()
        site.policy("out", "bypass", protocol="udp", destination_port="0-53")
        four = fragment(udp(A.host[4], OUTSIDE[4], bytes(64), dport=53), fragsize=32)
        six = [built(ip(A.host[6], OUTSIDE[6]) / IPv6ExtHdrFragment(nh=17, offset=offset, m=1, id=7)
            / Raw(bytes(UDP(dport=53, len=100)) + bytes(8))) for offset in (0, 2)]

        run = site.run(lan=[*four[1:], six[1]])

        self.assertEqual(run.wan, [])
        self.assertEqual(run.drops, {"shutdown": len(four)})

    def test_fragments_pass_a_policy_with_ports_when_they_are_whole(self):
        # FRG-3, FRG-4: also where the last one comes first; what no policy lets out stays in.
        site = Site()
        site.policy("out", "bypass", protocol="udp", destination_port=53)
        out = udp(A.host[4], OUTSIDE[4], bytes(64), dport=53, id=5)
        stays = udp(A.host[4], OUTSIDE[4], bytes(64), dport=54, id=6)

        run = site.run(lan=[*reversed(fragment(out, fragsize=32)), *fragment(stays, fragsize=32)])

        self.assertEqual([bytes(packet) for packet in run.wan], [bytes(routed(out))])
        self.assertEqual(run.drops, {"out_no_policy": 1})

    def test_all_fragments_pass_where_ports_are_any(self):
        # FRG-1: by the tunnel, and they are whole again at the other end.
        site = Site()
        peer = site.tunnel()
        fragments = fragment(udp(A.host[4], B.host[4], bytes(range(256)) * 8, id=99), fragsize=1000)

        run = site.run(lan=fragments)

        self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(built(p))) for p in fragments])
        self.assertEqual(len(fragments), 3)

    def test_one_policy_may_name_both_versions(self):
        # SPD-6: lists of prefixes; TUN-1: one SA carries both, each way.
        site = Site()
        peer = site.tunnel(policies=False)
        site.policy("out", "protect", source=[A.net[4], A.net[6]], destination=[B.net[6], B.net[4]], sas=["t-out"])
        site.policy("in", "protect", source=[B.net[4], B.net[6]], destination=[A.net[6], A.net[4]], sas=["t-in"])
        packets = [udp(A.host[version], B.host[version]) for version in (4, 6)]
        answers = [udp(B.host[version], A.host[version]) for version in (4, 6)]

        run = site.run(lan=packets, wan=[peer.seal(answer) for answer in answers])

        self.assertEqual([bytes(packet) for packet in run.lan], [bytes(routed(answer)) for answer in answers])
        self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(packet)) for packet in packets])

    def test_martian_and_group_addresses_are_dropped_before_any_policy(self):
        site = Site()
        site.policy("out", "bypass")
        site.policy("in", "bypass")
        lan = [udp("127.0.0.1", OUTSIDE[4]), udp(A.host[4], "127.0.0.1"), udp("224.0.0.1", OUTSIDE[4]),
            udp("::1", OUTSIDE[6]), udp("ff02::1", OUTSIDE[6]), udp("0.0.0.0", OUTSIDE[4])]
        groups = [udp(A.host[4], "224.0.0.5"), udp(A.host[4], "255.255.255.255"), udp(A.host[6], "ff0e::1")]

        run = site.run(lan=lan + groups)

        self.assertEqual(run.drops, {"in_martian": len(lan), "in_multicast": len(groups)})
