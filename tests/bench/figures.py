"""From repetitions to figures: medians with their spread, how trustworthy they are, and comparisons."""

import statistics

from scenarios import ALGORITHMS, FLOOD, FORWARD, IMIX, LATENCY, LOAD

# Beyond these, somebody else had a part in the figure: the least or the most of what, and what that means.
LEAST = {"cpu_share": (0.98, "a worker had its CPU for only {:.1%} of the time"),
         "generator_share": (0.98, "the generator had its CPU for only {:.1%} of the time"),
         "busy_share": (0.999, "the workers found packets in only {:.1%} of their rounds")}
FULL_LOAD = 100
MOST = {"missed": (0.01, "{:.1%} of the packets found the queue full at a load below the maximum"),
        "others": (0.1, "other processes had {:.0%} of a CPU"),
        "steal": (0.02, "the hypervisor kept {:.1%} of a CPU from this machine")}
MEANING = {name: text for name, (_, text) in (LEAST | MOST).items()} | {
    "hugepages": "there are no hugepages, and every table and packet costs more"}

FORWARD_FIGURES = {"mpps": 3, "gbps": 3, "cycles": 1, "move_cycles": 1, "crypto_cycles": 1, "efficiency": 3}
LOAD_FIGURES = ("seconds", "read_seconds", "start_seconds", "apply_seconds")
# Of a flood of fragments; the worst of the repetitions.
FRAGMENT_FIGURES = {"tunnel_lost": max, "fragments_held": max, "fragments_held_most": min}
LATENCY_FIGURES = {"offered_mpps": 3, "mpps": 3, "median_us": 2, "p99_us": 2, "p999_us": 2,
                   "max_us": 1}


def summary(name, values, digits):
    """The median and the spread; nulls where nothing was measured."""
    values = list(values)
    if not values:
        return {name: None, f"{name}_min": None, f"{name}_max": None}
    return {name: round(statistics.median(values), digits), f"{name}_min": round(min(values), digits),
            f"{name}_max": round(max(values), digits)}


def ratio_summary(name, pairs, digits=3):
    """Of tops over bottoms, pairs of one repetition: the ratio of their medians, each of which is steadier than
    one repetition, and the spread of the single ratios."""
    pairs = list(pairs)
    if not pairs:
        return summary(name, [], digits)
    tops, bottoms = zip(*pairs)
    result = summary(name, [top / bottom for top, bottom in pairs], digits)
    value = round(statistics.median(tops) / statistics.median(bottoms), digits)
    return {name: value, f"{name}_min": min(result[f"{name}_min"], value),
            f"{name}_max": max(result[f"{name}_max"], value)}


def taints(shares):
    """Those of the measured shares that are beyond their limit."""
    found = {name: value for name, value in shares.items() if name in LEAST and value < LEAST[name][0]}
    return found | {name: value for name, value in shares.items() if name in MOST and value > MOST[name][0]}


def taints_merge(many):
    """The worst of each."""
    merged = {}
    for found in many:
        for name, value in found.items():
            worse = min if name in LEAST else max
            merged[name] = worse(merged.get(name, value), value)
    return {name: round(value, 4) for name, value in merged.items()}


def missed_share(load):
    return load["missed"] / load["offered"] if load["offered"] else 0


def shares_of(run):
    """The worst of what the benchmark program measured of itself, in one run."""
    worst = {}
    loads = run.get("loads", [])
    # A worker that had all of its CPU, and caches and memory as before, would lose none.
    missed = [missed_share(x) for x in loads if x["load"] < FULL_LOAD]
    if missed:
        worst["missed"] = max(missed)
    for part in [run] + loads:
        for name in LEAST:
            if name in part:
                worst[name] = min(worst.get(name, part[name]), part[name])
    return worst


class Scenario:
    """A line of the table and its repetitions, each with all programs in turn."""

    def __init__(self, spec):
        self.spec = spec
        self.repetitions = []  # dicts: own and other are the benchmark program's, move and crypto cycles, taints
        self.error = None

    def measure(self, machine, witness):
        """One more repetition; witness() makes one that tells what others do from now on."""
        spec = self.spec
        watch = witness()
        repetition = {}
        runs = list(zip(("own", "other"), machine.programs))
        if spec.kind in (LATENCY, LOAD):
            runs = runs[:1]
        # Neither is always the first.
        for name, program in runs if len(self.repetitions) % 2 else reversed(runs):
            repetition[name] = machine.culvert(program, spec)
        if machine.stages_program and spec.kind in (FORWARD, FLOOD):
            repetition["stages"] = machine.culvert(machine.stages_program, spec)["stage_cycles"]
        if spec.has_peers:
            # The frames of the last run are still there.
            repetition["move"] = machine.move_cycles(spec)
            repetition["crypto"] = machine.crypto_cycles(spec)
        found = [taints(shares_of(repetition[name])) for name, _ in runs]
        repetition["taints"] = taints_merge(found + [taints(watch.shares())])
        self.repetitions.append(repetition)

    def used(self):
        """The repetitions that count, by their place: the undisturbed, where they are more than half; or all."""
        clean = {i: r for i, r in enumerate(self.repetitions) if not r["taints"]}
        return clean if 2 * len(clean) > len(self.repetitions) else dict(enumerate(self.repetitions))

    def taints(self, machine):
        found = taints_merge(r["taints"] for r in self.used().values())
        return found if machine.hugepages else found | {"hugepages": 0}

    def cycles(self):
        return {i: r["own"]["cycles"] for i, r in self.used().items()}

    def mpps(self):
        return {i: r["own"]["mpps"] for i, r in self.used().items()}

    def result(self, machine, reference=None):
        """The object that is printed. `reference` is the Scenario that it is compared to."""
        spec = self.spec
        result = {"scenario": spec.name, "kind": spec.kind, "direction": spec.direction,
                  "algorithm": ALGORITHMS[spec.family], "sas": spec.sas, "policies": spec.policies,
                  "workers": spec.workers, "packet_bytes": spec.bytes, "imix": spec.size == IMIX}
        if self.error:
            return result | {"error": self.error}
        found = self.taints(machine)
        result |= self.figures()
        if reference and not reference.error:
            result |= self.comparison(reference)
            result["comparison_tainted"] = bool(found or reference.taints(machine))
        return result | {"repetitions": len(self.repetitions),
                         "disturbed": sum(bool(r["taints"]) for r in self.repetitions),
                         "tainted": bool(found), "taints": found, "hugepages": machine.hugepages} | self.worst_shares()

    def worst_shares(self):
        shares = [shares_of(r["own"]) for r in self.used().values()]
        return {name: min(s[name] for s in shares) for name in LEAST if name in shares[0]}

    def figures(self):
        used = list(self.used().values())
        if self.spec.kind == LOAD:
            return load_figures([r["own"] for r in used])
        result = forward_figures(self.spec, used)
        if self.spec.kind == LATENCY:
            result["loads"] = [latency_figures([r["own"]["loads"][i] for r in used])
                               for i in range(len(used[0]["own"]["loads"]))]
        return result

    def comparison(self, reference):
        if self.spec.kind == FLOOD:
            own, good = self.cycles(), reference.cycles()
            return summary("good_cycles", good.values(), 1) | ratio_summary("good_ratio", paired(own, good))
        if self.spec.workers == 1:
            own, plain = self.cycles(), reference.cycles()
            return summary("plain_cycles", plain.values(), 1) | ratio_summary("plain_ratio", paired(own, plain))
        own, one = self.mpps(), reference.mpps()
        return summary("one_worker_mpps", one.values(), 3) | ratio_summary("speedup", paired(own, one))


def paired(a, b):
    """The values of the repetitions that both have; all, in their order, where they have none in common."""
    both = sorted(set(a) & set(b))
    return [(a[i], b[i]) for i in both] if both else list(zip(a.values(), b.values()))


def forward_figures(spec, used):
    own = [r["own"] for r in used]
    cycles = [x["cycles"] for x in own]
    mpps = [x["mpps"] for x in own]
    result = {"frames": own[0]["frames"]}
    result |= summary("mpps", mpps, 3)
    result |= summary("gbps", [x * spec.bytes * 8 / 1000 for x in mpps], 3)
    result |= summary("cycles", cycles, 1)
    peers = [r for r in used if "move" in r]
    result |= summary("crypto_cycles", [r["crypto"] for r in peers], 1)
    result |= summary("move_cycles", [r["move"] for r in peers], 1)
    result |= summary("rewind_cycles", [x["rewind_cycles"] for x in own if "rewind_cycles" in x], 1)
    result |= ratio_summary("ratio", [(r["crypto"], r["own"]["cycles"]) for r in peers])
    result |= ratio_summary("efficiency", [(r["crypto"] + r["move"], r["own"]["cycles"]) for r in peers])
    stages = [r["stages"] for r in used if "stages" in r]
    if stages:
        result["stage_cycles"] = {name: round(statistics.median(s.get(name, 0) for s in stages), 1)
                                  for name in stages[0]}
    for name, worst in FRAGMENT_FIGURES.items():
        if name in own[0]:
            result[name] = worst(x[name] for x in own)
    others = [r["other"]["cycles"] for r in used if "other" in r]
    if others:
        result |= summary("other_cycles", others, 1)
        result["other_ratio"] = round(statistics.median(cycles) / statistics.median(others), 4)
    return result


def latency_figures(loads):
    """One load, in all repetitions."""
    result = {"load": loads[0]["load"], "stayed": max(x["stayed"] for x in loads)}
    result |= summary("missed_share", [missed_share(x) for x in loads], 4)
    for name, digits in LATENCY_FIGURES.items():
        result |= summary(name, [x[name] for x in loads], digits)
    return result | {name: min(x[name] for x in loads) for name in ("cpu_share", "generator_share")}


def load_figures(runs):
    result = {name: value for name, value in runs[0].items() if name.endswith("_bytes")}
    for name in LOAD_FIGURES:
        result |= summary(name, [x[name] for x in runs], 3)
    return result
