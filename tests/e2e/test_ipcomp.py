"""IPComp inside ESP: Python's zlib and scapy are the far end."""
import random
import struct
import unittest
import zlib

from scapy.layers.inet import ICMP, IP, fragment
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

from culvert import A, B, Site, built, ip, key_bytes, routed, udp

IPCOMP, IP_IN_IP = 108, {4: 4, 6: 41}
WINDOW = -11  # raw, and Linux's
TEXT = b"All work and no play makes Jack a dull boy. " * 14
NOISE = random.Random(1).randbytes(len(TEXT))
# The mode of IPComp and that of ESP around it, where the packets inside are of hosts behind the gateways.
TUNNELS = [("tunnel", "transport"), ("tunnel", "tunnel")]
FAMILIES = [(outer, inner) for outer in (4, 6) for inner in (4, 6)]


def deflated(data):
    deflate = zlib.compressobj(9, zlib.DEFLATED, WINDOW)
    return deflate.compress(data) + deflate.flush()


def inflated(data):
    inflate = zlib.decompressobj(WINDOW)
    out = inflate.decompress(data)
    assert inflate.eof and not inflate.unused_data, "the stream does not end with the packet"
    return out


def protocol_of(packet):
    return packet.proto if isinstance(packet, IP) else packet.nh


def with_payload(packet, protocol, payload):
    """The packet's IP header with another payload."""
    header = packet.copy()
    header.remove_payload()
    if isinstance(packet, IP):
        header.proto = protocol
        del header.len, header.chksum
    else:
        header.nh = protocol
        del header.plen
    return built(header / Raw(payload))


def parsed(version, data):
    return (IP if version == 4 else IPv6)(data)


class Bundle:
    """IPComp in ESP between a site and its far end, and what the far end does."""

    def __init__(self, site, comp="tunnel", esp="transport", outer=4, inner=4, cpi=0x0101, spi=0x1001, name=""):
        self.comp, self.inner, self.cpi = comp, inner, cpi
        self.ours, self.theirs = site.here.wan[outer], site.there.wan[outer]
        keys = [key_bytes(f"{name}{way}", 20) for way in ("out", "in")]
        site.keys += keys
        for number, (way, source, destination) in enumerate(
                (("out", self.ours, self.theirs), ("in", self.theirs, self.ours))):
            ends = {"source": source, "destination": destination}
            site.conf["sas"][f"{name}c-{way}"] = {"spi": cpi + number, "mode": comp, "ipcomp": "deflate", **ends}
            site.conf["sas"][f"{name}e-{way}"] = {"spi": spi + number, "mode": esp, "esp": "aes128gcm16",
                "key": "0x" + keys[number].hex(), **ends}
        here, there = ((site.here.net[inner], site.there.net[inner]) if comp == "tunnel"
            else (self.ours, self.theirs))
        site.policy("out", "protect", source=here, destination=there, sas=[f"{name}c-out", f"{name}e-out"])
        site.policy("in", "protect", source=there, destination=here, sas=[f"{name}c-in", f"{name}e-in"])

        def association(number, source, destination):
            tunnel = ip(source, destination) if esp == "tunnel" else None
            return SecurityAssociation(ESP, spi=spi + number, crypt_algo="AES-GCM", crypt_key=keys[number],
                tunnel_header=tunnel)

        self.from_culvert = association(0, self.ours, self.theirs)
        self.to_culvert = association(1, self.theirs, self.ours)

    def header(self, next_header, cpi=None):
        return struct.pack("!BBH", next_header, 0, cpi or self.cpi + 1)

    def compressed(self, packet, cpi=None, stream=None):
        """The packet in IPComp from the far end, for the SA around."""
        if self.comp == "tunnel":
            payload = self.header(IP_IN_IP[self.inner], cpi) + (stream or deflated(bytes(packet)))
            return with_payload(ip(self.theirs, self.ours), IPCOMP, payload)
        payload = self.header(protocol_of(packet), cpi) + (stream or deflated(bytes(packet.payload)))
        return with_payload(packet, IPCOMP, payload)

    def uncompressed(self, packet, source=None):
        if self.comp == "tunnel":
            return with_payload(ip(source or self.theirs, self.ours), IP_IN_IP[self.inner], bytes(packet))
        return packet

    def seal(self, packet):
        """What is for the SA around, in that."""
        return built(self.to_culvert.encrypt(packet))

    def open(self, packet):
        """The inner packet, and whether it was compressed."""
        around = built(self.from_culvert.decrypt(packet.copy()))
        protocol, payload = protocol_of(around), bytes(around.payload)
        if protocol == IPCOMP:
            next_header, flags, cpi = struct.unpack("!BBH", payload[:4])
            assert (flags, cpi) == (0, self.cpi), f"flags {flags}, cpi {cpi}"
            data = inflated(payload[4:])
            if self.comp == "transport":
                return with_payload(around, next_header, data), True
            assert next_header == IP_IN_IP[self.inner], next_header
            return parsed(self.inner, data), True
        if self.comp == "transport":
            return around, False
        assert protocol == IP_IN_IP[self.inner], protocol
        assert (around.src, around.dst) == (self.ours, self.theirs)
        return parsed(self.inner, payload), False


def echo(version, data, reply=False):
    source, destination = (A.wan, B.wan) if reply else (B.wan, A.wan)
    if version == 4:
        return built(ip(source[4], destination[4]) / ICMP(type=0 if reply else 8, id=7, seq=1) / data)
    kind = ICMPv6EchoReply if reply else ICMPv6EchoRequest
    return built(ip(source[6], destination[6]) / kind(id=7, seq=1, data=data))


class Tunnels(unittest.TestCase):
    def both_ways(self, comp, esp, outer, inner, data, is_compressed):
        """The same payload out and in."""
        site = Site()
        bundle = Bundle(site, comp, esp, outer, inner)
        out, back = udp(A.host[inner], B.host[inner], data), udp(B.host[inner], A.host[inner], data)
        made = bundle.compressed(back) if is_compressed else bundle.uncompressed(back)

        run = site.run(lan=[out], wan=[bundle.seal(made)])

        self.assertEqual(run.drops, {})
        self.assertEqual([(bytes(packet), compressed) for packet, compressed in map(bundle.open, run.wan)],
            [(bytes(routed(out)), is_compressed)])
        self.assertEqual([bytes(packet) for packet in run.lan], [bytes(routed(back))])
        for name in ("c-out", "c-in"):
            self.assertEqual((run.sas[name].packets, run.sas[name].bytes), (1, len(back)))
        return len(run.wan[0]) - len(out)

    def test_a_packet_is_compressed_inside_esp_both_ways(self):
        # IPC-1, TUN-1
        for comp, esp in TUNNELS:
            for outer, inner in FAMILIES:
                with self.subTest(comp=comp, esp=esp, outer=outer, inner=inner):
                    self.assertLess(self.both_ways(comp, esp, outer, inner, TEXT, True), -200)

    def test_what_does_not_get_shorter_goes_without_the_header_both_ways(self):
        # IPC-2
        for comp, esp in TUNNELS:
            for outer, inner in FAMILIES:
                for data in (NOISE, b"short"):
                    with self.subTest(comp=comp, esp=esp, outer=outer, inner=inner, size=len(data)):
                        self.both_ways(comp, esp, outer, inner, data, False)

    def test_two_gateways_understand_each_other(self):
        # MAN-1, IPC-1, IPC-2
        sites = Site(A, B), Site(B, A)
        packets = [udp(A.host[4], B.host[4], data) for data in (TEXT, NOISE, b"short", TEXT + NOISE)]
        Bundle(sites[0])
        far = Bundle(sites[1])
        # What is in at one end is out at the other.
        for kind in "ce":
            sas = sites[1].conf["sas"]
            for name, other in ((f"{kind}-out", f"{kind}-in"), (f"{kind}-in", f"{kind}-out")):
                sas[name + "-new"] = {**sites[0].conf["sas"][other]}
            sas[f"{kind}-out"], sas[f"{kind}-in"] = sas.pop(f"{kind}-out-new"), sas.pop(f"{kind}-in-new")
        self.assertEqual(far.ours, B.wan[4])

        sent = sites[0].run(lan=packets)
        received = sites[1].run(wan=sent.wan)

        self.assertEqual([bytes(packet) for packet in received.lan], [bytes(routed(p, 2)) for p in packets])

    def test_fragments_pass_as_they_are(self):
        # IPC-5
        site = Site()
        bundle = Bundle(site)
        pieces = [built(piece) for piece in fragment(udp(A.host[4], B.host[4], TEXT * 3), 1000)]

        run = site.run(lan=pieces)

        self.assertEqual([(bytes(packet), compressed) for packet, compressed in map(bundle.open, run.wan)],
            [(bytes(routed(piece)), False) for piece in pieces])

    def test_a_packet_that_gets_long_is_cut_for_its_link(self):
        # IPC-4: up to the longest there is; it needs a buffer of its own.
        site = Site()
        bundle = Bundle(site)
        longest = udp(B.host[4], A.host[4], bytes(65535 - 28))

        run = site.run(wan=[bundle.seal(bundle.compressed(longest))])

        self.assertEqual(run.drops, {})
        data = b"".join(bytes(piece.payload) for piece in run.lan)
        self.assertEqual(data, bytes(longest.payload))
        self.assertEqual({len(piece) <= 1500 for piece in run.lan}, {True})

    def test_the_mtu_is_that_of_packets_that_cannot_be_compressed(self):
        # IPC-2: what would fit if it were compressed, and only then, is answered all the same.
        site = Site()
        bundle = Bundle(site)
        around = len(bundle.seal(bundle.uncompressed(udp(B.host[4], A.host[4], b"12")))) - 30
        largest = 1500 - around

        run = site.run(lan=[udp(A.host[4], B.host[4], bytes(size - 28), flags="DF") for size in (largest, 1500)])

        self.assertEqual(run.drops, {"out_mtu": 1})
        self.assertEqual([len(bundle.open(packet)[0]) for packet in run.wan], [largest])
        self.assertEqual([(p[ICMP].type, p[ICMP].code) for p in run.lan], [(3, 4)])


class Transport(unittest.TestCase):
    def test_the_gateways_own_packets_are_compressed_or_not_both_ways(self):
        # IPC-1, IPC-2
        for esp in ("transport", "tunnel"):
            for version in (4, 6):
                for data, is_compressed in ((TEXT, True), (NOISE, False), (b"short", False)):
                    with self.subTest(esp=esp, version=version, size=len(data), is_compressed=is_compressed):
                        site = Site()
                        bundle = Bundle(site, "transport", esp, version, version)
                        request = echo(version, data)
                        made = bundle.compressed(request) if is_compressed else request

                        run = site.run(wan=[bundle.seal(made)])

                        self.assertEqual(run.drops, {})
                        packet, compressed = bundle.open(run.wan[0])
                        self.assertEqual(compressed, is_compressed)
                        self.assertEqual(bytes(packet.payload), bytes(echo(version, data, reply=True).payload))
                        self.assertEqual((packet.src, packet.dst), (bundle.ours, bundle.theirs))
                        self.assertEqual([run.sas[name].packets for name in ("c-in", "c-out")], [1, 1])

    def test_a_long_packet_that_becomes_short_leaves_in_one_frame(self):
        # IPC-1: it was made whole in a buffer that no port may send.
        for version in (4, 6):
            with self.subTest(version=version):
                site = Site()
                bundle = Bundle(site, "transport", "transport", version, version)

                run = site.run(wan=[bundle.seal(bundle.compressed(echo(version, bytes(5000))))])

                self.assertEqual(run.drops, {})
                self.assertEqual(len(run.wan), 1)
                self.assertLess(len(run.wan[0]), 200)
                packet, compressed = bundle.open(run.wan[0])
                self.assertTrue(compressed)
                self.assertEqual(bytes(packet.payload), bytes(echo(version, bytes(5000), reply=True).payload))


class Refused(unittest.TestCase):
    def setUp(self):
        self.site = Site()

    def drops(self, packets):
        run = self.site.run(wan=packets)
        self.assertEqual((run.lan, run.wan), ([], []))
        return run.drops

    def test_what_skipped_esp_is_dropped(self):
        # IPC-1: compressed, uncompressed in the tunnel's header, and in clear.
        for comp, esp in TUNNELS:
            with self.subTest(comp=comp, esp=esp):
                self.site = Site()
                bundle = Bundle(self.site, comp, esp)
                self.site.policy("in", "protect", source=B.wan[4], destination=A.wan[4], protocol=4, sas=["c-in", "e-in"])
                packet = udp(B.host[4], A.host[4], TEXT)

                drops = self.drops([bundle.compressed(packet), bundle.uncompressed(packet), packet])

                self.assertEqual(drops, {"in_bundle": 1, "in_tmpl_mismatch": 2})

    def test_what_skipped_the_tunnels_header_of_ipcomp_is_dropped(self):
        # IPC-2: right inside ESP, and in a header between others.
        bundle = Bundle(self.site, "tunnel", "tunnel")
        packet = udp(B.host[4], A.host[4], NOISE)

        drops = self.drops([bundle.seal(packet), bundle.seal(bundle.uncompressed(packet, source=B.router[4]))])

        self.assertEqual(drops, {"in_selector": 2})

    def test_a_packet_with_the_tunnels_header_of_ipcomp_in_transport_mode_is_another_packet(self):
        # IPC-2
        bundle = Bundle(self.site, "transport", "transport")
        inner = udp(B.host[4], A.host[4], NOISE)

        drops = self.drops([bundle.seal(with_payload(ip(B.wan[4], A.wan[4]), 4, bytes(inner)))])

        self.assertEqual(drops, {"host_no_service": 1})

    def test_another_cpi_is_no_sa(self):
        # IPC-3
        bundle = Bundle(self.site)
        packet = udp(B.host[4], A.host[4], TEXT)

        drops = self.drops([bundle.seal(bundle.compressed(packet, cpi=cpi)) for cpi in (2, 0x1001, 0x8102)])

        self.assertEqual(drops, {"in_no_sa": 3})

    def test_one_number_is_an_sa_of_each_protocol_and_destination(self):
        # IPC-3, SAL-1: ESP and IPComp, by IPv4 and IPv6.
        site = self.site
        bundles = [Bundle(site, "tunnel", "transport", version, version, cpi=0x0301, spi=0x0301, name=f"v{version}")
            for version in (4, 6)]
        packets = [udp(B.host[version], A.host[version], TEXT) for version in (4, 6)]

        run = site.run(wan=[bundle.seal(bundle.compressed(packet)) for bundle, packet in zip(bundles, packets)])

        self.assertEqual([bytes(packet) for packet in run.lan], [bytes(routed(packet)) for packet in packets])

    def test_what_cannot_be_decompressed_is_dropped(self):
        # IPC-4: a bomb; cut short; with something behind it; nothing; zlib's own header.
        bundle = Bundle(self.site)
        packet = udp(B.host[4], A.host[4], TEXT)
        good = deflated(bytes(packet))
        streams = [deflated(bytes(packet) + bytes(65536 - len(packet))), deflated(bytes(1 << 20)), good[:-1],
            good + b"\0", b"\xff" * 40, zlib.compress(bytes(packet))]

        run = self.site.run(wan=[bundle.seal(bundle.compressed(packet, stream=stream)) for stream in [*streams, good]])

        self.assertEqual(run.drops, {"in_ipcomp": len(streams)})
        self.assertEqual(run.sas["c-in"].drops, {"in_ipcomp": len(streams)})
        self.assertEqual([bytes(packet) for packet in run.lan], [bytes(routed(packet))])

    def test_fragments_of_ipcomp_are_not_decompressed(self):
        # IPC-5
        bundle = Bundle(self.site, "tunnel", "tunnel")
        pieces = fragment(bundle.compressed(udp(B.host[4], A.host[4], TEXT)), 40)

        run = self.site.run(wan=[bundle.seal(built(pieces[0]))])

        self.assertEqual((run.lan, sum(run.drops.values())), ([], 1))


if __name__ == "__main__":
    unittest.main()
