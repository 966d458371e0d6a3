"""Transport mode, and bundles of SAs: what is sent, and what is required of what comes.

scapy is the far end: each step of a bundle is a Peer of its own.
"""
import unittest

from scapy.layers.inet import ICMP, IP, IPOption_Router_Alert
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, PadN
from scapy.layers.ipsec import ESP
from scapy.packet import Raw

from culvert import A, B, Peer, Site, built, ip, routed, udp


class TransportPeer(Peer):
    """scapy with the same keys, in transport mode."""

    def __init__(self, peer):
        self.__dict__.update(peer.__dict__)
        for name in ("to_culvert", "from_culvert"):
            getattr(self, name).tunnel_header = None


def transport(site, name, outer=4, policies=True, esp="aes128gcm16", **options):
    """SAs in transport mode between the gateways themselves."""
    peer = site.tunnel(name, esp, outer, policies=False, mode="transport", **options)
    if policies:
        site.policy("out", "protect", source=A.wan[outer], destination=B.wan[outer], sas=[f"{name}-out"])
        site.policy("in", "protect", source=B.wan[outer], destination=A.wan[outer], sas=[f"{name}-in"])
    return TransportPeer(peer)


def echo(version, payload, **fields):
    question = ICMP() if version == 4 else ICMPv6EchoRequest()
    return built(ip(B.wan[version], A.wan[version], **fields) / question / Raw(payload))


def bundle(site, inside="aes256-sha256", around="aes128gcm16", **options):
    """A tunnel, and ESP in transport mode around it; the Peers of both."""
    tunnel = site.tunnel("tunnel", inside, policies=False, spi=0x1001, **options)
    shell = transport(site, "shell", policies=False, esp=around, spi=0x1002)
    for direction, source, destination in (("out", A, B), ("in", B, A)):
        site.policy(direction, "protect", source=source.net[4], destination=destination.net[4],
            sas=[f"tunnel-{direction}", f"shell-{direction}"])
    return tunnel, shell


class Transport(unittest.TestCase):
    def test_the_gateway_answers_a_ping_in_transport_mode(self):
        # TUN-10, SPD-4: by every kind of cipher, both versions, each alignment.
        for esp in ("aes128gcm16", "aes256-sha256", "null-sha256"):
            for version in (4, 6):
                site = Site()
                peer = transport(site, "t", version, esp=esp)
                pings = [echo(version, bytes(size)) for size in (0, 1, 2, 3, 50, 51, 52, 53, 1300)]

                run = site.run(wan=[peer.seal(ping) for ping in pings])

                self.assertEqual(run.drops, {})
                answers = [peer.open(packet) for packet in run.wan]
                self.assertEqual(len(answers), len(pings))
                for ping, answer in zip(pings, answers):
                    self.assertEqual((answer.src, answer.dst), (A.wan[version], B.wan[version]))
                    kind = ICMP if version == 4 else ICMPv6EchoReply
                    self.assertEqual(answer[kind].type, 0 if version == 4 else 129)
                    self.assertEqual(len(answer), len(ping))
                self.assertEqual(run.sas["t-out"].packets, len(pings))
                self.assertEqual(run.sas["t-in"].packets, len(pings))

    def test_the_ip_header_is_the_packets_own(self):
        # TUN-10: its DSCP is the answer's, and what comes with options is taken all the same.
        site = Site()
        peer = transport(site, "t")
        options = [IPOption_Router_Alert()]

        run = site.run(wan=[peer.seal(echo(4, b"x" * 40, tos=0xb8)), peer.seal(echo(4, b"x", options=options))])

        self.assertEqual(run.drops, {})
        self.assertEqual([packet.proto for packet in run.wan], [50, 50])
        self.assertEqual(run.wan[0].tos, 0xb8)
        self.assertEqual([len(peer.open(packet)) for packet in run.wan], [68, 29])

    def test_esp_is_found_behind_extension_headers(self):
        site = Site()
        peer = transport(site, "t", 6)
        ping = built(IPv6(src=B.wan[6], dst=A.wan[6]) / ICMPv6EchoRequest(data=b"x" * 20))
        sealed = peer.seal(ping)
        wrapped = built(IPv6(src=B.wan[6], dst=A.wan[6]) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)], nh=50)
            / Raw(bytes(sealed[ESP])))

        run = site.run(wan=[wrapped])

        self.assertEqual(run.drops, {})
        self.assertEqual(peer.open(run.wan[0])[ICMPv6EchoReply].data, b"x" * 20)

    def test_a_ping_in_clear_is_refused(self):
        # SPD-4
        site = Site()
        transport(site, "t")

        run = site.run(wan=[echo(4, b"clear")])

        self.assertEqual((run.drops, run.wan), ({"in_tmpl_mismatch": 1}, []))

    def test_the_inner_packet_of_a_transport_sa_cannot_have_other_ends(self):
        # TUN-10, SPD-5: what says to be for somebody else would be a tunnel in disguise.
        site = Site()
        site.tunnel("other", spi=0x1005)
        peer = transport(site, "t")
        sealed = peer.seal(udp(B.wan[4], A.wan[4]))
        sealed.src = B.router[4]
        del sealed.chksum

        run = site.run(wan=[built(sealed)])

        self.assertEqual(run.drops, {"in_endpoint": 1})

    def test_a_transport_sa_for_forwarded_traffic_is_refused(self):
        # TUN-10
        site = Site()
        transport(site, "t", policies=False)
        site.policy("out", "protect", source=A.net[4], destination=B.net[4], sas=["t-out"])

        daemon = site.start()

        self.assertEqual(daemon.wait(), 1)
        self.assertIn("policies[0].sas[0]: 't-out' is in transport mode", daemon.stderr())


class Bundles(unittest.TestCase):
    def test_both_sas_are_applied_the_inner_one_first(self):
        # SPD-14
        site = Site()
        tunnel, shell = bundle(site)
        packets = [udp(A.host[4], B.host[4], b"x" * size) for size in range(1, 200)]

        run = site.run(lan=packets)

        self.assertEqual(run.drops, {})
        self.assertEqual({packet[ESP].spi for packet in run.wan}, {0x1002})
        inside = [built(shell.open(packet)) for packet in run.wan]
        self.assertEqual({packet[ESP].spi for packet in inside}, {0x1001})
        self.assertEqual([bytes(tunnel.open(packet)) for packet in inside], [bytes(routed(p)) for p in packets])
        self.assertEqual([run.sas[name].packets for name in ("tunnel-out", "shell-out")], [199, 199])

    def test_both_are_required_in_their_order(self):
        # SPD-4, SPD-5: nothing gets in that skipped a step, or took them in another order.
        site = Site()
        tunnel, shell = bundle(site)
        packet = udp(B.host[4], A.host[4])
        good = shell.seal(tunnel.seal(packet, seq=1), seq=1)
        without_shell = tunnel.seal(packet, seq=2)
        without_tunnel = shell.seal(udp(B.wan[4], A.wan[4]), seq=2)
        shell_twice = shell.seal(shell.seal(tunnel.seal(packet, seq=3), seq=3), seq=4)

        run = site.run(wan=[good, without_shell, without_tunnel, shell_twice])

        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(packet))])
        self.assertEqual(run.drops, {"in_bundle": 2, "in_selector": 1})
        self.assertEqual(run.sas["tunnel-in"].drops, {"in_bundle": 1})
        self.assertEqual(run.sas["shell-in"].drops, {"in_bundle": 1, "in_selector": 1})

    def test_the_mtu_of_a_bundle_is_exact(self):
        # PMT-1, PMT-2
        site = Site()
        tunnel, shell = bundle(site)
        packets = [udp(A.host[4], B.host[4], b"x" * size, flags="DF") for size in range(1330, 1440)]

        run = site.run(lan=packets)

        lengths = [len(packet) for packet in run.wan]
        self.assertLessEqual(max(lengths), 1500)
        told = {packet[ICMP].nexthopmtu for packet in run.lan}
        self.assertEqual(len(told), 1)
        mtu = told.pop()
        opened = [tunnel.open(built(shell.open(packet))) for packet in run.wan]
        self.assertEqual(max(map(len, opened)), mtu)
        # One more block would be one too many.
        self.assertGreater(max(lengths) + 16, 1500)

    def test_a_tunnel_around_a_tunnel_goes_to_the_outer_ones_end(self):
        # SPD-14, TUN-1: over IPv6, to another gateway than the inner tunnel's.
        site = Site()
        tunnel = site.tunnel("tunnel", policies=False, spi=0x1001)
        outer = site.tunnel("outer", policies=False, outer=6, spi=0x1002)
        site.policy("out", "protect", source=A.net[4], destination=B.net[4], sas=["tunnel-out", "outer-out"])
        site.policy("in", "protect", source=B.net[4], destination=A.net[4], sas=["tunnel-in", "outer-in"])
        packet, answer = udp(A.host[4], B.host[4]), udp(B.host[4], A.host[4])

        run = site.run(lan=[packet], wan=[outer.seal(tunnel.seal(answer)), tunnel.seal(answer, seq=9)])

        self.assertEqual([packet.dst for packet in run.wan], [B.wan[6]])
        self.assertEqual(bytes(tunnel.open(built(outer.open(run.wan[0])))), bytes(routed(packet)))
        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(answer))])
        self.assertEqual(run.drops, {"in_bundle": 1})

    def test_a_tunnel_that_a_policy_lets_into_another_ends_here_too(self):
        # SPD-14: no bundle, but two tunnels of different hosts, one inside the other.
        site = Site()
        inner = site.tunnel("inner", spi=0x1001)
        outer = site.tunnel("outer", spi=0x1003, policies=False, peer_address="203.0.113.1")
        site.policy("in", "protect", source=B.wan[4], destination=A.wan[4], protocol="esp", sas=["outer-in"])
        packet = udp(B.host[4], A.host[4])

        run = site.run(wan=[outer.seal(inner.seal(packet)), inner.seal(packet, seq=2)])

        # What came without the outer tunnel is for the inner one's SA, and no policy forbids ESP to the gateway.
        self.assertEqual([bytes(p) for p in run.lan], [bytes(routed(packet))] * 2)
        self.assertEqual(run.drops, {})

    def test_bundles_that_can_not_be_are_refused(self):
        cases = {
            "in another bundle elsewhere": lambda site: site.policy("out", "protect", source=A.lan[4],
                destination=B.host[4], sas=["tunnel-out"]),
            "in the bundle twice": lambda site: site.policy("out", "protect", source=A.lan[4],
                destination=B.host[4], sas=["tunnel-out", "tunnel-out"]),
            "has other ends than the SA inside it": lambda site: (site.tunnel("far", spi=0x1010, policies=False,
                peer_address="203.0.113.1"), site.policy("out", "protect", sas=["far-out", "shell-out"])),
        }
        for text, spoil in cases.items():
            site = Site()
            bundle(site)
            spoil(site)

            daemon = site.start()

            self.assertEqual(daemon.wait(), 1)
            self.assertIn(text, daemon.stderr())
