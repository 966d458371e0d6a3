#!/usr/bin/env python3
"""Run the test cases of one file: tests/run.py tests/e2e/test_tunnel.py [names of cases]

The last line says `N passed, N failed, N skipped`; a subtest is no test of its own. Exit code 0, 1, or 77 where
nothing could be run.
"""
import importlib
import os
import sys
import unittest

SKIPPED = 77


def run(path, names):
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [os.path.join(here, "e2e"), os.path.dirname(os.path.abspath(path))]
    sys.dont_write_bytecode = True
    try:
        module = importlib.import_module(os.path.splitext(os.path.basename(path))[0])
    except unittest.SkipTest as reason:
        print(f"{reason}\n0 passed, 0 failed, 1 skipped")
        return SKIPPED
    loader = unittest.TestLoader()
    if names:
        loader.testNamePatterns = [f"*{name}*" for name in names]
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(loader.loadTestsFromModule(module))
    # A failed setUpClass or setUpModule is an error of its own, and each failed subtest is one too.
    failed = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    skipped = len(result.skipped)
    n_failed_cases = sum(not name.startswith("setUp") for name in failed)
    print(f"{result.testsRun - skipped - n_failed_cases} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed or result.testsRun == 0 else 0


if __name__ == "__main__":
    try:
        import scapy.layers.ipsec  # noqa: F401
    except ImportError:
        print("python3-scapy is not there\n0 passed, 0 failed, 1 skipped")
        sys.exit(SKIPPED)
    if len(sys.argv) < 2 or not os.access(os.environ.get("CULVERTD", ""), os.X_OK):
        sys.exit("usage: CULVERTD=path/to/culvertd tests/run.py FILE [names of cases]")
    sys.exit(run(sys.argv[1], sys.argv[2:]))
