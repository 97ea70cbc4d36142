#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each allocation fails once: the server stops with a message, or goes on, and starts again as if killed.

    memory.py [--times N] [--at NUMBER] [--seed N] [--workers N]

A short life of `wend serve` (lives.py) is led once under the shim (shim/fail.c), which counts allocations: its own,
those of its libraries and of the loader. Then the life is led again N times, and another of them finds no memory:
in every tenth of the life as many as in the others, and more in its first. Wend does not go on without memory: `must()`
says where it was and the process aborts. A library may do without. After each
  - the process ended by no other signal, and if it aborted, it said what;
  - it starts again, and takes what was not acknowledged;
  - what was acknowledged is there, once; a replay agrees with all results and snapshots.
"""
import argparse
import collections
import os
import random
import signal
import sys

sys.path.insert(0, os.path.dirname(__file__))
from lives import Life, Tests, in_parallel, read_options, traced  # noqa: E402

# What is allocated below these functions is not made to fail: a library that writes through the NULL it gets.
#   fy_parser_set_string   libfyaml 0.7.12 goes on with an input that it could not make. src/programme/yaml.c asks for
#                          as much memory before it calls, so that must() meets the end of it and not the library.
SPARED = 'fy_parser_set_string'


class Memory:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.ends = collections.Counter()
        self.wrong = []
        self.unmet = 0

    @staticmethod
    def callers(trace):
        """Who asked for the memory, and where it ended: for addr2line."""
        with open(trace, encoding='utf-8') as file:
            words = [line.split() for line in file if line.startswith(('failed', 'by'))]
        return '; '.join(' '.join(w) if w[0] == 'failed' else f'{os.path.basename(w[1])} {w[2]}' for w in words)

    @staticmethod
    def orders(number):
        return {'WEND_FAIL_MEMORY': str(number), 'WEND_FAIL_SPARED': SPARED}

    def count(self):
        """How many allocations each run makes."""
        self.counts = {}
        life = Life()
        for run in (life.first_run, life.second_run):
            code = run(self.orders(0))
            assert code == 0, (code, life.reasons())
            calls, _ = traced(life.trace)
            self.counts[run.__name__] = [int(path) for call, path in calls if call == 'allocations'][0]
            os.remove(life.trace)
            if run == life.first_run:
                self.half = life.copy()
        assert not life.recover()
        life.end()

    def choose(self):
        """(run, number) of the allocations that fail."""
        if self.options.at:
            run, number = self.options.at.split(':')
            return [(run, int(number))]
        chosen = []
        for run, count in self.counts.items():
            times = self.options.times * 2 // 3 if run == 'first_run' else self.options.times // 3
            for i in range(times):
                first, last = (1, min(count, 3000)) if i % 5 == 0 else (count * i // times + 1, count * (i + 1) // times)
                chosen.append((run, self.chance.randint(first, last)))
        return chosen

    def lead(self, fault):
        run, number = fault
        life = Life() if run == 'first_run' else self.half.copy()
        wrong = []
        try:
            code = getattr(life, run)(self.orders(number))
            reasons = life.reasons()
            _, failed = traced(life.trace)
            self.unmet += not failed
            how = 'went on' if code == 0 else 'aborted' if code == -signal.SIGABRT else 'stopped'
            if how == 'aborted':
                if not life.server.errors:
                    wrong.append('aborted without a word')
            elif code < 0:
                wrong.append(f'ended by signal {-code}: {reasons[-4:]} {self.callers(life.trace)}')
            elif code != 0 and not life.server.errors:
                wrong.append(f'exit code {code} without a word')
            self.ends[how] += 1
            if self.options.loud:
                print(run, number, how, code, life.server.errors[-2:])
            wrong += life.recover()
        except Exception as e:  # noqa: BLE001
            wrong.append(f'{type(e).__name__}: {e}')
        if wrong:
            life.keep(f'{run}:{number}', wrong)
            self.wrong.append(fault)
        else:
            life.end()

    def run(self):
        self.count()
        chosen = self.choose()
        in_parallel(self.lead, chosen, self.options.workers)
        self.half.end()
        self.led = len(chosen)
        print(f'seed {self.options.seed}: {self.led} of {self.counts["first_run"]} and {self.counts["second_run"]} '
              f'allocations failed: ' + ', '.join(f'{n} times it {how}' for how, n in sorted(self.ends.items())) +
              f'; {self.unmet} were not met')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--times', type=int, default=45)
    parser.add_argument('--at', help='first_run:NUMBER or second_run:NUMBER: only that one')
    options = read_options(parser)
    tests = Tests()
    memory = Memory(options)

    def a_life_with_memory_and_those_that_once_lack_it_are_led():
        memory.run()

    def each_time_it_stopped_with_a_word_or_went_on_and_lost_nothing():
        assert not memory.wrong, f'{len(memory.wrong)} of {memory.led}'

    def most_allocations_were_met_and_most_ended_the_process():
        assert memory.unmet * 3 <= memory.led, (memory.unmet, memory.led)
        assert memory.ends['went on'] * 3 <= memory.led * 2, memory.ends

    if tests.run(a_life_with_memory_and_those_that_once_lack_it_are_led):
        tests.run(each_time_it_stopped_with_a_word_or_went_on_and_lost_nothing)
        if not options.at:
            tests.run(most_allocations_were_met_and_most_ended_the_process)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
