"""culvertctl's commands that watch: events, explanations, traces and captures, as a person and as a program has them."""
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from culvert import A, B, CULVERTCTL, Site, udp, yaml_text
from test_watch import Watched, ask, frames_by_interface

OUT = udp(A.host[4], B.host[4])
NOWHERE = udp(A.host[4], "203.0.113.1")
STRAY_POLICY = {"direction": "out", "action": "discard", "destination": "10.77.0.0/16"}


class Commands(Watched):
    """A gateway, and culvertctl beside it while packets come."""

    def begin(self, **others):
        super().begin(**others)
        self.addCleanup(self.end_at_last)

    def end_at_last(self):
        if self.daemon.process.poll() is None:
            self.end()

    def started(self, *arguments, **streams):
        process = subprocess.Popen([CULVERTCTL, "--socket", self.daemon.control_path(), *arguments], text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams})
        self.addCleanup(process.stdout.close if process.stdout else int)
        self.addCleanup(process.stderr.close if process.stderr else int)
        self.addCleanup(process.kill)
        return process

    def ended(self, process, code=0):
        """What it prints; the worker turns meanwhile, so that it lets go of what is asked of it."""
        self.wait_turning(lambda: process.poll() is not None, "culvertctl ends")
        out, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, code, (out, err))
        return out, err

    def wait_tracing(self):
        self.wait(lambda: ask(self.site, "show-trace")["running"], "a trace runs")
        self.turn()


class Events(Commands):
    def change(self, name):
        self.daemon.control("change", policies=[{"name": name, **STRAY_POLICY}])

    def first_line(self, process):
        """It is there while the command goes on; changes are made until one is heard."""
        for i in range(100):
            self.change(f"p-{i}")
            if select.select([process.stdout], [], [], 0.1)[0]:
                return json.loads(process.stdout.readline())
        raise AssertionError("no event was printed")

    def test_each_is_a_line_of_json_as_it_comes_and_ctrl_c_ends_well(self):
        self.begin()
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.started("events")

            event = self.first_line(process)
            self.assertEqual((event["event"], event["by"]), ("changed", "change"))
            self.assertAlmostEqual(event["time"], time.time(), delta=20)
            self.assertIsNone(process.poll())
            self.daemon.control("change", delete_policies=[p["name"] for p in
                self.daemon.control("show-policies")["policies"] if p["name"].startswith("p-")])
            process.send_signal(number)
            out, err = process.communicate(timeout=20)

            self.assertEqual((process.returncode, err), (0, ""))
            self.assertLessEqual({json.loads(line)["event"] for line in out.splitlines()}, {"changed"})

    def test_it_ends_after_as_many_as_were_asked_for(self):
        self.begin()
        process = self.started("events", "--count", "3")

        lines = [self.first_line(process)]
        for i in range(3):
            self.change(f"q-{i}")
        out, err = process.communicate(timeout=20)

        lines += [json.loads(line) for line in out.splitlines()]
        self.assertEqual((process.returncode, err, len(lines)), (0, "", 3))
        self.assertIn("--count is 1 or more", self.daemon.ctl("events", "--count", "0", code=2)[1])

    def test_that_the_daemon_has_gone_is_an_error(self):
        self.begin()
        process = self.started("events")
        self.first_line(process)

        self.end()
        _, err = process.communicate(timeout=20)

        self.assertEqual(process.returncode, 1)
        self.assertEqual(err, "culvertctl: culvertd has closed the connection: no more events\n")


class Explain(Commands):
    def test_the_way_is_told_from_the_port_to_the_neighbour(self):
        self.begin()
        packet = f"{A.host[4]} {B.host[4]} udp 1000 2000"

        said = self.daemon.ctl("explain", "--in", "lan", packet)

        lines = said.splitlines()
        self.assertEqual(lines[0], "  it comes in by port lan, from the protected side")
        self.assertEqual(lines[1], "  outbound policy p0, number 1 of 2, matches first: protect")
        self.assertIn("SA t-out: esp spi=0x00001001", lines[2])
        self.assertEqual(lines[3], f"  the route is via {A.router[4]} on port wan, MTU 1500")
        self.assertRegex(lines[4], f"^  the neighbour {A.router[4]} has the MAC address ")
        self.assertEqual(lines[5:], ["it is sent by port wan"])
        self.assertEqual(self.daemon.ctl("explain", *packet.split(), "--in=lan"), said)
        told = self.daemon.ctl_json("explain", "--in", "lan", packet)
        self.assertEqual((told["end"], told["policy"], told["policy_number"], told["sa"], told["port"]),
            ("sent", "p0", 1, "t-out", "wan"))

    def test_a_drop_has_its_cause_and_what_nearly_matched(self):
        self.begin()

        said = self.daemon.ctl("explain", "--in", "lan", f"{A.host[4]} 203.0.113.1 udp 1 2")
        too_big = self.daemon.ctl("explain", "--in", "lan", "--df", "--bytes", "1500", f"{A.host[4]} {B.host[4]} udp 1 2")

        self.assertIn("  outbound policy p0 (protect) would match but for the destination\n", said)
        self.assertIn("  no outbound policy matches\n", said)
        self.assertRegex(said.splitlines()[-1], "^it is dropped as out_no_policy: .{20}")
        self.assertRegex(too_big, r"at most \d+ bytes fit, and it may not be cut\nit is dropped as out_mtu: ")

    def test_what_is_no_packet_is_told(self):
        self.begin()

        for arguments, code, text in ((("--in", "lan", "10.1.0.1"), 1, "destination is not an address"),
                                      (("--in", "dmz", "10.1.0.1 10.2.0.1 udp 1 2"), 1, "no port is named 'dmz'"),
                                      (("10.1.0.1 10.2.0.1 udp 1 2",), 2, "--in is missing"),
                                      (("--in", "lan"), 2, "an argument is missing"),
                                      (("--in", "lan", "x" * 600), 2, "so many characters"),
                                      (("--in", "lan", "x" * 400), 1, "less than 256"),
                                      (("--in", "lan", b"\xff"), 1, "UTF-8")):
            with self.subTest(arguments):
                out, err = self.daemon.ctl("explain", *arguments, code=code)
                self.assertEqual(out, "")
                self.assertIn(text, err)


class Trace(Commands):
    def test_each_packet_is_told_of_stage_by_stage_in_order(self):
        self.begin()
        process = self.started("trace", "--count", "3", "--host", A.host[4])

        self.wait_tracing()
        self.put([OUT, NOWHERE, OUT])
        out, err = self.ended(process)

        self.assertEqual(err, "")
        first, dropped, last, count = out.split("\n\n")
        numbers = [int(re.match(r"packet (\d+) of worker 0, from port lan\n", text).group(1))
            for text in (first, dropped, last)]
        self.assertEqual(numbers, sorted(numbers))
        self.assertRegex(first, rf"\n +\+0\.0 us  rx +kept +{A.host[4]} > {B.host[4]} udp 1000 > 2000\n")
        self.assertRegex(first, r"\n +\+\d+\.\d us  spd_out +moved to protect +policy p0, SA t-out\n")
        self.assertRegex(first, rf"  esp_out_prepare +kept +{A.wan[4]} > {B.wan[4]} esp spi=0x00001001 seq=1\n")
        self.assertTrue(first.endswith("\n  it was sent"))
        self.assertRegex(dropped, r"  spd_out +dropped: out_no_policy +policy none\n  \S.{20,}$")
        self.assertEqual(count, "3 packets traced\n")

    def test_ctrl_c_prints_what_came_and_stops_the_daemon_s(self):
        self.begin()
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.started("trace", "--seconds", "600", "--json", "--protocol", "udp", "--source-port", "1000")
            self.wait_tracing()
            self.put([OUT])
            self.wait_turning(lambda: ask(self.site, "show-trace")["total"] == 1, "it was traced")

            process.send_signal(number)
            result = json.loads(self.ended(process)[0])

            self.assertEqual([packet["end"] for packet in result["packets"]], ["it was sent"])
            self.assertEqual((result["not_captured"], result["not_followed"]), (0, 0))
            self.assertFalse(ask(self.site, "show-trace")["running"])

    def test_time_ends_it_and_what_passed_the_filter_alone_is_told(self):
        self.begin()
        for i, (arguments, n) in enumerate(((("--destination", "203.0.113.0/24"), 1), (("--sa", "t-out"), 2),
                                            (("--spi", "0x1001"), 2), (("--port", "wan"), 0),
                                            (("--destination-port", "2001"), 0), (("--source", A.net[4]), 3))):
            with self.subTest(arguments):
                process = self.started("trace", "--seconds", "1", *arguments)
                self.wait_tracing()
                self.put([OUT, OUT, NOWHERE])

                out, _ = self.ended(process)

                self.assertEqual(out.count(" of worker "), n)
                self.assertTrue(out.endswith(f"{n} packet{'s' if n != 1 else ''} traced\n"), out)

    def test_more_than_a_page_is_told_in_whole(self):
        self.begin()
        printed = self.enterContext(tempfile.TemporaryFile("w+"))
        process = self.started("--json", "trace", "--count", "90", "--source", A.host[4], stdout=printed)
        self.wait_tracing()
        # What comes faster than records are taken is not captured, so that some more may be needed.
        while process.poll() is None:
            self.put([OUT] * 30)
            time.sleep(0.01)

        self.ended(process)
        printed.seek(0)
        result = json.load(printed)

        numbers = [packet["number"] for packet in result["packets"]]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertGreaterEqual(len(numbers), 90)

    def test_what_can_not_be_is_refused(self):
        self.begin()

        for arguments, code, text in ((("--count", "0"), 1, "1 to 1000 packets"), (("--seconds", "0"), 1, "1 to 3600"),
                                      (("--sa", "nobody"), 1, "'nobody'"), (("--spi", "x"), 2, "--spi takes an SPI"),
                                      (("--count", "x"), 2, "takes a number"), (("now",), 2, "one argument too many"),
                                      (("--port", "dmz"), 1, "'dmz'")):
            with self.subTest(arguments):
                self.assertIn(text, self.daemon.ctl("trace", *arguments, code=code)[1])
        ask(self.site, "trace", seconds=600)
        self.assertIn("a trace is under way", self.daemon.ctl("trace", code=1)[1])
        self.ended(self.started("stop", "trace"))
        self.assertFalse(ask(self.site, "show-trace")["running"])


class Told(unittest.TestCase):
    """What culvertctl makes of answers that are rare, by a daemon that is none."""

    def ask(self, *arguments, **answers):
        site = Site()
        path = site.path("fake.sock")
        asked = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)

            def serve():
                client, _ = listener.accept()
                with client, client.makefile("rb") as lines:
                    for line in lines:
                        asked.append(json.loads(line)["command"])
                        result = answers[asked[-1].replace("-", "_")]
                        client.sendall(json.dumps({"version": 1, "ok": True, "result": result}).encode() + b"\n")

            thread = threading.Thread(target=serve)
            thread.start()
            done = subprocess.run([CULVERTCTL, "--socket", path, *arguments], capture_output=True, text=True, timeout=60)
            thread.join()
        return done, asked

    def test_what_a_trace_has_not(self):
        record = {"worker": 1, "number": 7, "steps": [{"stage": "rx", "outcome": "kept", "nanoseconds": 1500, "bytes": 60}],
            "end": "it was sent"}
        packets = [record, {**record, "number": 5, "part_of": 4}, {**record, "worker": 0, "number": 9, "port": "lan"}]

        done, asked = self.ask("trace", trace={}, stop_trace={},
            show_trace={"running": False, "total": 3, "packets": packets, "not_captured": 12, "not_followed": 34})

        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(asked, ["trace", "show-trace", "stop-trace", "show-trace", "show-trace"])
        self.assertEqual(re.findall("packet .*", done.stdout),
            ["packet 9 of worker 0, from port lan", "packet 5 of worker 1, cut from packet 4", "packet 7 of worker 1"])
        self.assertIn("       +1.5 us  rx                kept\n  it was sent\n", done.stdout)
        self.assertIn("not captured: 12 more that passed the filter", done.stdout)
        self.assertIn("not followed: 34 that came", done.stdout)

    def test_what_a_capture_has_not(self):
        done, asked = self.ask("capture", "x", capture={"file": "/x"}, stop_capture={},
            show_capture={"state": "done", "file": "/x", "packets": 2, "bytes": 2048, "not_captured": 12})

        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "/x: 2 packets, 2.0 KiB; 12 that passed the filter were not captured\n")
        self.assertEqual(asked, ["capture", "show-capture", "stop-capture", "show-capture"])


class Capture(Commands):
    def wait_capturing(self, n=None):
        if n is None:
            self.wait(lambda: ask(self.site, "show-capture")["state"] == "running", "a capture runs")
            self.turn()
        else:
            self.wait(lambda: ask(self.site, "show-capture").get("packets") == n, f"{n} packets are captured")

    def test_the_file_has_what_was_asked_for_and_ctrl_c_ends_well(self):
        self.begin()
        for i, (points, names) in enumerate((("rx", ["lan"]), ("rx,tx", ["lan", "wan"]), ("inner", ["inner-out"]),
                                             (None, ["inner-out", "lan", "wan"]))):
            with self.subTest(points):
                process = self.started("capture", f"c{i}.pcapng", *(["--points", points] if points else []))
                self.wait_capturing()
                self.put([OUT])
                self.wait_capturing(len(names) if points == "inner" else None)
                self.wait(lambda: len(frames_by_interface(f"{self.captures}/c{i}.pcapng")) == len(names), "they came")

                process.send_signal(signal.SIGINT)
                out, err = self.ended(process)

                path = f"{self.captures}/c{i}.pcapng"
                found = frames_by_interface(path)
                n = sum(map(len, found.values()))
                self.assertEqual(sorted(found), names)
                self.assertRegex(out, rf"^{path}: {n} packets, .*; 0 that passed the filter were not captured\n$")
                self.assertEqual(err, "")
                self.assertEqual(ask(self.site, "show-capture")["state"], "done")

    def test_it_ends_after_packets_and_after_its_time(self):
        self.begin()
        process = self.started("--json", "capture", "n", "--packets", "3", "--points=rx", "--host", A.host[4])
        self.wait_capturing()
        self.put([OUT] * 8)
        counted = json.loads(self.ended(process)[0])
        begun = time.monotonic()
        process = self.started("capture", "s", "--seconds", "1", "--destination", "203.0.113.1", "--points=rx")
        self.wait_capturing()
        self.put([OUT, NOWHERE])
        timed, _ = self.ended(process)

        self.assertEqual((counted["packets"], counted["not_captured"], counted["state"]), (3, 5, "done"))
        self.assertIn("/s: 1 packets, ", timed)
        self.assertGreater(time.monotonic() - begun, 1)
        frame, = frames_by_interface(f"{self.captures}/s")["lan"]
        self.assertEqual(frame, self.site.frame("lan", NOWHERE))

    def test_a_terminal_sees_how_it_goes_on(self):
        self.begin()
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = self.started("capture", "t", "--packets", "1", "--points=rx", stderr=theirs)
        os.close(theirs)
        seen = b""
        while b"0 packets" not in seen:
            seen += os.read(ours, 4096)
        self.turn()
        self.put([OUT])

        self.wait_turning(lambda: process.poll() is not None, "culvertctl ends")
        out = process.stdout.read()

        self.assertIn(f"capturing to {self.captures}/t\r\n".encode(), seen)
        self.assertIn(b"\r\033[K0 s: 0 packets, ", seen)
        self.assertRegex(out, rf"^{self.captures}/t: 1 packets, ")

    def test_what_is_not_allowed_is_told(self):
        self.begin(capture={"allow_inner": False})

        for arguments, code, text in ((("x", "--points", "inner"), 1, "capture.allow_inner: true"),
                                      (("x", "--port", "lan"), 1, "capture.allow_inner: true"),
                                      (("../x",), 1, "no path"), ((), 2, "an argument is missing"),
                                      (("x", "--points", "rx,"), 2, "--points takes rx, tx and inner"),
                                      (("x", "--points", "rxtx"), 2, "--points takes"),
                                      (("x", "--points", ""), 2, "--points takes"),
                                      (("x", "--rate", "0"), 1, "packets a second"), (("x", "--snap-bytes", "1"), 1, "bytes of a packet"),
                                      (("x", "--file-bytes", "1"), 1, "file has")):
            with self.subTest(arguments):
                out, err = self.daemon.ctl("capture", *arguments, code=code)
                self.assertEqual(out, "")
                self.assertIn(text, err)
        ask(self.site, "capture", file="first", seconds=600)
        self.assertIn(f"a capture to {self.captures}/first is under way", self.daemon.ctl("capture", "x", code=1)[1])
        out, _ = self.ended(self.started("stop", "capture"))
        self.assertRegex(out, f"^{self.captures}/first: 0 packets, ")
        self.assertIn("File exists", self.daemon.ctl("capture", "first", code=1)[1])

    def test_without_a_directory_none_can_be(self):
        self.begin(capture=False)

        self.assertIn("the configuration has no capture.directory", self.daemon.ctl("capture", "x", code=1)[1])
        self.assertEqual(self.daemon.ctl("stop", "capture"), "there was no capture\n")

    def test_where_files_go_can_not_change_while_it_runs(self):
        self.begin(capture={"allow_inner": False})
        for capture in ({"directory": self.captures, "allow_inner": True}, {"directory": "/", "allow_inner": False}, None):
            with open(self.site.path("site.yaml"), "w") as file:
                file.write(yaml_text({**self.site.conf, "capture": capture}))

            self.assertRegex(self.daemon.ctl("reload", code=1)[1], "capture: .*restart")
        self.assertIn("allow_inner", self.daemon.ctl("capture", "x", "--points", "inner", code=1)[1])

    def test_a_write_that_fails_is_an_error_of_the_command(self):
        self.begin()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", self.captures],
                capture_output=True, check=False).returncode != 0:
            self.skipTest("a file system can't be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.captures], check=True)
        process = self.started("capture", "full", "--seconds", "600")
        self.wait_capturing()
        for _ in range(20):
            self.put([udp(A.host[4], B.host[4], bytes(1300))] * 32)

        out, err = self.ended(process, code=1)

        self.assertIn("/full: ", out)
        self.assertIn("it ended before its time: ", err)
        self.assertIn("No space left on device", err)


if __name__ == "__main__":
    unittest.main()
