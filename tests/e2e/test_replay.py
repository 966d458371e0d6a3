"""Anti-replay, and packets that no honest peer sends: forged, damaged, cut short."""
import random
import unittest

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN
from scapy.layers.ipsec import AUTH_ALGOS, ESP
from scapy.layers.l2 import Ether

from culvert import A, ALGORITHMS, B, PAUSE, Site, built, ip, udp

PACKET = udp(B.host[4], A.host[4], b"sixteen bytes...")


def without_pause(drops):
    return {name: count for name, count in drops.items() if name != "eth_not_ours"}


class TheWindow(unittest.TestCase):
    def receive(self, numbers, **tunnel):
        """The drops when the SA's packets come with these numbers; None is a pause."""
        site = Site()
        peer = site.tunnel(**tunnel)
        # One that comes again is the same frame, as it is where somebody replays it.
        frames = {n: site.frame("wan", peer.seal(PACKET, seq=n)) for n in set(numbers) - {None}}
        wan = []
        for number in numbers:
            wan += PAUSE if number is None else [frames[number]]

        run = site.run(wan=wan)

        drops = without_pause(run.drops)
        self.assertEqual(len(run.lan), sum(n is not None for n in numbers) - sum(drops.values()))
        self.assertEqual(run.sas["t-in"].drops, drops)
        return drops

    def test_a_duplicate_is_dropped_wherever_it_comes(self):
        # AR-2, AR-6: in the same burst, and later.
        self.assertEqual(self.receive([1, 1, 2, None, 1, 2, 3, 3, 3]), {"in_replay": 5})

    def test_the_left_edge_of_the_window_is_exact(self):
        # AR-1, AR-3: T - W + 1 is accepted, T - W is not.
        for window in (32, 64, 1024):
            with self.subTest(window):
                top = 5000
                numbers = [top, None, top - window + 1, top - window, 1]
                self.assertEqual(self.receive(numbers, replay_window=window), {"in_late": 2})

    def test_numbers_out_of_order_within_the_window_are_accepted_once(self):
        # AR-2: every number of the window, backwards, and then all of them again.
        for window in (32, 64, 1024):
            with self.subTest(window):
                numbers = list(range(window, 0, -1))
                self.assertEqual(self.receive(numbers + [None] + numbers, replay_window=window), {"in_replay": window})

    def test_a_jump_clears_the_window(self):
        # AR-5: what is left of it is late, though it never came; what is in it comes once.
        numbers = [1, 2, None, 0x80000000, None, 2, 0x80000000 - 63, 0x80000000 - 64, 0xffffffff, None, 0x80000000]
        self.assertEqual(self.receive(numbers, replay_window=64), {"in_late": 3})

    def test_anti_replay_can_be_off(self):
        # AR-8
        self.assertEqual(self.receive([7, 7, None, 7, 1], replay_window=0), {})

    def test_the_number_zero_is_refused(self):
        # AR-4: before the ICV is looked at, since no sender may use it.
        site = Site()
        peer = site.tunnel()
        sealed = peer.seal(PACKET)
        sealed[ESP].seq = 0

        run = site.run(wan=[sealed])

        self.assertEqual(run.drops, {"in_seq_zero": 1})

    def test_the_window_is_shared_by_crypto_modes(self):
        # AR-6: with crypto that finishes later, duplicates are found at the latest then.
        site = Site()
        site.conf["workers"]["crypto_mode"] = "async"
        peer = site.tunnel()

        run = site.run(wan=[peer.seal(PACKET, seq=number) for number in range(1, 201) for _ in range(2)])

        self.assertEqual((len(run.lan), run.drops), (200, {"in_replay": 200}))


class MixedUpLengths(unittest.TestCase):
    """ALG-3: a peer that cuts HMAC-SHA2-256 to the other length is named in the log, once for each SA."""

    HINT = "HMAC-SHA2-256 of 96 and of 128 bits may be mixed up\" sa=t-in spi=0x00002001"

    def run_with(self, esp, peers_auth, **options):
        site = Site()
        peer = site.tunnel(esp=esp, **options)
        peer.to_culvert.auth_algo = AUTH_ALGOS[peers_auth]
        return site.run(wan=[peer.seal(PACKET, seq=number) for number in range(1, 6)] + PAUSE)

    def test_the_other_length_is_told_once(self):
        # With AES-CBC the payload is no whole blocks then; with AES-CTR the ICV is wrong.
        for esp, peers_auth, reason in (("aes128-sha256", "SHA2-256-96", "in_hdr"), ("aes128-sha256_96", "SHA2-256-128", "in_hdr"),
                ("aes128ctr-sha256", "SHA2-256-96", "in_icv")):
            with self.subTest(esp):
                run = self.run_with(esp, peers_auth)

                self.assertEqual(without_pause(run.drops), {reason: 5})
                self.assertEqual(run.stderr.count("may be mixed up"), 1)
                self.assertIn(self.HINT, run.stderr)

    def test_the_right_length_and_other_hashes_are_not_told(self):
        for esp, auth, dropped in (("aes128-sha256", "SHA2-256-128", 0), ("null-sha384", "HMAC-SHA1-96", 5)):
            with self.subTest(esp):
                run = self.run_with(esp, auth)

                self.assertEqual(sum(without_pause(run.drops).values()), dropped)
                self.assertNotIn("mixed up", run.stderr)


class Forgery(unittest.TestCase):
    def test_no_changed_bit_gets_through(self):
        # ESP-3, SAL-6: one bit in each byte; and the window does not move, so the genuine packet is still good.
        for esp in ALGORITHMS:
            site = Site()
            peer = site.tunnel(esp=esp)
            genuine = bytes(peer.seal(PACKET, seq=100))
            forged = []
            for at in range(20, len(genuine)):
                changed = bytearray(genuine)
                changed[at] ^= 0x40
                forged.append(IP(bytes(changed)))

            run = site.run(wan=forged + PAUSE + [IP(genuine)])

            self.assertEqual(len(run.lan), 1, esp)
            self.assertEqual(without_pause(run.drops), {"in_no_sa": 4, "in_icv": len(forged) - 4}, esp)

    def test_a_forged_number_far_ahead_does_not_move_the_window(self):
        # SAL-6
        site = Site()
        peer = site.tunnel(replay_window=64)
        ahead = peer.seal(PACKET, seq=0x7fffffff)
        ahead[ESP].data = ahead[ESP].data[:-1] + bytes([ahead[ESP].data[-1] ^ 1])

        run = site.run(wan=[peer.seal(PACKET, seq=1), ahead, *PAUSE, peer.seal(PACKET, seq=2)])

        self.assertEqual((len(run.lan), without_pause(run.drops)), (2, {"in_icv": 1}))

    def test_an_unknown_spi_is_dropped(self):
        # SAL-2, SAL-3, SAL-8: an SPI that nobody has, those that nobody may have, and that of the other direction.
        site = Site()
        peer = site.tunnel()
        wan = []
        for spi in (0x2002, 0, 1, 255, peer.from_culvert.spi):
            sealed = peer.seal(PACKET)
            sealed[ESP].spi = spi
            wan.append(sealed)

        run = site.run(wan=wan)

        self.assertEqual(run.drops, {"in_no_sa": len(wan)})

    def test_the_right_spi_at_the_wrong_address_is_dropped(self):
        # SAL-4: another of the gateway's addresses, and another sender.
        site = Site()
        site.conf["ports"]["wan"]["addresses"].append("192.0.2.2/24")
        peer = site.tunnel()

        run = site.run(wan=[peer.seal(PACKET, dst="192.0.2.2"), peer.seal(PACKET, src="203.0.113.66")])

        self.assertEqual(run.drops, {"in_no_sa": 1, "in_endpoint": 1})
        self.assertEqual(run.sas["t-in"].drops, {"in_endpoint": 1})

    def test_esp_fragments_that_do_not_become_whole_get_nowhere(self):
        # SAL-5
        site = Site()
        peer = site.tunnel()

        run = site.run(wan=[peer.seal(PACKET, frag=8, id=1), peer.seal(PACKET, frag=800, id=2)])

        self.assertEqual((run.lan, run.drops), ([], {"shutdown": 2}))

    def test_one_sas_packet_does_not_pass_as_anothers(self):
        # ESP-3: the SPI is under the ICV, and keys differ.
        site = Site()
        first, second = site.tunnel("first"), site.tunnel("second", spi=0x1002, there="10.3.0.0/16")
        sealed = first.seal(PACKET)
        sealed[ESP].spi = second.to_culvert.spi

        run = site.run(wan=[sealed])

        self.assertEqual(run.drops, {"in_icv": 1})


class CutShort(unittest.TestCase):
    def test_a_frame_cut_at_any_length_is_dropped(self):
        # SAL-7: the link lost the rest; the IP header tells how much there was.
        for outer in (4, 6):
            site = Site()
            peer = site.tunnel(outer=outer)
            frame = site.frame("wan", peer.seal(PACKET))

            run = site.run(wan=[frame[:length] for length in range(1, len(frame))])

            self.assertEqual(run.lan, [])
            self.assertEqual(run.drops, {"in_hdr": len(frame) - 1})

    def test_esp_cut_at_any_length_is_dropped(self):
        # SAL-7: the IP header agrees with what is left, so only ESP's own checks are in the way.
        for esp in ALGORITHMS:
            for outer, header in ((4, 20), (6, 40)):
                site = Site()
                peer = site.tunnel(esp=esp, outer=outer)
                whole = bytes(peer.seal(PACKET))
                cut = []
                for length in range(header, len(whole)):
                    packet = (IP if outer == 4 else IPv6)(whole[:header])
                    if outer == 4:
                        packet.len, packet.chksum = length, None
                    else:
                        packet.plen = length - header
                    cut.append(site.frame("wan", built(packet)) + whole[header:length])

                run = site.run(wan=cut)

                self.assertEqual(run.lan, [], esp)
                self.assertEqual(set(run.drops), {"in_hdr", "in_icv"}, esp)
                self.assertEqual(sum(run.drops.values()), len(cut), esp)

    def test_a_packet_in_clear_cut_at_any_length_is_dropped(self):
        # Both versions, from the protected side.
        site = Site()
        site.policy("out", "bypass")
        frames = [site.frame("lan", udp(A.host[4], B.host[4])), site.frame("lan", udp(A.host[6], B.host[6]))]
        cut = [frame[:length] for frame in frames for length in range(1, len(frame))]

        run = site.run(lan=cut)

        self.assertEqual((run.wan, run.drops), ([], {"in_hdr": len(cut)}))

    def test_a_chain_of_extension_headers_cut_at_any_length_is_dropped(self):
        # SPD-7: the IPv6 header agrees with what is left.
        site = Site()
        site.policy("out", "bypass")
        headers = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(12))]) / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(20))])
        whole = bytes(ip(A.host[6], B.host[6]) / headers / UDP())
        cut = []
        for length in range(40, len(whole) - 4):
            packet = IPv6(whole[:40])
            packet.plen = length - 40
            cut.append(site.frame("lan", built(packet)) + whole[40:length])

        run = site.run(lan=cut)

        self.assertEqual((run.wan, run.drops), ([], {"in_hdr": len(cut)}))

    def test_a_broken_ipv4_header_checksum_is_dropped(self):
        site = Site()
        peer = site.tunnel()
        sealed = peer.seal(PACKET)
        sealed.chksum ^= 0x0100
        clear = udp(A.host[4], B.host[4])
        clear.chksum ^= 1

        run = site.run(lan=[clear], wan=[sealed])

        self.assertEqual(run.drops, {"in_checksum": 2})

    def test_random_frames_never_upset_the_gateway(self):
        # Not one of 3000 is lost from the books. The numbers are the same in each run.
        numbers = random.Random(4303)
        site = Site()
        peer = site.tunnel()
        kinds = [bytes(peer.seal(PACKET)), bytes(peer.seal(udp(B.host[6], A.host[6]))), bytes(PACKET),
            bytes(udp(B.host[6], A.host[6])), bytes(ip(B.wan[4], A.wan[4]))]

        def spoilt():
            packet = bytearray(numbers.choice(kinds))
            for _ in range(numbers.randint(1, 6)):
                packet[numbers.randrange(len(packet))] = numbers.randrange(256)
            header = Ether(dst=site.mac("wan"), type=numbers.choice([0x0800, 0x86dd, 0x0806, 0x8100]))
            return bytes(header) + bytes(packet[:numbers.randint(0, len(packet))])

        run = site.run(wan=[spoilt() for _ in range(3000)])

        self.assertEqual(run.total["received"], 3000)
