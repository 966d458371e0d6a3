"""The authentication header: scapy checks what culvert signs, and culvert what scapy signs.

scapy 2.5 takes what is behind AH in a tunnel for bytes of no kind, and signs a packet that has ESP anywhere as ESP:
AhPeer corrects both. It has no XCBC.
"""
import contextlib
import itertools
import unittest

from scapy.layers.inet import ICMP, IP, IPOption_RR, IPOption_Router_Alert
from scapy.layers.inet6 import (HBHOptUnknown, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6,
    IPv6ExtHdrHopByHop)
from scapy.layers.ipsec import AH, ESP, SecurityAssociation
from scapy.packet import Raw, bind_layers, split_layers

from culvert import A, B, PAUSE, WAY, Site, built, ip, key_bytes, routed, udp, version_of

# culvert's name: scapy's, bytes of the key.
AUTHS = {
    "sha1": ("HMAC-SHA1-96", 20),
    "sha256": ("SHA2-256-128", 32),
    "sha256_96": ("SHA2-256-96", 32),
    "sha384": ("SHA2-384-192", 48),
    "sha512": ("SHA2-512-256", 64),
    "aescmac": ("AES-CMAC-96", 16),
}
if WAY == "cryptodev":
    del AUTHS["aescmac"]  # no cryptodev does it synchronously
AH_BYTES = {("sha256", 4): 28, ("sha256", 6): 32}
SIZES = (0, 1, 2, 3, 50, 51, 700, 1300)
ESN_TOP = 0xffffffff
MODES = ("tunnel", "transport")


class AhPeer:
    """The far end of SAs with AH."""

    def __init__(self, auth, ours, theirs, spis, keys, mode="tunnel", esn=False):
        header = self.ip = IP if version_of(ours) == 4 else IPv6

        def association(spi, key, source, destination):
            tunnel = header(src=source, dst=destination) if mode == "tunnel" else None
            return SecurityAssociation(AH, spi=spi, auth_algo=AUTHS[auth][0], auth_key=key, tunnel_header=tunnel,
                esn_en=esn)

        self.from_culvert = association(spis[0], keys[0], ours, theirs)
        self.to_culvert = association(spis[1], keys[1], theirs, ours)

    def seal(self, packet, seq=None, high=0):
        with without_esp():
            sealed = bytes(self.to_culvert.encrypt(packet.__class__(bytes(packet)), seq_num=seq, esn=high))
        return packet.__class__(sealed) if self.to_culvert.tunnel_header is None else self.ip(sealed)

    def open(self, packet, high=0):
        """What is inside; raises IPSecIntegrityError."""
        inner = self.from_culvert.decrypt(packet.copy(), esn=high)
        if self.from_culvert.tunnel_header is None:
            return built(inner)
        return {4: IP, 41: IPv6}[packet[AH].nh](bytes(inner))


@contextlib.contextmanager
def without_esp():
    """scapy takes ESP in IPv4 for bytes."""
    split_layers(IP, ESP, proto=50)
    try:
        yield
    finally:
        bind_layers(IP, ESP, proto=50)


def add_sas(site, name="ah", auth="sha256", outer=4, spi=0x1001, mode="tunnel", esn=False):
    """SAs NAME-out and NAME-in, without a policy; returns their Peer."""
    ends, spis = (A.wan[outer], B.wan[outer]), (spi, spi + 0x1000)
    keys = [key_bytes(f"{name} {direction}", AUTHS[auth][1]) for direction in ("out", "in")]
    site.keys += keys
    for direction, way, number, key in zip(("out", "in"), (1, -1), spis, keys):
        source, destination = ends[::way]
        site.conf["sas"][f"{name}-{direction}"] = {"spi": number, "source": source, "destination": destination,
            "mode": mode, "ah": auth, "key": "0x" + key.hex(), "esn": esn}
    return AhPeer(auth, *ends, spis, keys, mode, esn)


def add_policies(site, here, there, *names):
    """Innermost first."""
    site.policy("out", "protect", source=here, destination=there, sas=[f"{name}-out" for name in names])
    site.policy("in", "protect", source=there, destination=here, sas=[f"{name}-in" for name in names])


def transport(site, version=4, **options):
    """AH between the gateways themselves."""
    peer = add_sas(site, outer=version, mode="transport", **options)
    add_policies(site, A.wan[version], B.wan[version], "ah")
    return peer


def tunnel(site, outer=4, inner=4, **options):
    peer = add_sas(site, outer=outer, **options)
    add_policies(site, A.net[inner], B.net[inner], "ah")
    return peer


def echo(version, payload, headers=None, **fields):
    """To the gateway; `headers` are IPv6's extension headers."""
    start = ip(B.wan[version], A.wan[version], **fields)
    question = ICMP() if version == 4 else ICMPv6EchoRequest(data=payload)
    rest = question / Raw(payload) if version == 4 else question
    return built(start / headers / rest if headers else start / rest)


class Combination:
    """One SA pair; its inner destinations are its own, so that a policy finds it."""

    def __init__(self, site, index, auth, outer, inner, esn):
        self.name = f"{auth}-{outer}{inner}-{esn}"
        self.near = A.host[inner]
        self.far, there = {
            4: (f"10.2.{index}.10", f"10.2.{index}.0/24"),
            6: (f"fd00:2:0:{index:x}::10", f"fd00:2:0:{index:x}::/64"),
        }[inner]
        self.spi = 0x10000 + index
        self.peer = add_sas(site, self.name, auth, outer, self.spi, esn=esn)
        add_policies(site, A.net[inner], there, self.name)


class Agreement(unittest.TestCase):
    """Each side accepts what the other signs."""

    @classmethod
    def setUpClass(cls):
        site = Site()
        every = itertools.product(AUTHS, (4, 6), (4, 6), (False, True))
        cls.pairs = [Combination(site, index, *which) for index, which in enumerate(every)]
        cls.ran = site.run(
            lan=[udp(pair.near, pair.far, b"x" * size) for pair in cls.pairs for size in SIZES],
            wan=[pair.peer.seal(udp(pair.far, pair.near, b"y" * size)) for pair in cls.pairs for size in SIZES])

    def test_scapy_accepts_what_culvert_signs(self):
        # AH-1, AH-2, AH-4, AH-5: byte for byte, since the ICV covers all of it.
        for pair in self.pairs:
            with self.subTest(pair.name):
                sent = [packet for packet in self.ran.wan if packet[AH].spi == pair.spi]
                expected = [bytes(routed(udp(pair.near, pair.far, b"x" * size))) for size in SIZES]
                self.assertEqual([bytes(pair.peer.open(packet)) for packet in sent], expected)

    def test_culvert_accepts_what_scapy_signs(self):
        # AH-1, AH-2, AH-4, AH-5
        for pair in self.pairs:
            with self.subTest(pair.name):
                came = [bytes(packet) for packet in self.ran.lan if packet.src == pair.far]
                self.assertEqual(came, [bytes(routed(udp(pair.far, pair.near, b"y" * size))) for size in SIZES])

    def test_nothing_is_dropped_and_each_sa_counts_its_packets(self):
        self.assertEqual(self.ran.drops, {})
        for name, sa in self.ran.sas.items():
            with self.subTest(name):
                self.assertEqual((sa.packets, sa.drops), (len(SIZES), {}))


class Numbers(unittest.TestCase):
    def test_the_upper_half_is_followed_across_two_to_the_32(self):
        # AH-5
        site = Site()
        peer = tunnel(site, esn=True)
        numbers = [(1, 0), (0x7fffffff, 0), (ESN_TOP, 0), (2, 1), (1, 1), (ESN_TOP - 2, 0)]
        wan = []
        for low, high in numbers:
            wan += [peer.seal(udp(B.host[4], A.host[4]), seq=low, high=high), *PAUSE]

        run = site.run(wan=wan)

        self.assertEqual(run.drops, {"eth_not_ours": len(numbers) * len(PAUSE)})
        self.assertEqual(len(run.lan), len(numbers))

    def test_a_replay_is_dropped(self):
        # AR-6
        site = Site()
        peer = tunnel(site)
        packet = peer.seal(udp(B.host[4], A.host[4]))

        run = site.run(wan=[packet, packet])

        self.assertEqual((len(run.lan), run.drops), (1, {"in_replay": 1}))


class OnTheWay(unittest.TestCase):
    def test_what_routers_change_is_accepted(self):
        # AH-2, AH-4
        for version, changes in ((4, [{"ttl": 3}, {"tos": 0xb8}, {"flags": 2}]),
                (6, [{"hlim": 3}, {"tc": 0xb8}, {"fl": 0x12345}])):
            site = Site()
            peer = tunnel(site, version, version)
            wan = []
            for change in changes:
                packet = peer.seal(udp(B.host[version], A.host[version]))
                for field, value in change.items():
                    setattr(packet, field, value)
                if version == 4:
                    del packet.chksum
                wan.append(built(packet))

            run = site.run(wan=wan)

            self.assertEqual((len(run.lan), run.drops), (len(changes), {}))

    def test_any_other_change_is_not(self):
        # AH-2, AH-4
        site = Site()
        peer = tunnel(site)
        changed = peer.seal(udp(B.host[4], A.host[4]))
        changed.id = 77
        del changed.chksum
        payload = peer.seal(udp(B.host[4], A.host[4]))

        run = site.run(wan=[built(changed), IP(bytes(payload)[:-1] + b"!")])

        self.assertEqual((run.lan, run.drops), ([], {"in_icv": 2}))
        self.assertEqual(run.sas["ah-in"].drops, {"in_icv": 2})


class Transport(unittest.TestCase):
    def test_the_gateway_answers_a_ping(self):
        # AH-1, TUN-10
        for auth, version in itertools.product(AUTHS, (4, 6)):
            site = Site()
            peer = transport(site, version, auth=auth)
            pings = [echo(version, bytes(size)) for size in (0, 1, 2, 3, 50, 1300)]

            run = site.run(wan=[peer.seal(ping) for ping in pings])

            self.assertEqual(run.drops, {})
            answers = [peer.open(packet) for packet in run.wan]
            self.assertEqual([len(answer) for answer in answers], [len(ping) for ping in pings])
            for answer in answers:
                self.assertEqual((answer.src, answer.dst), (A.wan[version], B.wan[version]))
                self.assertEqual(answer[ICMP if version == 4 else ICMPv6EchoReply].type, 0 if version == 4 else 129)

    def test_ipv4_options_are_covered_or_left_out(self):
        # AH-3
        site = Site()
        peer = transport(site)
        options = [IPOption_Router_Alert(), IPOption_RR(length=7, pointer=4, routers=["0.0.0.0"])]
        good, recorded, spoiled = (peer.seal(echo(4, b"x", options=options)) for _ in range(3))
        recorded.options[1].pointer, recorded.options[1].routers = 8, [B.router[4]]
        spoiled.options[0].alert = 1
        for packet in (recorded, spoiled):
            del packet.chksum

        run = site.run(wan=[good, built(recorded), built(spoiled)])

        self.assertEqual((len(run.wan), run.drops), (2, {"in_icv": 1}))

    def test_ah_is_found_behind_extension_headers(self):
        # AH-4
        site = Site()
        peer = transport(site, 6)

        def ping():
            return peer.seal(echo(6, b"x" * 20, IPv6ExtHdrHopByHop(
                options=[HBHOptUnknown(otype=0x3e, optdata=b"1234"), HBHOptUnknown(otype=0x1e, optdata=b"12")])))

        good, changed, spoiled = ping(), ping(), ping()
        changed[IPv6ExtHdrHopByHop].options[0].optdata = b"5678"
        spoiled[IPv6ExtHdrHopByHop].options[1].optdata = b"34"

        run = site.run(wan=[good, built(changed), built(spoiled)])

        self.assertEqual(run.drops, {"in_icv": 1})
        self.assertEqual([peer.open(packet)[ICMPv6EchoReply].data for packet in run.wan], [b"x" * 20] * 2)

    def test_malformed_options_are_dropped(self):
        # AH-3
        site = Site()
        peer = transport(site)
        raw = bytearray(bytes(peer.seal(echo(4, b"x", options=[IPOption_Router_Alert()]))))
        raw[21] = 9  # the option's length, of 4 that are there

        run = site.run(wan=[with_checksum(raw)])

        self.assertEqual(run.drops, {"in_hdr": 1})


def with_checksum(packet):
    """Bytes of IPv4 with options as they are, which scapy would put right."""
    header = (packet[0] & 15) * 4
    packet[10:12] = b"\0\0"
    total = sum(packet[i] << 8 | packet[i + 1] for i in range(0, header, 2))
    total = (total & 0xffff) + (total >> 16)
    packet[10:12] = (~((total & 0xffff) + (total >> 16)) & 0xffff).to_bytes(2, "big")
    return IP(bytes(packet))


class Mtu(unittest.TestCase):
    def test_the_largest_packet_fills_the_link_and_a_longer_one_is_answered(self):
        # PMT-2
        for outer in (4, 6):
            site = Site()
            tunnel(site, outer, 6)
            mtu = 1500 - {4: 20, 6: 40}[outer] - AH_BYTES["sha256", outer]
            fits, too_long = (udp(A.host[6], B.host[6], bytes(size - 48)) for size in (mtu, mtu + 1))

            run = site.run(lan=[fits, too_long])

            self.assertEqual([len(packet) for packet in run.wan], [1500])
            self.assertEqual([packet[ICMPv6PacketTooBig].mtu for packet in run.lan], [mtu])


class Bundles(unittest.TestCase):
    """A tunnel of ESP, and AH in transport mode around it."""

    def site(self, auth="sha256"):
        site = Site()
        inside = site.tunnel("esp", "aes256-sha256", policies=False, spi=0x1001)
        around = add_sas(site, "ah", auth, spi=0x1002, mode="transport")
        add_policies(site, A.net[4], B.net[4], "esp", "ah")
        return site, inside, around

    def test_esp_goes_in_ah(self):
        # SPD-14
        site, inside, around = self.site("sha512")
        packets = [udp(A.host[4], B.host[4], b"x" * size) for size in range(0, 1300, 13)]

        run = site.run(lan=packets)

        self.assertEqual(run.drops, {})
        opened = [around.open(packet) for packet in run.wan]
        self.assertEqual({packet[ESP].spi for packet in opened}, {0x1001})
        self.assertEqual([bytes(inside.open(packet)) for packet in opened], [bytes(routed(p)) for p in packets])
        self.assertEqual({sa.packets for name, sa in run.sas.items() if name.endswith("out")}, {len(packets)})

    def test_esp_comes_out_of_ah(self):
        site, inside, around = self.site()
        packets = [udp(B.host[4], A.host[4], b"x" * size) for size in range(0, 1300, 13)]

        run = site.run(wan=[around.seal(inside.seal(packet)) for packet in packets])

        self.assertEqual(run.drops, {})
        self.assertEqual([bytes(packet) for packet in run.lan], [bytes(routed(packet)) for packet in packets])

    def test_what_skipped_a_step_is_dropped(self):
        # SPD-4, SPD-5
        site, inside, around = self.site()
        packet = udp(B.host[4], A.host[4])
        only_ah = around.seal(udp(B.wan[4], A.wan[4]))
        twice = around.seal(around.seal(inside.seal(packet)))

        run = site.run(wan=[inside.seal(packet), only_ah, twice])

        self.assertEqual(run.lan, [])
        self.assertEqual(run.drops.get("in_bundle"), 2)
        self.assertEqual(sum(run.drops.values()), 3, run.drops)
        self.assertEqual(run.sas["esp-in"].drops, {"in_bundle": 1})

    def test_the_tunnels_mtu_is_that_of_both(self):
        # PMT-2
        site, inside, around = self.site()
        # 20 of the tunnel, 28 of AH, and of ESP 8, 16 of IV, 16 of ICV; the rest is whole blocks, less the trailer.
        mtu = (1500 - 20 - 28 - 8 - 16 - 16) // 16 * 16 - 2
        fits, too_long = (udp(A.host[4], B.host[4], bytes(size - 28), flags="DF") for size in (mtu, mtu + 1))

        run = site.run(lan=[fits, too_long])

        self.assertEqual(len(run.wan), 1)
        self.assertLessEqual(len(run.wan[0]), 1500)
        self.assertEqual([(p[ICMP].type, p[ICMP].nexthopmtu) for p in run.lan], [(3, mtu)])


class InUdp(unittest.TestCase):
    def test_ah_does_not_go_in_udp(self):
        # AH-6: what a NAT changes is under the ICV.
        site = Site()
        tunnel(site)
        site.conf["sas"]["ah-out"]["encap"] = "udp"

        daemon = site.start()

        self.assertEqual(daemon.wait(), 1)
        self.assertIn("sas.ah-out.encap: needs ESP", daemon.stderr())


class TwoOfAh(unittest.TestCase):
    def test_a_tunnel_of_ah_goes_in_ah(self):
        # SPD-14: the outer AH is in front of the inner one, in both families.
        for outer in (4, 6):
            site = Site()
            inside = add_sas(site, "inner", outer=outer, spi=0x1001)
            around = add_sas(site, "outer", "sha1", outer, spi=0x1002, mode="transport")
            add_policies(site, A.net[4], B.net[4], "inner", "outer")
            out, back = udp(A.host[4], B.host[4]), udp(B.host[4], A.host[4])

            run = site.run(lan=[out], wan=[around.seal(inside.seal(back))])

            self.assertEqual(run.drops, {})
            self.assertEqual([bytes(packet) for packet in run.lan], [bytes(routed(back))])
            self.assertEqual([bytes(inside.open(around.open(p))) for p in run.wan], [bytes(routed(out))])
