#!/usr/bin/env python3
"""What tools/bench makes of measurements: names, choice, summaries, comparisons, and marks on disturbed figures."""
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import figures  # noqa: E402
import report  # noqa: E402
from figures import Scenario, paired, ratio_summary, summary, taints  # noqa: E402
from machine import Failure, Machine, Moment, Witness, cpu_seconds, shares_between  # noqa: E402
from scenarios import FLOODS, IMIX, SHAPES, NoSuchScenario, Spec, chosen, specs  # noqa: E402

BUSY_SECONDS = 0.5
BUSY = f"import time\nwhile time.process_time() < {BUSY_SECONDS}: pass"
QUIET = {"others": 0.0, "steal": 0.0}
TABLE = specs()
BY_NAME = {s.name: s for s in TABLE}


def pairs(words):
    return list(zip(words, words[1:]))


def names(*patterns, quick=False):
    return [s.name for s in chosen(TABLE, patterns, quick)]


class FakeMachine:
    """Answers with the next of the cycles that it was given; crypto takes 100 and moving 50."""

    def __init__(self, *cycles, programs=("this",), hugepages=True, **shares):
        self.cycles = list(cycles)
        self.programs = list(programs)
        self.stages_program = None
        self.stages = []
        self.hugepages = hugepages
        self.shares = {"cpu_share": 1.0, "busy_share": 1.0} | shares

    def culvert(self, program, spec):
        if program == "stages":
            return {"stage_cycles": self.stages.pop(0)}
        cycles = self.cycles.pop(0)
        if isinstance(cycles, Failure):
            raise cycles
        share, cycles = cycles if isinstance(cycles, tuple) else (self.shares["cpu_share"], cycles)
        run = {"cycles": cycles, "mpps": spec.workers * 1000 / cycles, "rewind_cycles": 0, "frames": 1024}
        if spec.flood == "fragments":
            run |= {"tunnel_lost": 0, "fragments_held": cycles, "fragments_held_most": 2048}
        if spec.kind == "latency":
            load = {"load": 10, "stayed": 0, "offered": 200, "missed": 1, "offered_mpps": 1, "mpps": 1, "median_us": 1,
                    "p99_us": 2, "p999_us": 3, "max_us": 4, "cpu_share": share, "generator_share": 1.0}
            run["loads"] = [load]
        return run | self.shares | {"cpu_share": share}

    def move_cycles(self, spec):
        return 50

    def crypto_cycles(self, spec):
        return 100


def witness(shares=None):
    return lambda: types.SimpleNamespace(shares=lambda: shares or QUIET)


def measured(name, *cycles, shares=None, **kinds):
    machine = FakeMachine(*cycles, **kinds)
    scenario = Scenario(BY_NAME[name])
    while machine.cycles:
        scenario.measure(machine, witness(shares))
    return scenario, machine


class Stages(unittest.TestCase):
    def test_are_medians_of_another_build(self):
        machine = FakeMachine(100, 110, 120)
        machine.stages_program = "stages"
        machine.stages = [{"parse": 10, "tx": 5}, {"parse": 30, "tx": 6}, {"parse": 20, "tx": 7}]
        scenario = Scenario(BY_NAME["gcm-out-64-1sa"])
        while machine.cycles:
            scenario.measure(machine, witness())
        self.assertEqual(scenario.result(machine)["stage_cycles"], {"parse": 20, "tx": 6})

    def test_are_not_there_without_it(self):
        scenario, machine = measured("gcm-out-64-1sa", 100)
        self.assertNotIn("stage_cycles", scenario.result(machine))


class Names(unittest.TestCase):
    def test_say_what_a_scenario_is(self):
        for spec, name in ((Spec("gcm", "in", 1400, 1000, 1000), "gcm-in-1400-1ksa"),
                           (Spec("cbc", "out", IMIX, 100000, 100000), "cbc-out-imix-100ksa"),
                           (Spec("gcm", "out", 64, 1, 10000), "gcm-out-64-1sa-10kpol"),
                           (Spec("gcm", "out", 64, 2, 2, workers=2), "gcm-out-64-2sa-2w"),
                           (Spec("gcm", "in", 64, 1, 1, kind="flood", flood="forged"), "gcm-in-64-forged"),
                           (Spec("gcm", "in", 64, 1, 1, kind="latency"), "latency-gcm-in-64"),
                           (Spec("gcm", "in", 64, 1, 1, in_udp=True), "gcm-in-64-1sa-udp"),
                           (Spec("gcm", "out", 1400, 1, 1, shape="bundle"), "gcm-out-1400-1sa-bundle"),
                           (Spec("gcm", "both", 0, 10000, 10000, kind="load"), "load-10k")):
            self.assertEqual(spec.name, name)

    def test_are_each_of_one_scenario(self):
        self.assertEqual(len(BY_NAME), len(TABLE))

    def test_references_are_in_the_table(self):
        for spec in TABLE:
            if spec.reference:
                self.assertIn(spec.reference, BY_NAME)
                self.assertIsNone(BY_NAME[spec.reference].reference)

    def test_what_is_compared_to_what(self):
        for name, reference in (("gcm-in-64-forged", "gcm-in-64-1sa"), ("gcm-out-64-1sa-2w", "gcm-out-64-1sa"),
                                ("gcm-out-64-2sa-2w", "gcm-out-64-1sa"), ("gcm-in-64-1ksa-2w", "gcm-in-64-1ksa"),
                                ("gcm-in-64-1sa-udp", "gcm-in-64-1sa"), ("gcm-out-64-1sa-ipv6", "gcm-out-64-1sa"),
                                ("gcm-in-64-fragments", "gcm-in-64-1sa"), ("chacha-in-1400-1sa", "gcm-in-1400-1sa"),
                                ("null-in-64-1sa-ah", "null-in-64-1sa"), ("null-in-64-1sa", None),
                                ("gcm-out-1500-1sa-fragments", "gcm-out-1400-1sa"),
                                ("cbc-in-64-1sa", None), ("gcm-in-64-1sa", None),
                                ("latency-gcm-in-64", None), ("load-10k", None)):
            self.assertEqual(BY_NAME[name].reference, reference)


class Choice(unittest.TestCase):
    def test_of_patterns_in_the_order_of_the_table(self):
        self.assertEqual(names("gcm-in-64-1sa", "gcm-out-*-1sa"),
                         ["gcm-out-64-1sa", "gcm-out-512-1sa", "gcm-out-1400-1sa", "gcm-out-imix-1sa",
                          "gcm-in-64-1sa"])

    def test_takes_the_reference_too(self):
        self.assertEqual(names("gcm-in-64-unknown"), ["gcm-in-64-1sa", "gcm-in-64-unknown"])
        self.assertEqual(names("gcm-in-64-1sa-2w"), ["gcm-in-64-1sa", "gcm-in-64-1sa-2w"])

    def test_of_nothing_is_an_error(self):
        with self.assertRaises(NoSuchScenario):
            names("gcm-in-64-1sa", "gcm-in-65-*")

    def test_quick_is_part_of_the_default(self):
        self.assertLess(set(names(quick=True)), set(names()))
        for wanted in [f"gcm-in-64-{flood}" for flood in FLOODS] + ["latency-gcm-out-64", "gcm-in-64-1sa-2w"]:
            self.assertIn(wanted, names(quick=True))

    def test_default_has_every_shape(self):
        for direction in ("out", "in"):
            for shape in SHAPES:
                self.assertIn(f"gcm-{direction}-1400-1sa-{shape}", names())
            for wanted in ("null-{}-1400-1sa-ah", "chacha-{}-1400-1sa", "gcm-{}-1500-1sa-fragments", "gcm-{}-64-1sa-udp"):
                self.assertIn(wanted.format(direction), names())

    def test_default_has_the_targets(self):
        for direction in ("out", "in"):
            for wanted in ("gcm-{}-64-1sa", "gcm-{}-512-1ksa", "gcm-{}-1400-100ksa", "gcm-{}-64-100ksa",
                           "cbc-{}-1400-1sa", "cbc-{}-64-1ksa", "gcm-{}-64-2sa-2w", "latency-gcm-{}-64"):
                self.assertIn(wanted.format(direction), names())


class Summaries(unittest.TestCase):
    def test_median_and_spread(self):
        self.assertEqual(summary("x", [3, 1.26, 2], 1), {"x": 2, "x_min": 1.3, "x_max": 3})
        self.assertEqual(summary("x", [], 1), {"x": None, "x_min": None, "x_max": None})

    def test_ratio_is_of_the_medians(self):
        # The medians are 2 and 10; of the single ratios it would be 0.3.
        self.assertEqual(ratio_summary("x", [(1, 10), (2, 5), (30, 100)]), {"x": 0.2, "x_min": 0.1, "x_max": 0.4})

    def test_ratio_lies_within_its_spread(self):
        result = ratio_summary("x", [(1, 1), (2, 2), (3, 9)])
        self.assertLessEqual(result["x"], result["x_max"])
        result = ratio_summary("x", [(1, 2), (2, 4), (9, 9)])
        self.assertGreaterEqual(result["x"], result["x_min"])

    def test_pairs_are_of_one_repetition(self):
        self.assertEqual(paired({0: "a", 2: "c"}, {0: "A", 1: "B", 2: "C"}), [("a", "A"), ("c", "C")])
        self.assertEqual(paired({0: "a"}, {1: "B"}), [("a", "B")])


class Taints(unittest.TestCase):
    def test_limits(self):
        self.assertEqual(taints({"cpu_share": 0.99, "busy_share": 1, "others": 0.05, "steal": 0.01}), {})
        self.assertEqual(taints({"cpu_share": 0.5, "busy_share": 0.9, "others": 1.5, "steal": 0.3}),
                         {"cpu_share": 0.5, "busy_share": 0.9, "others": 1.5, "steal": 0.3})

    def test_every_taint_has_a_meaning(self):
        for name in list(figures.LEAST) + list(figures.MOST):
            self.assertTrue(figures.MEANING[name].format(0.5))

    def test_few_disturbed_repetitions_are_left_out(self):
        scenario, machine = measured("gcm-out-64-1sa", 200, (0.5, 900), 210)
        result = scenario.result(machine)
        self.assertEqual((result["cycles"], result["cycles_max"]), (205, 210))
        self.assertEqual((result["tainted"], result["disturbed"], result["repetitions"]), (False, 1, 3))
        self.assertIn("1 of 3", list(report.notes([result]))[0])

    def test_many_disturbed_repetitions_taint_the_figure(self):
        scenario, machine = measured("gcm-out-64-1sa", 200, (0.5, 900), (0.6, 800))
        result = scenario.result(machine)
        self.assertEqual((result["cycles"], result["tainted"], result["disturbed"]), (800, True, 2))
        self.assertEqual(result["taints"], {"cpu_share": 0.5})
        self.assertIn("50.0%", list(report.notes([result]))[0])

    def test_others_taint_whatever_the_program_noticed(self):
        for shares in ({"others": 0.8, "steal": 0}, {"others": 0, "steal": 0.2}):
            scenario, machine = measured("gcm-out-64-1sa", 200, shares=shares)
            self.assertTrue(scenario.result(machine)["tainted"])

    def test_one_load_of_latency_taints_it(self):
        scenario, machine = measured("latency-gcm-out-64", (0.7, 200))
        self.assertEqual(scenario.result(machine)["taints"], {"cpu_share": 0.7})

    def test_what_overload_misses_is_no_taint(self):
        def run(load):
            return {"loads": [{"load": load, "offered": 100, "missed": 30, "cpu_share": 1}]}
        self.assertEqual(taints(figures.shares_of(run(150))), {})
        self.assertEqual(taints(figures.shares_of(run(90))), {"missed": 0.3})

    def test_no_hugepages_taint_all(self):
        scenario, machine = measured("gcm-out-64-1sa", 200, hugepages=False)
        result = scenario.result(machine)
        self.assertTrue(result["tainted"])
        self.assertIn("no hugepages", list(report.notes([result]))[0])

    def test_a_comparison_has_the_taint_of_its_reference(self):
        one, _ = measured("gcm-in-64-1sa", (0.5, 400))
        two, machine = measured("gcm-in-64-1sa-2w", 400)
        result = two.result(machine, one)
        # What it is alone has not.
        self.assertEqual((result["tainted"], result["comparison_tainted"]), (False, True))
        self.assertEqual(report.compared(result, "speedup"), "2 (2..2)!")
        self.assertEqual(report.spread(result, "mpps"), "5 (5..5)")

    def test_every_figure_of_a_tainted_line_is_marked(self):
        one, machine = measured("gcm-in-64-1sa", (0.5, 400))
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            report.print_results([one.result(machine)])
        line = next(x for x in output.getvalue().splitlines() if x.startswith("gcm-in-64-1sa"))
        self.assertEqual(line.count(")!"), 7)

    def test_stat_is_read_by_its_columns(self):
        text = "cpu  100 20 30 4000 500 6 7 80 9 9\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
        self.assertEqual(cpu_seconds(text, 10), (16.3, 8.0))
        self.assertEqual(cpu_seconds("cpu  100 20 30 4000 500 6 7\n", 10), (16.3, 0.0))

    def test_own_work_is_not_of_others(self):
        a, b = Moment(wall=10, busy=100, steal=5, own=50), Moment(wall=12, busy=103, steal=5.5, own=52.5)
        self.assertEqual(shares_between(a, b), {"others": 0.25, "steal": 0.25})
        # The kernel's ticks are coarser than what a process is told of itself.
        self.assertEqual(shares_between(a, b._replace(busy=102))["others"], 0)

    def test_own_children_count_when_they_have_ended(self):
        before = Moment.now()
        subprocess.run([sys.executable, "-c", BUSY], check=True)
        self.assertGreaterEqual(Moment.now().own - before.own, 0.9 * BUSY_SECONDS)

    def test_another_process_is_seen(self):
        watch = Witness()
        # Its parent ends at once, so that it is no child of ours.
        subprocess.run(["sh", "-c", '"$0" -c "$1" >/dev/null 2>&1 &', sys.executable, BUSY], check=True)
        time.sleep(2 * BUSY_SECONDS)
        self.assertGreater(watch.shares()["others"], figures.MOST["others"][0])


class Results(unittest.TestCase):
    FIELDS = ("direction", "algorithm", "sas", "policies", "workers", "packet_bytes")
    FIGURES = ("mpps", "gbps", "cycles", "move_cycles", "crypto_cycles", "efficiency")

    def test_have_the_promised_fields(self):
        for name in ("gcm-in-1400-1ksa", "gcm-in-64-forged", "gcm-in-64-1sa-2w", "latency-gcm-in-64"):
            scenario, machine = measured(name, 400, 500)
            result = json.loads(json.dumps(scenario.result(machine)))
            for field in self.FIELDS + self.FIGURES + tuple(f"{x}_{y}" for x in self.FIGURES for y in ("min", "max")):
                self.assertIn(field, result, name)

    def test_efficiency_is_crypto_and_moving_by_culvert(self):
        scenario, machine = measured("gcm-in-1400-1ksa", 200, 300, 400)
        result = scenario.result(machine)
        self.assertEqual((result["efficiency"], result["efficiency_min"], result["efficiency_max"]),
                         (0.5, 0.375, 0.75))
        self.assertEqual(result["gbps"], round(1000 / 300 * 1400 * 8 / 1000, 3))

    def test_a_flood_is_compared_to_good_packets(self):
        good, _ = measured("gcm-in-64-1sa", 400, 400)
        flood, machine = measured("gcm-in-64-forged", 200, 300)
        result = flood.result(machine, good)
        self.assertEqual((result["good_cycles"], result["good_ratio"], result["good_ratio_min"]), (400, 0.625, 0.5))
        self.assertIsNone(result["efficiency"])

    def test_a_flood_of_fragments_says_what_became_of_packets_and_memory(self):
        good, _ = measured("gcm-in-64-1sa", 400, 400)
        flood, machine = measured("gcm-in-64-fragments", 1000, 1200)
        result = flood.result(machine, good)
        self.assertEqual((result["good_ratio"], result["fragments_held"], result["fragments_held_most"]),
                         (2.75, 1200, 2048))
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            report.print_results([result])
        self.assertIn("0 packets of the tunnel were lost; a worker held 1200 fragments at most, of 2048", output.getvalue())

    def test_a_shape_is_compared_to_the_plain_tunnel(self):
        plain, _ = measured("gcm-in-64-1sa", 400, 400)
        for name in ("gcm-in-64-1sa-transport", "gcm-in-64-1sa-udp"):
            shape, machine = measured(name, 800, 1000)
            result = shape.result(machine, plain)
            self.assertEqual((result["plain_cycles"], result["plain_ratio"], result["plain_ratio_max"]), (400, 2.25, 2.5))
            # DPDK's own tools have none.
            self.assertIsNone(result["efficiency"])

    def test_two_workers_are_compared_to_one(self):
        one, _ = measured("gcm-in-64-1sa", 400, 400)
        two, machine = measured("gcm-in-64-1sa-2w", 400, 500)
        result = two.result(machine, one)
        self.assertEqual((result["speedup"], result["speedup_min"], result["speedup_max"]), (1.8, 1.6, 2.0))

    def test_the_other_commit(self):
        scenario, machine = measured("gcm-in-64-1sa", 300, 200, 200, 300, programs=("this", "other"))
        result = scenario.result(machine)
        # They take turns at going first.
        self.assertEqual((result["cycles"], result["other_cycles"], result["other_ratio"]), (200, 300, 0.6667))

    def test_a_failure_is_no_figure_and_no_end(self):
        scenarios = [Scenario(BY_NAME["gcm-in-64-1sa"]), Scenario(BY_NAME["gcm-in-64-forged"])]
        with contextlib.redirect_stderr(io.StringIO()), mock.patch.object(report, "Witness", witness()):
            results = report.measure_all(scenarios, FakeMachine(Failure("7 were dropped"), 300, 300), 2)
        self.assertEqual(results[0]["error"], "7 were dropped")
        self.assertNotIn("cycles", results[0])
        self.assertEqual(results[1]["cycles"], 300)
        self.assertNotIn("good_ratio", results[1])
        self.assertFalse(results[1]["tainted"])
        self.assertIn("NO FIGURE: gcm-in-64-1sa: 7 were dropped", list(report.notes(results)))

    def test_all_kinds_print(self):
        results = []
        for name in ("gcm-in-64-1sa", "gcm-in-64-1sa-2w", "gcm-in-64-1sa-bundle", "gcm-in-64-forged",
                     "latency-gcm-in-64"):
            scenario, machine = measured(name, 400)
            results.append(scenario.result(machine, measured("gcm-in-64-1sa", 400)[0]
                                           if BY_NAME[name].reference else None))
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            report.print_results(results)
        for result in results:
            self.assertIn(result["scenario"], output.getvalue())
        self.assertIn("0.50%", output.getvalue())  # missed
        self.assertNotIn("!", output.getvalue())


class Commands(unittest.TestCase):
    def test_say_what_a_scenario_is(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        program = os.path.join(directory, "bench")
        with open(program, "w", encoding="ascii") as file:
            file.write('#!/bin/sh\nfor word; do printf \'"%s", \' "$word"; done | sed "s/^/[/; s/, $/]/"\n')
        os.chmod(program, 0o700)
        options = types.SimpleNamespace(build="/nowhere", other_build=None, stages_build=None, hugepages=False, quick=True)
        machine = Machine(options, directory)
        for name, words in (("gcm-out-64-1sa-esn", ["--shape", "esn"]), ("null-in-64-1sa-ah", ["--shape", "ah"]),
                            ("gcm-in-64-fragments", ["--flood", "fragments"])):
            self.assertIn(words, [list(pair) for pair in pairs(machine.culvert(program, BY_NAME[name]))])
        self.assertNotIn("--shape", machine.culvert(program, BY_NAME["gcm-out-64-1sa"]))


class Program(unittest.TestCase):
    REPORT = os.path.join(HERE, "report.py")

    def test_list_to_a_reader_that_has_enough(self):
        with subprocess.Popen([sys.executable, "-B", self.REPORT, "--list"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")

    def test_a_name_that_is_none(self):
        done = subprocess.run([sys.executable, "-B", self.REPORT, "gcm-in-65"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no scenario is called gcm-in-65", done.stderr)

    def test_more_workers_than_cpus(self):
        options = types.SimpleNamespace(build="/nowhere", other_build=None, stages_build=None, hugepages=False, quick=True)
        machine = Machine(options, "/nowhere")
        machine.cpus = [0]
        with self.assertRaisesRegex(Failure, "2 workers need as many CPUs, and there are 1"):
            machine.culvert(machine.programs[0], BY_NAME["gcm-in-64-1sa-2w"])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.join(HERE, ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
