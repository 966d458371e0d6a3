#!/usr/bin/env python3
"""Measure changes of a daemon with few tunnels: each change is made, however slow it is here. CULVERTD is the daemon."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import change

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("add an inbound SA", "delete an inbound SA", "add an outbound SA", "delete an outbound SA",
         "add a policy and its SA", "rekey: a policy gets a new SA", "delete a policy and its SAs",
         "reload, one SA changed")


class Site(unittest.TestCase):
    def test_no_two_sas_are_alike(self):
        sas = [change.sa(i, inbound, generation) for i in (0, 1, 9999, 100000) for inbound in (False, True)
               for generation in (0, 1, 2, 3)]
        for name in ("spi", "key"):
            self.assertEqual(len({sa[name] for sa in sas}), len(sas), name)

    def test_no_two_policies_of_a_direction_are_alike(self):
        policies = [change.policy(i, inbound) for i in range(300) for inbound in (False, True)]
        self.assertEqual(len({(p["source"], p["destination"]) for p in policies}), len(policies))


class Changes(unittest.TestCase):
    def test_each_kind_is_measured(self):
        with tempfile.TemporaryDirectory() as directory:
            done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "change.py"), "--program",
                                   os.environ["CULVERTD"], "--json", "--repetitions", "2", "--directory", directory,
                                   "4"], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(os.listdir(directory), [])
        result = json.loads(done.stdout)
        self.assertEqual(result["tunnels"], 4)
        self.assertGreater(result["load_seconds"], 0)
        self.assertGreater(result["resident_kb"], 0)
        for kind in KINDS:
            self.assertGreater(result["milliseconds"][f"{kind}, round trip"], result["milliseconds"][kind], kind)
        self.assertGreaterEqual(result["milliseconds"]["show-sas, all pages"], result["milliseconds"]["show-sas, a page"])


if __name__ == "__main__":
    unittest.main()
