"""Every algorithm against scapy's ESP, both ways, for both versions of the tunnel and of what is in it.

One run of the daemon carries all combinations, an SA pair each.
"""
import itertools
import unittest

from scapy.layers.ipsec import ESP

from culvert import A, ALGORITHMS, MORE_ALGORITHMS, PAUSE, Site, routed, udp

SIZES = (0, 1, 2, 3, 13, 14, 15, 16, 64, 500, 1300)
ESN_TOP = 0xffffffff


class Combination:
    """One SA pair; its inner destinations are its own, so that a policy finds it."""

    def __init__(self, site, index, esp, outer, inner, **options):
        self.name = f"{esp}-{outer}{inner}"
        self.near = A.host[inner]
        self.far, there = {
            4: (f"10.2.{index}.10", f"10.2.{index}.0/24"),
            6: (f"fd00:2:0:{index:x}::10", f"fd00:2:0:{index:x}::/64"),
        }[inner]
        if esp.startswith("3des"):
            options["allow_insecure"] = True
        self.peer = site.tunnel(self.name, esp, outer, inner, spi=0x10000 + index, there=there, **options)

    def outbound(self):
        return [udp(self.near, self.far, bytes(range(256)) * 6 if size > 1500 else b"x" * size) for size in SIZES]

    def inbound(self):
        return [udp(self.far, self.near, b"y" * size) for size in SIZES]

    def sealed(self):
        return [self.peer.seal(packet, seq=i + 1) for i, packet in enumerate(self.inbound())]

    def opened(self, packets):
        """The inner packets of those that are of this SA, in their order."""
        return [self.peer.open(packet) for packet in packets if packet[ESP].spi == self.peer.from_culvert.spi]


def combinations(site, **options):
    # The crypto knows nothing of families, so the rest goes through two of the four.
    every = itertools.chain(itertools.product(ALGORITHMS, (4, 6), (4, 6)),
        ((esp, outer, 10 - outer) for esp in MORE_ALGORITHMS for outer in (4, 6)))
    return [Combination(site, index, *which, **options) for index, which in enumerate(every)]


def run_all(mode, **options):
    site = Site()
    site.conf["workers"]["crypto_mode"] = mode
    pairs = combinations(site, **options)
    return pairs, site.run(lan=[packet for pair in pairs for packet in pair.outbound()],
        wan=[packet for pair in pairs for packet in pair.sealed()])


class Agreement:
    """Each side opens what the other seals."""

    mode = None
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.pairs, cls.ran = run_all(cls.mode, **cls.options)

    def test_scapy_opens_what_culvert_seals(self):
        # TUN-1, ESP-1, ALG-1, ALG-2, ALG-3, ALG-4, ALG-6, ALG-7, ALG-8, ALG-9
        for pair in self.pairs:
            with self.subTest(pair.name):
                expected = [bytes(routed(packet)) for packet in pair.outbound()]
                self.assertEqual([bytes(packet) for packet in pair.opened(self.ran.wan)], expected)

    def test_culvert_opens_what_scapy_seals(self):
        # TUN-1, ESP-1, ALG-1, ALG-2, ALG-3, ALG-4, ALG-6, ALG-7, ALG-8, ALG-9
        for pair in self.pairs:
            with self.subTest(pair.name):
                expected = [bytes(routed(packet)) for packet in pair.inbound()]
                came = [bytes(packet) for packet in self.ran.lan if packet.src == pair.far]
                self.assertEqual(came, expected)

    def test_nothing_is_dropped(self):
        self.assertEqual(self.ran.drops, {})

    def test_each_sa_counts_its_packets(self):
        # The balance is taken of all SAs; here each one's own.
        for name, sa in self.ran.sas.items():
            with self.subTest(name):
                self.assertEqual((sa.packets, sa.drops), (len(SIZES), {}))


class ChosenByCulvert(Agreement, unittest.TestCase):
    mode = "auto"


class OnTheWorker(Agreement, unittest.TestCase):
    mode = "sync"


class ByTheDevicesQueue(Agreement, unittest.TestCase):
    mode = "async"


class ExtendedSequenceNumbers(Agreement, unittest.TestCase):
    """What scapy can't do is in Peer: for ESP it includes the upper half of the number only in AEAD's AAD."""

    mode = "auto"
    options = {"esn": True}

    def test_the_upper_half_is_followed_across_two_to_the_32(self):
        # ESP-7
        site = Site()
        pairs = combinations(site, esn=True)
        numbers = [(1, 0), (0x7fffffff, 0), (ESN_TOP - 1, 0), (ESN_TOP, 0), (0, 1), (2, 1), (1, 1), (ESN_TOP - 2, 0)]
        # The upper half is taken from what was accepted before a burst, and no real stream jumps so far in one.
        wan = []
        for low, high in numbers:
            for pair in pairs:
                # scapy takes the number 0 for none given.
                pair.peer.to_culvert.seq_num = 0
                wan.append(pair.peer.seal(udp(pair.far, pair.near), seq=low or None, high=high))
            wan += PAUSE

        run = site.run(wan=wan)

        self.assertEqual(run.drops, {"eth_not_ours": len(numbers) * len(PAUSE)})
        for pair in pairs:
            self.assertEqual(sum(packet.src == pair.far for packet in run.lan), len(numbers), pair.name)


class InitialisationVectors(unittest.TestCase):
    def test_equal_packets_have_distinct_ivs(self):
        # ALG-1, ALG-2, ALG-7, ALG-8: 1000 equal packets of each cipher; CBC's must not be a counter that can be
        # predicted, and 3DES's is CBC too.
        site = Site()
        sizes = {"aes128gcm16": 8, "aes256-sha256": 16, "aes128ctr-sha256": 8, "aes128ccm8": 8, "3des-sha1": 8}
        pairs = [Combination(site, i, esp, 4, 4) for i, esp in enumerate(sizes)]

        run = site.run(lan=[udp(pair.near, pair.far) for pair in pairs] * 1000)

        for pair, (esp, size) in zip(pairs, sizes.items()):
            ivs = [p[ESP].data[:size] for p in run.wan if p[ESP].spi == pair.peer.from_culvert.spi]
            self.assertEqual(len(set(ivs)), 1000, pair.name)
            if esp in ("aes256-sha256", "3des-sha1"):
                steps = {int.from_bytes(b, "big") - int.from_bytes(a, "big") for a, b in zip(ivs, ivs[1:])}
                self.assertGreater(len(steps), 990)
