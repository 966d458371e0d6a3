#!/usr/bin/python3
"""Run the benchmark program beside DPDK's own tools, in turn, and print medians with their spread.

tools/bench calls this; docs/performance.md says what the figures mean.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

ALGORITHM = "aes128gcm16"
SIZES = (64, 512, 1420)
DIRECTIONS = ("out", "in")
LOAD_TUNNELS = 10000
PEER_MEMORY_MB = "512"  # of DPDK's tools


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
        self.program = os.path.join(options.build, "tests/bench/bench")
        self.hugepages = options.hugepages
        self.seconds = 0.4 if options.quick else 1.0
        self.directory = directory
        self.cpu = max(os.sched_getaffinity(0))

    def eal(self):
        memory = ["--in-memory"] if self.hugepages else ["--no-huge", "--no-shconf"]
        first = min(os.sched_getaffinity(0))
        return memory + ["-m", PEER_MEMORY_MB, "--no-pci", "--no-telemetry", f"--file-prefix=bench{os.getpid()}",
                         "--lcores", f"0@{first},1@{self.cpu}", "--log-level=error"]

    def culvert(self, command, *arguments):
        arguments = list(arguments) + ["--cpu", str(self.cpu), "--directory", self.directory]
        if self.hugepages:
            arguments.append("--hugepages")
        return json.loads(run([self.program, command] + arguments).splitlines()[-1])

    def forward(self, direction, size, tunnels):
        return self.culvert("forward", "--direction", direction, "--bytes", str(size), "--tunnels", str(tunnels),
                            "--seconds", str(self.seconds))

    def crypto_cycles(self, direction, size):
        """Cycles a packet of the crypto alone, as dpdk-test-crypto-perf has them."""
        operations = int(self.seconds * (5e6 if size < 500 else 3e6 if size < 1000 else 2e6))
        output = run(["dpdk-test-crypto-perf"] + self.eal() + ["--vdev", "crypto_aesni_gcm", "--"] + [
            "--silent", "--csv-friendly", "--ptest", "throughput", "--devtype", "crypto_aesni_gcm",
            "--optype", "aead", "--aead-algo", "aes-gcm",
            "--aead-op", "encrypt" if direction == "out" else "decrypt",
            "--aead-key-sz", "16", "--aead-iv-sz", "12", "--aead-aad-sz", "8", "--digest-sz", "16",
            "--buffer-sz", str(size), "--burst-sz", "32", "--total-ops", str(operations)])
        for line in output.splitlines():
            fields = line.split(",")
            if len(fields) == 10 and fields[1] == str(size):
                return float(fields[-1])
        sys.exit(f"tools/bench: dpdk-test-crypto-perf gave no figures:\n{output[-2000:]}")

    def move_cycles(self, direction, size):
        """Cycles a packet from the same source to the same sink with nothing in between, as dpdk-testpmd has them."""
        output = run(["dpdk-testpmd"] + self.eal() + [
            "--vdev", f"net_pcap0,rx_pcap={self.directory}/{direction}-{size}.pcap,infinite_rx=1",
            "--vdev", "net_null0,no-rx=1", "--", "--forward-mode=io", "--nb-cores=1", "--burst=32",
            "--total-num-mbufs=8191", "--record-core-cycles", "--no-lsc-interrupt", "--stats-period=60"],
            timeout=self.seconds + 1)
        cycles = re.search(r"CPU cycles/packet=([0-9.]+)", output)
        if not cycles:
            sys.exit(f"tools/bench: dpdk-testpmd gave no figures:\n{output[-2000:]}")
        return float(cycles.group(1))


def summary(name, values, digits):
    return {name: round(statistics.median(values), digits), f"{name}_min": round(min(values), digits),
            f"{name}_max": round(max(values), digits)}


class Scenario:
    """One direction and packet size: a list of measurements, all three taken in turn."""

    def __init__(self, direction, size, tunnels):
        self.direction, self.size, self.tunnels = direction, size, tunnels
        self.own, self.crypto, self.move = [], [], []

    def measure(self, machine):
        self.own.append(machine.forward(self.direction, self.size, self.tunnels))
        self.crypto.append(machine.crypto_cycles(self.direction, self.size))
        self.move.append(machine.move_cycles(self.direction, self.size))

    def result(self, machine):
        own = [x["cycles"] for x in self.own]
        mpps = [x["mpps"] for x in self.own]
        crypto, move = statistics.median(self.crypto), statistics.median(self.move)
        result = {"scenario": "forward", "direction": self.direction, "algorithm": ALGORITHM,
                  "sas": self.own[0]["sas"], "policies": self.own[0]["policies"], "workers": 1,
                  "packet_bytes": self.size}
        result |= summary("mpps", mpps, 3)
        result |= summary("gbps", [x * self.size * 8 / 1000 for x in mpps], 3)
        result |= summary("cycles", own, 1)
        result |= summary("crypto_cycles", self.crypto, 1)
        result |= summary("move_cycles", self.move, 1)
        result |= summary("ratio", [c / o for c, o in zip(self.crypto, own)], 3)
        result |= summary("efficiency", [(c + m) / o for c, m, o in zip(self.crypto, self.move, own)], 3)
        for name, value in (("ratio", crypto), ("efficiency", crypto + move)):
            # Of the medians, each of which is steadier than one repetition.
            result[name] = round(value / statistics.median(own), 3)
            result[f"{name}_min"] = min(result[f"{name}_min"], result[name])
            result[f"{name}_max"] = max(result[f"{name}_max"], result[name])
        result |= {"repetitions": len(own), "hugepages": machine.hugepages,
                   "busy_share": min(x["busy_share"] for x in self.own),
                   "cpu_share": min(x["cpu_share"] for x in self.own)}
        return result


def load_result(machine, repetitions):
    runs = [machine.culvert("load", "--tunnels", str(LOAD_TUNNELS)) for _ in range(repetitions)]
    result = dict(runs[0])
    for name in ("seconds", "read_seconds", "start_seconds", "apply_seconds"):
        result |= summary(name, [x[name] for x in runs], 3)
    return result | {"repetitions": repetitions, "hugepages": machine.hugepages}


def spread(result, name):
    return f"{result[name]:g} ({result[name + '_min']:g}..{result[name + '_max']:g})"


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))


def print_forward(results):
    first = results[0]
    print(f"{ALGORITHM}, ESP tunnel, IPv4 in IPv4; {first['workers']} worker, {first['sas']} SAs, {first['policies']} "
          f"policies; {first['repetitions']} repetitions; hugepages: {'yes' if first['hugepages'] else 'no'}")
    print("median (least..most); cycles are of the TSC, a packet; bytes and Gbit/s are of the inner IP packets\n")
    rows = [["", "bytes", "Mpps", "Gbit/s", "cycles", "crypto alone", "moving alone", "crypto/culvert",
             "(crypto+moving)/culvert"]]
    for r in results:
        rows.append([r["direction"], str(r["packet_bytes"])] + [spread(r, name) for name in (
            "mpps", "gbps", "cycles", "crypto_cycles", "move_cycles", "ratio", "efficiency")])
    print_table(rows)
    print("\ncrypto alone: dpdk-test-crypto-perf; moving alone: dpdk-testpmd, io; each in turn with culvert.")
    for r in results:
        if r["busy_share"] < 0.999:
            print(f"NOTE: {r['direction']} {r['packet_bytes']}: the worker found packets in only "
                  f"{r['busy_share']:.1%} of its rounds")
        if r["cpu_share"] < 0.98:
            print(f"NOTE: {r['direction']} {r['packet_bytes']}: in one repetition the worker had its CPU for only "
                  f"{r['cpu_share']:.1%} of the time")


def print_load(r):
    print(f"\nload: {r['sas']} SAs (half of them inbound) and {r['policies']} policies from one file to the published "
          f"snapshot: {spread(r, 'seconds')} s")
    print(f"  reading and checking {spread(r, 'read_seconds')} s, devices and pools {spread(r, 'start_seconds')} s, "
          f"SAs, SPD and routes {spread(r, 'apply_seconds')} s")
    print(f"  memory: {r['sa_bytes']} bytes an SA beside its crypto session of {r['session_bytes']}; "
          f"{r['policy_bytes']} bytes a policy; {r['model_bytes']} bytes an SA and its policy as configuration")


def options_parse():
    parser = argparse.ArgumentParser(prog="tools/bench")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--hugepages", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repetitions")
    parser.add_argument("--json", action="store_true", help="one JSON object a scenario, a line each")
    parser.add_argument("--tunnels", type=int, default=1, metavar="N",
                        help="packets of N tunnels in turn, each with its two SAs and policies (default 1)")
    parser.add_argument("--repetitions", type=int, metavar="N", help="default 7; 3 with --quick")
    return parser.parse_args()


def main():
    options = options_parse()
    repetitions = options.repetitions or (3 if options.quick else 7)
    scenarios = [Scenario(d, s, options.tunnels) for d in DIRECTIONS for s in SIZES]
    with tempfile.TemporaryDirectory(prefix="culvert-bench.") as directory:
        machine = Machine(options, directory)
        for i in range(repetitions):
            for scenario in scenarios:
                print(f"\rrepetition {i + 1} of {repetitions}: {scenario.direction} {scenario.size:4}", end="",
                      file=sys.stderr, flush=True)
                scenario.measure(machine)
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
        results = [s.result(machine) for s in scenarios]
        load = load_result(machine, min(repetitions, 3))
    if options.json:
        for result in results + [load]:
            print(json.dumps(result))
    else:
        print_forward(results)
        print_load(load)


if __name__ == "__main__":
    main()
