"""A strict reader of OpenMetrics 1.0 and of Prometheus' text format 0.0.4, as far as culvert uses them: counters, gauges
and information, without time stamps and exemplars. It raises ValueError at whatever the specification forbids."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\d+(?:\.\d+)?)")
ENDINGS = {"counter": "_total", "info": "_info", "gauge": ""}


class Family:
    def __init__(self, name):
        self.name, self.kind, self.unit, self.help = name, None, None, None
        self.samples = {}  # by their labels, a frozenset of pairs


def unescape(text):
    return re.sub(r'\\(["\\n])', lambda match: {"n": "\n"}.get(match[1], match[1]), text)


def labels_of(text):
    pairs = [pair.split("=", 1) for pair in re.findall(LABEL, text or "")]
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError(f"a label is there twice: {text}")
    return frozenset((name, unescape(value[1:-1])) for name, value in pairs)


def read(text, openmetrics=True):
    """Families by name. In the text format a counter's name has its ending, and information is a gauge."""
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    lines = text[:-1].split("\n")
    if openmetrics and lines.pop() != "# EOF":
        raise ValueError("there is no # EOF at the end")
    families, family = {}, None
    for line in lines:
        comment = re.fullmatch(rf"# (TYPE|UNIT|HELP) ({NAME}) (.+)", line)
        sample = SAMPLE.fullmatch(line)
        if comment:
            what, name, value = comment.groups()
            if family is None or family.name != name:
                if name in families:
                    raise ValueError(f"{name} comes twice, or in parts")
                family = families[name] = Family(name)
            if family.samples:
                raise ValueError(f"{what} of {name} is behind its samples")
            attribute = {"TYPE": "kind", "UNIT": "unit", "HELP": "help"}[what]
            if getattr(family, attribute) is not None:
                raise ValueError(f"{what} of {name} comes twice")
            setattr(family, attribute, value)
        elif sample:
            name, labels, value = sample[1], labels_of(sample[2]), float(sample[3])
            if family is None or family.kind not in ENDINGS:
                raise ValueError(f"a sample without a type: {line}")
            ending = ENDINGS[family.kind] if openmetrics else ""
            if name != family.name + ending:
                raise ValueError(f"{name} is not a sample of {family.name}, a {family.kind}")
            if labels in family.samples:
                raise ValueError(f"{line} is there twice")
            if family.kind == "info" and value != 1:
                raise ValueError(f"information is 1: {line}")
            family.samples[labels] = value
        else:
            raise ValueError(f"neither a comment nor a sample: {line!r}")
    for family in families.values():
        if not family.help or not family.kind:
            raise ValueError(f"{family.name} has no HELP, or no TYPE")
        if family.unit and not (openmetrics and family.name.endswith("_" + family.unit)):
            raise ValueError(f"{family.name} does not end in its unit {family.unit}")
        if not openmetrics and (family.kind == "counter") != family.name.endswith("_total"):
            raise ValueError(f"{family.name} is a {family.kind}")
    return families


def value(families, name, **labels):
    """The one sample of the family that has these labels, among others."""
    found = [number for pairs, number in families[name].samples.items() if set(labels.items()) <= pairs]
    if len(found) != 1:
        raise ValueError(f"{len(found)} samples of {name} have {labels}")
    return found[0]
