#!/usr/bin/python3
"""Run the benchmark program beside DPDK's own tools, in turn, and print medians with their spread.

tools/bench calls this; docs/performance.md says what the figures mean.
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

IMIX = "imix"
IMIX_SIZES, IMIX_SHARES, IMIX_MEAN = "64,570,1400", "7,4,1", 344
ALGORITHMS = {"gcm": "aes128gcm16", "cbc": "aes128-sha256"}
CBC_BLOCK = 16
VECTOR_BYTES = 1536
SIZES = (64, 512, 1400)
LOADS = {"load-10k": 10000, "load-100k": 100000}  # tunnels
LOADS_QUICK = ("load-10k",)
FRAMES_PER_POLICY, FRAMES_MAX = 4, 32768  # of tests/bench/frames.h
SOURCE_MBUFS_SPARE = 8191
PEER_MEMORY_MB = "768"  # of DPDK's tools
PEERS = ("dpdk-test-crypto-perf", "dpdk-testpmd")
BUSY_LOAD = 0.5  # of the last minute, above which somebody else is at work


@dataclasses.dataclass(frozen=True)
class Spec:
    """A line of the table of scenarios. A policy belongs to one SA, so there are no fewer policies than SAs."""

    family: str
    direction: str
    size: object  # of the inner packet, or IMIX
    sas: int
    policies: int
    workers: int = 1
    default: bool = False
    quick: bool = False

    @property
    def name(self):
        name = f"{self.family}-{self.direction}-{self.size}-{short(self.sas)}sa"
        if self.policies != self.sas:
            name += f"-{short(self.policies)}pol"
        return name + (f"-{self.workers}w" if self.workers > 1 else "")

    @property
    def bytes(self):
        return IMIX_MEAN if self.size == IMIX else self.size


def short(number):
    return f"{number // 1000}k" if number >= 1000 else str(number)


def specs():
    """The table of scenarios."""
    table = []
    for family in ALGORITHMS:
        for sas in (1, 1000, 100000):
            for direction in ("out", "in"):
                for size in SIZES + (IMIX,):
                    target = size != IMIX and (sas < 100000 or (family == "gcm" and size != 512))
                    quick = (family, size, sas) in (("gcm", 64, 1), ("gcm", 1400, 1), ("gcm", 64, 1000),
                                                    ("cbc", 1400, 1))
                    table.append(Spec(family, direction, size, sas, sas, default=target, quick=quick))
    for policies in (1000, 10000):
        for direction in ("out", "in"):
            for size in (64, 1400):
                table.append(Spec("gcm", direction, size, 1, policies))
    for size in (64, 1400):
        # Inbound, an SA is of one worker, so one SA can't feed two.
        table.append(Spec("gcm", "out", size, 1, 1, workers=2))
        for direction in ("out", "in"):
            table.append(Spec("gcm", direction, size, 1000, 1000, workers=2))
    return table



def alone():
    """Have the CPU to oneself as far as the system allows: on a shared machine it makes medians steadier.

    A session has one scheduling group (autogroup), whose own niceness counts beside other sessions.
    """
    os.setsid()
    try:
        os.nice(-20)
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("-20")
    except OSError:
        pass


def run(command, timeout=None):
    """Standard output of a command; its errors end the benchmark. After `timeout` seconds it gets SIGINT."""
    if timeout:
        command = ["timeout", "--foreground", "-s", "INT", str(timeout)] + command
    done = subprocess.run(command, preexec_fn=alone, capture_output=True, text=True, check=False)
    if done.returncode not in ((0, 124) if timeout else (0,)):
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
        sys.exit(f"tools/bench: {command[0]} failed")
    return done.stdout


class Machine:
    """Where everything is run, and how."""

    def __init__(self, options, directory):
        self.programs = [os.path.join(build, "tests/bench/bench")
                         for build in (options.build, options.other_build) if build]
        self.hugepages = options.hugepages
        self.seconds = 0.4 if options.quick else 1.0
        self.directory = directory
        self.cpus = sorted(os.sched_getaffinity(0), reverse=True)

    def shares(self, workers):
        """Not every worker has a CPU of its own beside the main thread."""
        return workers >= len(self.cpus)

    def eal(self):
        memory = ["--in-memory"] if self.hugepages else ["--no-huge", "--no-shconf"]
        return memory + ["-m", PEER_MEMORY_MB, "--no-pci", "--no-telemetry", f"--file-prefix=bench{os.getpid()}",
                         "--lcores", f"0@{self.cpus[-1]},1@{self.cpus[0]}", "--log-level=error"]

    def culvert(self, program, command, *arguments, workers=1):
        cpus = ",".join(str(cpu) for cpu in self.cpus[:workers])
        arguments = list(arguments) + ["--cpus", cpus, "--directory", self.directory]
        if self.hugepages:
            arguments.append("--hugepages")
        return json.loads(run([program, command] + arguments).splitlines()[-1])

    def forward(self, program, spec):
        return self.culvert(program, "forward", "--direction", spec.direction, "--bytes", str(spec.size),
                            "--algorithm", ALGORITHMS[spec.family], "--sas", str(spec.sas),
                            "--policies", str(spec.policies), "--seconds", str(self.seconds),
                            workers=spec.workers)

    def crypto_cycles(self, spec):
        """Cycles a packet of the crypto alone, as dpdk-test-crypto-perf has them."""
        rate = 1e6 if spec.family == "cbc" else 5e6 if spec.bytes < 300 else 3e6 if spec.bytes < 1000 else 2e6
        device = "crypto_aesni_gcm" if spec.family == "gcm" else "crypto_aesni_mb"
        size = spec.bytes
        if spec.family == "cbc":
            size += -size % CBC_BLOCK
        sizes = ["--buffer-sz", str(size)]
        if spec.size == IMIX:
            parts = [int(x) for x in IMIX_SIZES.split(",")]
            if spec.family == "cbc":
                parts = [x + -x % CBC_BLOCK for x in parts]
            shares = [int(x) for x in IMIX_SHARES.split(",")]
            size = sum(x * n for x, n in zip(parts, shares)) // sum(shares)
            sizes = ["--buffer-sz", ",".join(str(x) for x in parts), "--imix", IMIX_SHARES]
        if spec.family == "cbc" and spec.direction == "in":
            vectors = os.path.join(self.directory, "vectors")
            vectors_write(vectors)
            sizes += ["--test-file", vectors]
        output = run(["dpdk-test-crypto-perf"] + self.eal() + ["--vdev", device, "--"] + [
            "--silent", "--csv-friendly", "--ptest", "throughput", "--devtype", device,
            "--digest-sz", "16", "--burst-sz", "32", "--total-ops", str(int(self.seconds * rate))]
            + crypto_operation(spec) + sizes)
        for line in output.splitlines():
            fields = line.split(",")
            if len(fields) == 10 and fields[1] == str(size):
                return float(fields[-1])
        sys.exit(f"tools/bench: dpdk-test-crypto-perf gave no figures:\n{output[-2000:]}")

    def move_cycles(self, spec):
        """Cycles a packet from the same source to the same sink with nothing in between, as dpdk-testpmd has them."""
        mbufs = SOURCE_MBUFS_SPARE
        if FRAMES_PER_POLICY * spec.policies > 1024:
            mbufs += FRAMES_MAX
        output = run(["dpdk-testpmd"] + self.eal() + [
            "--vdev", f"net_pcap0,rx_pcap={self.directory}/frames0.pcap,infinite_rx=1",
            "--vdev", "net_null0,no-rx=1", "--", "--forward-mode=io", "--nb-cores=1", "--burst=32",
            f"--total-num-mbufs={mbufs}", "--record-core-cycles", "--no-lsc-interrupt", "--stats-period=60"],
            timeout=self.seconds + 1)
        cycles = re.search(r"CPU cycles/packet=([0-9.]+)", output)
        if not cycles:
            sys.exit(f"tools/bench: dpdk-testpmd gave no figures:\n{output[-2000:]}")
        return float(cycles.group(1))


def crypto_operation(spec):
    """The options of dpdk-test-crypto-perf for what the gateway does to a packet's payload."""
    out = spec.direction == "out"
    if spec.family == "gcm":
        return ["--optype", "aead", "--aead-algo", "aes-gcm", "--aead-op", "encrypt" if out else "decrypt",
                "--aead-key-sz", "16", "--aead-iv-sz", "12", "--aead-aad-sz", "8"]
    return ["--optype", "cipher-then-auth" if out else "auth-then-cipher", "--cipher-algo", "aes-cbc",
            "--cipher-op", "encrypt" if out else "decrypt", "--cipher-key-sz", "16", "--cipher-iv-sz", "16",
            "--auth-algo", "sha2-256-hmac", "--auth-op", "generate" if out else "verify", "--auth-key-sz", "32"]


def vectors_write(path):
    """What dpdk-test-crypto-perf wants to have before it verifies an ICV. None will be right, which costs the same."""
    lengths = {"plaintext": VECTOR_BYTES, "ciphertext": VECTOR_BYTES, "cipher_key": 16, "cipher_iv": 16,
               "auth_key": 32, "digest": 16}
    with open(path, "w", encoding="ascii") as file:
        for name, length in lengths.items():
            values = ", ".join(f"0x{x:02x}" for x in os.urandom(length))
            file.write(f"{name} =\n{values}\n")


def summary(name, values, digits):
    return {name: round(statistics.median(values), digits), f"{name}_min": round(min(values), digits),
            f"{name}_max": round(max(values), digits)}


class Scenario:
    """A line of the table: its measurements, all programs taken in turn."""

    def __init__(self, spec):
        self.spec = spec
        self.own, self.other, self.crypto, self.move = [], [], [], []

    def measure(self, machine):
        runs = list(zip(machine.programs, (self.own, self.other)))
        # Neither is always the first.
        for program, results in runs if len(self.move) % 2 else reversed(runs):
            results.append(machine.forward(program, self.spec))
        # The frames of the last run are still there.
        self.move.append(machine.move_cycles(self.spec))
        self.crypto.append(machine.crypto_cycles(self.spec))

    def result(self, machine):
        own = [x["cycles"] for x in self.own]
        mpps = [x["mpps"] for x in self.own]
        crypto, move = statistics.median(self.crypto), statistics.median(self.move)
        spec = self.spec
        result = {"scenario": spec.name, "direction": spec.direction, "algorithm": ALGORITHMS[spec.family],
                  "sas": spec.sas, "policies": spec.policies, "workers": spec.workers,
                  "packet_bytes": spec.bytes, "imix": spec.size == IMIX, "frames": self.own[0]["frames"]}
        result |= summary("mpps", mpps, 3)
        result |= summary("gbps", [x * spec.bytes * 8 / 1000 for x in mpps], 3)
        result |= summary("cycles", own, 1)
        result |= summary("crypto_cycles", self.crypto, 1)
        result |= summary("move_cycles", self.move, 1)
        result |= summary("rewind_cycles", [x["rewind_cycles"] for x in self.own], 1)
        result |= summary("ratio", [c / o for c, o in zip(self.crypto, own)], 3)
        result |= summary("efficiency", [(c + m) / o for c, m, o in zip(self.crypto, self.move, own)], 3)
        for name, value in (("ratio", crypto), ("efficiency", crypto + move)):
            # Of the medians, each of which is steadier than one repetition.
            result[name] = round(value / statistics.median(own), 3)
            result[f"{name}_min"] = min(result[f"{name}_min"], result[name])
            result[f"{name}_max"] = max(result[f"{name}_max"], result[name])
        if self.other:
            other = [x["cycles"] for x in self.other]
            result |= summary("other_cycles", other, 1)
            result["other_ratio"] = round(statistics.median(own) / statistics.median(other), 4)
        return result | {"repetitions": len(own), "hugepages": machine.hugepages,
                         "busy_share": min(x["busy_share"] for x in self.own),
                         "cpu_share": min(x["cpu_share"] for x in self.own + self.other),
                         "shared_cpus": machine.shares(spec.workers)}


def load_result(machine, name, repetitions):
    runs = [machine.culvert(machine.programs[0], "load", "--sas", str(LOADS[name])) for _ in range(repetitions)]
    result = runs[0] | {"scenario": name}
    for figure in ("seconds", "read_seconds", "start_seconds", "apply_seconds"):
        result |= summary(figure, [x[figure] for x in runs], 3)
    result["peak_bytes"] = max(x["peak_bytes"] for x in runs)
    return result | {"repetitions": repetitions, "hugepages": machine.hugepages}


def spread(result, name):
    return f"{result[name]:g} ({result[name + '_min']:g}..{result[name + '_max']:g})"


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))


def print_specs(table):
    rows = [["name", "direction", "algorithm", "bytes", "SAs", "policies", "workers", "in"]]
    for s in table:
        sets = [name for name, chosen in (("default", s.default), ("quick", s.quick)) if chosen]
        rows.append([s.name, s.direction, ALGORITHMS[s.family], f"{s.bytes} imix" if s.size == IMIX else str(s.size),
                     f"{s.sas:,}", f"{s.policies:,}", str(s.workers), ", ".join(sets)])
    for name, sas in LOADS.items():
        rows.append([name, "both", ALGORITHMS["gcm"], "", f"2 x {sas:,}", f"2 x {sas:,}", "1",
                     "default, quick" if name in LOADS_QUICK else "default"])
    print_table(rows)


def print_forward(results):
    first = results[0]
    columns = ["mpps", "gbps", "cycles", "crypto_cycles", "move_cycles", "ratio", "efficiency"]
    print(f"ESP tunnel, IPv4 in IPv4; {first['repetitions']} repetitions; "
          f"hugepages: {'yes' if first['hugepages'] else 'no'}")
    print("median (least..most); cycles are of the TSC, a packet; bytes and Gbit/s are of the inner IP packets\n")
    rows = [["scenario", "Mpps", "Gbit/s", "cycles", "crypto alone", "moving alone", "crypto/culvert",
             "(crypto+moving)/culvert"]]
    rows += [[r["scenario"]] + [spread(r, name) for name in columns] for r in results]
    if "other_ratio" in first:
        rows[0] += ["the other's cycles", "this/other"]
        for row, r in zip(rows[1:], results):
            row += [spread(r, "other_cycles"), f"{r['other_ratio']:.3f}"]
    print_table(rows)
    print("\ncrypto alone: dpdk-test-crypto-perf; moving alone: dpdk-testpmd, io; each in turn with culvert.")


def print_notes(results, out):
    """Whatever should keep the reader from taking a figure at its face value."""
    for r in results:
        if r["shared_cpus"]:
            print(f"NOTE: {r['scenario']}: the machine has no CPU for each of {r['workers']} workers "
                  "and the main thread: this is no measurement of that many workers", file=out)
        if r["busy_share"] < 0.999:
            print(f"NOTE: {r['scenario']}: the worker found packets in only {r['busy_share']:.1%} of its rounds",
                  file=out)
        if r["cpu_share"] < 0.98:
            print(f"NOTE: {r['scenario']}: in one repetition the worker had its CPU for only {r['cpu_share']:.1%} "
                  "of the time", file=out)


def print_load(r):
    print(f"\n{r['scenario']}: {r['sas']} SAs (half of them inbound) and {r['policies']} policies from one file to the "
          f"published snapshot: {spread(r, 'seconds')} s")
    print(f"  reading and checking {spread(r, 'read_seconds')} s, devices and pools {spread(r, 'start_seconds')} s, "
          f"SAs, SPD and routes {spread(r, 'apply_seconds')} s")
    print(f"  memory: {r['sa_bytes']} bytes an SA beside its crypto session of {r['session_bytes']}; "
          f"{r['policy_bytes']} bytes a policy; {r['model_bytes']} bytes an SA and its policy as configuration")
    print(f"  peak {r['peak_bytes'] / 1e6:.0f} MB, beside {r['pool_bytes'] / 1e6:.0f} MB of packet buffers: "
          f"reading {r['reading_resident_bytes'] / 1e6:.0f} MB, then {r['applying_resident_bytes'] / 1e6:.0f} MB "
          f"and {r['hugepages_bytes'] / 1e6:.0f} MB of hugepages")


def chosen(options, table):
    """The names that the command line asks for, in the table's order."""
    names = [s.name for s in table] + list(LOADS)
    if not options.names:
        return ([s.name for s in table if (s.quick if options.quick else s.default)]
                + list(LOADS_QUICK if options.quick else LOADS))
    for pattern in options.names:
        if not fnmatch.filter(names, pattern):
            sys.exit(f"tools/bench: no scenario is called {pattern}; tools/bench --list names them")
    return [n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in options.names)]


def machine_check():
    """End where nothing could be measured, and say what will spoil the measurement."""
    for peer in PEERS:
        if not shutil.which(peer):
            sys.exit(f"tools/bench: {peer} is missing; on Debian it is in dpdk or dpdk-dev")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("tools/bench: there is one CPU, and a worker needs one beside the main thread's")
    load = os.getloadavg()[0]
    if load > BUSY_LOAD:
        print(f"NOTE: others are at work here (load of the last minute {load:.2f}): figures will spread",
              file=sys.stderr)


def options_parse():
    parser = argparse.ArgumentParser(prog="tools/bench")
    parser.add_argument("--build", help=argparse.SUPPRESS)
    parser.add_argument("--other-build", help=argparse.SUPPRESS)
    parser.add_argument("--hugepages", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios, or patterns of them")
    parser.add_argument("--list", action="store_true", help="print the table of scenarios")
    parser.add_argument("--quick", action="store_true", help="few scenarios, fewer and shorter repetitions")
    parser.add_argument("--json", action="store_true", help="one JSON object a scenario, a line each")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default 7; 5 with --compare, 3 with --quick")
    parser.add_argument("--compare", metavar="REV", help="measure that commit too, in turn with this checkout")
    return parser.parse_args()


def measure_all(scenarios, machine, repetitions):
    for i in range(repetitions):
        for scenario in scenarios:
            print(f"\rrepetition {i + 1} of {repetitions}: {scenario.spec.name:24}", end="", file=sys.stderr,
                  flush=True)
            scenario.measure(machine)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return [s.result(machine) for s in scenarios]


def main():
    options = options_parse()
    table = specs()
    if options.list:
        print_specs(table)
        return
    names = chosen(options, table)
    machine_check()
    repetitions = options.repetitions or (3 if options.quick else 5 if options.other_build else 7)
    scenarios = [Scenario(s) for s in table if s.name in names]
    with tempfile.TemporaryDirectory(prefix="culvert-bench.") as directory:
        machine = Machine(options, directory)
        results = measure_all(scenarios, machine, repetitions)
        loads = [load_result(machine, name, min(repetitions, 3)) for name in LOADS if name in names]
    if options.json:
        for result in results + loads:
            print(json.dumps(result))
    else:
        if results:
            print_forward(results)
        for load in loads:
            print_load(load)
    print_notes(results, sys.stderr if options.json else sys.stdout)


if __name__ == "__main__":
    main()
