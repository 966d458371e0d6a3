#!/usr/bin/python3
"""Measure what loading and changing cost the running daemon, with few tunnels and with many, by its control socket.

tools/bench change calls this; docs/performance.md says what the figures mean. A tunnel is two SAs and two policies, as
an IKE daemon makes them. Ports are net_null's, so that nothing is forwarded meanwhile.
"""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SIZES = (10, 1000, 10000, 100000)
REPETITIONS = 7
RELOADS = 3  # they take seconds where tunnels are many
LOAD_SECONDS_MAX, ANSWER_SECONDS_MAX = 180, 120
PAGE_SAS = 1000
REMOTE_FIRST, REMOTE_ADDRESSES = 0x0A400000, 32  # 10.64.0.0/27 and so on
SPI_OUT_FIRST, SPI_IN_FIRST = 0x10000, 0x1000000
MEMORY_MB_BASE, MEMORY_BYTES_SA = 512, 3072


def address(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def sa(i, inbound, generation=0):
    """The SA of a tunnel; each generation has a key and an SPI of its own."""
    gateway, peer = "192.0.2.1", f"198.{18 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"
    spi = (SPI_IN_FIRST if inbound else SPI_OUT_FIRST) + i + (generation << 28)
    ends = (peer, gateway) if inbound else (gateway, peer)
    window = {"replay_window": 64} if inbound else {}
    return {"spi": spi, "source": ends[0], "destination": ends[1], "esp": "aes128gcm16",
            "key": f"0x{1 + inbound:02x}{generation:06x}{i:032x}", **window}


def policy(i, inbound, sa_name=None):
    direction = "in" if inbound else "out"
    remote = f"{address((REMOTE_FIRST + i * REMOTE_ADDRESSES) & 0xFFFFFFFF)}/27"
    ends = (remote, "10.1.0.0/16") if inbound else ("10.1.0.0/16", remote)
    return {"name": f"{direction}{i}", "direction": direction, "action": "protect", "source": ends[0],
            "destination": ends[1], "sas": [sa_name or f"{direction}{i}"]}


def site(n, directory, cpu, hugepages):
    """A configuration of n tunnels. JSON is YAML; a line each keeps it readable."""
    memory = {"hugepages": hugepages, "packets": 2048}
    if not hugepages:
        memory["size_mb"] = MEMORY_MB_BASE + 2 * 2 * n * MEMORY_BYTES_SA // (1 << 20)
    lines = {
        "control": {"directory": f"{directory}/run", "state_directory": f"{directory}/state"},
        "memory": memory,
        "workers": {"lcores": [cpu], "idle_sleep_us": 100},
        "ports": {"lan": {"device": "net_null0,no-rx=1", "side": "protected", "addresses": ["10.1.0.254/16"]},
                  "wan": {"device": "net_null1,no-rx=1", "side": "unprotected", "addresses": ["192.0.2.1/24"]}},
        "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.254"}],
    }
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items()) + "sas:\n"
    text += "".join(f"  {'in' if inbound else 'out'}{i}: {json.dumps(sa(i, inbound))}\n"
                    for i in range(n) for inbound in (False, True))
    return text + "policies:\n" + "".join(f"  - {json.dumps(policy(i, inbound))}\n"
                                          for i in range(n) for inbound in (False, True))


class Daemon:
    """One that runs, with a connection to its control socket."""

    def __init__(self, program, path, directory):
        self.directory = directory
        self.log = open(f"{directory}/log", "w+", encoding="utf-8")
        begun = time.monotonic()
        self.process = subprocess.Popen([program, "--config", path], stdout=subprocess.DEVNULL, stderr=self.log)
        try:
            self._wait()
        except BaseException:
            self.end()
            raise
        self.seconds = time.monotonic() - begun
        self.client = self.connect()
        self.lines = self.client.makefile()

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(ANSWER_SECONDS_MAX)
        client.connect(f"{self.directory}/run/control.sock")
        return client

    def text(self):
        return os.pread(self.log.fileno(), 1 << 24, 0).decode()

    def _wait(self):
        deadline = time.monotonic() + LOAD_SECONDS_MAX
        while "forwarding" not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"tools/bench: culvertd does not forward:\n{self.text()}")
            time.sleep(0.01)

    def ask(self, command, **arguments):
        """The result, and the milliseconds until it was there."""
        request = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
        begun = time.monotonic()
        self.client.sendall(request)
        answer = json.loads(self.lines.readline())
        milliseconds = 1e3 * (time.monotonic() - begun)
        if not answer["ok"]:
            sys.exit(f"tools/bench: {command}: {answer['error']}")
        return answer["result"], milliseconds

    def settle(self):
        """Milliseconds until every worker has adopted what was changed."""
        begun = time.monotonic()
        while self.ask("settled")[0]["pending"] > 0:
            time.sleep(0.0005)
        return 1e3 * (time.monotonic() - begun)

    def load_ms(self, what):
        return int(re.search(rf"\b{what}=\d+ load_ms=(\d+)", self.text()).group(1))

    def resident_kb(self):
        """Of its memory, hugepages among it."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmRSS"].split()[0]) + int(fields["HugetlbPages"].split()[0])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LOAD_SECONDS_MAX)
        self.log.close()


class Times:
    """What each kind of change took, in milliseconds."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.kinds = {}

    def add(self, kind, milliseconds):
        self.kinds.setdefault(kind, []).append(milliseconds)

    def change(self, kind, command="change", **arguments):
        result, milliseconds = self.daemon.ask(command, **arguments)
        self.add(kind, result["microseconds"] / 1e3)
        self.add(f"{kind}, round trip", milliseconds)
        self.add("settle", self.daemon.settle())

    def medians(self):
        return {kind: round(statistics.median(times), 3) for kind, times in self.kinds.items()}


def sas_change(times, n):
    """SAs that no policy names: an inbound one, whose key needs no number reserved on the disk, and an outbound one."""
    for inbound, what in ((True, "inbound SA"), (False, "outbound SA")):
        times.change(f"add an {what}", sas={"new": sa(n, inbound, 1)})
        times.change(f"delete an {what}", delete_sas=["new"])


def policies_change(times, n):
    """A new tunnel's outbound half, its rekey, and its end."""
    times.change("add a policy and its SA", sas={"new": sa(n, False, 2)}, policies=[policy(n, False, "new")])
    times.change("rekey: a policy gets a new SA", sas={"newer": sa(n, False, 3)},
                 policies=[policy(n, False, "newer")], replace=True)
    times.change("delete a policy and its SAs", delete_sas=["new", "newer"], delete_policies=[f"out{n}"])


class Pings(threading.Thread):
    """Asks on a connection of its own, again and again, until it is stopped; the longest time without an answer."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.client, self.longest_ms, self.is_over = daemon.connect(), 0, threading.Event()
        self.start()

    def run(self):
        lines = self.client.makefile()
        while not self.is_over.is_set():
            begun = time.monotonic()
            self.client.sendall(b'{"command": "show-version"}\n')
            lines.readline()
            self.longest_ms = max(self.longest_ms, 1e3 * (time.monotonic() - begun))
            time.sleep(0.001)

    def stop(self):
        self.is_over.set()
        self.join()
        self.client.close()
        return self.longest_ms


def reload_one(times, path, text, i):
    """The file, of which one SA has another key; and how long others wait for an answer meanwhile."""
    key = sa(0, True)["key"]
    with open(path, "w", encoding="ascii") as file:
        file.write(text.replace(key, sa(0, True, 1 + i % 2)["key"], 1))
    pings = Pings(times.daemon)
    times.change("reload, one SA changed", "reload")
    times.add("reload, others wait at most", pings.stop())


def show_all(times):
    offset, total = 0, 0
    while offset is not None:
        result, milliseconds = times.daemon.ask("show-sas", offset=offset, limit=PAGE_SAS)
        times.add("show-sas, a page", milliseconds)
        total += milliseconds
        offset = result.get("next")
    times.add("show-sas, all pages", total)


def rounds(daemon, n, path, text, repetitions):
    times = Times(daemon)
    for i in range(repetitions):
        sas_change(times, n)
        policies_change(times, n)
    for i in range(min(repetitions, RELOADS)):
        reload_one(times, path, text, i)
        show_all(times)
    return times.medians()


def check_seconds(program, path):
    begun = time.monotonic()
    subprocess.run([program, "--check", path], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def measure(program, n, hugepages, repetitions, where):
    with tempfile.TemporaryDirectory(prefix="culvert-change.", dir=where) as directory:
        path, text = f"{directory}/site.yaml", site(n, directory, max(os.sched_getaffinity(0)), hugepages)
        os.mkdir(f"{directory}/state", 0o700)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        result = {"tunnels": n, "file_mb": round(len(text) / 1e6, 1), "read_seconds": round(check_seconds(program, path), 3)}
        daemon = Daemon(program, path, directory)
        try:
            result |= {"load_seconds": round(daemon.seconds, 3), "sas_seconds": daemon.load_ms("sas") / 1e3,
                       "policies_seconds": daemon.load_ms("policies") / 1e3, "resident_kb": daemon.resident_kb()}
            return result | {"milliseconds": rounds(daemon, n, path, text, repetitions)}
        finally:
            daemon.end()


def print_table(results):
    rows = [["tunnels"] + [f"{r['tunnels']:,}" for r in results]]
    rows += [[label] + [f"{r[name]:g}" for r in results] for label, name in (
        ("the file, MB", "file_mb"), ("load until it forwards, s", "load_seconds"),
        ("  read and check the file, s", "read_seconds"), ("  make and publish all, s", "sas_seconds"),
        ("  the SPDs of that, s", "policies_seconds"), ("resident, kB", "resident_kb"))]
    least = results[0]
    rows.append(["resident an SA and its policy, kB"] + ["-"] + [
        f"{(r['resident_kb'] - least['resident_kb']) / (2 * (r['tunnels'] - least['tunnels'])):.2f}" for r in results[1:]])
    for kind in least["milliseconds"]:
        rows.append([f"{kind}, ms"] + [f"{r['milliseconds'][kind]:g}" for r in results])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))


def main():
    parser = argparse.ArgumentParser(prog="tools/bench change")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--hugepages", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, metavar="N")
    parser.add_argument("--directory", metavar="DIR", help="where the state is kept, whose disk is waited for")
    parser.add_argument("sizes", nargs="*", type=int, metavar="TUNNELS", help=f"default {' '.join(map(str, SIZES))}")
    options = parser.parse_args()
    results = []
    for n in sorted(options.sizes) or SIZES:
        print(f"\r{n} tunnels", end="", file=sys.stderr, flush=True)
        results.append(measure(options.program, n, options.hugepages, options.repetitions, options.directory))
        if options.json:
            print(json.dumps(results[-1]))
    print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
    if not options.json:
        print_table(results)


if __name__ == "__main__":
    main()
