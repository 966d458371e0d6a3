"""How long an SA lives, what hides its traffic, and what is told of packets that it should not have had."""
import re
import time
import unittest

from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP

from culvert import A, B, Site, built, ip, routed, udp

OUT = udp(A.host[4], B.host[4], b"x" * 32)  # an inner packet of 60 bytes, 64 for the cipher
IN = udp(B.host[4], A.host[4], b"x" * 32)


def site_with(out=None, back=None, **tunnel):
    """A site whose tunnel's SAs, outbound and inbound, have these keys beside the usual ones."""
    site = Site()
    peer = site.tunnel(**tunnel)
    site.conf["sas"]["t-out"].update(out or {})
    site.conf["sas"]["t-in"].update(back or {})
    return site, peer


class Limits(unittest.TestCase):
    def test_an_outbound_sa_ends_at_its_packets_or_bytes(self):
        # LIF-1
        for limits in ({"life_packets": 5, "rekey_packets": 3}, {"life_bytes": 5 * 64, "rekey_bytes": "192"}):
            with self.subTest(limits):
                site, peer = site_with(out=limits)

                run = site.run(lan=[OUT] * 9)

                self.assertEqual([bytes(peer.open(p)) for p in run.wan], [bytes(routed(OUT))] * 5)
                self.assertEqual(run.drops, {"out_expired": 4})
                self.assertEqual(run.sas["t-out"].drops, {"out_expired": 4})
                self.assertEqual(run.stderr.count('"sa has ended" sa=t-out'), 1)
                self.assertEqual(run.stderr.count('"sa is to be replaced" sa=t-out'), 1)

    def test_an_inbound_sa_ends_at_its_packets_or_bytes(self):
        # LIF-1
        for limits in ({"life_packets": 5}, {"life_bytes": 5 * 64}):
            with self.subTest(limits):
                site, peer = site_with(back=limits)

                run = site.run(wan=[peer.seal(IN, seq=n) for n in range(1, 10)])

                self.assertEqual(len(run.lan), 5)
                self.assertEqual(run.drops, {"in_expired": 4})
                self.assertEqual(run.stderr.count('"sa has ended" sa=t-in'), 1)

    def test_an_sa_ends_when_its_time_is_over(self):
        # LIF-1
        site, _ = site_with(out={"life_time": "1s", "rekey_time": 1})
        daemon = site.start(lan=[OUT])
        daemon.wait_until(lambda: '"sa has ended" sa=t-out' in daemon.stderr(), lambda: "the SA ends")
        self.assertEqual(daemon.telemetry("/culvert/sa,t-out")["ended"], 1)
        daemon.signal()
        run = site.result(daemon, 1)
        self.assertRegex(run.stderr, r'"sa has ended" sa=t-out spi=0x00001001 limit=seconds used=1 hard=1\n')
        self.assertRegex(run.stderr, r'"sa is to be replaced" sa=t-out spi=0x00001001 limit=seconds used=1 soft=1\n')

    def test_a_cipher_that_must_end_has_its_limit_without_being_asked(self):
        # ALG-12: 2^20 blocks of 8 bytes with 3DES, unless the SA says otherwise; 2^38 packets with AES and ESN.
        for keys, tunnel, name, limit in (
                ({}, {"esp": "3des-sha1", "allow_insecure": True}, "bytes_hard", 8 << 20),
                ({"life_bytes": "1G"}, {"esp": "3des-sha1", "allow_insecure": True}, "bytes_hard", 1 << 30),
                ({}, {"esn": True}, "packets_hard", 1 << 38)):
            with self.subTest(limit):
                site, _ = site_with(out=keys, **tunnel)
                daemon = site.start().wait_ready()
                daemon.wait_until(lambda: daemon.telemetry("/culvert/sa,t-out")[name] == limit, lambda: "the limit")
                self.assertNotIn(name, daemon.telemetry("/culvert/sa,t-in"))
                daemon.signal()
                site.result(daemon, 0)

    def test_telemetry_tells_what_was_used_and_how_long_an_sa_was_idle(self):
        # LIF-1, LIF-2
        site, peer = site_with(back={"life_packets": 100, "life_bytes": "1M"})
        daemon = site.start(wan=[peer.seal(IN, seq=n) for n in (1, 2, 3)]).wait_settled(3)
        sa = daemon.telemetry("/culvert/sa,t-in")
        self.assertEqual((sa["packets_used"], sa["packets_hard"]), (3, 100))
        self.assertEqual((sa["bytes_used"], sa["bytes_hard"]), (3 * 64, 1 << 20))
        self.assertLess(sa["idle_seconds"], 60)
        self.assertNotIn("idle_seconds", daemon.telemetry("/culvert/sa,t-out"))
        daemon.wait_until(lambda: daemon.telemetry("/culvert/sa,t-in")["idle_seconds"] > sa["idle_seconds"],
            lambda: "it grows")
        daemon.signal()
        site.result(daemon, 3)


class Hiding(unittest.TestCase):
    def test_packets_are_padded_to_one_length(self):
        # ESP-5: in both families; what is longer stays as it is.
        sizes = [1, 40, 100, 400, 472, 473, 900]
        packets = [udp(A.host[v], B.host[v], bytes(n)) for v in (4, 6) for n in sizes]
        site = Site()
        peer = site.tunnel(policies=False)
        site.conf["sas"]["t-out"]["tfc_padding"] = 500
        site.policy("out", "protect", sas=["t-out"])

        run = site.run(lan=packets)

        for outer, packet in zip(run.wan, packets, strict=True):
            zeros = max(500 - len(packet), 0)
            self.assertEqual(bytes(peer.open(outer)), bytes(routed(packet)) + bytes(zeros))
        padded = [p for p, inner in zip(run.wan, packets) if len(inner) <= 500]
        self.assertEqual({len(p) for p in padded}, {len(padded[0])})
        self.assertEqual(len(padded[0]), 20 + 8 + 8 + 504 + 16)

    def test_padding_to_the_mtu_fills_the_link_and_no_more(self):
        # ESP-5, PMT-1
        site, peer = site_with(out={"tfc_padding": "mtu"}, esp="aes128-sha256")

        run = site.run(lan=[udp(A.host[4], B.host[4], bytes(n)) for n in (1, 500, 1300)])

        self.assertEqual(len({len(p) for p in run.wan}), 1)
        self.assertLessEqual(len(run.wan[0]), 1500)
        self.assertGreater(len(run.wan[0]) + 16, 1500)
        self.assertEqual(run.wan[0][IP].frag, 0)
        for packet in run.wan:
            peer.open(packet)

    def test_what_one_gateway_pads_the_other_cuts_off(self):
        # ESP-5
        here, _ = site_with(out={"tfc_padding": 1000})
        there = Site(B, A)
        there.tunnel()
        packets = [udp(A.host[4], B.host[4], bytes(n)) for n in (1, 77, 500)]

        received = there.run(wan=[built(p) for p in here.run(lan=packets).wan])

        self.assertEqual([bytes(p) for p in received.lan], [bytes(routed(p, 2)) for p in packets])

    def test_dummies_are_sent_and_nobody_minds(self):
        # ESP-4: of many lengths, with numbers of the SA's own; the other gateway drops them as such.
        site, peer = site_with(out={"dummy_rate": 200})
        daemon = site.start(lan=[OUT]).wait_ready()
        daemon.wait_until(lambda: daemon.telemetry("/culvert/sa,t-out")["dummies"] >= 100, lambda: "dummies")
        daemon.signal()
        run = site.result(daemon, 1)

        esp = [p for p in run.wan if p.haslayer(ESP)]
        self.assertGreater(len(esp), 100)
        self.assertEqual([p[ESP].seq for p in esp], list(range(1, len(esp) + 1)))
        self.assertGreater(len({len(p) for p in esp}), 30)
        self.assertTrue(all(len(p) <= 1500 for p in esp))
        self.assertEqual(run.sas["t-out"].packets, 1)
        there = Site(B, A)
        there.tunnel()
        received = there.run(wan=[built(p) for p in esp])
        self.assertEqual(received.drops, {"in_dummy": len(esp) - 1})
        self.assertEqual([bytes(p) for p in received.lan], [bytes(routed(OUT, 2))])

    def test_dummies_come_at_their_rate(self):
        # ESP-4
        site, _ = site_with(out={"dummy_rate": 50})
        daemon = site.start()
        daemon.wait_ready()
        daemon.wait_until(lambda: daemon.telemetry("/culvert/sa,t-out")["dummies"] >= 25, lambda: "dummies", 60)
        started, first = time.monotonic(), daemon.telemetry("/culvert/sa,t-out")["dummies"]
        daemon.wait_until(lambda: daemon.telemetry("/culvert/sa,t-out")["dummies"] >= first + 100, lambda: "more", 60)
        seconds = time.monotonic() - started
        daemon.signal()
        site.result(daemon, 0)
        self.assertGreater(seconds, 1.0)


def events(run, name):
    return [line for line in run.stderr.splitlines() if f" msg=audit event={name} " in line]


class Audit(unittest.TestCase):
    def test_each_event_says_what_is_asked_for(self):
        # SAL-2, AR-7, ESP-3, SPD-4, SPD-5
        site, peer = site_with()
        good = peer.seal(IN, seq=1)
        unknown = built(ip(B.wan[4], A.wan[4]) / ESP(spi=0x999, seq=7, data=bytes(64)))
        forged = built(good.__class__(bytes(peer.seal(IN, seq=2))[:-1] + b"\0"))
        wrong = peer.seal(udp("10.9.0.1", A.host[4], sport=53, dport=99), seq=3)

        run = site.run(wan=[good, good, unknown, forged, wrong, IN])

        ends = f"source={B.wan[4]} destination={A.wan[4]}"
        self.assertIn(f"sa=t-in spi=0x00002001 protocol=esp {ends} seq=1 port=wan suppressed=0",
            events(run, "in_replay")[0])
        self.assertIn(f"event=in_no_sa spi=0x00000999 protocol=esp {ends} seq=7", events(run, "in_no_sa")[0])
        self.assertIn(f"sa=t-in spi=0x00002001 protocol=esp {ends} seq=2", events(run, "in_icv")[0])
        self.assertIn(f"sa=t-in spi=0x00002001 protocol=esp {ends} seq=3 inner_source=10.9.0.1 "
            f"inner_destination={A.host[4]} inner_protocol=17 inner_source_port=53 inner_destination_port=99 "
            f"sa_policy=p1 sa_source={B.net[4]} sa_destination={A.net[4]} port=wan", events(run, "in_selector")[0])
        self.assertIn(f"event=in_tmpl_mismatch source={B.host[4]} destination={A.host[4]} protocol=17 "
            "source_port=1000 destination_port=2000 port=wan", events(run, "in_tmpl_mismatch")[0])

    def test_the_end_of_the_numbers_is_an_event(self):
        # ESP-6, LIF-1
        site, _ = site_with(out={"life_packets": 1})

        run = site.run(lan=[OUT] * 2)

        self.assertIn(f"sa=t-out spi=0x00001001 protocol=esp source={A.wan[4]} destination={B.wan[4]} "
            f"inner_source={A.host[4]}", events(run, "out_expired")[0])

    def test_a_flood_is_told_of_by_few_lines_that_count_all(self):
        # AR-7
        site, peer = site_with()
        good = peer.seal(IN, seq=1)

        run = site.run(wan=[good] * 3000)

        lines = events(run, "in_replay")
        told = sum("seq=" in line for line in lines)
        suppressed = sum(int(re.search(r"suppressed=(\d+)", line)[1]) for line in lines)
        self.assertEqual(told + suppressed, 2999)
        self.assertLess(len(lines), 200)

    def test_it_can_be_off(self):
        site, peer = site_with()
        site.conf["control"]["audit"] = False
        good = peer.seal(IN, seq=1)

        run = site.run(wan=[good] * 3)

        self.assertEqual(run.drops, {"in_replay": 2})
        self.assertNotIn("audit", run.stderr)
