"""SAs and policies by IKEv2: strongSwan's charon at both ends, with the plugin kernel-culvert, and culvertd under it.

Two gateways with their charons stay up for a whole class; each test loads its connections and ends what it began.
"""
import re
import signal
import threading
import time
import unittest

import lab
lab.needs()

LEFT, RIGHT = lab.LEFT, lab.RIGHT


class Ike(unittest.TestCase):
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab(**cls.options)
        cls.addClassCleanup(cls.lab.close)

    def setUp(self):
        self.left, self.right = self.lab.gateways[0], self.lab.gateways[-1]
        self.ike_left, self.ike_right = self.lab.charons
        self.addCleanup(self.settle)

    def settle(self):
        """Nothing of a test is left for the next."""
        for charon in self.lab.charons:
            charon.load("")
            charon.swanctl("--terminate", "--ike", "*", "--force", "--timeout", "5", check=False)
            charon.swanctl("--terminate", "--ike", "t", "--force", "--timeout", "5", check=False)
        for gateway in self.lab.gateways:
            lab.wait_until(lambda: not gateway.sas() and not gateway.policies(),
                lambda: f"all is gone: {gateway.sas()} {gateway.policies()}")

    def connect(self, left=None, right=None, **both):
        self.ike_left.connect(RIGHT, **both, **(left or {}))
        self.ike_right.connect(LEFT, **both, **(right or {}))

    def up(self, **connection):
        """A tunnel, by left's doing."""
        self.connect(**connection)
        self.ike_left.swanctl("--initiate", "--child", "t", "--timeout", "10")
        lab.wait_until(lambda: len(self.left.sas()) >= 2 and len(self.right.sas()) >= 2, lambda: "the SAs are there")

    def all_sas(self):
        return [sa for gateway in self.lab.gateways for sa in gateway.sas().values()]

    def exchange(self, count=3):
        """So many datagrams go from left to right, and back."""
        self.assertEqual(self.lab.echo.run(count), 0, self.drops())

    def is_cut(self):
        return self.lab.echo.run(1, seconds=0.3) == 1

    def rekey_by_turns(self):
        """By left, by right, and by both at once."""
        for charons in (self.lab.charons[:1], self.lab.charons[1:], self.lab.charons):
            time.sleep(0.3)
            for charon in charons:
                charon.swanctl("--rekey", "--child", "t")

    def drops(self):
        """By gateway; what the namespaces' own kernels send on the cables is for nobody."""
        return [{drop["reason"]: drop["packets"] for drop in gateway.daemon.control("show-drops")["drops"]
            if drop["reason"] != "eth_not_ours"} for gateway in self.lab.gateways]


class Tunnel(Ike):
    def test_extended_sequence_numbers_are_negotiated(self):
        # ESN-1: both are offered, and the extended ones are preferred.
        self.up(esp="aes128gcm16-esn-noesn")

        self.exchange()

        self.assertEqual([sa["esn"] for sa in self.all_sas()], [True] * 4)
        self.assertEqual([sa["packets"] for sa in self.all_sas()], [3] * 4)
        self.assertEqual({sa["algorithm"] for sa in self.all_sas()}, {"aes128gcm16"})
        self.assertIn("ESP:AES_GCM_16-128/ESN", self.ike_left.swanctl("--list-sas"))
        self.assertEqual({sa["spi"] for sa in self.left.sas().values()}, {sa["spi"] for sa in self.right.sas().values()})

    def test_a_peer_that_offers_none_gets_none(self):
        # ESN-1
        self.up(left={"esp": "aes128gcm16-esn-noesn"}, right={"esp": "aes128gcm16-noesn"})

        self.exchange()

        self.assertEqual([sa["esn"] for sa in self.all_sas()], [False] * 4)

    def test_names_say_what_they_are(self):
        self.up()

        for gateway in self.lab.gateways:
            for name, sa in gateway.sas().items():
                self.assertEqual(name, f"ike-1-{sa['spi'][2:]}-{sa['direction']}")
                self.assertEqual(sa["replay_window"] if sa["direction"] == "in" else 1024, 1024)
            self.assertEqual([re.sub(r"\d+$", "", policy["name"]) for policy in gateway.policies()],
                ["ike-1-in-", "ike-1-out-"])

    def test_every_algorithm_of_both_carries_packets(self):
        # ALG-1
        for esp in ("aes256gcm16-esn", "aes192gcm8", "aes128ccm12-esn", "aes256ctr-sha256", "aes128-sha256-esn",
                    "aes192-sha384", "aes256-sha512", "aes128-sha1", "aes128-sha256_96", "aes128-aesxcbc", "aes256-aescmac",
                    "chacha20poly1305-esn", "aes256gmac", "null-sha256"):
            with self.subTest(esp):
                # strongSwan has the short ICV of HMAC-SHA-256 as an option of the connection.
                short = esp.endswith("_96")
                self.up(esp=esp.removesuffix("_96"), child="sha256_96 = yes" if short else "")
                self.exchange(1)
                self.assertEqual({sa["algorithm"] for sa in self.all_sas()}, {esp.removesuffix("-esn")})
                self.settle()

    def test_ah_carries_packets(self):
        self.up(esp=None, child="ah_proposals = sha256-esn")

        self.exchange()

        self.assertEqual({(sa["protocol"], sa["algorithm"], sa["esn"]) for sa in self.all_sas()}, {("ah", "sha256", True)})

    def test_an_algorithm_that_culvert_has_not_is_refused(self):
        self.connect(esp="aes192ccm16,3des-sha1")
        said = self.ike_left.swanctl("--initiate", "--child", "t", "--timeout", "5", check=False)

        self.assertNotIn("completed successfully", said)
        self.ike_right.wait_log("aes192ccm16|3DES_CBC")
        self.assertEqual(self.all_sas(), [])

    def test_a_rekeying_loses_nothing(self):
        # REK-1, REK-2, REK-3, REK-4, REK-5: whoever begins it, and both at once; the old SAs are gone in the end.
        self.up()
        self.exchange()
        before = self.drops()
        names = [set(gateway.sas()) for gateway in self.lab.gateways]
        rekeyings = threading.Thread(target=self.rekey_by_turns)
        rekeyings.start()
        lost = self.lab.echo.run(1000, interval=0.002)
        rekeyings.join()

        self.assertEqual(lost, 0, self.drops())
        self.assertEqual(self.drops(), before)
        lab.wait_until(lambda: [len(gateway.sas()) for gateway in self.lab.gateways] == [2, 2], lambda: "two SAs are left")
        for gateway, old in zip(self.lab.gateways, names):
            self.assertFalse(old & set(gateway.sas()))
        self.assertEqual([len(gateway.policies()) for gateway in self.lab.gateways], [2, 2])

    def test_a_tunnel_that_is_ended_leaves_nothing(self):
        # REK-4, SPD-3
        self.up()
        self.exchange()

        self.ike_right.swanctl("--terminate", "--child", "t")

        for gateway in self.lab.gateways:
            lab.wait_until(lambda: not gateway.sas() and not gateway.policies(), lambda: "all is gone")
        self.assertTrue(self.is_cut())

    def test_a_trap_fetches_the_sas_when_packets_want_them(self):
        # SPD-10
        self.connect(left={"child": "start_action = trap"})
        self.assertEqual([(policy["direction"], policy["sas"]) for policy in self.left.policies()], [("in", []), ("out", [])])

        self.assertTrue(self.is_cut())
        lab.wait_until(lambda: len(self.left.sas()) == 2, lambda: "the SAs are there")

        self.exchange()
        self.assertIn("creating acquire job", self.ike_left.text())

    def test_a_reload_of_the_file_leaves_the_sas(self):
        # REK-5
        self.up()
        before = set(self.left.sas())

        counts = self.left.daemon.control("reload")["counts"]

        self.assertEqual((counts["sas"]["removed"], counts["policies"]["removed"]), (0, 0))
        self.exchange()
        self.assertEqual(set(self.left.sas()), before)

    def test_in_udp_where_a_nat_is_feigned(self):
        # NAT-1
        self.up(ike="encap = yes")

        self.exchange()

        for sa in self.all_sas():
            self.assertEqual((sa["udp"]["source_port"], sa["udp"]["destination_port"]), (4500, 4500))
        self.assertEqual([sa["packets"] for sa in self.all_sas()], [3] * 4)

    def test_an_sa_is_replaced_at_its_soft_limit(self):
        # LIF-1
        for limits in ("rekey_packets = 20\nlife_packets = 100000\nrand_packets = 0",
                       "rekey_bytes = 2000\nlife_bytes = 10000000\nrand_bytes = 0"):
            with self.subTest(limits):
                self.up(left={"child": limits})
                before = set(self.left.sas())
                self.exchange(30)
                lab.wait_until(lambda: len(self.left.sas()) == 2 and not before & set(self.left.sas()),
                    lambda: f"there are other SAs than {before}: {self.left.sas()}")
                self.exchange(2)
                self.settle()

    def test_what_passes_and_what_is_dropped_comes_before_and_behind(self):
        # SPD-1, SPD-2: by class, and then the narrower first.
        children = "\n".join(f"""{name} {{
            local_ts = {LEFT.net}
            remote_ts = {to}
            mode = {mode}
            start_action = trap
        }}""" for name, mode, to in (("wide", "pass", "10.2.0.0/15"), ("narrow", "pass", "10.2.7.0/24[udp/53]"),
            ("no", "drop", "10.0.0.0/8")))
        shunts = f"shunts {{\nremote_addrs = 127.0.0.1\nchildren {{\n{children}\n}} }}"

        self.ike_left.load(self.ike_left.connection(RIGHT, child="start_action = trap") + shunts)

        out = [policy for policy in self.left.policies() if policy["direction"] == "out"]
        self.assertEqual([(policy["action"], policy["destination"]) for policy in out], [("bypass", ["10.2.7.0/24"]),
            ("bypass", ["10.2.0.0/15"]), ("protect", [RIGHT.net]), ("discard", ["10.0.0.0/8"])])
        self.assertEqual((out[0]["protocol"], out[0]["destination_port"]), (17, "53-53"))

    def test_transport_mode_is_for_the_gateways_themselves(self):
        # TUN-10
        self.up(child="mode = transport", local_ts="dynamic", remote_ts="dynamic")
        echo = lab.Echo(self.lab.network, LEFT.name, RIGHT.name, RIGHT.wan)
        self.addCleanup(echo.close)

        self.assertEqual(echo.run(3), 0, self.drops())

        self.assertEqual({(sa["mode"], sa["packets"]) for sa in self.all_sas()}, {("transport", 3)})

    def test_several_selectors_are_several_policies_of_one_sa(self):
        both = f"{RIGHT.net},10.9.0.0-10.9.0.77"
        self.up(left={"remote_ts": both}, right={"local_ts": both})

        self.exchange()

        policies = self.left.policies()
        self.assertEqual([policy["direction"] for policy in policies].count("out"), 2)
        self.assertIn(["10.9.0.0-10.9.0.77"], [policy["destination"] for policy in policies])
        self.assertEqual(len({str(policy["sas"]) for policy in policies}), 2)


class Mobile(Ike):
    OTHER = "192.0.2.3"
    options = {"addresses": (OTHER,)}

    def test_mobike_moves_the_sas(self):
        # NAT-6, REK-5: to another of the gateway's addresses; the SAs are the same, and go on counting.
        self.up(left={"addresses": False}, right={"remote": "%any"})
        self.exchange()
        before = set(self.left.sas())

        # The kernel forgets the routes from an address that goes; charon asks it for another way.
        self.lab.network.ip(LEFT.name, f"route add default dev culvert0 src {self.OTHER} metric 70000")
        self.lab.network.ip(LEFT.name, f"addr del {LEFT.wan}/32 dev culvert0")

        for gateway in self.lab.gateways:
            lab.wait_until(lambda: all(self.OTHER in (sa["source"], sa["destination"]) for sa in gateway.sas().values()),
                lambda: f"SAs have moved: {gateway.sas()}\n{self.ike_left.text()}")
        self.exchange()
        self.assertEqual(set(self.left.sas()), before)
        sequence, = {sa["sequence"] for sa in self.all_sas()}
        self.assertGreaterEqual(sequence, 6)


class Libipsec(Ike):
    """strongSwan's own ESP, in user space and in UDP, as the peer: it shares no code with culvert."""

    options = {"right": "kernel-libipsec"}

    def up(self, **connection):
        self.connect(**connection)
        self.ike_left.swanctl("--initiate", "--child", "t", "--timeout", "10")

    def test_packets_pass_both_ways(self):
        # ESP-1, NAT-1: tunnel mode without ESN, which libipsec has not.
        for esp in ("aes128gcm16", "aes256-sha256", "chacha20poly1305"):
            with self.subTest(esp):
                self.up(esp=esp)
                self.exchange(20)
                self.assertEqual([(sa["packets"], sa["drops"], sa["esn"]) for sa in self.all_sas()], [(20, 0, False)] * 2)
                self.assertEqual({sa["algorithm"] for sa in self.all_sas()}, {esp})
                self.settle()

    def test_extended_sequence_numbers_are_not_forced_on_it(self):
        # ESN-1
        self.up(left={"esp": "aes128gcm16-esn-noesn"}, right={"esp": "aes128gcm16"})
        self.exchange()


class BehindNat(Ike):
    """The peer, strongSwan's own ESP again, is behind a NAT that gives it other ports."""

    options = {"right": "kernel-libipsec", "nat": True}

    def test_a_peer_that_the_nat_moves_is_followed_and_charon_is_told(self):
        # NAT-6: culvertd follows the newest authentic packet, and charon then moves the SAs there.
        self.connect(esp="aes128gcm16", left={"remote": "%any"})
        self.ike_right.swanctl("--initiate", "--child", "t", "--timeout", "10")
        self.exchange()
        self.assertEqual(self.ports(), {("in", 4500 + 50000), ("out", 4500 + 50000)})

        self.lab.nat.rebind()
        self.assertEqual(self.lab.echo.run(1, seconds=0.3), 1)  # the NAT forgets who sent, until the peer sends again
        back = lab.Echo(self.lab.network, RIGHT.host, LEFT.host, LEFT.inside)
        self.addCleanup(back.close)

        lab.wait_until(lambda: back.run(1, seconds=0.3) == 0, lambda: "packets go to where the peer is")
        lab.wait_until(lambda: self.ports() == {("in", 4500 + 50001), ("out", 4500 + 50001)},
            lambda: f"charon has moved the SAs: {self.ports()}\n{self.ike_left.text()}")
        self.exchange()
        self.assertIn("NAT mappings of CHILD_SA", self.ike_left.text())

    def ports(self):
        """The peer's, by direction."""
        return {(sa["direction"], sa["udp"]["source_port" if sa["direction"] == "in" else "destination_port"])
            for sa in self.all_sas()}


class Restarts(Ike):
    def test_a_charon_that_was_killed_leaves_nothing_to_the_next(self):
        self.up()
        self.ike_left.stop(signal.SIGKILL)
        self.assertEqual(len(self.left.sas()), 2)

        self.ike_left.start()

        self.assertEqual((self.left.sas(), self.left.policies()), ({}, []))

    def test_a_culvertd_that_comes_back_gets_new_sas(self):
        self.up()
        before = set(self.left.sas())
        self.left.stop()

        self.left.start()

        lab.wait_until(lambda: len(self.left.sas()) == 2, lambda: f"SAs are there:\n{self.ike_left.text()}")
        self.assertFalse(before & set(self.left.sas()))
        self.assertIn("culvertd has lost SA", self.ike_left.text())
        lab.wait_until(lambda: not self.is_cut(), lambda: "datagrams come back")


if __name__ == "__main__":
    unittest.main()
