#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random programmes and lives, decided by `wend` and by the reference desk: every decision must be equal.

    tests/reference/run.py [--list FILE] [--decisions N] [--seed N] [--wend PATH] [--keep DIR]

First the worlds that FILE lists, a number at the head of a line, then those from --seed on until there are so many
decisions.

Each world has a folder of its own (some MB to hundreds of MB), which is gone before the next begins: also when a world
fails, `wend` fails, or the script is interrupted or told to end.

A decision is what became of one message of one journey for one person, on which channel, and at which
millisecond. Ends with `N passed, N failed, N skipped`: one test is one world.
"""
import argparse
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import datetime, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import histories  # noqa: E402
from desk import DAY, Desk  # noqa: E402

AFTER_DAYS = 3
WAITING = ('deferred', 'queued', 'in_doubt', 'offered')


def run(wend, *words):
    done = subprocess.run([wend, *words], capture_output=True, text=True,
                          env={**os.environ, 'WEND_HOOK_SECRET': 's'})
    if done.returncode != 0:
        raise RuntimeError(f"wend {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def of_wend(wend, p, events, folder):
    """user -> their decisions, ghosts' entries, and whether the control group has them."""
    programme, data = os.path.join(folder, 'programme'), os.path.join(folder, 'data')
    file = os.path.join(folder, 'events.ndjson')
    histories.write(p, programme)
    histories.write_events(events, file)
    run(wend, 'run', programme, '--events', file, '--data', data, '--after', f'{AFTER_DAYS}d', '--quiet')
    users, at = {}, {ms: histories.owner(user) for ms, user, _, _ in events}
    found = {user: {'intents': {}, 'ghosts': set(), 'is_control': False} for user in at.values()}
    created = {}
    for line in run(wend, 'log', '--results', data).splitlines():
        row = json.loads(line)
        if row['type'] != 'result':
            continue
        if row['result'] == 'created':
            users[row['profile']] = at[row['at_ms']]
            continue
        if row['profile'] not in users:
            continue
        person = found[users[row['profile']]]
        if row['result'] == 'entered' and row['number']:
            person['ghosts'].add((row['journey'], row['at_ms']))
            created[row['journey'], row['profile']] = True
        elif row['result'] == 'entered':
            created[row['journey'], row['profile']] = False
        elif row['result'] == 'granted':
            person['intents'].setdefault(row['id'], {})['channel'] = row['what']
        elif row['result'] == 'decided' and row['what'] not in WAITING:
            intent = person['intents'].setdefault(row['id'], {})
            intent.update(journey=row['journey'], message=row['message'], outcome=row['what'], at=row['at_ms'])
            if row['what'] == 'held_out' and not created.get((row['journey'], row['profile'])):
                person['is_control'] = True
    return found


def words(p, decision):
    journey, message, outcome, at, channel = decision
    when = datetime.fromtimestamp(at / 1000, timezone.utc).isoformat(timespec='milliseconds')
    return f'{when}  {journey}: {message} {outcome}' + (f' by {channel}' if channel else '')


def world(wend, seed, folder, people):
    """Returns (decisions compared, differences as text)."""
    r = random.Random(seed)
    people = 1 if r.random() < 0.1 else people
    p = histories.programme(r, people)
    start = datetime.fromisoformat(r.choice(histories.STARTS)).replace(tzinfo=timezone.utc)
    events = histories.life(r, p, int(start.timestamp() * 1000), people)
    found = of_wend(wend, p, events, folder)
    until = events[-1][0] + AFTER_DAYS * DAY
    compared, differences = 0, []
    for user, theirs in found.items():
        ours = Desk(p, theirs['is_control']).live(histories.of_person(events, user), until, theirs['ghosts'])
        expected = sorted((d.journey, d.message, d.outcome, d.at, d.channel if d.outcome == 'sent' else None)
                          for d in ours)
        got = sorted((i['journey'], i['message'], i['outcome'], i['at'],
                      i['channel'] if i['outcome'] == 'sent' else None)
                     for i in theirs['intents'].values() if 'outcome' in i)
        compared += len(expected)
        if expected != got:
            lines = [f'  {user}:']
            lines += [f'    reference  {words(p, d)}' for d in expected if d not in got]
            lines += [f'    wend       {words(p, d)}' for d in got if d not in expected]
            differences.append('\n'.join(lines))
    return compared, differences


def told_to_end(number, _frame):
    sys.exit(128 + number)  # an exception, so that the world's folder goes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--decisions', type=int, default=100_000 if os.environ.get('WEND_LONG') else 4_000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--list', help='decide these worlds first')
    parser.add_argument('--people', type=int, default=12)
    parser.add_argument('--wend', default='./wend')
    parser.add_argument('--failures', type=int, default=10, help='stop after so many worlds that differ')
    parser.add_argument('--keep', help='leave the folders of worlds that differ in here')
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, told_to_end)
    total = passed = failed = 0
    listed = []
    if options.list:
        with open(options.list, encoding='utf-8') as file:
            listed = [int(line.split()[0]) for line in file if not line.startswith('#')]
    for seed in itertools.chain(listed, itertools.count(options.seed)):
        if passed + failed >= len(listed) and total >= options.decisions:
            break
        with tempfile.TemporaryDirectory(prefix='wend-reference-') as folder:
            compared, differences = 0, []
            try:
                compared, differences = world(options.wend, seed, folder, options.people)
            except RuntimeError as e:
                differences = [str(e)]
            if differences and options.keep:
                shutil.copytree(folder, os.path.join(options.keep, str(seed)), dirs_exist_ok=True)
        if differences:
            failed += 1
            print(f'world {seed} differs; again: tests/reference/run.py --seed {seed} --decisions 1')
            print('\n'.join(differences[:5]), flush=True)
        else:
            passed += 1
        total += compared
        if failed >= options.failures:
            break
    print(f'{total} decisions in {passed + failed} worlds')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
