"""The table of scenarios: what tools/bench can measure, by name."""

import dataclasses
import fnmatch

IMIX = "imix"
IMIX_SIZES, IMIX_SHARES, IMIX_MEAN = "64,570,1400", "7,4,1", 344
ALGORITHMS = {"gcm": "aes128gcm16", "cbc": "aes128-sha256", "chacha": "chacha20poly1305", "null": "null-sha256"}
TARGETS = ("gcm", "cbc")  # which DPDK's own tools are measured with
SIZES = (64, 512, 1400)
FLOODS = ("forged", "replayed", "unknown", "fragments")
SHAPES = ("esn", "ipv6", "transport", "bundle")  # of gcm; with "ah" and "fragments", see tests/bench/site.h
FRAGMENTS, FRAGMENTS_SIZE = "fragments", 1500
LOAD_SAS = (10000, 100000)  # tunnels
FORWARD, FLOOD, LATENCY, LOAD = "forward", "flood", "latency", "load"


@dataclasses.dataclass(frozen=True)
class Spec:
    """A line of the table. A policy belongs to one SA, so there are no fewer policies than SAs."""

    family: str
    direction: str
    size: object  # of the inner packet, or IMIX
    sas: int
    policies: int
    workers: int = 1
    kind: str = FORWARD
    flood: str = ""  # of FLOODS
    default: bool = False
    quick: bool = False
    in_udp: bool = False  # ESP goes in UDP
    shape: str = ""  # what tunnels are made of, where it is not ESP, IPv4 in IPv4

    @property
    def name(self):
        if self.kind == LOAD:
            return f"load-{short(self.sas)}"
        name = f"{self.family}-{self.direction}-{self.size}"
        if self.kind == LATENCY:
            return f"latency-{name}"
        if self.kind == FLOOD:
            return f"{name}-{self.flood}"
        name += f"-{short(self.sas)}sa"
        if self.policies != self.sas:
            name += f"-{short(self.policies)}pol"
        name += f"-{self.workers}w" if self.workers > 1 else ""
        return name + ("-udp" if self.in_udp else "") + (f"-{self.shape}" if self.shape else "")

    @property
    def bytes(self):
        return IMIX_MEAN if self.size == IMIX else self.size

    @property
    def is_plain(self):
        return not self.in_udp and not self.shape and self.family in TARGETS

    @property
    def reference(self):
        """The name of the scenario that this one is to be compared to, or None: a flood to good packets, two
        workers to one, a shape to the plain tunnel. Where each worker has one SA of its own, the one has one, since
        that is what each does."""
        if self.kind == FLOOD:
            return dataclasses.replace(self, kind=FORWARD, flood="").name
        if self.kind == FORWARD and self.workers == 1 and not self.is_plain:
            return self.plain
        if self.workers == 1:
            return None
        sas = 1 if self.sas == self.workers else self.sas
        return dataclasses.replace(self, workers=1, sas=sas, policies=sas).name

    @property
    def plain(self):
        """The plain tunnel: AH's is ESP with the same integrity alone, which has none; what is cut fits no plain
        one, and is compared to the longest."""
        if self.family == "null" and not self.shape:
            return None
        family = "null" if self.family == "null" else "gcm"
        size = SIZES[-1] if self.shape == FRAGMENTS else self.size
        return dataclasses.replace(self, family=family, size=size, in_udp=False, shape="").name

    @property
    def has_peers(self):
        """Whether DPDK's own tools are measured beside it."""
        return self.kind == FORWARD and self.is_plain


def short(number):
    return f"{number // 1000}k" if number >= 1000 else str(number)


def forwarding():
    for family in TARGETS:
        for sas in (1, 1000, 100000):
            for direction in ("out", "in"):
                for size in SIZES + (IMIX,):
                    target = size != IMIX and (sas < 100000 or (family == "gcm" and size != 512))
                    quick = (family, size, sas) in (("gcm", 64, 1), ("gcm", 1400, 1), ("gcm", 64, 1000),
                                                    ("cbc", 1400, 1))
                    yield Spec(family, direction, size, sas, sas, default=target, quick=quick)
    for policies in (1000, 10000):
        for direction in ("out", "in"):
            for size in (64, 1400):
                yield Spec("gcm", direction, size, 1, policies)


def two_workers():
    """One SA of both; one each; many, half of them each."""
    for sas in (1, 2, 1000):
        for direction in ("out", "in"):
            for size in (64, 1400):
                first = size == 64 and sas < 1000
                yield Spec("gcm", direction, size, sas, sas, workers=2, default=first, quick=first and sas == 1)


def in_udp():
    """To be seen beside the same without UDP."""
    for direction in ("out", "in"):
        for size in (64, 1400):
            yield Spec("gcm", direction, size, 1, 1, default=True, in_udp=True)


def shapes():
    """What else tunnels are made of; AH beside ESP that does not encrypt either."""
    for direction in ("out", "in"):
        for size in (64, 1400):
            default = size == 1400
            for shape in SHAPES:
                yield Spec("gcm", direction, size, 1, 1, default=default, shape=shape)
            yield Spec("chacha", direction, size, 1, 1, default=default)
            yield Spec("null", direction, size, 1, 1, default=default)
            yield Spec("null", direction, size, 1, 1, default=default, shape="ah")
        yield Spec("gcm", direction, FRAGMENTS_SIZE, 1, 1, default=True, shape=FRAGMENTS)


def specs():
    """The table of scenarios."""
    table = list(forwarding()) + list(two_workers()) + list(in_udp()) + list(shapes())
    for family in TARGETS:
        for flood in FLOODS:
            table.append(Spec(family, "in", 64, 1, 1, kind=FLOOD, flood=flood, default=family == "gcm",
                              quick=family == "gcm"))
    for size in (64, 1400):
        for direction in ("out", "in"):
            table.append(Spec("gcm", direction, size, 1, 1, kind=LATENCY, default=size == 64,
                              quick=size == 64 and direction == "out"))
    return table + [Spec("gcm", "both", 0, sas, sas, kind=LOAD, default=True, quick=sas == LOAD_SAS[0])
                    for sas in LOAD_SAS]


class NoSuchScenario(Exception):
    """A pattern that no name matches."""


def chosen(table, patterns, quick):
    """What the command line asks for, and what that is compared to, in the table's order."""
    names = [s.name for s in table]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise NoSuchScenario(pattern)
    if patterns:
        wanted = {n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in patterns)}
    else:
        wanted = {s.name for s in table if (s.quick if quick else s.default)}
    wanted |= {s.reference for s in table if s.name in wanted and s.reference}
    return [s for s in table if s.name in wanted]
