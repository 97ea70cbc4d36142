#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The tools are tested too: what tools/rooms must refuse, what tools/run_tests must count, what tools/bench must
write."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.dont_write_bytecode = True


def load(name):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(ROOT, "tools", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Rooms(unittest.TestCase):
    ROOMS = "lib/base :\nlib/os : base\nlib/when pure : base\nsrc/model pure : base when\nsrc/server : *\n"

    def say(self, files, rooms=ROOMS):
        """What tools/rooms says about a tree of these files."""
        with tempfile.TemporaryDirectory() as tree:
            files = {"ROOMS": rooms, "lib/base/base.h": "", "lib/os/file.h": "", "lib/when/zone.h": "",
                     "lib/when/when_int.h": "", **files}
            for path, text in files.items():
                os.makedirs(os.path.join(tree, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([os.path.join(ROOT, "tools/rooms"), tree], capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

    def refuses(self, path, text, sentence, rooms=ROOMS):
        code, said = self.say({path: text}, rooms)
        self.assertEqual(code, 1, said)
        self.assertIn(sentence, said)

    def test_allows_what_rooms_allows(self):
        code, said = self.say({"src/model/event.c": '#include "when/zone.h"\n#include <string.h>\n',
                               "src/server/main.c": '#include "os/file.h"\n#include <unistd.h>\n'})
        self.assertEqual(code, 0, said)

    def test_refuses_a_room_that_is_not_named(self):
        self.refuses("src/model/event.c", '#include "os/file.h"\n', "src/model/event.c:1: src/model may not include")

    def test_refuses_a_clock_in_a_pure_room(self):
        self.refuses("lib/when/zone.c", "\n#  include <time.h>\n", "lib/when/zone.c:2: lib/when is pure")

    def test_refuses_anothers_inner_header(self):
        self.refuses("src/model/event.c", '#include "when/when_int.h"\n', "is for lib/when alone")

    def test_refuses_a_file_that_is_not_there(self):
        self.refuses("src/model/event.c", '#include "when/zones.h"\n', "does not exist")

    def test_refuses_a_directory_that_rooms_does_not_list(self):
        self.refuses("src/extra/a.c", "", "src/extra: a directory that ROOMS does not list")

    def test_refuses_a_room_that_names_one_below_it(self):
        self.refuses("lib/base/base.c", "", "not a room above it", "lib/base : when\nlib/when pure : base\n")

    def test_refuses_a_pure_room_over_an_impure_one(self):
        self.refuses("lib/base/base.c", "", "is pure and names os, which is not",
                     self.ROOMS + "src/decide pure : base os\n")

    def test_a_header_with_tests_in_it_is_for_tests(self):
        helper = {"tests/test.h": "", "lib/when/zones_for_tests.h": '\n#include "test.h"\n'}
        code, said = self.say({**helper, "lib/when/zone_test.c": '#include "when/zones_for_tests.h"\n'})
        self.assertEqual(code, 0, said)
        code, said = self.say({**helper, "lib/when/zone.c": '#include "when/zones_for_tests.h"\n'})
        self.assertIn("is for tests alone", said)

    def test_refuses_a_library_outside_its_room(self):
        self.refuses("src/server/main.c", "#include <zlib.h>\n", "belongs behind lib/http")


class Globals(unittest.TestCase):
    def say(self, text):
        """What tools/globals says about one object made of this C text."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.c"), "w", encoding="utf-8") as file:
                file.write(text)
            subprocess.run(["gcc", "-O2", "-fPIE", "-c", "a.c", "-o", "a.o"], cwd=folder, check=True)
            subprocess.run(["ar", "rcs", "src_decide.a", "a.o"], cwd=folder, check=True)
            done = subprocess.run([os.path.join(ROOT, "tools/globals"), os.path.join(folder, "src_decide.a")],
                                  capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

    def test_allows_constants_and_tables_of_constants(self):
        code, said = self.say("static const int a[] = {1, 2}; static const char *const b[] = {\"x\", \"y\"};"
                              "int f(int i); int f(int i) { return a[i] + b[i][0]; }")
        self.assertEqual(code, 0, said)

    def test_refuses_counters_caches_and_thread_locals(self):
        code, said = self.say("static int count; int zero = 1; static _Thread_local int mine;"
                              "char *place = (char *)&zero;"
                              "int f(void); int f(void) { static int calls; return count++ + ++mine + calls++; }")
        self.assertEqual(code, 1, said)
        for name in ("count", "zero", "mine", "calls", "place"):
            self.assertRegex(said, rf"src/decide/a.o: {name}")


class Bench(unittest.TestCase):
    def run_benches(self, *scripts):
        """What tools/bench does with three rounds of these shell scripts: (exit code, output, results)."""
        with tempfile.TemporaryDirectory() as tree:
            programs = []
            for i, script in enumerate(scripts):
                programs.append(os.path.join(tree, f"bench{i}"))
                with open(programs[-1], "w", encoding="utf-8") as file:
                    file.write(f"#!/bin/sh\ncd {tree}\necho x >>rounds{i}\nround=$(wc -l <rounds{i})\n{script}\n")
                os.chmod(programs[-1], 0o755)
            results = os.path.join(tree, "results.md")
            done = subprocess.run([os.path.join(ROOT, "tools/bench"), "--results", results, *programs],
                                  capture_output=True, text=True, check=False)
            written = ""
            if os.path.exists(results):
                with open(results, encoding="utf-8") as file:
                    written = file.read()
            return done.returncode, done.stdout, written

    def test_the_middle_of_the_rounds_counts(self):
        code, said, written = self.run_benches('echo "thing_ns $((round * round)) ns"', 'echo "other 1500 per_second"')
        self.assertEqual(code, 0, said)
        self.assertEqual(said, "thing_ns 4 ns\nother 1500 per_second\n")
        self.assertIn("| `thing_ns` | 4 | 1 to 9 | ns |  |  |\n", written)
        self.assertIn("| `other` | 1,500 | 1,500 to 1,500 | per second |  |  |\n", written)

    def test_a_target_is_met_or_missed(self):
        written = self.run_benches('echo "zone_convert_ns $((round * 10)) ns"')[2]
        self.assertIn("| `zone_convert_ns` | 20 | 10 to 30 | ns | at most 20 | 2 of 3 |\n", written)

    def test_benches_that_end_within_one_tick_of_the_clock_have_results_too(self):
        bench = load("bench")
        bench.processor_time = lambda: (100, 0, 100)
        with tempfile.TemporaryDirectory() as folder:
            program, results = os.path.join(folder, "bench"), os.path.join(folder, "results.md")
            with open(program, "w", encoding="utf-8") as file:
                file.write('#!/bin/sh\necho "thing_ns 4 ns"\n')
            os.chmod(program, 0o755)
            with mock.patch.object(sys, "argv", ["bench", "--results", results, program]), \
                    contextlib.redirect_stdout(io.StringIO()):
                bench.main()
            with open(results, encoding="utf-8") as file:
                self.assertIn("| `thing_ns` | 4 |", file.read())

    def test_a_bench_that_fails_says_why_in_the_results_and_ends_no_other(self):
        code, said, written = self.run_benches('echo "the disk is full" >&2; exit 3', 'echo "thing 1 ns"')
        self.assertNotEqual(code, 0)
        self.assertEqual(said, "thing 1 ns\n")
        self.assertIn("| `thing` | 1 |", written)
        self.assertIn("- bench0 failed (3)\n\n      the disk is full\n", written)
        self.assertEqual(written.count("bench0 failed"), 1)  # and is not run again

    def test_a_target_may_be_so_much_above_another_figure(self):
        rise = 'echo "load_disk_p99 $((round * 4)) ms"; echo "load_p99 $((round + 5)) ms"'
        self.assertIn("| `load_p99` | 7 | 6 to 8 | ms | at most 1 and `load_disk_p99`", self.run_benches(rise)[2])
        self.assertIn("| 2 of 3 |\n", self.run_benches(rise)[2])

    def test_targets_without_a_figure_are_told(self):
        written = self.run_benches('echo "thing 1 ns"')[2]
        self.assertIn("\n- `zone_convert_ns`\n", written)
        self.assertNotIn("`thing`:", written)

    def test_a_bench_that_does_not_end_is_ended(self):
        bench = load("bench")
        bench.LIMIT_S = 0.2
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "bench")
            with open(program, "w", encoding="utf-8") as file:
                file.write('#!/bin/sh\necho "still here" >&2\nexec sleep 60\n')
            os.chmod(program, 0o755)
            self.assertEqual(bench.run(program, {}, {}), ("bench was ended after 0.2 s", "still here\n"))

    def test_a_round_that_would_end_too_late_is_left_out(self):
        bench = load("bench")
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "bench")
            with open(program, "w", encoding="utf-8") as file:
                file.write('#!/bin/sh\necho "thing 1 ns"\n')
            os.chmod(program, 0o755)
            self.assertEqual(bench.rounds([program], 3, 0)[0], {"thing": [1]})
            self.assertEqual(bench.rounds([program], 3, 600)[0], {"thing": [1, 1, 1]})


class Night(unittest.TestCase):
    def test_a_scale_shortens_every_step(self):
        night = load("night")
        whole, short = ({name: (command, more) for name, command, more in night.steps(scale, 1)} for scale in (1, 0.02))
        self.assertEqual(list(whole), ["disk", "memory", "damage", "power", "simulator", "fuzz", "soak"])
        self.assertEqual(whole["soak"][1]["SOAK_SECONDS"], "3600")
        self.assertEqual(short["soak"][1]["SOAK_SECONDS"], "72")
        self.assertEqual(whole["fuzz"][0][-1], "300")
        self.assertIn("--all", whole["disk"][0])
        for name, step in whole.items():
            self.assertNotEqual(step, short[name])

    def test_a_step_that_fails_is_told_and_so_is_a_missed_target(self):
        night = load("night")
        with tempfile.TemporaryDirectory() as folder:
            night.LOGS = folder
            for script, is_judged, good in (("echo soak_memory 1.5 ratio", True, False), ("echo soak_memory 1.5 ratio", False, True),
                                            ("echo soak_memory 1.0 ratio", True, True), ("echo oh; exit 3", False, False)):
                said = io.StringIO()
                with contextlib.redirect_stdout(said):
                    self.assertEqual(night.run("soak", ["sh", "-c", script], {}, is_judged), good, script)
                self.assertEqual("FAIL" in said.getvalue(), not good)
        self.assertIn("oh", said.getvalue())


class Counting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_tests = load("run_tests")

    def cmocka(self, text, code):
        result = self.run_tests.count_cmocka(text.split("\n"), code)
        return result.passed, result.failed, result.skipped

    def test_counts_each_sentence_once_although_the_summary_repeats_it(self):
        text = ("[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n[  FAILED  ] b\n"
                "[ RUN      ] c\nskipped: no data\n[  SKIPPED ] c\n"
                "[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] c\n[  FAILED  ] b\n")
        self.assertEqual(self.cmocka(text, 1), (1, 1, 1))

    def test_a_verdict_after_output_without_a_line_end_counts(self):
        self.assertEqual(self.cmocka("[ RUN      ] a\nhm[       OK ] a", 0), (1, 0, 0))

    def test_a_test_that_ends_the_process_failed(self):
        self.assertEqual(self.cmocka("[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\nmust(x)", -6), (1, 1, 0))

    def test_a_failed_fixture_failed(self):
        self.assertEqual(self.cmocka("[ RUN      ] a\n[  ERROR   ] a", 1), (0, 1, 0))

    def test_a_leak_after_good_tests_failed(self):
        self.assertEqual(self.cmocka("[ RUN      ] a\n[       OK ] a\nLeakSanitizer: ...", 23), (1, 1, 0))

    def test_a_program_without_tests_failed(self):
        self.assertEqual(self.cmocka("", 0), (0, 1, 0))

    def test_a_summary_is_read_and_its_absence_failed(self):
        count = self.run_tests.count_summary
        result = count(["skipped: chromium", "3 passed, 0 failed, 1 skipped"], 0)
        self.assertEqual((result.passed, result.failed, result.skips), (3, 0, ["chromium"]))
        self.assertEqual(count(["all fine"], 0).failed, 1)
        self.assertEqual(count(["3 passed, 0 failed"], 1).failed, 1)

    def test_python_and_node_summaries_are_read(self):
        result = self.run_tests.count_unittest(["Ran 7 tests in 0.1s", "", "FAILED (failures=1, skipped=2)"], 1)
        self.assertEqual((result.passed, result.failed, result.skipped), (4, 1, 2))
        result = self.run_tests.count_node(["ok 1 - a # SKIP no browser", "# pass 2", "# fail 0", "# skipped 1"], 0)
        self.assertEqual((result.passed, result.failed, result.skipped), (2, 0, 1))


class Scratch(unittest.TestCase):
    """Where test programs write: nothing stays, or a later run finds the disk full."""

    def setUp(self):
        self.run_tests = load("run_tests")
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        for patch in (mock.patch.object(tempfile, "tempdir", self.place.name),
                      mock.patch.object(self.run_tests, "SECONDS_MAX", 1)):
            patch.start()
            self.addCleanup(patch.stop)

    def test_a_program_writes_in_a_folder_that_goes_with_it_however_it_ends(self):
        for end in ("exit 0", "exit 3", "kill -9 $$", "sleep 100"):
            with self.run_tests.Scratch() as scratch:
                _, lines, _ = self.run_tests.run(f"mkdir $TMPDIR/a; echo x >$TMPDIR/a/b; ls $TMPDIR/a; {end}",
                                                 True, dict(os.environ), scratch)
                self.assertEqual(lines[0], "b")
                self.assertEqual(os.listdir(scratch.root), ["lock"])
            self.assertEqual(os.listdir(self.place.name), [])

    def test_what_a_killed_run_left_goes_with_the_next_run_and_a_living_run_keeps_its_own(self):
        left = self.run_tests.Scratch()
        with self.run_tests.Scratch():
            self.assertTrue(os.path.exists(left.root))
            left.lock.close()
        with self.run_tests.Scratch():
            self.assertFalse(os.path.exists(left.root))


class Claims(unittest.TestCase):
    def say(self, lines, claims):
        """What tools/must_density --check says of an engine of so many lines, so many of which are claims."""
        with tempfile.TemporaryDirectory() as tree:
            os.makedirs(os.path.join(tree, "tools"))
            os.makedirs(os.path.join(tree, "src", "engine"))
            os.symlink(os.path.abspath(os.path.join(ROOT, "tools", "must_density")),
                       os.path.join(tree, "tools", "must_density"))
            with open(os.path.join(tree, "ROOMS"), "w", encoding="utf-8") as f:
                f.write("src/engine pure : base\n")
            with open(os.path.join(tree, "src", "engine", "desk.c"), "w", encoding="utf-8") as f:
                f.write("/* must(nothing); */\n\n" + "    must(x);\n" * claims + "    x++;\n" * (lines - claims))
            with open(os.path.join(tree, "src", "engine", "desk_test.c"), "w", encoding="utf-8") as f:
                f.write("    must(x);\n" * 1000)
            done = subprocess.run(["tools/must_density", "--check"], cwd=tree, capture_output=True, text=True,
                                  check=False)
            return done.returncode, done.stdout

    def test_enough_claims_pass(self):
        self.assertEqual(self.say(1000, 40)[0], 0)

    def test_too_few_claims_fail_and_are_told(self):
        code, text = self.say(1000, 39)
        self.assertNotEqual(code, 0)
        self.assertIn("src/engine makes 39.0 claims per 1,000 lines", text)


class Coverage(unittest.TestCase):
    def test_stretches_join_lines_between_which_nothing_ran(self):
        coverage = load("coverage")
        self.assertEqual(coverage.stretches({10: 1, 12: 0, 13: 0, 17: 0, 18: 4, 20: 0}), [(12, 17), (20, 20)])
        self.assertEqual(coverage.stretches({1: 1}), [])
        row = "wire | summary | /usr/bin/python3 tests/wire/serve/%s.py | all%s |"
        self.assertEqual(coverage.served([row % ("run", ""), row % ("release", " other-release"), "# " + row % ("x", ""),
                                          row.replace("wire |", "crash |", 1) % ("crash", "")]),
                         [["/usr/bin/python3", "tests/wire/serve/run.py"]])

    def test_percentages_of_nothing_are_none(self):
        coverage = load("coverage")
        self.assertEqual(coverage.percent(1, 3), "33.3")
        self.assertEqual(coverage.percent(0, 0), "-")


if __name__ == "__main__":
    unittest.main()
