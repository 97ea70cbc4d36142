#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the invariants see anything? Each of src/engine/invariants.def names a planted bug; with that bug in place the
invariant itself must say so, while the scenarios or the programs of tests/flow run.

    tests/canaries/invariants.py [NAME...]        (needs `make VARIANT=canary canary-programs`)

Ends with `N passed, N failed, N skipped`; an invariant that keeps silent is a failure, and so is one that speaks when
nothing is planted. Some 20 seconds.
"""
import glob
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
SCENARIOS = [os.path.join('build', 'canary', 'wend'), 'test', *sorted(glob.glob('tests/flow/*/', root_dir=ROOT)),
             *sorted(glob.glob('examples/*', root_dir=ROOT))]
FLOWS = [[path] for path in sorted(glob.glob('build/canary/tests/flow/*', root_dir=ROOT)) if '.' not in path]


def invariants():
    with open(os.path.join(ROOT, 'src/engine/invariants.def'), encoding='utf-8') as f:
        return re.findall(r'^INVARIANT\(\w+,\s*(\w+),\s*"([^"]+)"', f.read(), re.M)


def said(command, bug):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, errors='replace',
                          env={**os.environ, 'WEND_CANARY': bug, 'WEND_INVARIANTS': 'tell'})
    return set(re.findall(r'(?:invariant broken|audit): (\w+): profile', done.stdout + done.stderr))


def hunt(row):
    """Which others spoke, and where it did; None: nowhere."""
    name, bug = row
    others = set()
    for command in [SCENARIOS, *FLOWS]:
        spoke = said(command, bug)
        others |= spoke - {name}
        if name in spoke:
            return os.path.basename(command[0]) if len(command) == 1 else 'scenarios', others
    return None, others


def main():
    rows = invariants()
    known = [name for name, _ in rows]
    unknown = [name for name in sys.argv[1:] if name not in known]
    if unknown:
        sys.exit(f'no such invariant: {", ".join(unknown)}; there are: {", ".join(known)}')
    rows = [row for row in rows if len(sys.argv) < 2 or row[0] in sys.argv[1:]]
    with ThreadPoolExecutor(2) as pool:
        spoke = [name for names in pool.map(lambda command: said(command, 'none'), [SCENARIOS, *FLOWS]) for name in names]
        if spoke:
            print(f'without any bug: {", ".join(spoke)}')
            print('0 passed, 1 failed, 0 skipped')
            sys.exit(1)
        silent = 0
        for (name, bug), (where, others) in zip(rows, pool.map(hunt, rows)):
            silent += where is None
            told = f' (in the {where})' if where else ''
            told += f'; so did {", ".join(sorted(others))}' if others else ''
            print(f'{"ok    " if where else "SILENT"} {name}: {bug}{told}', flush=True)
    print(f'{len(rows) - silent} passed, {silent} failed, 0 skipped')
    sys.exit(1 if silent else 0)


if __name__ == '__main__':
    main()
