"""TCP through a tunnel: its MSS is what the tunnel carries."""
import unittest

from scapy.layers.inet import TCP

from culvert import A, B, Site, built, ip, routed

# IP and TCP headers, and what a tunnel by AES-GCM over that outer version leaves of 1500.
HEADERS = {4: 40, 6: 60}
CARRIED = {4: 1446, 6: 1426}


def syn(source, destination, mss, flags="S", before=()):
    options = [*before, ("MSS", mss), ("SAckOK", b""), ("Timestamp", (1, 0))]
    return built(ip(source, destination) / TCP(sport=40000, dport=80, flags=flags, options=options))


def mss_of(packet):
    return dict(packet[TCP].options)["MSS"]


def with_mss(packet, mss):
    """The packet with another MSS, and the checksum that scapy then makes."""
    packet = packet.copy()
    packet[TCP].options = [(name, mss if name == "MSS" else value) for name, value in packet[TCP].options]
    del packet[TCP].chksum
    return built(packet)


class Mss(unittest.TestCase):
    def test_a_syn_into_a_tunnel_is_lowered_to_what_it_carries(self):
        # PMT-6: both inner and outer versions, SYN and SYN-ACK, at even and odd offsets; the rest of the packet stays.
        for outer in (4, 6):
            for inner in (4, 6):
                site = Site()
                peer = site.tunnel(outer=outer, inner=inner)
                packets = [syn(A.host[inner], B.host[inner], 1500 - HEADERS[inner], flags, before)
                    for flags in ("S", "SA") for before in ((), (("NOP", None),))]

                run = site.run(lan=packets)

                expected = [bytes(with_mss(routed(p), CARRIED[outer] - HEADERS[inner])) for p in packets]
                self.assertEqual([bytes(built(peer.open(p))) for p in run.wan], expected)
                if (outer, inner) == (4, 4):
                    self.assertEqual(mss_of(built(peer.open(run.wan[0]))), 1406)

    def test_a_syn_out_of_a_tunnel_is_lowered_to_what_the_way_back_carries(self):
        # PMT-6: the far gateway need not do it.
        for outer in (4, 6):
            for inner in (4, 6):
                site = Site()
                peer = site.tunnel(outer=outer, inner=inner)
                packet = syn(B.host[inner], A.host[inner], 1500 - HEADERS[inner])

                run = site.run(wan=[peer.seal(packet)])

                expected = with_mss(routed(packet), CARRIED[outer] - HEADERS[inner])
                self.assertEqual([bytes(p) for p in run.lan], [bytes(expected)])

    def test_the_way_back_is_what_the_policies_say_of_the_answers(self):
        # PMT-6: the answers to port 80 go by another tunnel, which carries less.
        site = Site()
        peer = site.tunnel(policies=False)
        site.tunnel("narrow", esp="aes256-sha512", spi=0x1002, policies=False)
        site.policy("out", "protect", protocol="tcp", source_port=80, sas=["narrow-out"])
        site.policy("out", "protect", sas=["t-out"])
        site.policy("in", "protect", source=B.net[4], destination=A.net[4], sas=["t-in"])
        packet = syn(B.host[4], A.host[4], 1460)

        run = site.run(wan=[peer.seal(packet)])

        # 1500 less 20 of IP, 8 of ESP, 16 of IV and 32 of ICV, in blocks of 16, less 2.
        self.assertEqual([mss_of(p) for p in run.lan], [1424 // 16 * 16 - 2 - 40])

    def test_an_sa_without_the_clamp_leaves_it_and_so_do_policies_that_bypass(self):
        # PMT-6
        site = Site()
        peer = site.tunnel(mss_clamp=False)
        site.policy("out", "bypass")
        protected, clear = syn(A.host[4], B.host[4], 1460), syn(A.host[4], "203.0.113.9", 1460)
        back = syn(B.host[4], A.host[4], 1460)

        run = site.run(lan=[protected, clear], wan=[peer.seal(back)])

        opened = [peer.open(p) if p.proto == 50 else p for p in run.wan]
        self.assertEqual(sorted(bytes(p) for p in opened), sorted(bytes(routed(p)) for p in (protected, clear)))
        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(back))])
