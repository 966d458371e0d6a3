"""What the gateway itself answers: echo, time exceeded, packet too big."""
import unittest

from scapy.layers.inet import ICMP, IP, UDP, IPerror, fragment
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPerror6
from scapy.layers.ipsec import ESP

from culvert import A, B, Site, built, ip, routed, udp

DATA = b"0123456789abcdef" * 3
TIME_EXCEEDED, UNREACHABLE, NEEDS_FRAGMENTATION = 11, 3, 4


def echo(source, destination, **fields):
    kind = ICMP(id=7, seq=1) if ":" not in source else ICMPv6EchoRequest(id=7, seq=1, data=DATA)
    return built(ip(source, destination, **fields) / kind / (DATA if ":" not in source else b""))


def sized(source, destination, size, **fields):
    """A UDP packet of exactly so many bytes."""
    header = 28 if ":" not in source else 48
    return udp(source, destination, bytes(size - header), **fields)


class Echo(unittest.TestCase):
    def check_reply(self, request, reply):
        self.assertEqual((reply.src, reply.dst), (request.dst, request.src))
        self.assertEqual(bytes(reply.payload)[4:], bytes(request.payload)[4:])
        self.assertIn(bytes(reply.payload)[:1], (b"\x00", b"\x81"))
        again = reply.copy()
        if isinstance(reply, IP):
            del again.chksum, again[ICMP].chksum
        else:
            del again[ICMPv6EchoReply].cksum
        self.assertEqual(bytes(built(again)), bytes(reply))

    def test_the_gateway_answers_echo_at_each_of_its_addresses(self):
        site = Site()
        lan = [echo(A.host[v], A.lan[v]) for v in (4, 6)]
        wan = [echo(A.router[v], A.wan[v]) for v in (4, 6)]

        run = site.run(lan=lan, wan=wan)

        for requests, replies in ((lan, run.lan), (wan, run.wan)):
            self.assertEqual(len(replies), 2)
            for request, reply in zip(requests, replies):
                self.check_reply(request, reply)
        self.assertEqual(run.total["consumed"], 4)

    def test_echo_through_the_tunnel_is_answered_through_the_tunnel(self):
        for version in (4, 6):
            site = Site()
            peer = site.tunnel(inner=version)
            request = echo(B.host[version], A.lan[version])

            run = site.run(wan=[peer.seal(request)])

            self.assertEqual([p.haslayer(ESP) for p in run.wan], [1])
            self.check_reply(request, peer.open(run.wan[0]))

    def test_echo_with_a_wrong_checksum_or_of_another_service_is_dropped(self):
        site = Site()
        wrong = echo(A.host[4], A.lan[4])
        wrong[ICMP].chksum ^= 1

        run = site.run(lan=[wrong, udp(A.host[4], A.lan[4]), *fragment(wrong, fragsize=24)])

        self.assertEqual(run.lan, [])
        self.assertEqual(run.drops, {"host_no_service": 1 + 1 + 1})

    def test_a_flood_of_echo_is_answered_at_a_limited_rate(self):
        # ICM-3
        site = Site()

        run = site.run(lan=[echo(A.host[4], A.lan[4])] * 5000)

        self.assertGreater(run.drops["icmp_limit"], 1000)
        self.assertEqual(len(run.lan) + run.drops["icmp_limit"], 5000)


class TimeExceeded(unittest.TestCase):
    def test_a_packet_whose_ttl_ends_here_is_answered(self):
        # TUN-2: before encapsulation, from the address of the port where it came in.
        site = Site()
        site.tunnel("four")
        site.tunnel("six", inner=6, spi=0x1002)
        packets = [udp(A.host[4], B.host[4], ttl=1), udp(A.host[6], B.host[6], hlim=1),
            udp(A.host[4], B.host[4], ttl=0)]

        run = site.run(lan=packets)

        self.assertEqual((run.wan, run.drops), ([], {"ttl_expired": 3}))
        four, six, _ = run.lan
        self.assertEqual((four.src, four.dst), (A.lan[4], A.host[4]))
        self.assertEqual((four[ICMP].type, four[ICMP].code), (TIME_EXCEEDED, 0))
        self.assertEqual(bytes(four[IPerror])[:28], bytes(packets[0])[:28])
        self.assertEqual((six.src, six.dst, six[ICMPv6TimeExceeded].code), (A.lan[6], A.host[6], 0))
        self.assertEqual(bytes(six[IPerror6])[:48], bytes(packets[1])[:48])

    def test_a_packet_out_of_the_tunnel_is_answered_through_the_tunnel(self):
        # TUN-2, TUN-9: from the protected address, so that the answer fits the tunnel's policy.
        for version in (4, 6):
            site = Site()
            peer = site.tunnel(inner=version)
            packet = udp(B.host[version], A.host[version], **{"ttl" if version == 4 else "hlim": 1})

            run = site.run(wan=[peer.seal(packet)])

            answer = peer.open(run.wan[0])
            self.assertEqual((answer.src, answer.dst), (A.lan[version], B.host[version]))
            self.assertEqual(bytes(answer.payload)[0], TIME_EXCEEDED if version == 4 else 3)
            self.assertEqual(run.drops, {"ttl_expired": 1})

    def test_errors_fragments_and_groups_get_no_answer(self):
        # ICM-3
        site = Site()
        site.policy("out", "bypass")
        error = built(ip(A.host[4], B.host[4], ttl=1) / ICMP(type=UNREACHABLE) / IP() / UDP())
        later = built(IP(src=A.host[4], dst=B.host[4], ttl=1, frag=100, proto=17) / b"later fragment")
        group = udp(A.host[4], "224.0.0.5", ttl=1)

        run = site.run(lan=[error, later, group])

        self.assertEqual((run.lan, run.drops), ([], {"ttl_expired": 2, "in_multicast": 1}))

    def test_a_flood_of_packets_that_end_here_is_answered_at_a_limited_rate(self):
        # ICM-3: of both versions; what gets no answer is still counted as what it was.
        site = Site()
        site.policy("out", "bypass")

        run = site.run(lan=[udp(A.host[4], B.host[4], ttl=1), udp(A.host[6], B.host[6], hlim=1)] * 2500)

        self.assertEqual(run.drops, {"ttl_expired": 5000})
        self.assertGreater(len(run.lan), 10)
        self.assertLess(len(run.lan), 4000)


class TooBig(unittest.TestCase):
    # What fits a link of 1500 bytes, by algorithm, for outer IPv4 and IPv6.
    LARGEST = {"aes128gcm16": (1446, 1426), "aes128-sha256": (1438, 1406), "aes256-sha512": (1422, 1390),
        "null-sha256": (1454, 1434), "chacha20poly1305": (1446, 1426)}

    def test_the_largest_packet_that_fits_is_sent_and_one_byte_more_is_answered(self):
        # PMT-1, PMT-2: RFC 1191's next-hop MTU is exact.
        for esp, sizes in self.LARGEST.items():
            for outer, size in zip((4, 6), sizes):
                with self.subTest(f"{esp} over IPv{outer}"):
                    site = Site()
                    peer = site.tunnel(esp=esp, outer=outer)
                    fits = sized(A.host[4], B.host[4], size, flags="DF")
                    too_big = sized(A.host[4], B.host[4], size + 1, flags="DF")

                    run = site.run(lan=[fits, too_big])

                    self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(fits))])
                    self.assertLessEqual(len(run.wan[0]), 1500)
                    answer = run.lan[0]
                    self.assertEqual((answer.src, answer.dst), (A.lan[4], A.host[4]))
                    self.assertEqual((answer[ICMP].type, answer[ICMP].code), (UNREACHABLE, NEEDS_FRAGMENTATION))
                    self.assertEqual(answer[ICMP].nexthopmtu, size)
                    self.assertEqual(run.drops, {"out_mtu": 1})
                    self.assertEqual(run.sas["t-out"].drops, {"out_mtu": 1})

    def test_ipv6_is_told_by_packet_too_big(self):
        # PMT-2, RFC 8201
        site = Site()
        peer = site.tunnel(inner=6)
        fits, too_big = (sized(A.host[6], B.host[6], size) for size in (1446, 1447))

        run = site.run(lan=[fits, too_big])

        self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(fits))])
        self.assertEqual(run.lan[0][ICMPv6PacketTooBig].mtu, 1446)
        self.assertLessEqual(len(run.lan[0]), 1280)

    def test_the_links_mtu_is_told_for_packets_in_clear(self):
        # PMT-2
        site = Site()
        site.conf["ports"]["wan"]["mtu"] = 1400
        site.policy("out", "bypass")
        packets = [sized(A.host[4], B.host[4], size, flags="DF") for size in (1400, 1401)]
        packets += [sized(A.host[6], B.host[6], size) for size in (1400, 1401)]

        run = site.run(lan=packets)

        self.assertEqual([len(p) for p in run.wan], [1400, 1400])
        self.assertEqual([run.lan[0][ICMP].nexthopmtu, run.lan[1][ICMPv6PacketTooBig].mtu], [1400, 1400])

    def test_a_packet_out_of_the_tunnel_that_the_lan_cannot_carry_is_answered_through_the_tunnel(self):
        # PMT-2, TUN-9
        site = Site()
        site.conf["ports"]["lan"]["mtu"] = 1280
        peer = site.tunnel()

        run = site.run(wan=[peer.seal(sized(B.host[4], A.host[4], 1281, flags="DF"))])

        answer = peer.open(run.wan[0])
        self.assertEqual((answer.src, answer.dst), (A.lan[4], B.host[4]))
        self.assertEqual(answer[ICMP].nexthopmtu, 1280)
        self.assertEqual((run.lan, run.drops), ([], {"out_mtu": 1}))

    def test_the_largest_packet_that_was_told_gets_through(self):
        # PMT-1: a host that believes the answer succeeds, all the way to the other site.
        here, there = Site(A, B), Site(B, A)
        for site in (here, there):
            site.tunnel()
        told = here.run(lan=[sized(A.host[4], B.host[4], 1500, flags="DF")]).lan[0][ICMP].nexthopmtu
        packet = sized(A.host[4], B.host[4], told, flags="DF")

        run = there.run(wan=here.run(lan=[packet]).wan)

        # Each Site starts anew, so the packet has the sequence number 1.
        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(packet, 2))])
