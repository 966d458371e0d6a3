#!/usr/bin/env python3
"""Run the benchmark program shortly: what it measures happens as it says, however slow it is here.

The program itself ends with an error where a packet's fate is another than the scenario's; so that a scenario
ends well says much. BENCH is the program.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

BENCH = os.environ.get("BENCH", "")
CPUS = sorted(os.sched_getaffinity(0), reverse=True)
SECONDS = "0.05"
TIMEOUT_SECONDS = 60
OVERLOAD_ATTEMPTS = 3
STARVED_ATTEMPTS = 10  # where others have the CPUs
STARVED = "had no CPU"
CPU_SHARE_ENOUGH = 0.9  # of the generator, to be faster than the worker


class Bench(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def start(self, *arguments, workers=1):
        if len(CPUS) < workers:
            self.skipTest(f"{workers} CPUs are needed")
        cpus = ",".join(str(cpu) for cpu in CPUS[:workers])
        command = [BENCH, *arguments, "--seconds", SECONDS, "--cpus", cpus, "--directory", self.directory]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)

    def measure(self, *arguments, workers=1):
        for _ in range(STARVED_ATTEMPTS):
            done = self.start(*arguments, workers=workers)
            if STARVED not in done.stderr:
                break
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def forward(self, *arguments, workers=1):
        result = self.measure("forward", *arguments, workers=workers)
        self.assertGreater(result["mpps"], 0)
        self.assertGreater(result["cycles"], 0)
        self.assertEqual(result["workers"], workers)
        return result


class Forward(Bench):
    def test_one_sa(self):
        for direction in ("out", "in"):
            with self.subTest(direction):
                self.assertEqual(self.forward("--direction", direction)["direction"], direction)

    def test_imix(self):
        self.assertEqual(self.forward("--direction", "in", "--bytes", "imix")["packet_bytes"], 344)

    def test_many_sas_have_their_small_windows_put_back(self):
        self.assertGreater(self.forward("--direction", "in", "--sas", "300")["rewind_cycles"], 0)

    def test_more_policies_than_sas(self):
        self.assertEqual(self.forward("--direction", "in", "--sas", "2", "--policies", "600")["frames"], 4096)

    def test_crypto_that_comes_back_later(self):
        self.forward("--direction", "in", "--algorithm", "aes128-sha256", "--sas", "100")

    def test_workers_with_sas_of_their_own(self):
        for direction in ("out", "in"):
            with self.subTest(direction):
                self.forward("--direction", direction, "--sas", "4", workers=2)

    def test_workers_that_share_an_sa(self):
        self.forward("--direction", "out", workers=2)
        # They can't but have waited for each other.
        self.assertGreater(self.forward("--direction", "in", workers=2)["rewind_cycles"], 0)

    def test_sas_that_can_not_be_spread_evenly(self):
        done = self.start("forward", "--direction", "in", "--sas", "3", workers=2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("as many SAs", done.stderr)

    def test_a_round_that_no_window_holds(self):
        done = self.start("forward", "--direction", "in", "--policies", "10000", workers=2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("replay window", done.stderr)


class Shapes(Bench):
    """Each ends with an error where a packet does not get through all of its SAs, see site.h."""

    def test_are_sent_and_received(self):
        for shape in ("esn", "ipv6", "ah", "transport", "bundle"):
            for direction in ("out", "in"):
                with self.subTest(f"{shape} {direction}"):
                    # More than what IPComp tries to compress.
                    self.forward("--direction", direction, "--shape", shape, "--bytes", "512")

    def test_of_many_sas(self):
        for shape in ("ipv6", "bundle"):
            self.assertGreater(self.forward("--direction", "in", "--shape", shape, "--sas", "50")["rewind_cycles"], 0)

    def test_the_configuration_is_of_the_shape(self):
        for shape, texts in (("esn", ["esn: true"]), ("ipv6", ["2001:db8::10.1.0.0/112"]), ("ah", ["ah: sha256"]),
                             ("transport", ["mode: transport, esp: aes128gcm16", "[out0, out0-1]"]),
                             ("bundle", ["ipcomp: deflate", "ah: sha256", "[out0, out0-1, out0-2]"])):
            self.forward("--direction", "out", "--shape", shape)
            with open(os.path.join(self.directory, "forward.yaml"), encoding="ascii") as file:
                yaml = file.read()
            for text in texts:
                self.assertIn(text, yaml)

    def test_bundles_are_compressed(self):
        lengths = {}
        for shape in ("plain", "bundle"):
            self.forward("--direction", "in", "--shape", shape, "--bytes", "1400")
            lengths[shape] = os.path.getsize(os.path.join(self.directory, "frames0.pcap"))
        self.assertLess(lengths["bundle"], 0.7 * lengths["plain"])

    def test_what_is_too_long_is_cut_and_made_whole(self):
        for direction in ("out", "in"):
            with self.subTest(direction):
                self.forward("--direction", direction, "--shape", "fragments", "--bytes", "1500")

    def test_what_can_be_no_shape(self):
        for arguments in (("--shape", "round"), ("--shape", "esn", "--udp"), ("--bytes", "1500"),
                          ("--shape", "fragments", "--bytes", "1400"), ("--shape", "fragments", "--bytes", "imix"),
                          ("--shape", "ipv6", "--bytes", "40"),
                          ("--direction", "in", "--shape", "ah", "--flood", "forged")):
            with self.subTest(arguments):
                self.assertEqual(self.start("forward", *arguments).returncode, 2)

    def test_several_workers_have_plain_tunnels_alone(self):
        done = self.start("forward", "--direction", "in", "--shape", "bundle", workers=2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("plain tunnels alone", done.stderr)


class Flood(Bench):
    def test_fragments_that_are_never_complete_cost_no_packet_of_the_tunnel(self):
        """Nor do they take more than their table; the program ends with an error if a tunnel's packet is lost."""
        result = self.forward("--direction", "in", "--flood", "fragments")
        self.assertEqual(result["tunnel_lost"], 0)
        self.assertEqual(result["fragments_held"], result["fragments_held_most"])

    def test_each_is_dropped_for_its_own_reason_and_no_other(self):
        for flood in ("forged", "replayed", "unknown"):
            with self.subTest(flood):
                self.forward("--direction", "in", "--flood", flood)

    def test_what_can_be_no_flood(self):
        for arguments in (("--direction", "out", "--flood", "forged"),
                          ("--direction", "in", "--flood", "forged", "--sas", "2"),
                          ("--direction", "in", "--flood", "fragments", "--bytes", "imix"),
                          ("--direction", "in", "--flood", "none")):
            with self.subTest(arguments):
                self.assertEqual(self.start("forward", *arguments).returncode, 2)


class Latency(Bench):
    def check(self, result):
        self.assertEqual([load["load"] for load in result["loads"]], [10, 50, 90, 150])
        for load in result["loads"]:
            self.assertGreater(load["offered"], 0)
            self.assertGreater(load["median_us"], 0)
            self.assertLessEqual(load["median_us"], load["p99_us"])
            self.assertLessEqual(load["p99_us"], load["p999_us"])
            self.assertLessEqual(load["p999_us"], load["max_us"])
            # What came in a loop left in it.
            self.assertEqual(load["stayed"], 0)

    def test_both_directions(self):
        if len(CPUS) < 2:
            self.skipTest("the generator needs a CPU of its own")
        for direction in ("out", "in"):
            with self.subTest(direction):
                self.check(self.measure("latency", "--direction", direction))

    def test_too_much_load_overflows_the_queue_and_nothing_else(self):
        """The program ends with an error where what the queue took was not sent, or a buffer is gone."""
        for _ in range(OVERLOAD_ATTEMPTS):
            overload = self.measure("latency", "--direction", "in")["loads"][-1]
            if overload["missed"] > 0:
                break
        if overload["missed"] == 0 and overload["generator_share"] < CPU_SHARE_ENOUGH:
            self.skipTest("others have the CPUs, and the generator can't overload the worker")
        self.assertGreater(overload["missed"], 0)
        self.assertLess(overload["missed"], overload["offered"])

    def test_of_one_worker_only(self):
        self.assertNotEqual(self.start("latency", "--direction", "out", workers=2).returncode, 0)


if __name__ == "__main__":
    if not os.access(BENCH, os.X_OK):
        sys.exit("usage: BENCH=path/to/bench tests/bench/test_bench.py [names of cases]")
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
