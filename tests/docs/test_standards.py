#!/usr/bin/env python3
"""What tools/docs/standards.py finds in a test's source: which case each comment belongs to."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools", "docs"))
sys.dont_write_bytecode = True

import standards  # noqa: E402

C_FILE = """/*
 * Head of the file: h
 */
#include "x.h" /* i */

/* a: of the case
 * behind it */
START_TEST(first) // b
{
	f(1); /* c */
	g("d"); // e
}
END_TEST

/* f: of a function */
static void helper(void)
{
	/* k */
}

// j
START_TEST(second)
{
}
END_TEST
"""

PYTHON_FILE = '''"""Docstring: a"""
# b
class Suite(unittest.TestCase):
    # c
    VALUES = [1]

    def helper(self):
        # d
        return 1

    def test_first(self):
        # e
        x = "# f"
        def inner():
            pass

    # g
    def test_second(self):
        pass  # h
'''


def found(lines):
    """Case by first letter of the comment."""
    return {text.strip(" */")[0]: case for _, text, case in lines if text.strip(" */")}


class Comments(unittest.TestCase):
    def test_a_comment_belongs_to_the_case_it_is_in_or_in_front_of(self):
        cases = found(standards.cases_of_c(C_FILE.splitlines()))

        self.assertEqual({letter for letter, case in cases.items() if case == "first"}, set("abceb"))
        self.assertEqual({letter for letter, case in cases.items() if case == "second"}, {"j"})
        self.assertEqual({letter for letter, case in cases.items() if case is None}, set("Hifk"))

    def test_a_python_comment_belongs_to_the_method_it_is_in(self):
        cases = found(standards.cases_of_python(PYTHON_FILE.splitlines()))

        self.assertEqual(cases["e"], "Suite.test_first")
        self.assertEqual(cases["h"], "Suite.test_second")
        for letter in "bcdg":
            self.assertIsNone(cases[letter], letter)
        self.assertNotIn("a", cases)


class TheTable(unittest.TestCase):
    def test_every_row_is_whole_and_each_id_has_one(self):
        requirements = standards.read_table(standards.TABLE)

        self.assertGreater(len(requirements), 100)
        for requirement in requirements.values():
            self.assertRegex(requirement.id, r"^[A-Z]+-[0-9]+$")
            self.assertTrue(requirement.section and requirement.text and requirement.rfc.startswith("RFC "))

    def test_an_id_that_is_not_in_the_table_is_a_fault_as_one_without_a_case_is(self):
        requirements = standards.read_table(standards.TABLE)
        del requirements["SPD-4"]

        faults = standards.collect(requirements)

        self.assertTrue(faults)
        self.assertTrue(all("SPD-4 is not in tools/docs/standards.tsv" in fault for fault in faults))

    def test_a_requirement_is_covered_by_tests_and_in_part_if_it_lacks_something(self):
        requirement = standards.Requirement("s", "SPD-1", "M", "RFC 4301", "text", "more")
        self.assertEqual(requirement.state(), "not covered")
        requirement.cases["file"] = ["case"]
        self.assertEqual(requirement.state(), "covered in part")
        requirement.lacks = None
        self.assertEqual(requirement.state(), "covered")


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE, ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
