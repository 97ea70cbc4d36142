#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Are the tests any good? Every planted bug (lib/base/canary.h) must make some test fail.

    tests/canaries/run.py [NAME...]        (needs `make VARIANT=canary canary-programs`)

The bugs are found in the sources themselves: planted("NAME"), and one for each rule of the desk, which is then never
asked. Against each go the scenarios of examples/ and tests/flow/, the unit tests of the rooms that decide, the
programs of tests/flow/ and the reference desk; against those of storage the simulator. The first that fails ends it. Ends with `N passed, N failed, N skipped`; a bug that nothing notices is a failure.
"""
import glob
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
WEND = os.path.join('build', 'canary', 'wend')
UNITS = sorted(glob.glob('build/canary/src/*/*_test', root_dir=ROOT))
FLOWS = [path for path in sorted(glob.glob('build/canary/tests/flow/*', root_dir=ROOT)) if '.' not in path]
HUNTERS = [
    ('scenarios', [WEND, 'test', *sorted(glob.glob('examples/*', root_dir=ROOT)),
                   *sorted(glob.glob('tests/flow/*/', root_dir=ROOT))]),
    *((path.split('/', 2)[2], [path]) for path in UNITS + FLOWS),
    ('reference', ['/usr/bin/python3', 'tests/reference/run.py', '--wend', WEND, '--decisions', '6000',
                   '--failures', '1']),
]

# Bugs of what keeps and what sends: the simulator looks first, and the unit tests of the rooms.
STORAGE = ('log-', 'store-', 'outbox-')
STORES = [path for path in UNITS if '/outbox/' in path or path.endswith('/profile_test')] + sorted(glob.glob('build/canary/lib/store/*_test', root_dir=ROOT))
SIMULATOR = ('simulator', ['build/canary/simulator', '--list', 'tests/simulator/seeds', '--seed', '1', '--count', '60',
                           '--jobs', '1', '--until-failure', *sorted(glob.glob('examples/*', root_dir=ROOT)),
                           *sorted(glob.glob('tests/flow/*/', root_dir=ROOT))])


def hunters_of(name):
    stores = [(path.split('/', 2)[2], [path]) for path in STORES]
    if name.startswith(STORAGE):
        return [*stores, SIMULATOR]
    return [*stores, *HUNTERS, SIMULATOR] if name == 'none' else likely(name) + HUNTERS


def planted():
    names = set()
    for path in glob.glob('src/**/*.c', root_dir=ROOT, recursive=True) + glob.glob('lib/**/*.c', root_dir=ROOT,
                                                                                  recursive=True):
        with open(os.path.join(ROOT, path), encoding='utf-8') as f:
            text = f.read()
        for name in re.findall(r'\bplanted\("([^"]+)"\)', text):
            if name in names:
                sys.exit(f'{path}: the planted bug "{name}" has the name of another')
            names.add(name)
    with open(os.path.join(ROOT, 'src/decide/rules.def'), encoding='utf-8') as f:
        names |= {'off-' + name for name in re.findall(r'^RULE\(\s*\d+,\s*\w+,\s*(\w+)', f.read(), re.M)}
    return sorted(names)


# Whose scenarios are asked first: folders of tests/flow whose names begin as a word of the bug does, and these.
ALSO = {'own': 'choices', 'snooze': 'choices', 'topic': 'choices', 'contacted': 'choices', 'code': 'vouchers',
        'goes': 'vouchers', 'pause': 'lifecycle', 'stop': 'lifecycle', 'resume': 'lifecycle', 'recall': 'lifecycle',
        'rank': 'priorities', 'preempts': 'precedence', 'capacity': 'groups', 'duplicate': 'content', 'reach': 'sends',
        'instead': 'decisive', 'ghost': 'holdout', 'cap': 'caps', 'window': 'windows', 'hold': 'holds'}


def likely(name):
    """Scenarios that are about such a bug: they take a tenth of a second, all of them take some."""
    words = name.split('-')
    folders = [f for f in sorted(glob.glob('tests/flow/*/', root_dir=ROOT))
               if any(os.path.basename(f[:-1]).startswith(w) and len(w) > 3 for w in words) or
               any(ALSO.get(w) == os.path.basename(f[:-1]) for w in words)]
    return [('scenarios', [WEND, 'test', *folders])] if folders else []


def hunt(name):
    """Who noticed it, or None."""
    for hunter, command in hunters_of(name):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
                              env={**os.environ, 'WEND_CANARY': name})
        if done.returncode != 0:
            return hunter
    return None


def main():
    names = planted()
    unknown = [name for name in sys.argv[1:] if name not in names]
    if unknown:
        sys.exit(f'no such planted bug: {", ".join(unknown)}; there are: {", ".join(names)}')
    hunted = sys.argv[1:] or names
    if hunt('none') is not None:
        print('the tests fail without any bug')
        print('0 passed, 1 failed, 0 skipped')
        sys.exit(1)
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        for name, hunter in zip(hunted, pool.map(hunt, hunted)):
            print(f'{"ok     " if hunter else "MISSED "} {name}{f" (by the {hunter})" if hunter else ""}')
            missed += hunter is None
    print(f'{len(hunted) - missed} passed, {missed} failed, 0 skipped')
    sys.exit(1 if missed else 0)


if __name__ == '__main__':
    main()
