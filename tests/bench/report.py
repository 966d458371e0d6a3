#!/usr/bin/python3
"""Run the benchmark program beside DPDK's own tools, in turn, and print medians with their spread.

tools/bench calls this; docs/performance.md says what the figures mean.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time

from figures import MEANING, Scenario, taints
from machine import PEERS, Failure, Machine, Witness
from scenarios import ALGORITHMS, FLOOD, FORWARD, IMIX, LATENCY, LOAD, NoSuchScenario, chosen, specs

QUIET_CHECK_SECONDS = 0.5
LOAD_REPETITIONS = 3
MARK = "!"  # behind each figure that others had a part in
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def marked(text, tainted):
    return text + (MARK if tainted else "")


def spread(result, name, tainted=None):
    """A figure with its spread, and a mark if it is tainted, which else the result says itself."""
    if result.get(name) is None:
        return "-"
    return marked(f"{result[name]:g} ({result[name + '_min']:g}..{result[name + '_max']:g})",
                  result["tainted"] if tainted is None else tainted)


def compared(result, name):
    return spread(result, name, result.get("comparison_tainted"))


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))


def print_specs(table):
    rows = [["name", "direction", "algorithm", "bytes", "SAs", "policies", "workers", "in"]]
    for s in table:
        sets = [name for name, chosen_in in (("default", s.default), ("quick", s.quick)) if chosen_in]
        size = "" if s.kind == LOAD else f"{s.bytes} imix" if s.size == IMIX else str(s.size)
        rows.append([s.name, s.direction, ALGORITHMS[s.family], size, f"{s.sas:,}", f"{s.policies:,}",
                     str(s.workers), ", ".join(sets)])
    print_table(rows)


def print_forward(results):
    columns = {"Mpps": "mpps", "Gbit/s": "gbps", "cycles": "cycles", "crypto alone": "crypto_cycles",
               "moving alone": "move_cycles", "crypto/culvert": "ratio", "(crypto+moving)/culvert": "efficiency"}
    rows = [["scenario"] + list(columns)]
    rows += [[r["scenario"]] + [spread(r, name) for name in columns.values()] for r in results]
    if any("other_ratio" in r for r in results):
        rows[0] += ["the other's cycles", "this/other"]
        for row, r in zip(rows[1:], results):
            row += [spread(r, "other_cycles"), marked(f"{r['other_ratio']:.3f}", r["tainted"])]
    print_table(rows)
    print("crypto alone: dpdk-test-crypto-perf; moving alone: dpdk-testpmd, io; each in turn with culvert.\n")


def print_speedup(results):
    rows = [["two workers", "Mpps", "one worker's", "speed-up"]]
    rows += [[r["scenario"], spread(r, "mpps"), compared(r, "one_worker_mpps"), compared(r, "speedup")] for r in results]
    print_table(rows)
    print("1sa: one SA of both workers; else each has its own.\n")


def print_shapes(results):
    rows = [["tunnels of another shape", "Mpps", "Gbit/s", "cycles", "a plain tunnel's", "this/plain"]]
    rows += [[r["scenario"], spread(r, "mpps"), spread(r, "gbps"), spread(r, "cycles"), compared(r, "plain_cycles"),
              compared(r, "plain_ratio")] for r in results]
    print_table(rows)
    print("plain: one SA of AES-128-GCM, IPv4 in IPv4, packets as long (of 1500 bytes: 1400); of ah: ESP that does not "
          "encrypt.\n")


def print_flood(results):
    rows = [["flood", "Mpps", "cycles", "a good packet's", "flood/good"]]
    rows += [[r["scenario"], spread(r, "mpps"), spread(r, "cycles"), compared(r, "good_cycles"),
              compared(r, "good_ratio")] for r in results]
    print_table(rows)
    print("cycles of a packet received and dropped, moving it from the source included, as in the good packet's; of "
          "fragments: of a packet of the tunnel, and the fragment that comes beside each.")
    for r in results:
        if "fragments_held" in r:
            print(f"{r['scenario']}: {r['tunnel_lost']} packets of the tunnel were lost; a worker held "
                  f"{r['fragments_held']} fragments at most, of {r['fragments_held_most']} that it may")
    print()


def print_latency(results):
    rows = [["latency", "load", "offered Mpps", "forwarded", "missed", "median us", "p99 us", "p99.9 us",
             "CPU of worker", "of generator"]]
    for r in results:
        for x in r["loads"]:
            rows.append([r["scenario"], f"{x['load']} %"]
                        + [spread(x, name, r["tainted"]) for name in ("offered_mpps", "mpps")]
                        + [marked(f"{x['missed_share']:.2%}", r["tainted"])]
                        + [spread(x, name, r["tainted"]) for name in ("median_us", "p99_us", "p999_us")]
                        + [f"{x['cpu_share']:.1%}", f"{x['generator_share']:.1%}"])
    print_table(rows)
    print("load: of what the worker forwards with its queue full. missed: found the queue full; nothing else was lost.")
    for r in results:
        stayed = max(x["stayed"] for x in r["loads"])
        print(f"{r['scenario']}: " + (f"{stayed} times a packet was still inside when the next loop began"
                                      if stayed else "each packet left in the loop that brought it"))
    print()


def print_load(results):
    for r in results:
        print(f"{r['scenario']}: {2 * r['sas']} SAs (half of them inbound) and {2 * r['policies']} policies from one "
              f"file to the published snapshot: {spread(r, 'seconds')} s")
        print(f"  reading and checking {spread(r, 'read_seconds')} s, devices and pools {spread(r, 'start_seconds')} "
              f"s, SAs, SPD and routes {spread(r, 'apply_seconds')} s")
        print(f"  memory: {r['sa_bytes']} bytes an SA beside its crypto session of {r['session_bytes']}; "
              f"{r['policy_bytes']} bytes a policy; {r['model_bytes']} bytes an SA and its policy as configuration")
        print(f"  peak {r['peak_bytes'] / 1e6:.0f} MB, beside {r['pool_bytes'] / 1e6:.0f} MB of packet buffers: "
              f"reading {r['reading_resident_bytes'] / 1e6:.0f} MB, then {r['applying_resident_bytes'] / 1e6:.0f} MB "
              f"and {r['hugepages_bytes'] / 1e6:.0f} MB of hugepages\n")


def print_stages(results):
    names = list(dict.fromkeys(name for r in results for name in r["stage_cycles"]))
    rows = [["cycles of stages"] + names]
    rows += [[r["scenario"]] + [marked(f"{r['stage_cycles'].get(name, 0):g}", r["tainted"]) for name in names]
             for r in results]
    print_table(rows)
    print("medians, of a build that counts them, which costs some two cycles a stage.\n")


def print_results(results):
    measured = [r for r in results if "error" not in r]
    if measured:
        print(f"ESP tunnel, IPv4 in IPv4, where nothing else is said; {max(r['repetitions'] for r in measured)} repetitions; "
              f"hugepages: {'yes' if measured[0]['hugepages'] else 'no'}")
        print("median (least..most); cycles are of the TSC, a packet of one worker; bytes and Gbit/s are of the inner "
              "IP packets\n")
    of_kind = {kind: [r for r in measured if r["kind"] == kind] for kind in (FORWARD, FLOOD, LATENCY, LOAD)}
    for printer, some in ((print_forward, of_kind[FORWARD]),
                          (print_speedup, [r for r in of_kind[FORWARD] if "speedup" in r]),
                          (print_shapes, [r for r in of_kind[FORWARD] if "plain_ratio" in r]),
                          (print_flood, of_kind[FLOOD]), (print_latency, of_kind[LATENCY]),
                          (print_load, of_kind[LOAD]), (print_stages, [r for r in measured if "stage_cycles" in r])):
        if some:
            printer(some)


def notes(results):
    """Whatever should keep the reader from taking a figure at its face value, a line each."""
    for r in results:
        if "error" in r:
            yield f"NO FIGURE: {r['scenario']}: {r['error']}"
            continue
        if r["tainted"]:
            said = "; ".join(MEANING[name].format(value) for name, value in r["taints"].items())
            yield f"{MARK} {r['scenario']}: {said}"
        elif r["disturbed"]:
            yield f"{r['scenario']}: {r['disturbed']} of {r['repetitions']} repetitions were disturbed and left out"


def machine_check(wanted):
    """End where nothing could be measured, and say what will spoil the measurement."""
    for peer in PEERS:
        if any(s.has_peers for s in wanted) and not shutil.which(peer):
            sys.exit(f"tools/bench: {peer} is missing; on Debian it is in dpdk or dpdk-dev")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("tools/bench: there is one CPU, and a worker needs one beside the main thread's")
    witness = Witness()
    time.sleep(QUIET_CHECK_SECONDS)
    for name, value in taints(witness.shares()).items():
        print(f"NOTE: others are at work here: {MEANING[name].format(value)}; figures that they have a part in will "
              f"be marked with {MARK}", file=sys.stderr)


def options_parse():
    parser = argparse.ArgumentParser(prog="tools/bench")
    parser.add_argument("--build", help=argparse.SUPPRESS)
    parser.add_argument("--other-build", help=argparse.SUPPRESS)
    parser.add_argument("--stages-build", help=argparse.SUPPRESS)
    parser.add_argument("--hugepages", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios, or patterns of them")
    parser.add_argument("--list", action="store_true", help="print the table of scenarios")
    parser.add_argument("--quick", action="store_true", help="few scenarios, fewer and shorter repetitions")
    parser.add_argument("--json", action="store_true", help="one JSON object a scenario, a line each")
    parser.add_argument("--stages", action="store_true", help="the cycles of each stage too, by another build")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default 7; 5 with --compare, 3 with --quick")
    parser.add_argument("--compare", metavar="REV", help="measure that commit too, in turn with this checkout")
    return parser.parse_args()


def measure_all(scenarios, machine, repetitions):
    """All scenarios in turn, again and again, so that what else happens on the machine falls on all of them."""
    for i in range(repetitions):
        for scenario in scenarios:
            if scenario.error or (scenario.spec.kind == LOAD and i >= LOAD_REPETITIONS):
                continue
            print(f"\rrepetition {i + 1} of {repetitions}: {scenario.spec.name:28}", end="", file=sys.stderr,
                  flush=True)
            try:
                scenario.measure(machine, Witness)
            except Failure as failure:
                scenario.error = str(failure)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    by_name = {s.spec.name: s for s in scenarios}
    return [s.result(machine, by_name.get(s.spec.reference)) for s in scenarios]


def main():
    options = options_parse()
    table = specs()
    if options.list:
        print_specs(table)
        return 0
    try:
        wanted = chosen(table, options.names, options.quick)
    except NoSuchScenario as pattern:
        sys.exit(f"tools/bench: no scenario is called {pattern}; tools/bench --list names them")
    machine_check(wanted)
    repetitions = options.repetitions or (3 if options.quick else 5 if options.other_build else 7)
    with tempfile.TemporaryDirectory(prefix="culvert-bench.") as directory:
        results = measure_all([Scenario(s) for s in wanted], Machine(options, directory), repetitions)
    if options.json:
        for result in results:
            print(json.dumps(result))
    else:
        print_results(results)
    for note in notes(results):
        print(note, file=sys.stderr if options.json else sys.stdout)
    return EXIT_FAILED if any("error" in r for r in results) else 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has enough: head, say. Python would complain once more when it closes its output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_FAILED
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    sys.exit(status)
