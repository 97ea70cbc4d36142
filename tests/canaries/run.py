#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Are the tests any good? Every planted bug (lib/base/canary.h) must make some test fail.

    tests/canaries/run.py [NAME...]        (needs `make VARIANT=canary canary-programs`)
    tests/canaries/run.py --learn [NAME...]    and writes tests/canaries/caught anew

The bugs are found in the sources themselves: planted("NAME"), and one for each rule of the desk, which is then never
asked. `caught` says for each which test noticed it last; that one is asked first, and takes a tenth of a second. Where it
sees nothing any more, or none is known, all are asked: the scenarios of examples/ and tests/flow/, the unit tests of the
rooms that decide, the programs of tests/flow/, and the reference desk; for those of storage the simulator. Without any bug those
tests must pass. Ends with `N passed, N failed, N skipped`; a bug that nothing notices is a failure.
"""
import glob
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
CAUGHT = os.path.join(ROOT, 'tests/canaries/caught')
BUILD = 'build/canary/'
WEND = BUILD + 'wend'
PATIENCE_S = 900  # who never ends has noticed something


def found(pattern):
    return sorted(glob.glob(pattern, root_dir=ROOT))


PROGRAMMES = found('examples/*') + [path.rstrip('/') for path in found('tests/flow/*/')]


def tests(pattern):
    """Test programs, by the names of their sources."""
    return [path.removeprefix(BUILD) + '.c' for path in found(BUILD + pattern) if '.' not in os.path.basename(path)]


UNITS = tests('src/*/*_test')
STORES = tests('lib/store/*_test') + [path for path in UNITS if '/outbox/' in path or path.endswith('/profile_test.c')]
FLOWS = tests('tests/flow/*')
COMMANDS = {
    'scenarios': [WEND, 'test', *PROGRAMMES],
    'reference': ['/usr/bin/python3', 'tests/reference/run.py', '--wend', WEND, '--decisions', '6000',
                  '--failures', '1'],
    'simulator': [BUILD + 'simulator', '--list', 'tests/simulator/seeds', '--seed', '1', '--count', '60',
                  '--jobs', '1', '--until-failure', *PROGRAMMES],
}
STORAGE = ('log-', 'store-', 'outbox-')  # bugs of what keeps and what sends


def command_of(hunter):
    if hunter in COMMANDS:
        return COMMANDS[hunter]
    return [WEND, 'test', hunter] if hunter in PROGRAMMES else [BUILD + hunter.removesuffix('.c')]


def hunters_of(name):
    """All of them, in the order in which they are asked."""
    if name.startswith(STORAGE):
        return [*STORES, 'simulator']
    return ['scenarios', *UNITS, *FLOWS, 'reference']


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


def known():
    """bug -> who noticed it last."""
    try:
        with open(CAUGHT, encoding='utf-8') as f:
            return dict(line.split() for line in f if line.strip() and not line.startswith('#'))
    except FileNotFoundError:
        return {}


def notices(hunter, name):
    try:
        done = subprocess.run(command_of(hunter), cwd=ROOT, capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S, env={**os.environ, 'WEND_CANARY': name})
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return True  # of a test that is gone the run without a bug says so
    return done.returncode != 0


def exists(hunter):
    return hunter in COMMANDS or hunter in PROGRAMMES + UNITS + FLOWS + STORES


def hunt(name, first):
    """Who noticed it, or None."""
    if first is not None and exists(first) and notices(first, name):
        return first
    return next((hunter for hunter in hunters_of(name) if notices(hunter, name)), None)


def learn(name):
    """Who notices it, the folder of scenarios by name."""
    hunter = hunt(name, None)
    if hunter != 'scenarios':
        return hunter
    folder = None
    done = subprocess.run(COMMANDS[hunter], cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
                          env={**os.environ, 'WEND_CANARY': name})
    for line in done.stdout.splitlines():
        folder = line if line in PROGRAMMES else folder
        if line.startswith('  FAILED') and folder and notices(folder, name):
            return folder
    return hunter


def note(caught):
    with open(CAUGHT, 'w', encoding='utf-8') as f:
        f.write('# caught - which test notices which planted bug; written by tests/canaries/run.py --learn\n')
        f.writelines(f'{name} {hunter}\n' for name, hunter in sorted(caught.items()))


def main():
    names, caught = planted(), known()
    is_learning = sys.argv[1:2] == ['--learn']
    wanted = sys.argv[2:] if is_learning else sys.argv[1:]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        sys.exit(f'no such planted bug: {", ".join(unknown)}; there are: {", ".join(names)}')
    hunted, missed = wanted or names, 0
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(learn, hunted) if is_learning else \
            pool.map(hunt, hunted, [caught.get(name) for name in hunted])
        for name, hunter in zip(hunted, results):
            print(f'{"ok     " if hunter else "MISSED "} {name}{f" (by {hunter})" if hunter else ""}', flush=True)
            missed += hunter is None
            if is_learning:
                caught.pop(name, None)
            if hunter:
                caught[name] = hunter
        for hunter, is_loud in zip(set(caught.values()), pool.map(lambda x: notices(x, 'none'), set(caught.values()))):
            if is_loud:
                print(f'{hunter} fails, or is not there, without any bug')
                missed += 1
    if is_learning:
        note({name: hunter for name, hunter in caught.items() if name in names})
    print(f'{len(hunted) - missed} passed, {missed} failed, 0 skipped')
    sys.exit(1 if missed else 0)


if __name__ == '__main__':
    main()
