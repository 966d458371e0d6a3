"""The capture files of `tools/demo --pcap`: make them, attack them, look at them, compare them.

What is expected is computed here from bytes, not by culvert's code.
"""
import argparse
import collections
import random
import struct
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Ether
from scapy.utils import PcapWriter, RawPcapReader

MARKER = b"culvert-demo-plaintext-marker "
ETHER_BYTES, ETHER_MIN_BYTES = 14, 60
LINKTYPE_ETHERNET = 1
PROTOCOL_NAMES = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 60: "UDP behind an extension header"}
ESP, ICMPV6 = 50, 58
ND_TYPES = range(133, 138)  # RFC 4861: solicitations, advertisements, redirects
HOSTS = 4
HOPS = 2  # each gateway takes one from TTL or hop limit
SIZES = [1, 2, 3, 5, 8, 15, 16, 17, 31, 46, 64, 100, 255, 256, 511, 512, 900, 1200, 1300, None]  # None: all that fits


def hosts(site):
    for i in range(HOSTS):
        yield f"10.{site}.0.{2 + i}"
    for i in range(HOSTS):
        yield f"fd00:{site}::{2 + i:x}"


def frames(path):
    return [data for data, _ in RawPcapReader(path)]


def write(path, data):
    # The time stamps play no part: net_pcap takes frames as fast as they come.
    with PcapWriter(path, linktype=LINKTYPE_ETHERNET) as writer:
        writer.write_header(None)
        for number, frame in enumerate(data):
            writer.write_packet(frame, sec=number // 1000000, usec=number % 1000000)


def payload(rng, size):
    return (MARKER + rng.randbytes(max(0, size - len(MARKER))))[:size]


def packet(rng, family, kind, size, mtu):
    """One IP packet with so many bytes of payload, or as many as fit."""
    host = rng.randrange(HOSTS)
    port, peer = rng.randrange(1024, 65536), rng.randrange(1024, 65536)
    ttl = rng.choice([HOPS + 1, 64, 128, 255])
    if family == 4:
        ip = IP(src=f"10.1.0.{2 + host}", dst=f"10.2.0.{2 + rng.randrange(HOSTS)}", ttl=ttl, tos=rng.randrange(64) << 2,
                id=rng.randrange(65536), flags=rng.choice(["DF", 0]))
        icmp = ICMP(id=port, seq=peer)
    else:
        ip = IPv6(src=f"fd00:1::{2 + host:x}", dst=f"fd00:2::{2 + rng.randrange(HOSTS):x}", hlim=ttl,
                  tc=rng.randrange(64) << 2, fl=rng.randrange(1 << 20))
        icmp = ICMPv6EchoRequest(id=port, seq=peer)
    upper = {"UDP": UDP(sport=port, dport=peer), "TCP": TCP(sport=port, dport=peer, flags="PA", seq=rng.randrange(1 << 32)),
             "ICMP": icmp}.get(kind) or IPv6ExtHdrDestOpt() / UDP(sport=port, dport=peer)
    headers = ip / upper
    room = mtu - len(headers)
    return bytes(headers / payload(rng, room if size is None else min(size, room)))


def make(args):
    rng = random.Random(4301)
    made = []
    for size in SIZES:
        for kind in ["UDP", "TCP", "ICMP", "extension"]:
            for family, mtu in ((4, args.mtu_v4), (6, args.mtu_v6)):
                if (family, kind) == (4, "extension"):
                    continue
                made += [packet(rng, family, kind, size, mtu) for _ in range(4)]
    rng.shuffle(made)
    ether = {4: bytes(Ether(dst=args.gateway_mac, src="02:00:00:00:00:01", type=0x0800)),
             6: bytes(Ether(dst=args.gateway_mac, src="02:00:00:00:00:01", type=0x86DD))}
    # Every second short frame is padded as a wire demands; the padding must not come through.
    write(args.output, [(ether[ip[0] >> 4] + ip).ljust(ETHER_MIN_BYTES if i % 2 else 0, b"\xaa") for i, ip in enumerate(made)])
    lengths = [len(ip) for ip in made]
    print(f"{len(made)} packets of {min(lengths)} to {max(lengths)} bytes")
    print_kinds(made)


def print_kinds(packets):
    kinds = collections.Counter((ip[0] >> 4, PROTOCOL_NAMES[ip[9 if ip[0] >> 4 == 4 else 6]]) for ip in packets)
    for (family, name), n in sorted(kinds.items()):
        print(f"{n:6} IPv{family} {name}")


def inner(frame):
    """The IP packet of a frame, without its padding."""
    ip = frame[ETHER_BYTES:]
    length = struct.unpack_from("!H", ip, 2)[0] if ip[0] >> 4 == 4 else 40 + struct.unpack_from("!H", ip, 4)[0]
    return ip[:length]


def ones_complement(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def expected(ip):
    """The packet as it must come out: some hops further, the IPv4 checksum right, all else equal."""
    out = bytearray(ip)
    if ip[0] >> 4 == 6:
        out[7] -= HOPS
        return bytes(out)
    header = 4 * (ip[0] & 15)
    out[8] -= HOPS
    out[10:12] = b"\0\0"
    out[10:12] = struct.pack("!H", 0xFFFF ^ ones_complement(bytes(out[:header])))
    return bytes(out)


def compare(args):
    went = [expected(inner(frame)) for frame in frames(args.input)]
    out = [frame for frame in frames(args.output) if not is_neighbour_talk(frame)]
    came = [inner(frame) for frame in out]
    faults = []
    addresses = bytes.fromhex((args.to_mac + args.from_mac).replace(":", ""))
    faults += [f"frame {i}: MAC addresses {frame[:12].hex()}" for i, frame in enumerate(out) if frame[:12] != addresses]
    # Families have SAs of their own, so the order is kept within a family.
    for family in (4, 6):
        a, b = ([ip for ip in packets if ip[0] >> 4 == family] for packets in (went, came))
        if len(a) != len(b):
            faults.append(f"IPv{family}: {len(a)} packets went in, {len(b)} came out")
        faults += [f"IPv{family} packet {i}: expected {x.hex()}\n{'':22}came {y.hex()}" for i, (x, y) in enumerate(zip(a, b)) if x != y]
    for fault in faults[:5]:
        print(fault)
    if faults:
        print(f"{len(faults)} faults in {len(came)} packets")
        return 1
    print_kinds(came)
    print(f"{len(came)} of {len(went)} came out, in order, TTL and hop limit {HOPS} less, IPv4 checksum right, all else equal")
    return 0


def esp_of(frame):
    """(family, SPI, sequence number) of an ESP frame, or None."""
    ethertype, = struct.unpack_from("!H", frame, 12)
    ip = frame[ETHER_BYTES:]
    at = {0x0800: 9, 0x86DD: 6}.get(ethertype)
    if at is None or ip[at] != ESP:
        return None
    return (ip[0] >> 4, *struct.unpack_from("!II", ip, 20 if ethertype == 0x0800 else 40))


def is_neighbour_talk(frame):
    """ARP, or ICMPv6 neighbour discovery: how the gateways announce their addresses."""
    ethertype, = struct.unpack_from("!H", frame, 12)
    return ethertype == 0x0806 or (ethertype == 0x86DD and frame[20] == ICMPV6 and frame[54] in ND_TYPES)


def print_sequences(esp):
    """How many SAs have sequence numbers that don't count from 1 without a gap."""
    sequences = collections.defaultdict(list)
    for family, spi, number in esp:
        sequences[family, spi].append(number)
    for (family, spi), numbers in sorted(sequences.items()):
        print(f"{len(numbers):6} ESP over IPv{family}, SPI 0x{spi:08x}, sequence numbers {numbers[0]} to {numbers[-1]}")
    return sum(numbers != list(range(1, len(numbers) + 1)) for numbers in sequences.values())


def wire(args):
    data = frames(args.wire)
    esp = [found for found in map(esp_of, data) if found]
    talk = sum(map(is_neighbour_talk, data))
    clear = len(data) - len(esp) - talk
    gaps = print_sequences(esp)
    if gaps:
        print(f"{gaps} SAs have sequence numbers out of order or left out")
    marked = sum(MARKER[:16] in frame for frame in data)
    carried = sum(MARKER[:16] in frame for frame in frames(args.sent))
    longest = max((len(frame) - ETHER_BYTES for frame in data), default=0)
    print(f"{len(esp)} ESP frames of up to {longest} bytes, {talk} ARP and neighbour discovery, {clear} of anything else; "
          f"{marked} with the plaintext marker that {carried} packets carry")
    return 1 if clear or gaps or marked or not esp or not carried else 0


def forge(frame):
    """The ESP frame with the next sequence number, which the gateway has not seen, so that only the ICV can stop it."""
    forged = bytearray(frame)
    at = ETHER_BYTES + (20 if esp_of(frame)[0] == 4 else 40) + 4
    forged[at:at + 4] = struct.pack("!I", esp_of(frame)[2] + 1)
    return bytes(forged)


def attack(args):
    data = [frame for frame in frames(args.wire) if esp_of(frame)]
    last_of_sa = {esp_of(frame)[:2]: frame for frame in data}
    forged = [forge(frame) for frame in last_of_sa.values()]
    write(args.output, data + data + forged)
    print(f"{len(data)} packets, the same {len(data)} again, and of {len(forged)} SAs the last with another sequence number")


def empty(args):
    write(args.output, [])


def print_hosts(_args):
    print(*hosts(2), sep="\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)

    def verb(name, function, *names):
        sub = verbs.add_parser(name)
        sub.set_defaults(function=function)
        for argument in names:
            sub.add_argument(argument, type=int if "mtu" in argument else str, **({"required": True} if argument[0] == "-" else {}))

    verb("make", make, "output", "--gateway-mac", "--mtu-v4", "--mtu-v6")
    verb("empty", empty, "output")
    verb("hosts", print_hosts)
    verb("wire", wire, "wire", "--sent")
    verb("attack", attack, "wire", "output")
    verb("compare", compare, "input", "output", "--from-mac", "--to-mac")
    return parser.parse_args()


if __name__ == "__main__":
    parsed = arguments()
    sys.exit(parsed.function(parsed) or 0)
