"""The machine: how programs are run on it, and what others did to it meanwhile."""

import json
import os
import re
import resource
import subprocess
import time
from typing import NamedTuple

from scenarios import ALGORITHMS, FLOOD, IMIX, IMIX_SHARES, IMIX_SIZES, LATENCY, LOAD

CBC_BLOCK = 16
VECTOR_BYTES = 1536
FRAMES_PER_POLICY, FRAMES_MAX = 4, 32768  # of tests/bench/frames.h
SOURCE_MBUFS_SPARE = 8191
PEER_MEMORY_MB = "768"  # of DPDK's tools
PEERS = ("dpdk-test-crypto-perf", "dpdk-testpmd")
LATENCY_SECONDS_SHARE = 0.6  # of a scenario's, for each of its loads
# Fields of the first line of /proc/stat, after its name.
STAT_BUSY, STAT_STEAL = (0, 1, 2, 5, 6), 7


class Failure(Exception):
    """A program that gave no figures, with what it said."""


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
    """Standard output of a command. After `timeout` seconds it gets SIGINT."""
    if timeout:
        command = ["timeout", "--foreground", "-s", "INT", str(timeout)] + command
    done = subprocess.run(command, preexec_fn=alone, capture_output=True, text=True, check=False)
    if done.returncode not in ((0, 124) if timeout else (0,)):
        raise Failure((done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1])
    return done.stdout


def cpu_seconds(text, ticks_per_second):
    """Seconds that all CPUs worked, and that the hypervisor kept from them, since boot, by /proc/stat."""
    fields = [int(x) for x in text.splitlines()[0].split()[1:]]
    steal = fields[STAT_STEAL] if len(fields) > STAT_STEAL else 0
    return sum(fields[i] for i in STAT_BUSY) / ticks_per_second, steal / ticks_per_second


class Moment(NamedTuple):
    """Times in seconds: of all CPUs, and of this process and those of its children that have ended."""

    wall: float
    busy: float
    steal: float
    own: float

    @classmethod
    def now(cls):
        with open("/proc/stat", encoding="ascii") as file:
            busy, steal = cpu_seconds(file.read(), os.sysconf("SC_CLK_TCK"))
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(time.monotonic(), busy, steal, sum(u.ru_utime + u.ru_stime for u in usages))


def shares_between(a, b):
    """What others had of this machine between two moments, in CPUs: other processes, and the hypervisor."""
    wall = b.wall - a.wall
    return {"others": max(b.busy - a.busy - (b.own - a.own), 0) / wall, "steal": (b.steal - a.steal) / wall}


class Witness:
    """What others do from now on."""

    def __init__(self):
        self.start = Moment.now()

    def shares(self):
        return shares_between(self.start, Moment.now())


class Machine:
    """Where everything is run, and how."""

    def __init__(self, options, directory):
        self.programs = [os.path.join(build, "tests/bench/bench")
                         for build in (options.build, options.other_build) if build]
        # Another build of the first, which counts the cycles of stages.
        self.stages_program = options.stages_build and os.path.join(options.stages_build, "tests/bench/bench")
        self.hugepages = options.hugepages
        self.seconds = 0.4 if options.quick else 1.0
        self.directory = directory
        self.cpus = sorted(os.sched_getaffinity(0), reverse=True)

    def eal(self):
        memory = ["--in-memory"] if self.hugepages else ["--no-huge", "--no-shconf"]
        return memory + ["-m", PEER_MEMORY_MB, "--no-pci", "--no-telemetry", f"--file-prefix=bench{os.getpid()}",
                         "--lcores", f"0@{self.cpus[-1]},1@{self.cpus[0]}", "--log-level=error"]

    def culvert(self, program, spec):
        """What the benchmark program says of a scenario."""
        if spec.workers > len(self.cpus):
            raise Failure(f"{spec.workers} workers need as many CPUs, and there are {len(self.cpus)}")
        command = [program, "forward" if spec.kind == FLOOD else spec.kind, "--algorithm", ALGORITHMS[spec.family],
                   "--sas", str(spec.sas), "--policies", str(spec.policies), "--directory", self.directory,
                   "--cpus", ",".join(str(cpu) for cpu in self.cpus[:spec.workers])]
        if spec.kind != LOAD:
            seconds = self.seconds * (LATENCY_SECONDS_SHARE if spec.kind == LATENCY else 1)
            command += ["--direction", spec.direction, "--bytes", str(spec.size), "--seconds", str(seconds)]
        if spec.flood:
            command += ["--flood", spec.flood]
        if spec.shape:
            command += ["--shape", spec.shape]
        if spec.in_udp:
            command.append("--udp")
        if self.hugepages:
            command.append("--hugepages")
        return json.loads(run(command).splitlines()[-1])

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
        raise Failure("dpdk-test-crypto-perf gave no figures")

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
            raise Failure("dpdk-testpmd gave no figures")
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
