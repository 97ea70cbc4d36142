#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/instructions/run.py [--update] - how many instructions the paths that matter take, against what was
recorded.

Times differ by half from minute to minute on a shared machine; instructions repeat to the last digit. Each row of
tests/instructions/counts names a bench of build/plain, how small it is run (BENCH_SCALE) and one of its functions:
callgrind counts what one call of that function takes, with all that it calls. More than 5 % above the record
fails. Less passes, and says that the record can be renewed: --update writes what was found.

Another compiler makes other code: where it is not the one that the record names, or where there is no valgrind,
all rows are skipped. Some 20 s on two idle cores.
"""
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

COUNTS = 'tests/instructions/counts'
TOLERANCE = 0.05
SECONDS_MAX = 300


def compiler():
    version = subprocess.run(['gcc', '-dumpfullversion'], capture_output=True, text=True).stdout.strip()
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as info:
        wide = 'avx2' if ' avx2 ' in info.read() else 'no-avx2'  # libc and simdjson choose by it
    return f'gcc {version} {platform.machine()} {wide}'


def read_counts():
    head, rows = [], []
    with open(COUNTS, encoding='ascii') as lines:
        for line in lines:
            if line.startswith('#'):
                head.append(line)
            elif line.strip():
                name, program, scale, function, count = line.split()
                rows.append({'name': name, 'program': program, 'scale': scale, 'function': function,
                             'count': float(count)})
    return head, rows


def per_call(path, functions):
    """What a call of each takes, over all calls that the profile has of it."""
    calls, cost, callee = dict.fromkeys(functions, 0), dict.fromkeys(functions, 0), None
    with open(path, encoding='utf-8', errors='replace') as lines:
        for line in lines:
            if line.startswith('cfn='):
                callee = line[4:].strip()
            elif line.startswith('calls='):
                count = int(line[6:].split()[0])
                inclusive = int(next(lines).split()[-1])
                if callee in calls:
                    calls[callee] += count
                    cost[callee] += inclusive
    return {f: cost[f] / calls[f] if calls[f] else None for f in functions}


def measure(program, scale, functions):
    with tempfile.TemporaryDirectory(dir='build') as folder:
        out = os.path.join(folder, 'out')
        run = subprocess.run(
            ['valgrind', '--tool=callgrind', '--compress-strings=no', '--compress-pos=no',
             f'--callgrind-out-file={out}', f'build/plain/tests/bench/{program}'],
            env={**os.environ, 'BENCH_SCALE': scale, 'BENCH_DIR': folder, 'LC_ALL': 'C'},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX, check=False)
        if run.returncode != 0:
            print(run.stdout)
            return dict.fromkeys(functions)
        return per_call(out, functions)


def compare(row, found):
    """One line about the row; is it fine?"""
    if found is None:
        print(f"FAILED  {row['name']}: {row['program']} has no call of {row['function']}")
        return False
    share = found / row['count'] - 1 if row['count'] else 0
    is_fine = share <= TOLERANCE
    words = f"{row['name']}: {found:.0f} instructions a call of {row['function']}, {row['count']:.0f} recorded"
    more = f', {100 * share:+.1f} %' if abs(share) >= 0.001 else ''
    update = 'tests/instructions/run.py --update'
    hint = f'; record it: {update}' if share < -TOLERANCE else '' if is_fine else f'; if it is worth it: {update}'
    print(f"{'ok     ' if is_fine else 'FAILED '} {words}{more}{hint}")
    return is_fine


def main():
    head, rows = read_counts()
    made_by = next((re.sub(r'^# made by: *', '', h).strip() for h in head if h.startswith('# made by:')), '')
    why = ''
    if shutil.which('valgrind') is None:
        why = 'no valgrind (Debian package valgrind)'
    elif made_by != compiler() and '--update' not in sys.argv:
        why = f'recorded with {made_by}, this is {compiler()}'
    if why:
        for row in rows:
            print(f"skipped: {row['name']}: {why}")
        print(f'0 passed, 0 failed, {len(rows)} skipped')
        return 0
    runs = {}
    for row in rows:
        runs.setdefault((row['program'], row['scale']), []).append(row['function'])
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(runs, pool.map(lambda run: measure(*run, runs[run]), runs)))
    fine = [compare(row, found[row['program'], row['scale']][row['function']]) for row in rows]
    if '--update' in sys.argv and None not in (found[r['program'], r['scale']][r['function']] for r in rows):
        with open(COUNTS, 'w', encoding='ascii') as out:
            out.writelines(re.sub(r'^# made by:.*', f'# made by: {compiler()}', h) for h in head)
            for r in rows:
                count = found[r['program'], r['scale']][r['function']]
                out.write(f"{r['name']:<22} {r['program']:<8} {r['scale']:<6} {r['function']:<16} {count:.0f}\n")
    print(f'{sum(fine)} passed, {len(fine) - sum(fine)} failed, 0 skipped')
    return 0 if all(fine) else 1


sys.exit(main())
