"""ARP and neighbour discovery on both links. No neighbour is configured here."""
import socket
import unittest

from scapy.layers.inet import UDP
from scapy.layers.inet6 import (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.utils6 import in6_getnsma, in6_getnsmac, in6_ptop

from culvert import A, B, HOST_MAC, PAUSE, Site, routed, udp

STRANGER_MAC = "02:00:00:00:01:66"


def site_without_neighbours():
    site = Site()
    site.conf["neighbours"] = []
    site.policy("out", "bypass")
    site.policy("in", "bypass")
    return site


def who_has(address, sender=A.host[4], mac=HOST_MAC):
    return Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op="who-has", hwsrc=mac, psrc=sender, pdst=address)


def is_at(site, port, address, mac):
    return Ether(src=mac, dst=site.mac(port)) / ARP(op="is-at", hwsrc=mac, psrc=address, hwdst=site.mac(port),
        pdst=site.here.lan[4] if port == "lan" else site.here.wan[4])


def solicitation(address, sender=A.host[6], mac=HOST_MAC, hop_limit=255):
    group = in6_getnsma(socket.inet_pton(socket.AF_INET6, address))
    return (Ether(src=mac, dst=in6_getnsmac(group))
        / IPv6(src=sender, dst=in6_ptop(socket.inet_ntop(socket.AF_INET6, group)), hlim=hop_limit)
        / ICMPv6ND_NS(tgt=address) / ICMPv6NDOptSrcLLAddr(lladdr=mac))


def advertisement(site, port, address, mac):
    own = site.here.lan[6] if port == "lan" else site.here.wan[6]
    return (Ether(src=mac, dst=site.mac(port)) / IPv6(src=address, dst=own, hlim=255)
        / ICMPv6ND_NA(tgt=address, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac))


def arp_requests(frames, address):
    return [f for f in frames if f.haslayer(ARP) and f[ARP].op == 1 and f[ARP].pdst == address]


def solicitations(frames, address):
    return [f for f in frames if f.haslayer(ICMPv6ND_NS) and f[ICMPv6ND_NS].tgt == address]


class Answers(unittest.TestCase):
    def test_arp_for_the_gateways_address_is_answered(self):
        # SPD-12: with no policy at all; and nothing else is answered.
        site = Site()
        site.conf["neighbours"] = []

        run = site.run(lan=[who_has(A.lan[4]), who_has("10.1.0.77"), who_has(A.wan[4])])

        replies = [f for f in run.frames["lan"] if f.haslayer(ARP) and f[ARP].op == 2]
        self.assertEqual(len(replies), 1)
        self.assertEqual((replies[0].dst, replies[0].src), (HOST_MAC, site.mac("lan")))
        self.assertEqual((replies[0][ARP].psrc, replies[0][ARP].hwsrc), (A.lan[4], site.mac("lan")))
        self.assertEqual((replies[0][ARP].pdst, replies[0][ARP].hwdst), (A.host[4], HOST_MAC))

    def test_a_neighbour_solicitation_is_answered(self):
        # SPD-12
        site = Site()
        site.conf["neighbours"] = []

        run = site.run(lan=[solicitation(A.lan[6]), solicitation("fd00:1::77")])

        replies = [f for f in run.frames["lan"] if f.haslayer(ICMPv6ND_NA) and f[ICMPv6ND_NA].S]
        self.assertEqual(len(replies), 1)
        reply = replies[0]
        self.assertEqual((reply.dst, reply[IPv6].dst, reply[IPv6].hlim), (HOST_MAC, A.host[6], 255))
        self.assertEqual((reply[ICMPv6ND_NA].tgt, reply[ICMPv6NDOptDstLLAddr].lladdr), (A.lan[6], site.mac("lan")))

    def test_answers_on_a_vlan_are_tagged(self):
        site = site_without_neighbours()
        site.conf["ports"]["lan"]["vlan"] = 7
        request = who_has(A.lan[4])
        tagged = Ether(src=request.src, dst=request.dst, type=0x8100) / Dot1Q(vlan=7, type=0x0806) / request[ARP]

        run = site.run(lan=[tagged])

        self.assertTrue(all(f.haslayer(Dot1Q) and f[Dot1Q].vlan == 7 for f in run.frames["lan"]))
        self.assertEqual(sum(f.haslayer(ARP) and f[ARP].op == 2 for f in run.frames["lan"]), 1)

    def test_discovery_from_off_the_link_is_dropped(self):
        # RFC 4861 section 7.1: the hop limit proves that no router has forwarded it.
        run = site_without_neighbours().run(lan=[solicitation(A.lan[6], hop_limit=254)])

        self.assertEqual(run.drops, {"nd_bad": 1})


class LinkLocal(unittest.TestCase):
    def test_a_packet_with_a_link_local_address_is_never_forwarded(self):
        # SPD-12: neither in clear nor in a tunnel, whatever the policies say.
        site = Site()
        site.tunnel(inner=6, policies=False)
        site.policy("out", "bypass", destination=B.host[6])
        site.policy("out", "protect", sas=["t-out"])
        site.policy("in", "bypass")
        lan = [udp("fe80::5", B.host[6]), udp("fe80::5", "fd00:2::77"), udp(A.host[6], "fe80::9")]

        run = site.run(lan=lan, wan=[udp("fe80::5", A.host[6])])

        self.assertEqual((run.lan, run.wan, run.drops), ([], [], {"in_link_local": 4}))

    def test_nor_is_one_with_an_ipv4_link_local_address(self):
        # SPD-12, RFC 3927 section 2.7: neither in clear nor into a tunnel nor out of one.
        site = Site()
        peer = site.tunnel(policies=False)
        site.policy("out", "bypass", destination=B.host[4])
        site.policy("out", "protect", sas=["t-out"])
        site.policy("in", "protect", source="169.254.0.0/16", sas=["t-in"])
        site.policy("in", "bypass")
        lan = [udp("169.254.1.5", B.host[4]), udp("169.254.1.5", "10.2.0.77"), udp(A.host[4], "169.254.1.9")]

        run = site.run(lan=lan, wan=[udp("169.254.1.5", A.host[4]), peer.seal(udp("169.254.1.5", A.host[4]))])

        self.assertEqual((run.lan, run.wan, run.drops), ([], [], {"in_link_local": 4, "in_sa_proto": 1}))


class Questions(unittest.TestCase):
    def test_a_packet_waits_until_its_next_hop_has_answered(self):
        site = site_without_neighbours()
        packets = [udp(A.host[v], B.host[v]) for v in (4, 6)]

        run = site.run(lan=packets)

        self.assertEqual((run.wan, run.total["held"]), ([], 2))
        self.assertEqual(len(arp_requests(run.frames["wan"], A.router[4])), 1)
        self.assertEqual(len(solicitations(run.frames["wan"], A.router[6])), 1)

    def test_an_answer_releases_the_packets_that_wait(self):
        # An answer that was not asked for is not believed, so it must not overtake the packets.
        site = site_without_neighbours()
        packets = {v: udp(A.host[v], "10.1.0.20" if v == 4 else "fd00:1::20") for v in (4, 6)}
        answers = [is_at(site, "lan", "10.1.0.20", STRANGER_MAC),
            advertisement(site, "lan", "fd00:1::20", STRANGER_MAC)]
        lan = [*packets.values(), *PAUSE, *answers, *PAUSE, *packets.values()]

        run = site.run(lan=lan)

        self.assertEqual(run.total["held"], 0)
        self.assertCountEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets.values()] * 2)
        frames = [f for f in run.frames["lan"] if f.haslayer(UDP)]
        self.assertEqual({f.dst for f in frames}, {STRANGER_MAC})

    def test_who_asks_for_the_gateway_is_known_by_that(self):
        site = site_without_neighbours()

        run = site.run(lan=[who_has(A.lan[4]), *PAUSE, udp("10.1.0.20", A.host[4])])

        self.assertEqual([f.dst for f in run.frames["lan"] if f.haslayer(UDP)], [HOST_MAC])
        self.assertEqual(arp_requests(run.frames["lan"], A.host[4]), [])

    def test_what_waits_for_one_that_never_answers_is_dropped(self):
        # RFC 4861 section 7.2.2: three questions, a second apart; four packets wait for each, the others are dropped.
        site = site_without_neighbours()

        run = site.run(lan=[udp(A.host[4], B.host[4])] * 6 + [udp(A.host[6], B.host[6])] * 2, idle_seconds=4)

        self.assertEqual(run.wan, [])
        self.assertEqual(sum(run.drops.values()), 8)
        self.assertEqual(run.drops["neigh_unresolved"] + run.drops.get("neigh_full", 0), 8)
        self.assertEqual(len(arp_requests(run.frames["wan"], A.router[4])), 3)
        self.assertEqual(len(solicitations(run.frames["wan"], A.router[6])), 3)

    def test_esp_waits_for_its_router_too(self):
        site = Site()
        site.conf["neighbours"] = []
        site.tunnel()

        run = site.run(lan=[udp(A.host[4], B.host[4])])

        self.assertEqual(run.total["held"], 1)
        self.assertEqual(len(arp_requests(run.frames["wan"], A.router[4])), 1)

    def test_a_configured_neighbour_is_not_replaced_by_what_a_stranger_says(self):
        site = Site()
        site.policy("out", "bypass")
        claim = is_at(site, "lan", A.host[4], STRANGER_MAC)

        run = site.run(lan=[claim, who_has(A.lan[4], mac=STRANGER_MAC), *PAUSE, udp("10.1.0.20", A.host[4])])

        self.assertEqual([f.dst for f in run.frames["lan"] if f.haslayer(UDP)], [HOST_MAC])
