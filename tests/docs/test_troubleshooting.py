#!/usr/bin/env python3
"""docs/troubleshooting.md has a section for each drop reason, in the order of lib/net/drop.h, and says of each truly whether
it is counted for its SA and audited."""
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")


def read(*path):
    with open(os.path.join(TOP, *path)) as file:
        return file.read()


def listed(text, macro):
    """The first arguments of an X-macro's rows."""
    body = re.search(rf"#define {macro}\(X\)((?:.*\\\n)*.*)", text)[1]
    return re.findall(r'\bX\((\w+)', body)


REASONS = listed(read("lib", "net", "drop.h"), "DROP_REASONS")
SECTIONS = re.split(r"^### ", read("docs", "troubleshooting.md"), flags=re.M)[1:]


class Troubleshooting(unittest.TestCase):
    def test_each_reason_has_its_section_and_none_is_of_the_past(self):
        names = [section.split("\n", 1)[0] for section in SECTIONS]

        self.assertGreater(len(REASONS), 50)
        self.assertEqual(sorted(names), sorted(REASONS))

    def test_each_section_says_something(self):
        for section in SECTIONS:
            name, text = section.split("\n", 1)
            self.assertGreater(len(re.sub(r"^## .*", "", text, flags=re.M).split()), 5, name)

    def marked(self, mark):
        return {section.split("\n", 1)[0] for section in SECTIONS
            if re.match(rf"\w+\n\*[^*]*\b{mark}\b[^*]*\*", section, re.I)}

    def test_what_is_counted_for_an_sa_is_marked(self):
        self.assertEqual(self.marked("SA"), set(listed(read("lib", "ipsec", "sa.h"), "SA_DROP_REASONS")))

    def test_what_is_audited_is_marked(self):
        self.assertEqual(self.marked("audit"), set(listed(read("lib", "datapath", "audit.h"), "AUDIT_REASONS")))

    def test_metrics_and_keys_that_it_names_exist(self):
        text = "".join(SECTIONS) + read("docs", "operations.md") + read("docs", "troubleshooting.md")
        metrics = read("docs", "metrics.md")
        for name in re.findall(r"\bculvert_\w+", text):
            self.assertIn(f"`{name}`", metrics)


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE, ".."))
    sys.dont_write_bytecode = True
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
