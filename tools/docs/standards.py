#!/usr/bin/env python3
"""Print docs/standards.md: what an IPsec gateway must do, and which test cases prove it. Run by tools/gen-docs.

The requirements are the rows of tools/docs/standards.tsv. A test case names the ids that it proves in a comment: in C in
front of its START_TEST, on that line or in its body; in Python in the body of its method. An id that is not in the
table, or that stands at no test case, is an error: exit code 1, and a line for each on standard error.
"""
import os
import re
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TABLE = os.path.join(ROOT, "tools", "docs", "standards.tsv")
PRIORITIES = {"M": "must", "S": "should", "O": "may"}

INTRO = """# Standards

<!-- Written by tools/gen-docs from tools/docs/standards.tsv and the comments of the tests. -->

What RFC 4301 and its relatives ask of an IPsec gateway, and the test cases that prove it of this one. A test says in a
comment which of these ids it proves. *Lacks* is what of a requirement is not built, or not proven."""


class Requirement:
    def __init__(self, section, id_, priority, rfc, text, lacks=None):
        self.section, self.id, self.priority, self.rfc, self.text, self.lacks = section, id_, priority, rfc, text, lacks
        self.cases = {}  # file: names

    def state(self):
        if not self.cases:
            return "not covered"
        return "covered in part" if self.lacks else "covered"


def read_table(path):
    requirements, section = {}, None
    with open(path) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if line.startswith("## "):
                section = line[3:]
            elif line and not line.startswith("#"):
                fields = line.split("\t")
                if len(fields) not in (4, 5) or fields[1] not in PRIORITIES or fields[0] in requirements:
                    sys.exit(f"{path}:{number}: not an id of its own, a priority, an RFC, a requirement, and what it lacks")
                requirements[fields[0]] = Requirement(section, *fields)
    return requirements


def cases_of_c(lines):
    """For each line (code, comment) of a C file, the comment and the test case that it belongs to, or None."""
    in_comment, in_test, waiting = False, None, []
    for number, line in enumerate(lines, 1):
        code, comment = "", ""
        for part in re.split(r"(/\*|\*/|//.*)", line):
            if part == "/*" and not in_comment:
                in_comment = True
            elif part == "*/" and in_comment:
                in_comment = False
            elif in_comment or part.startswith("//"):
                comment += part
            else:
                code += part
        start = re.match(r"\s*START_TEST\((\w+)\)", code)
        if start:
            in_test = start.group(1)
            yield from ((at, text, in_test) for at, text in waiting)
            waiting = []
        elif code.strip() and not in_test:
            yield from ((at, text, None) for at, text in [*waiting, (number, comment)])
            waiting, comment = [], ""
        if in_test:
            yield number, comment, in_test
        elif comment:
            waiting.append((number, comment))
        if re.match(r"END_TEST\b", code):
            in_test = None
    yield from ((at, text, None) for at, text in waiting)


def cases_of_python(lines):
    """The same for a Python file. A docstring is no comment."""
    class_name, method, indent = None, None, 0
    for number, line in enumerate(lines, 1):
        start = re.match(r"(\s*)(class|def) (\w+)", line)
        if start and start.group(2) == "class":
            class_name, method = start.group(3), None
        elif start:
            method, indent = start.group(3), len(start.group(1))
        elif line.strip() and len(line) - len(line.lstrip()) <= indent:
            method = None
        is_case = method is not None and method.startswith("test_")
        comment = re.search(r"(?:^|\s)#(.*)", line)
        yield number, comment.group(1) if comment else "", f"{class_name}.{method}" if is_case else None


def test_files():
    for directory, _, names in os.walk(os.path.join(ROOT, "tests")):
        for name in names:
            if name.endswith((".c", ".h", ".py")):
                yield os.path.relpath(os.path.join(directory, name), ROOT)


def collect(requirements):
    """Note the cases with their requirements; returns what is wrong."""
    prefixes = "|".join(sorted({id_.split("-")[0] for id_ in requirements}))
    pattern = re.compile(rf"\b(?:{prefixes})-[0-9]+\b(?!-)")
    faults = []
    for path in sorted(test_files()):
        with open(os.path.join(ROOT, path)) as file:
            lines = file.read().splitlines()
        cases = cases_of_python(lines) if path.endswith(".py") else cases_of_c(lines)
        for number, comment, case in cases:
            for id_ in pattern.findall(comment):
                if id_ not in requirements:
                    faults.append(f"{path}:{number}: {id_} is not in tools/docs/standards.tsv")
                elif case is None:
                    faults.append(f"{path}:{number}: {id_} stands at no test case")
                else:
                    names = requirements[id_].cases.setdefault(path, [])
                    if case not in names:
                        names.append(case)
    return faults


def print_summary(requirements):
    print("\n| | must | should | may |\n|---|---|---|---|")
    for state in ("covered", "covered in part", "not covered"):
        cells = []
        for priority in PRIORITIES:
            ids = [r.id for r in requirements.values() if r.priority == priority and r.state() == state]
            cells.append(f"{len(ids)}: {', '.join(ids)}" if ids and state != "covered" else str(len(ids)))
        print(f"| {state} | {' | '.join(cells)} |")


def print_requirement(requirement):
    mark = " **Not covered.**" if not requirement.cases else ""
    print(f"- **{requirement.id}** ({PRIORITIES[requirement.priority]}; {requirement.rfc}) "
        f"{requirement.text[0].upper()}{requirement.text[1:]}.{mark}")
    if requirement.lacks and requirement.cases:
        print(f"  - *Lacks*: {requirement.lacks}.")
    for path, names in requirement.cases.items():
        print(f"  - `{path}`: {', '.join(names)}")


def main():
    requirements = read_table(TABLE)
    faults = collect(requirements)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(INTRO)
    print_summary(requirements)
    section = None
    for requirement in requirements.values():
        if requirement.section != section:
            section = requirement.section
            print(f"\n## {section}\n")
        print_requirement(requirement)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
