"""What is told on the control socket while it happens, to those who asked by `events`."""
import json
import unittest

from culvert import A, B, Feed, Site, udp

OUT = udp(A.host[4], B.host[4], b"x" * 32)
IN = udp(B.host[4], A.host[4], b"x" * 32)
STRANGER = udp("10.9.0.1", A.host[4], b"x" * 32)  # no policy lets it out of the tunnel


class Listener:
    """A connection that hears events."""

    def __init__(self, daemon):
        self.client = daemon.connect(20)
        self.lines = self.client.makefile("rwb")
        self.lines.write(b'{"command": "events"}\n')
        self.lines.flush()
        assert json.loads(self.lines.readline())["ok"]

    def next(self, name):
        """The next event of that name; others are passed over."""
        while True:
            event = json.loads(self.lines.readline())
            assert event["time"] > 1e9
            if event["event"] == name:
                return event

    def close(self):
        self.lines.close()
        self.client.close()


class Events(unittest.TestCase):
    def start(self, site, port="lan"):
        self.site = site
        self.daemon, self.feed = site.start_fed(port)
        self.daemon.wait_ready()
        listener = Listener(self.daemon)
        self.addCleanup(listener.close)
        return listener

    def put(self, *packets):
        self.feed.put([self.site.frame("lan" if self.port == "lan" else "wan", packet) for packet in packets])

    def end(self):
        self.feed.close()
        self.daemon.signal()
        self.site.ended(self.daemon)

    def test_limits_of_an_sa_are_told(self):
        # LIF-1
        self.port = "lan"
        site = Site()
        site.tunnel()
        site.conf["sas"]["t-out"].update({"rekey_packets": 2, "life_packets": 4})
        listener = self.start(site)
        self.put(*[OUT] * 6)

        soft, hard = listener.next("sa-soft-expired"), listener.next("sa-hard-expired")

        self.assertEqual((soft["sa"], soft["spi"], soft["limit"], soft["soft"]), ("t-out", "0x00001001", "packets", 2))
        self.assertEqual((hard["sa"], hard["limit"], hard["hard"]), ("t-out", "packets", 4))
        self.end()

    def test_a_packet_that_wants_an_sa_is_told_with_its_selectors(self):
        # SPD-10
        self.port = "lan"
        site = Site()
        site.policy("out", "protect", destination=B.net[4], sas=[])
        listener = self.start(site)
        self.put(OUT)

        event = listener.next("acquire")

        self.assertEqual(event["policy"], "p0")
        self.assertEqual(event["packet"], {"source": A.host[4], "destination": B.host[4], "protocol": 17,
            "source_port": 1000, "destination_port": 2000})
        self.end()

    def test_a_packet_that_its_sa_may_not_carry_is_told_with_both(self):
        # SPD-5
        self.port = "wan"
        site = Site()
        peer = site.tunnel()
        listener = self.start(site, "wan")
        self.put(peer.seal(STRANGER))

        event = listener.next("audit")

        self.assertEqual((event["reason"], event["sa"], event["spi"]), ("in_selector", "t-in", "0x00002001"))
        self.assertEqual((event["packet"]["source"], event["packet"]["destination"]), ("10.9.0.1", A.host[4]))
        policies = self.daemon.control("show-sa", name=event["sa"])["sa"]["policies"]
        selectors = [p for p in self.daemon.control("show-policies")["policies"] if p["name"] in policies]
        self.assertEqual([(p["source"], p["destination"]) for p in selectors], [([B.net[4]], [A.net[4]])])
        self.assertIn("in_selector", self.daemon.control("show-sa", name="t-in")["sa"]["last_event"])
        self.end()

    def test_many_failures_are_told_with_their_rate(self):
        self.port = "wan"
        site = Site()
        peer = site.tunnel()
        listener = self.start(site, "wan")
        replayed = peer.seal(IN, seq=5)
        for _ in range(40):
            self.put(*[replayed] * Feed.BURST)

        event = listener.next("failures")

        self.assertEqual(event["reason"], "in_replay")
        self.assertGreaterEqual(event["per_second"], 100)
        self.end()

    def test_changes_are_told_to_all_and_nothing_is_to_who_left(self):
        self.port = "lan"
        site = Site()
        site.tunnel()
        first = self.start(site)
        second, left = Listener(self.daemon), Listener(self.daemon)
        left.close()

        self.daemon.control("reload")

        for listener in (first, second):
            self.assertEqual(listener.next("changed")["by"], "reload")
        second.close()
        self.put(OUT)
        self.end()


if __name__ == "__main__":
    unittest.main()
