#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each call to the disk fails once: the server stops with the reason, or goes on, and never loses or doubles.

    disk.py [--all] [--only TEXT] [--seed N] [--workers N]

A short life of `wend serve` (lives.py) is led once under the shim (shim/fail.c), which tells each call on what is
below the data directory. Then the life is led again for each kind of call on each kind of file, and that call
fails: with EIO, with ENOSPC, with half of the bytes written, or, a sync, with what was written since the last
one gone. Of the calls of a kind some are taken (`--all`: up to forty of each). After each
  - the process ended by no signal; if it failed, it said what, and the file;
  - it starts again, and takes what was not acknowledged;
  - what was acknowledged is there, once; a replay agrees with all results and snapshots.
"""
import argparse
import collections
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(__file__))
from lives import Life, Tests, in_parallel, read_options, traced  # noqa: E402

WAYS = {'pwrite': ['EIO', 'ENOSPC', 'torn', 'short'], 'reserve': ['ENOSPC', 'EIO'], 'sync': ['lost'], 'sync_dir': ['EIO'],
        'open': ['EIO', 'ENOSPC'], 'make_dir': ['EIO', 'ENOSPC'], 'truncate': ['EIO'], 'rename': ['EIO', 'ENOSPC'],
        'remove': ['EIO'], 'pread': ['EIO']}


def kind_of(path):
    """The pattern of files like this one."""
    path = re.sub(r'[0-9a-f]{16,64}', '*', path)
    return re.sub(r'^(programmes/\*/files)/.*?(\.tmp)?$', r'\1/*\2', path)


class Faults:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.counts = collections.Counter()
        self.wrong = []
        self.unmet = 0

    def lead_one(self):
        """The life as it is when nothing fails: what is called in each run."""
        self.seen = {}
        self.whole = Life()
        for run in (self.whole.first_run, self.whole.second_run):
            code = run({})
            assert code == 0, (code, self.whole.reasons())
            assert self.whole.erased and self.whole.changed and not self.whole.pending
            calls, _ = traced(self.whole.trace)
            os.remove(self.whole.trace)
            for call, path in calls:
                key = (run.__name__, call, kind_of(path))
                self.seen[key] = self.seen.get(key, 0) + 1
            if run == self.whole.first_run:
                self.half = self.whole.copy()
        assert not self.whole.recover()

    def choose(self):
        """The calls that fail: (run, call, files, number, how)."""
        for i, ((run, call, files), count) in enumerate(sorted(self.seen.items())):
            if self.options.all:
                numbers = range(1, count + 1) if count <= 40 else sorted(self.chance.sample(range(1, count + 1), 40))
                for number in numbers:
                    for how in WAYS[call]:
                        yield run, call, files, number, how
                continue
            ways = WAYS[call]
            if files.startswith('log/') or call in ('sync', 'rename'):
                for n, number in enumerate(sorted({1, count, (count + 1) // 2})):
                    yield run, call, files, number, ways[(i + n) % len(ways)]
            else:
                yield run, call, files, self.chance.randrange(count) + 1, ways[i % len(ways)]

    def lead(self, fault):
        run, call, files, number, how = fault
        life = Life() if run == 'first_run' else self.half.copy()
        wrong = []
        try:
            code = getattr(life, run)({'WEND_FAIL_CALL': call, 'WEND_FAIL_FILE': files, 'WEND_FAIL_NTH': str(number),
                                       'WEND_FAIL_HOW': how})
            reasons = life.reasons()
            _, failed = traced(life.trace)
            self.unmet += not failed
            if code < 0:
                wrong.append(f'ended by signal {-code}: {reasons[-4:]}')
            elif code != 0:
                name = os.path.basename(failed[0][1]) if failed else '?'
                name = 'data' if name == '.' else name
                said = 'cannot rename' if call == 'rename' else name.removesuffix('.tmp')
                if code != 4 or not any(said in line for line in reasons):
                    wrong.append(f'exit code {code} without saying {name}: {reasons[-4:]}')
            self.counts['went on' if code == 0 else 'stopped'] += 1
            wrong += life.recover()
            if self.options.loud:
                print(fault, code, [r for r in reasons if 'cannot' in r or 'could not' in r][:3])
        except Exception as e:  # noqa: BLE001
            wrong.append(f'{type(e).__name__}: {e}')
        if wrong:
            life.keep(' '.join(map(str, fault)), wrong)
            self.wrong.append(fault)
        else:
            life.end()

    def run(self):
        self.lead_one()
        faults = [f for f in self.choose() if self.options.only in ' '.join(map(str, f))]
        in_parallel(self.lead, faults, self.options.workers)
        self.whole.end()
        self.half.end()
        self.led = len(faults)
        print(f'seed {self.options.seed}: {self.led} calls of {len(self.seen)} kinds failed: '
              f'{self.counts["went on"]} times it went on, {self.counts["stopped"]} times it stopped; '
              f'{self.unmet} were not met')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--only', default='', help='only faults whose words contain this')
    options = read_options(parser)
    tests = Tests()
    faults = Faults(options)

    def a_life_without_faults_and_those_with_one_are_led():
        faults.run()

    def each_time_it_stopped_with_the_reason_or_went_on_and_lost_nothing():
        assert not faults.wrong, f'{len(faults.wrong)} of {faults.led}'

    def nearly_all_faults_were_met():
        assert faults.unmet * 10 <= faults.led + 10, (faults.unmet, faults.led)

    if tests.run(a_life_without_faults_and_those_with_one_are_led):
        tests.run(each_time_it_stopped_with_the_reason_or_went_on_and_lost_nothing)
        tests.run(nearly_all_faults_were_met)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
