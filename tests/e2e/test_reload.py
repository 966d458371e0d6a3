"""A configuration that takes long to read: what the gateway goes on doing meanwhile, what waits, and how it ends.

A pipe stands for the large file: its reader waits until the test writes. So nothing here depends on how fast a machine is.
"""
import array
import fcntl
import json
import os
import signal
import termios
import unittest

from scapy.layers.inet6 import ICMPv6ND_NA
from scapy.layers.l2 import ARP, Ether

from culvert import A, B, PCAP_HEADER, Site, key_bytes, pcap_read, yaml_text
from test_metrics import free_port, scrape
from test_neighbours import solicitation, who_has
from test_service import Manager

FORWARDING = "READY=1\nSTATUS=forwarding"


class Client:
    """A connection whose answers come when they come."""

    def __init__(self, daemon):
        self.client = daemon.connect(20)
        self.lines = self.client.makefile("rwb")

    def send(self, command, **arguments):
        self.lines.write(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        self.lines.flush()
        return self

    def answer(self):
        return json.loads(self.lines.readline())

    def has_answer(self, seconds=0.2):
        self.client.settimeout(seconds)
        try:
            return bool(self.lines.peek())
        except TimeoutError:
            # A file is of no use after that.
            self.lines = self.client.makefile("rwb")
            return False
        finally:
            self.client.settimeout(20)

    def close(self):
        self.lines.close()
        self.client.close()


class Slow(unittest.TestCase):
    """A gateway with a tunnel, whose next configuration comes from a pipe."""

    def setUp(self):
        self.site = Site()
        self.site.conf["neighbours"] = []
        self.site.conf["metrics"] = {"port": free_port()}
        self.site.tunnel()
        self.clients = []
        self.pipe = None
        self.start()
        self.daemon.wait_ready()
        self.addCleanup(self.end)

    def start(self):
        self.manager = Manager(self.site, WATCHDOG_USEC="400000")
        self.daemon = self.manager.start(self.site)

    def client(self):
        self.clients.append(Client(self.daemon))
        return self.clients[-1]

    def end(self):
        for client in self.clients:
            client.close()
        if self.pipe is not None:
            os.close(self.pipe)
        if self.daemon.process.poll() is None:
            self.daemon.signal()
            self.site.ended(self.daemon)

    def open_pipe(self, name="slow.yaml"):
        """A configuration whose reader waits; its path. For reading too, so that opening it waits for nobody."""
        path = self.site.path(name)
        if os.path.exists(path):
            os.remove(path)
        os.mkfifo(path)
        self.pipe = os.open(path, os.O_RDWR)
        return path

    def write_pipe(self, text=None):
        """The text is in the pipe, and that is all; else the configuration with one SA more."""
        with_more = {**self.site.conf, "sas": {**self.site.conf["sas"], **self.an_sa("more", 0x7001)}}
        os.write(self.pipe, (text or yaml_text(with_more)).encode())
        self.daemon.wait_until(self.is_pipe_empty, lambda: "the file is read")
        os.close(self.pipe)
        self.pipe = None

    def is_pipe_empty(self):
        unread = array.array("i", [0])
        fcntl.ioctl(self.pipe, termios.FIONREAD, unread)
        return unread[0] == 0

    def an_sa(self, name, spi):
        self.site.keys.append(key_bytes(name, 20))
        return {name: {"spi": spi, "source": A.wan[4], "destination": B.wan[4], "esp": "aes128gcm16",
            "key": "0x" + key_bytes(name, 20).hex()}}

    def names(self):
        return {sa["name"] for sa in self.daemon.control("show-sas")["sas"]}


class WhileAFileIsRead(Slow):
    def test_clients_metrics_and_the_watchdog_are_served(self):
        reloading = self.client().send("apply", file=self.open_pipe())
        self.assertFalse(reloading.has_answer())

        self.assertEqual(self.daemon.control("show-version")["protocol"], 1)
        self.assertTrue(scrape(self.site))
        self.manager.all_told()
        self.assertEqual([self.manager.told() for _ in range(2)], ["WATCHDOG=1"] * 2)
        self.assertFalse(reloading.has_answer())
        self.assertEqual(self.names(), {"t-out", "t-in"})

        self.write_pipe()
        answer = reloading.answer()
        self.assertEqual(answer["result"]["names"], {"sas": {"added": ["more"]}})
        self.assertEqual(self.names(), {"t-out", "t-in", "more"})

    def test_other_changes_wait_for_their_turn_and_are_answered_in_order(self):
        reloading = self.client().send("apply", file=self.open_pipe()).send("show-version")
        changing = self.client().send("change", sas=self.an_sa("later", 0x7002)).send("show-sas")
        again = self.client().send("reload", dry_run=True)
        for client in (reloading, changing, again):
            self.assertFalse(client.has_answer(0.1))

        self.write_pipe()

        self.assertEqual(reloading.answer()["result"]["counts"]["sas"]["added"], 1)
        self.assertIn("version", reloading.answer()["result"])
        self.assertEqual(changing.answer()["result"]["names"], {"sas": {"added": ["later"]}})
        self.assertEqual({sa["name"] for sa in changing.answer()["result"]["sas"]}, {"t-out", "t-in", "more", "later"})
        # The daemon's own file has neither of them.
        self.assertEqual(again.answer()["result"]["counts"]["sas"]["removed"], 2)

    def test_a_file_with_faults_and_one_for_a_dry_run_change_nothing(self):
        reloading = self.client().send("apply", file=self.open_pipe())
        self.write_pipe("sas: {x: {spi: 5, key: '0x0123456789'}}\n")
        answer = reloading.answer()
        self.assertEqual((answer["ok"], answer["error"]["findings_of"]), (False, "file"))
        self.assertEqual(answer["error"]["findings"][0]["line"], 1)

        reloading.send("apply", file=self.open_pipe(), dry_run=True)
        self.write_pipe()
        answer = reloading.answer()

        self.assertEqual((answer["result"]["made"], answer["result"]["counts"]["sas"]["added"]), (False, 1))
        self.assertEqual(self.names(), {"t-out", "t-in"})

    def test_a_client_that_leaves_has_its_change_made(self):
        leaving = self.client().send("events").send("apply", file=self.open_pipe())
        self.assertTrue(leaving.answer()["ok"])
        self.assertFalse(leaving.has_answer(0.1))
        self.clients.remove(leaving)
        leaving.close()
        # An event for who has left: its connection fails, and is closed.
        self.daemon.signal(signal.SIGUSR1)
        self.daemon.wait_until(lambda: "total:" in self.daemon.stdout(), lambda: "statistics are printed")

        self.write_pipe()

        self.daemon.wait_until(lambda: "more" in self.names(), lambda: "the change is made")

    def test_a_signal_during_a_reload_by_signal_makes_another_one(self):
        self.open_pipe("site.yaml")
        self.manager.all_told()
        self.daemon.signal(signal.SIGHUP)
        self.daemon.wait_until(lambda: any(m.startswith("RELOADING=1") for m in self.manager.all_told()),
            lambda: "it reloads")
        self.daemon.signal(signal.SIGHUP)
        self.assertEqual(self.manager.told(), "WATCHDOG=1")

        self.write_pipe()
        self.daemon.wait_until(lambda: "more" in self.names(), lambda: "the first reload is made")
        self.daemon.wait_until(lambda: any(m.startswith("RELOADING=1") for m in self.manager.all_told()),
            lambda: "it reloads again")
        self.pipe = os.open(self.site.path("site.yaml"), os.O_RDWR)
        self.write_pipe(yaml_text(self.site.conf))

        self.daemon.wait_until(lambda: "more" not in self.names(), lambda: "the second reload is made")
        self.daemon.wait_until(lambda: FORWARDING in self.manager.all_told(), lambda: "it is told")

    def test_it_stops_in_the_middle_of_one_and_says_so(self):
        reloading = self.client().send("apply", file=self.open_pipe())
        waiting = self.client().send("change", sas=self.an_sa("later", 0x7002))
        self.assertFalse(reloading.has_answer())

        self.daemon.signal()
        answer = reloading.answer()
        self.site.ended(self.daemon)

        self.assertIn("stops; nothing has changed", answer["error"]["text"])
        self.assertEqual(waiting.lines.readline(), b"")


class Neighbours(Slow):
    def start(self):
        self.daemon, self.feed = self.site.start_fed("lan")

    def end(self):
        self.feed.close()
        super().end()

    def has_sent(self, is_wanted):
        """The worker, which waits for frames, sends what control has for it when some have come."""
        self.feed.put([])
        path = self.site.path("lan-tx0.pcap")
        has_header = os.path.getsize(path) >= len(PCAP_HEADER)  # it is written with the first frames
        return has_header and any(is_wanted(Ether(frame)) for frame in pcap_read(path))

    def test_arp_and_neighbour_discovery_are_answered(self):
        # SPD-12
        reloading = self.client().send("apply", file=self.open_pipe())
        self.assertFalse(reloading.has_answer())

        self.feed.put([self.site.frame("lan", frame) for frame in (who_has(A.lan[4]), solicitation(A.lan[6]))])

        for is_answer, what in ((lambda f: f.haslayer(ARP) and f[ARP].op == 2, "an ARP answer"),
                                (lambda f: f.haslayer(ICMPv6ND_NA), "an advertisement")):
            self.daemon.wait_until(lambda: self.has_sent(is_answer), lambda: what)
        self.assertFalse(reloading.has_answer(0.01))
        self.write_pipe()
        self.assertEqual(reloading.answer()["result"]["counts"]["sas"]["added"], 1)


if __name__ == "__main__":
    unittest.main()
