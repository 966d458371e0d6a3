"""Packets that an operator watches by the control socket: traces, captures as tshark reads them, explanations."""
import json
import os
import socket
import stat
import subprocess
import tempfile
import unittest

from scapy.layers.inet import IP, UDP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from culvert import A, B, Site, built, routed, udp

ESP_KEY_LENGTH = 20  # of aes128gcm16, with the salt


def ask(site, command, **arguments):
    """The answer of the control socket: what came of it, or the text of the error."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(site.path("run/control.sock"))
        client.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        answer = json.loads(client.makefile().readline())
    return answer["result"] if answer["ok"] else answer["error"]["text"]


class Watched(unittest.TestCase):
    """A gateway with a tunnel that is fed while it runs."""

    def begin(self, port="lan", capture=None, **others):
        self.site = Site(way="default")
        self.captures = tempfile.mkdtemp(dir=self.site.directory)
        if capture is not False:
            self.site.conf["capture"] = {"directory": self.captures, "allow_inner": True, **(capture or {})}
        self.peer = self.site.tunnel()
        self.daemon, self.feed = self.site.start_fed(port, **others)
        self.port = port
        self.daemon.wait_ready()

    def put(self, packets):
        self.feed.put([self.site.frame(self.port, packet) for packet in packets])

    def turn(self):
        """The worker waits in the port for a burst; with this one it begins another loop, and sees what control
        wants of it."""
        self.put([])

    def wait_turning(self, condition, what):
        def is_so():
            self.turn()
            return condition()

        self.wait(is_so, what)

    def wait_received(self):
        self.wait(lambda: self.daemon.telemetry("/culvert/totals")["received"] == self.feed.n, "all came")

    def end(self):
        self.wait_received()
        self.feed.close()
        self.daemon.signal()
        return self.site.result(self.daemon)

    def wait(self, condition, what):
        self.daemon.wait_until(condition, lambda: what)

    def capture(self, packets, n, **arguments):
        """Capture while the gateway gets the packets, until there are n in the file; its path and the result."""
        path = ask(self.site, "capture", file="test.pcapng", **arguments)["file"]
        self.turn()
        for at in range(0, len(packets), 32):
            self.put(packets[at:at + 32])
        self.wait(lambda: ask(self.site, "show-capture")["packets"] >= n, f"{n} packets are captured")
        ask(self.site, "stop-capture")
        self.wait_turning(lambda: ask(self.site, "show-capture")["state"] == "done", "the capture is done")
        return path, ask(self.site, "show-capture")


def tshark(path, *arguments):
    """What tshark prints, which has nothing to complain of."""
    done = subprocess.run(["tshark", "-n", "-r", path, *arguments], capture_output=True, text=True, check=True)
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert not complaints, complaints
    return done.stdout.splitlines()


def fields(path, *names, options=()):
    rows = tshark(path, *options, "-T", "fields", *(word for name in names for word in ("-e", name)))
    return [dict(zip(names, row.split("\t"))) for row in rows]


def frames_by_interface(path):
    """The bytes of each interface's packets, by tshark's own count of interfaces."""
    names = [row["frame.interface_name"] for row in fields(path, "frame.interface_name")]
    reader = RawPcapNgReader(path)
    found = {}
    for name, (data, _) in zip(names, reader, strict=True):
        found.setdefault(name, []).append(data)
    reader.close()
    return found


class Captures(Watched):
    def test_frames_and_what_tunnels_carry_are_as_they_were_sent(self):
        self.begin()
        packets = [udp(A.host[4], B.host[4], bytes([i]) * (10 + 20 * i)) for i in range(20)]

        path, result = self.capture(packets, 40, host=A.host[4])
        # The tunnel's packets have other addresses; what the wan sent is in the run's own capture.
        self.assertIsInstance(result, dict)
        run = self.end()

        found = frames_by_interface(path)
        self.assertEqual(found["lan"], [self.site.frame("lan", packet) for packet in packets])
        self.assertEqual(found["inner-out"], [bytes(routed(packet)) for packet in packets])
        self.assertNotIn("wan", found)
        self.assertEqual(len(run.wan), len(packets))

    def test_tshark_decrypts_esp_to_the_packets_before_encryption(self):
        self.begin()
        packets = [udp(A.host[4], B.host[4], bytes([i]) * (10 + 20 * i)) for i in range(20)]

        path, result = self.capture(packets, 40, sa="t-out")
        run = self.end()

        self.assertEqual(result["not_captured"], 0)
        self.assertEqual(result["bytes"], os.path.getsize(path))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        found = frames_by_interface(path)
        self.assertEqual(found["wan"], [frame for frame in run.raw["wan"] if ESP in Ether(frame)])
        self.assertEqual([bytes(self.peer.open(Ether(frame).payload)) for frame in found["wan"]], found["inner-out"])
        key = self.site.keys[0].hex()
        decrypt = ("-o", "esp.enable_encryption_decode:TRUE", "-o",
            f'uat:esp_sa:"IPv4","{A.wan[4]}","{B.wan[4]}","0x00001001","AES-GCM with 16 octet ICV [RFC4106]","0x{key}","NULL",""')
        rows = fields(path, "frame.interface_name", "ip.src", "ip.dst", "udp.payload", "ip.ttl", options=decrypt)
        inside = {name: [row for row in rows if row["frame.interface_name"] == name] for name in ("wan", "inner-out")}
        self.assertEqual(len(inside["wan"]), len(packets))
        for outer, inner in zip(inside["wan"], inside["inner-out"], strict=True):
            self.assertEqual(outer["ip.src"], f"{A.wan[4]},{inner['ip.src']}")
            self.assertEqual(outer["ip.dst"], f"{B.wan[4]},{inner['ip.dst']}")
            self.assertEqual(outer["ip.ttl"].split(",")[1], inner["ip.ttl"])
            self.assertEqual(outer["udp.payload"], inner["udp.payload"])
        comments = {row["frame.comment"] for row in fields(path, "frame.interface_name", "frame.comment")
            if row["frame.interface_name"] == "inner-out"}
        self.assertEqual(comments, {"sa=t-out"})

    def test_what_came_by_esp_is_captured_as_it_was_inside(self):
        self.begin(port="wan")
        inner = [udp(B.host[4], A.host[4], bytes([i]) * 50) for i in range(8)]
        sealed = [self.peer.seal(packet, seq=i + 1) for i, packet in enumerate(inner)]

        path, result = self.capture(sealed, 8, sa="t-in", rx=False, tx=False)
        self.end()

        self.assertEqual(frames_by_interface(path), {"inner-in": [bytes(packet) for packet in inner]})
        self.assertEqual(result["packets"], 8)

    def test_frames_of_protected_ports_and_inner_packets_need_leave(self):
        self.begin(capture={"allow_inner": False})

        refusals = [ask(self.site, "capture", file="x", inner=True), ask(self.site, "capture", file="x", port="lan"),
            ask(self.site, "capture", file="../x"), ask(self.site, "capture", file="x", port="dmz")]
        path, _ = self.capture([udp(A.host[4], B.host[4])], 1)
        self.end()

        for refusal, says in zip(refusals, ("allow_inner", "port lan is protected", "is a name in", "'dmz'")):
            self.assertIn(says, refusal)
        self.assertEqual(list(frames_by_interface(path)), ["wan"])
        self.assertEqual(os.listdir(self.captures), ["test.pcapng"])

    def test_a_full_disk_ends_a_capture_by_name_and_forwarding_goes_on(self):
        self.begin()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.captures],
                capture_output=True, check=False).returncode != 0:
            self.skipTest("a file system can't be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.captures], check=True)
        packets = [udp(A.host[4], B.host[4], bytes(1300))] * 32

        path = ask(self.site, "capture", file="full")["file"]
        self.turn()
        for _ in range(40):
            self.put(packets)
        self.wait_turning(lambda: ask(self.site, "show-capture")["state"] == "done", "the capture has ended")
        self.put(packets)
        self.wait_received()
        result = ask(self.site, "show-capture")
        run = self.end()

        self.assertIn(f"{path}: No space left on device", result["error"])
        self.assertIn("No space left on device", run.stderr)
        self.assertEqual(len(fields(path, "frame.number")), result["packets"])
        self.assertGreater(result["packets"], 100)
        self.assertEqual(len([packet for packet in run.wan if ESP in packet]), 41 * 32)


class Traces(Watched):
    def trace(self, came, **arguments):
        ask(self.site, "trace", **arguments)
        self.turn()
        self.put(came)
        self.wait_turning(lambda: not ask(self.site, "show-trace")["running"], "the trace has ended")
        return ask(self.site, "show-trace")

    def test_a_packet_is_told_of_stage_by_stage(self):
        self.begin()

        answer = self.trace([udp(A.host[4], B.host[4]), udp(A.host[4], "203.0.113.1")], packets=2, host=A.host[4])
        self.end()

        sent, dropped = sorted(answer["packets"], key=lambda packet: packet["number"])
        stages = [step["stage"] for step in sent["steps"]]
        wanted = ["rx", "parse", "spd_out", "esp_out_prepare", "crypto_run", "neigh", "tx"]
        self.assertEqual([stage for stage in stages if stage in wanted], wanted)
        self.assertEqual(sent["port"], "lan")
        self.assertEqual(sent["steps"][0]["packet"], f"{A.host[4]} > {B.host[4]} udp 1000 > 2000")
        self.assertEqual(sent["steps"][-1]["packet"], f"{A.wan[4]} > {B.wan[4]} esp spi=0x00001001 seq=1")
        spd = sent["steps"][stages.index("spd_out")]
        self.assertEqual((spd["outcome"], spd["policy"], spd["sa"]), ("moved to protect", "p0", "t-out"))
        self.assertEqual(sent["end"], "it was sent")
        self.assertEqual(dropped["steps"][-1]["outcome"], "dropped: out_no_policy")

    def test_requests_that_can_not_be_are_refused(self):
        self.begin()

        refusals = [ask(self.site, "trace", packets=0), ask(self.site, "trace", source="10.1"),
            ask(self.site, "trace", protocol="upd"), ask(self.site, "trace", sa="nobody"),
            ask(self.site, "trace", colour="red")]
        ask(self.site, "trace")
        second = ask(self.site, "trace")
        ask(self.site, "stop-trace")
        self.wait_turning(lambda: not ask(self.site, "show-trace")["running"], "the trace has ended")
        self.end()

        for refusal, says in zip(refusals, ("1 to 1000 packets", "an address or a prefix", "'upd'", "'nobody'", "colour")):
            self.assertIn(says, refusal)
        self.assertEqual(second, "a trace is under way")


class Explanations(Watched):
    def test_a_packet_is_explained_and_then_goes_that_way(self):
        self.begin()

        told = ask(self.site, "explain", port="lan", packet=f"{A.host[4]} {B.host[4]} udp 1000 2000")
        refused = ask(self.site, "explain", port="lan", packet=f"{A.host[4]} 203.0.113.1 udp 1 2")
        unread = ask(self.site, "explain", port="lan", packet="10.1.0.1")
        self.put([udp(A.host[4], B.host[4])])
        self.wait_received()
        run = self.end()

        self.assertEqual((told["end"], told["policy"], told["sa"], told["port"]), ("sent", "p0", "t-out", "wan"))
        self.assertIn(f"the route is via {A.router[4]} on port wan, MTU 1500", told["steps"])
        self.assertEqual((refused["end"], refused["reason"]), ("dropped", "out_no_policy"))
        self.assertIn("destination is not an address", unread)
        self.assertEqual(run.sas["t-out"].packets, 1)


if __name__ == "__main__":
    unittest.main()
