"""culvertctl's command line: options, commands, exit codes, and its completion in bash."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
CULVERTCTL = os.environ["CULVERTCTL"]


def ctl(*arguments):
    return subprocess.run([CULVERTCTL, *arguments], capture_output=True, text=True, timeout=60)


def commands():
    """The names in --help, which stand in lines with two blanks before them."""
    lines = [line for line in ctl("--help").stdout.splitlines() if line.startswith("  ") and line[2].isalpha()]
    return [" ".join(word for word in line.split() if word[0].islower()) for line in lines]


class CommandLine(unittest.TestCase):
    def test_help_names_each_command_with_its_line(self):
        done = ctl("--help")

        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("  check-host [--config FILE] [--root DIR]\n      what this machine lacks", done.stdout)
        self.assertIn("check-host", commands())

    def test_help_behind_a_command_is_of_that_command(self):
        for arguments in (("check-host", "--help"), ("--help", "check-host")):
            done = ctl(*arguments)

            self.assertEqual(done.returncode, 0)
            self.assertTrue(done.stdout.startswith("usage: culvertctl check-host [--config FILE]"), done.stdout)

    def test_version_is_the_projects(self):
        self.assertEqual(ctl("--version").stdout, f"culvertctl {os.environ['CULVERT_VERSION']}\n")

    def test_no_command_is_misuse(self):
        done = ctl()

        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("usage: culvertctl", done.stderr)

    def test_a_mistyped_command_gets_a_suggestion(self):
        done = ctl("chekc-host")

        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, "culvertctl: there is no command 'chekc-host' (did you mean 'check-host'?); "
            "`culvertctl --help` lists them\n")

    def test_a_command_that_is_like_none_gets_none(self):
        self.assertNotIn("did you mean", ctl("frobnicate").stderr)

    def test_the_beginning_of_a_command_is_no_command(self):
        self.assertEqual(ctl("check").returncode, 2)
        self.assertEqual(ctl("check-host-x").returncode, 2)

    def test_an_argument_that_a_command_does_not_take_is_misuse(self):
        for arguments in (("--frobnicate",), ("--root",), ("extra",)):
            done = ctl("check-host", *arguments)

            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(arguments[0], done.stderr)

    def test_options_may_stand_anywhere(self):
        for arguments in (("--json", "check-host"), ("check-host", "--json"),
                          ("--socket", "/x", "check-host", "--json"), ("check-host", "--json", "--socket=/x")):
            self.assertTrue(ctl(*arguments).stdout.startswith("{"), arguments)

    def test_output_that_can_not_be_written_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([CULVERTCTL, "--version"], stdout=full, timeout=60)

        self.assertEqual(done.returncode, 1)


class Completion(unittest.TestCase):
    """What bash offers behind a line: its last word is the one that is completed."""

    def complete(self, line, directory="."):
        script = f"""source {os.environ["COMPLETION"]}
            COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _culvertctl
            printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, cwd=directory)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_each_command_is_offered_word_for_word(self):
        for command in commands():
            words = command.split()
            for i, word in enumerate(words):
                before = " ".join(["culvertctl", *words[:i]])

                self.assertIn(word, self.complete(f"{before} ''"))
                self.assertIn(word, self.complete(f"{before} {word[:1]}"))

    def test_options_of_a_command_are_offered_behind_it(self):
        self.assertEqual(self.complete("culvertctl check-host --ro"), ["--root"])
        self.assertEqual(self.complete("culvertctl --json check-host --c"), ["--config"])
        self.assertEqual(self.complete("culvertctl --c"), [])

    def test_options_before_the_command_are_not_taken_for_it(self):
        self.assertIn("check-host", self.complete("culvertctl --socket /x --json ''"))
        self.assertIn("--json", self.complete("culvertctl --j"))

    def test_files_are_offered_where_a_file_is_wanted(self):
        with tempfile.TemporaryDirectory() as directory:
            open(os.path.join(directory, "site.yaml"), "w").close()
            os.mkdir(os.path.join(directory, "sites"))

            self.assertEqual(self.complete("culvertctl check-host --config si", directory), ["site.yaml", "sites"])
            self.assertEqual(self.complete("culvertctl check-host --root si", directory), ["sites"])


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE, ".."))
    import run
    sys.exit(run.run(__file__, sys.argv[1:]))
