"""SAs are replaced while packets flow, and none is lost.

Two gateways, one behind the other, each port a pipe that holds back who writes when it is full: what is lost is lost by a
gateway, and by name.
"""
import os
import unittest

from culvert import A, B, Daemon, Feed, Load, Site, Statistics, key_bytes, pcap_read, udp

REKEYS = 100
SPI_FIRST = 0x1001
PAYLOAD = b"x" * 64


def sa(number, here, there):
    """Generation `number` of the SA from here to there."""
    return {"spi": SPI_FIRST + number, "source": here.wan[4], "destination": there.wan[4], "esp": "aes128gcm16",
        "key": "0x" + key_bytes(f"generation {number}", 20).hex()}


def policy(direction, sas, alternatives=()):
    others = {"alternatives": list(alternatives)} if alternatives else {}
    return {"name": "p0", "direction": direction, "action": "protect", "source": A.net[4], "destination": B.net[4],
        "sas": list(sas), **others}


class Pair:
    """Site A sends to site B, by a pipe; the SA of A is the SA of B."""

    def __init__(self):
        self.a, self.b = Site(A, B), Site(B, A)
        for site, direction in ((self.a, "out"), (self.b, "in")):
            site.conf["sas"]["g0"] = sa(0, A, B)
            site.conf["policies"] = [policy(direction, ["g0"])]
        for neighbour in self.a.conf["neighbours"]:
            if neighbour["port"] == "wan":
                neighbour["mac"] = self.b.mac("wan")
        self.between = self.b.path("wan-rx0.pcap")
        device = self.a.conf["ports"]["wan"]["device"]
        self.a.conf["ports"]["wan"]["device"] = device.replace(self.a.path("wan-tx0.pcap"), self.between)

    def start(self):
        self.b.write()
        os.remove(self.between)
        os.mkfifo(self.between)
        # Neither end waits for the other's beginning.
        self.pipe = os.open(self.between, os.O_RDWR)
        self.to, self.feed = self.a.start_fed("lan")
        self.at = Daemon(["--config", self.b.path("site.yaml")], self.b.directory)
        self.to.wait_ready()
        self.load = Load(self.feed, self.a.frame("lan", udp(A.host[4], B.host[4], PAYLOAD)))
        self.load.start()
        # The far end opens the pipe when its header has come, which the sender keeps until it has more.
        self.at.wait_ready()

    def stop(self):
        """What both had, and the packets that came out at the far end."""
        self.load.stop()
        self.to.wait_settled(self.feed.n)
        self.feed.close()
        self.to.signal()
        sent, _ = self.a.ended(self.to)
        os.close(self.pipe)
        sent = Statistics(sent)
        self.at.wait_settled(sent.ports["wan"][2])
        self.at.signal()
        received, _ = self.b.ended(self.at)
        frames = [frame for frame in pcap_read(self.b.path("lan-tx0.pcap")) if frame[12:14] == b"\x08\x00"]
        return sent, Statistics(received), frames


class Rekey(unittest.TestCase):
    def test_a_hundred_rekeys_under_load_lose_no_packet(self):
        # REK-1, REK-3, REK-5, SPD-13
        pair = Pair()
        pair.start()

        for number in range(1, REKEYS + 1):
            new, old, older = f"g{number}", f"g{number - 1}", f"g{number - 2}"
            # The receiver takes the new one beside the old one, and lets go of the one before.
            pair.at.control("change", sas={new: sa(number, A, B)}, policies=[policy("in", [new], [old])],
                replace=True, delete_sas=[older] if number > 1 else [])
            pair.at.wait_adopted()
            # Then the sender changes over, and lets go of the old one at once.
            pair.to.control("change", sas={new: sa(number, A, B)}, policies=[policy("out", [new])],
                replace=True, delete_sas=[old])
            pair.to.wait_adopted()
            # What the old one had sent comes before what the new one sends.
            before = pair.at.control("show-sa", name=new)["sa"]["packets"]
            pair.at.wait_until(lambda: pair.at.control("show-sa", name=new)["sa"]["packets"] > before + 2 * Feed.BURST,
                lambda: f"packets of {new} arrive")

        sent, received, frames = pair.stop()
        self.assertEqual(sent.drops, {})
        self.assertEqual(received.drops, {})
        self.assertEqual(len(frames), pair.feed.n)
        self.assertGreater(pair.feed.n, REKEYS * 10 * Feed.BURST)


if __name__ == "__main__":
    unittest.main()
