"""Fragments: of ESP, to the gateway, under policies with ports; and big packets, cut on the way out."""
import unittest

from scapy.layers.inet import ICMP, IP, defragment, fragment
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment, defragment6

from culvert import A, B, Site, built, ip, routed, udp


def patterned(size):
    return bytes((i ^ i >> 8) & 255 for i in range(size))


def sized(source, destination, size, **fields):
    """A UDP packet of exactly so many bytes."""
    return udp(source, destination, patterned(size - (28 if ":" not in source else 48)), **fields)


def pieces(packet, size, number=7):
    """scapy's fragments of the packet, none longer than `size`."""
    if isinstance(packet, IP):
        return [built(p) for p in fragment(packet, fragsize=(size - 20) // 8 * 8)]
    header = IPv6(bytes(packet)[:40])
    header.remove_payload()
    data, step = bytes(packet)[40:], (size - 48) // 8 * 8
    return [built(IPv6(src=packet.src, dst=packet.dst, hlim=packet.hlim)
        / IPv6ExtHdrFragment(nh=packet.nh, offset=at // 8, m=int(at + step < len(data)), id=number) / data[at:at + step])
        for at in range(0, len(data), step)]


def whole(packets):
    """What a host makes of these fragments, by scapy."""
    if all(isinstance(p, IP) for p in packets):
        return [bytes(built(p)) for p in defragment(packets)]
    return [bytes(built(defragment6(packets)))]


def joined(packets):
    """Each packet of a mixture of whole ones and fragments, as bytes."""
    if isinstance(packets[0], IP):
        return [bytes(built(p)) for p in defragment(packets)]
    parts = [p for p in packets if p.haslayer(IPv6ExtHdrFragment)]
    numbers = dict.fromkeys(p[IPv6ExtHdrFragment].id for p in parts)
    made = [built(defragment6([p for p in parts if p[IPv6ExtHdrFragment].id == number])) for number in numbers]
    return [bytes(p) for p in made + [p for p in packets if not p.haslayer(IPv6ExtHdrFragment)]]


class Esp(unittest.TestCase):
    def test_fragments_of_esp_are_made_whole_before_decryption(self):
        # SAL-5, FRG-6: in any order, more than 8 of them, over both outer versions.
        for outer in (4, 6):
            for size in (1300, 120):
                site = Site()
                peer = site.tunnel(outer=outer)
                packet = sized(B.host[4], A.host[4], 1400)
                parts = pieces(peer.seal(packet), size)

                run = site.run(wan=parts[::-1])

                self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(packet))])
                self.assertEqual(run.drops, {})
                self.assertEqual(run.total["consumed"], len(parts) - 1)
                self.assertGreater(len(parts), 8 if size == 120 else 1)

    def test_a_flood_of_fragments_does_not_stop_a_tunnel(self):
        # FRG-6: neither what is whole, nor what comes in fragments.
        site = Site()
        peer = site.tunnel()
        flood = [built(IP(src=f"203.0.{n % 250}.{n // 250}", dst=A.wan[4], id=n, flags="MF", proto=50) / bytes(64))
            for n in range(4000)]
        packets = [sized(B.host[4], A.host[4], 1000, id=n) for n in range(40)]
        wan = []
        for n, packet in enumerate(packets):
            wan += flood[100 * n:100 * n + 99]
            sealed = peer.seal(packet, seq=n + 1, id=n)
            wan += pieces(sealed, 600) if n % 2 else [sealed]

        run = site.run(wan=wan)

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(p)) for p in packets])
        self.assertEqual(sum(run.drops.values()), 40 * 99)
        self.assertGreater(run.drops["frag_full"], 0)


class Big(unittest.TestCase):
    def test_ipv4_without_df_is_cut_before_encryption(self):
        # PMT-3, ESP-10: two ESP packets, neither a fragment, each no longer than the MTU; the far host makes it whole, no gateway does.
        for outer in (4, 6):
            site = Site()
            peer = site.tunnel(outer=outer)
            packet = sized(A.host[4], B.host[4], 1500, id=99)

            run = site.run(lan=[packet])

            self.assertEqual(len(run.wan), 2)
            self.assertLessEqual(max(map(len, run.wan)), 1500)
            self.assertEqual([p.proto if outer == 4 else p.nh for p in run.wan], [50, 50])
            inner = [built(peer.open(p)) for p in run.wan]
            self.assertEqual(whole(inner), [bytes(routed(packet))])
            self.assertEqual((run.drops, run.lan), ({}, []))

    def test_where_an_sa_says_so_it_is_cut_after_encryption(self):
        # PMT-3, ESP-10: it is the tunnel's packets that are fragments, of both versions, and each is whole inside.
        for outer in (4, 6):
            for df in ("set", "clear") if outer == 4 else (None,):
                site = Site()
                peer = site.tunnel(outer=outer, fragment="after", **({"df": df} if df else {}))
                packets = [sized(A.host[4], B.host[4], size) for size in (1500, 1400, 1499)]
                refused = sized(A.host[4], B.host[4], 1500, flags="DF")

                run = site.run(lan=[*packets, refused])

                self.assertLessEqual(max(map(len, run.wan)), 1500)
                opened = [bytes(peer.open(built(p.__class__(raw)))) for p, raw in zip(run.wan, joined(run.wan))]
                self.assertEqual(sorted(opened), sorted(bytes(routed(p)) for p in packets))
                self.assertEqual([p[ICMP].nexthopmtu for p in run.lan], [1446 if outer == 4 else 1426])
                self.assertEqual(run.drops, {"out_mtu": 1})

    def test_an_ipv6_packet_of_1280_goes_through_a_tunnel_of_less(self):
        # PMT-4, ESP-10: the tunnel's packet is cut after ESP, and the far gateway makes it whole.
        for outer in (4, 6):
            here, there = Site(A, B, mtu=1280), Site(B, A, mtu=1280)
            for site in (here, there):
                site.tunnel(inner=6, outer=outer)
            packet, too_big = sized(A.host[6], B.host[6], 1280), sized(A.host[6], B.host[6], 1281)

            run = here.run(lan=[packet, too_big])

            self.assertEqual(run.lan[0][ICMPv6PacketTooBig].mtu, 1280)
            self.assertEqual(len(run.wan), 2)
            self.assertLessEqual(max(map(len, run.wan)), 1280)
            far = there.run(wan=run.wan)
            self.assertEqual([bytes(p) for p in far.lan], [bytes(routed(packet, 2))])

    def test_a_clear_packet_is_cut_for_its_link(self):
        # PMT-3
        site = Site()
        site.conf["ports"]["wan"]["mtu"] = 1280
        site.policy("out", "bypass")
        packet = sized(A.host[4], B.host[4], 1500, id=3)

        run = site.run(lan=[packet])

        self.assertEqual(len(run.wan), 2)
        self.assertLessEqual(max(map(len, run.wan)), 1280)
        self.assertEqual(whole(run.wan), [bytes(routed(packet))])

    def test_a_long_packet_under_a_policy_with_ports_leaves_as_it_came(self):
        # FRG-3: 8 kB in fragments, matched as a whole, cut again; IPv6 with its source's own ID.
        for version in (4, 6):
            site = Site()
            peer = site.tunnel(inner=version, policies=False)
            site.policy("out", "protect", protocol="udp", destination_port=2000, sas=["t-out"])
            packet = sized(A.host[version], B.host[version], 8000, **({"id": 9} if version == 4 else {}))

            run = site.run(lan=pieces(packet, 1400))

            inner = [built(peer.open(p)) for p in run.wan]
            self.assertLessEqual(max(map(len, inner)), 1446)
            self.assertEqual(whole(inner), [bytes(routed(packet))])
            self.assertEqual(run.drops, {})

    def test_a_long_echo_to_the_gateway_is_answered_in_fragments(self):
        # FRG-6
        site = Site()
        request = built(ip(A.host[4], A.lan[4], id=5) / ICMP(id=7, seq=1) / patterned(9000))

        run = site.run(lan=pieces(request, 1500))

        reply = IP(whole(run.lan)[0])
        self.assertEqual((reply.src, reply.dst, reply[ICMP].type), (A.lan[4], A.host[4], 0))
        self.assertEqual(bytes(reply[ICMP].payload), patterned(9000))

    def test_every_size_around_the_mtu_is_delivered_or_answered(self):
        # PMT-1, PMT-2, PMT-3: no dead zone, to the far site and back into a packet.
        here, there = Site(A, B), Site(B, A)
        for site in (here, there):
            site.tunnel()
            site.tunnel("six", inner=6, spi=0x1002)
        sizes = [*range(28, 40), *range(1420, 1461), *range(1490, 1501)]  # fewer errors than the rate limit
        packets = [sized(A.host[4], B.host[4], size, id=size) for size in sizes]
        packets += [sized(A.host[4], B.host[4], size, id=size, flags="DF") for size in sizes]
        packets += [sized(A.host[6], B.host[6], size) for size in sizes if size >= 48]

        near = here.run(lan=packets)
        far = there.run(wan=near.wan)

        self.assertLessEqual(max(map(len, near.wan)), 1500)
        four = [p for p in far.lan if p.version == 4]
        arrived = sorted(whole(four) + [bytes(p) for p in far.lan if p.version == 6])
        fit = [p for p in packets if len(p) <= 1446 or isinstance(p, IP) and not p.flags.DF]
        self.assertEqual(arrived, sorted(bytes(routed(p, 2)) for p in fit))
        answered = sorted(bytes(p[ICMP].payload)[:28] if p.version == 4 else bytes(p)[48:96] for p in near.lan)
        unfit = [p for p in packets if p not in fit]
        self.assertEqual(len(answered), len(unfit))
        self.assertEqual(answered, sorted(bytes(routed(p))[:28 if p.version == 4 else 48] for p in unfit))
        self.assertEqual(near.drops, {"out_mtu": len(unfit)})


class Jumbo(unittest.TestCase):
    """Links of 9,000 bytes."""

    def test_packets_up_to_the_tunnel_s_mtu_go_both_ways_and_longer_ones_are_answered(self):
        # PMT-1, PMT-2: AEAD and CBC, both versions inside and outside, one byte more does not fit.
        for esp, outer, fits in (("aes128gcm16", 4, 8946), ("aes128gcm16", 6, 8926), ("aes128-sha256", 4, 8926),
                ("aes128-sha256", 6, 8910)):
            for inner in (4, 6):
                site = Site(mtu=9000)
                peer = site.tunnel(esp=esp, outer=outer, inner=inner)
                df = {"flags": "DF"} if inner == 4 else {}
                out = [sized(A.host[inner], B.host[inner], size, **df) for size in (1500, 4000, fits)]
                too_big = sized(A.host[inner], B.host[inner], fits + 1, **df)
                back = [sized(B.host[inner], A.host[inner], size) for size in (1500, 4000, fits)]

                run = site.run(lan=[*out, too_big], wan=[peer.seal(p, seq=n + 1) for n, p in enumerate(back)])

                self.assertEqual([bytes(built(peer.open(p))) for p in run.wan], [bytes(routed(p)) for p in out])
                delivered = [p for p in run.lan if p.src == B.host[inner]]
                self.assertEqual([bytes(p) for p in delivered], [bytes(routed(p)) for p in back])
                (answer,) = [bytes(p) for p in run.lan if p.src == A.lan[inner]]
                self.assertEqual(int.from_bytes(answer[26:28] if inner == 4 else answer[46:48], "big"), fits)
                self.assertEqual(run.drops, {"out_mtu": 1})

    def test_a_jumbo_packet_is_cut_for_a_link_that_takes_less(self):
        # PMT-3: out into a tunnel over 1,500 bytes; and out of one, towards the narrow side.
        here, there = Site(A, B), Site(B, A)
        here.conf["ports"]["lan"]["mtu"] = 9000
        for site in (here, there):
            site.tunnel()
        packet = sized(A.host[4], B.host[4], 9000, id=5)

        near = here.run(lan=[packet])
        far = there.run(wan=near.wan)

        self.assertLessEqual(max(map(len, near.wan)), 1500)
        self.assertEqual(whole(far.lan), [bytes(routed(packet, 2))])
        self.assertEqual((near.drops, far.drops), ({}, {}))
