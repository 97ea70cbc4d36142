#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One byte of a data directory or backup is damaged: that is told, with the file, or it does no harm.

    damage.py [--each N] [--only TEXT] [--seed N] [--workers N]

Three data directories have every kind of file: one of a whole life (lives.py: sealed segment, keys, snapshots, held,
erased), one whose server was killed behind a change of programme (backfill, a log without an end), one whose sealing
failed (a closed segment that is plain, erasing); and a backup of the first. Files are cut into parts: blocks of a
segment by kind, header and payload; header, chunks, index and trailer of a snapshot; slots of keys; other files are
one part. In each part of each kind N bytes (2 if not given) are damaged, one at a time. Then
  - `wend replay --verify` refuses, and names the file, or finds the state that it found before;
  - `wend why` refuses or tells the same story;
  - `wend serve` refuses and names the file, or starts, knows the same of everybody, and stops in order;
  - `wend backup --verify` and `wend restore` refuse a backup, and name the file;
and no process ends by a signal. Left out is the last commit of a log without an end: with a byte changed it is what a crash
would have torn, and is cut (docs/formats/log.md).
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from lives import WEND, Ended, Life, Server, Tests, in_parallel, read_options, wait_for  # noqa: E402

BLOCKS = {1: 'head', 2: 'names', 3: 'batch', 4: 'results', 5: 'mark', 6: 'seal', 7: 'pack', 8: 'index'}


def cut_segment(data):
    """(part, from, to) of each block; not of the last commit of a log that has no end."""
    at, parts, commits = 0, [], {}
    while data[at:at + 4] == b'WBLK':
        commits[at] = struct.unpack_from('<Q', data, at + 32)[0]
        kind, length = BLOCKS[data[at + 4]], struct.unpack_from('<I', data, at + 8)[0]
        end = at + 64 + (length + 7) // 8 * 8
        parts.append((f'{kind} header', at, at + 64))
        parts.append((f'{kind} payload', at + 64, at + 64 + length))
        parts.append((f'{kind} padding', at + 64 + length, end))
        at = end
    if kind != 'mark':
        last = min(at for at, commit in commits.items() if commit == max(commits.values()))
        parts = [part for part in parts if part[2] <= last]
    parts.append(('behind the end', at, min(at + 4096, len(data))))
    return parts


def cut_snapshot(data):
    index = struct.unpack_from('<Q', data, len(data) - 24)[0]
    parts, at = [('header', 0, 96)], 96
    while at < index:
        stored = struct.unpack_from('<I', data, at + 16)[0]
        parts += [('chunk header', at, at + 24), ('chunk', at + 24, at + 24 + stored)]
        at += 24 + stored
    return parts + [('index', index, len(data) - 32), ('trailer', len(data) - 32, len(data))]


def cut_keys(data):
    return [('header', 0, 64)] + [(('slot', 'destroyed slot')[data[at + 56] == 2], at, at + 64)
                                  for at in range(64, len(data) - 63, 64)]


def cut(name, data):
    if data[:4] == b'WBLK':
        parts = cut_segment(data)
    elif data[:4] == b'WSNP':
        parts = cut_snapshot(data)
    elif data[:4] == b'WKEY':
        parts = cut_keys(data)
    else:
        parts = [('bytes', 0, min(len(data), 1 << 20))]
    return [(part, start, end) for part, start, end in parts if end > start]


def kind_of(path):
    path = re.sub(r'[0-9a-f]{16,64}', '*', path)
    return re.sub(r'^(programmes/\*/files)/.*', r'\1/*', path)


def wend(*words):
    done = subprocess.run([WEND, *words], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


class Directory:
    """A data directory, what is asked about it, and what the answers are when nothing is damaged."""

    def __init__(self, name, life, people):
        self.name, self.life = name, life
        self.people = [f'{who}-{life.mark}' for who in people]
        self.replayed = self.replay(life.data)
        assert self.replayed[0] == 0, self.replayed
        self.stories = self.why(life.data)
        copy = tempfile.mkdtemp(prefix='wend-damage-')
        self.copy(copy)
        code, self.known, said = self.serve(os.path.join(copy, 'data'))
        assert code == 0 and self.known, (code, said)
        shutil.rmtree(copy)

    def copy(self, folder):
        shutil.copytree(self.life.programme, os.path.join(folder, 'programme'), dirs_exist_ok=True)
        subprocess.run(['cp', '-a', '--sparse=always', self.life.data, os.path.join(folder, 'data')], check=True)

    def replay(self, data):
        code, out, error = wend('replay', data, '--verify', '--json')
        if code != 0:
            return code, None, error + out
        report = json.loads(out)
        # What was counted on the way depends on where it began.
        return 0, {key: report[key] for key in ('state_hash', 'profiles', 'audit_faults', 'results_differ')}, error

    def why(self, data):
        code, out, error = wend('why', data, self.people[0])
        return code, out, error

    def serve(self, data):
        """(exit code, what it knows of people or None, what it said)."""
        server = Server(os.path.join(os.path.dirname(data), 'programme'), data, self.life.post.port)
        server.start(expect_ready=False)
        known = None
        try:
            wait_for(lambda: server.port() or server.process.poll() is not None, 60)
            if server.port() is not None:
                known = {}
                for who in self.people:
                    person = server.person(who)
                    known[who] = person and {key: person[key] for key in ('traits', 'consent') if key in person}
                return server.stop(), known, '\n'.join(server.lines + server.errors)
            return server.ended(), None, '\n'.join(server.lines + server.errors)
        except OSError:
            return server.ended(), known, '\n'.join(server.lines + server.errors)
        finally:
            if server.process.poll() is None:
                server.kill()

    def files(self):
        for path, _, names in os.walk(self.life.data):
            for name in names:
                full = os.path.join(path, name)
                if os.path.getsize(full) > 0:
                    yield os.path.relpath(full, self.life.data), full


class Damage:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.wrong, self.led = [], 0
        self.ends = collections.Counter()

    def live(self):
        whole = Life()
        assert whole.first_run() == 0 and whole.second_run() == 0
        # killed behind a change of programme
        killed = Life()
        assert killed.start()
        for i in range(4):
            killed.say(f'p{i % 2}')
        killed.change()
        killed.say('p0')
        killed.server.kill()
        # not sealed
        plain = Life()
        plain.first_run({'WEND_FAIL_CALL': 'open', 'WEND_FAIL_FILE': 'log/*.seg.tmp', 'WEND_FAIL_NTH': '-1',
                         'WEND_FAIL_HOW': 'EIO'})
        for life, file in ((whole, 'held'), (whole, 'erased'), (plain, 'erasing')):
            assert os.path.exists(os.path.join(life.data, file)), file
        assert os.listdir(os.path.join(killed.data, 'backfills'))
        self.directories = [Directory('whole', whole, ['p0', 'q1', 't', 'p1']), Directory('killed', killed, ['p0', 'p1']),
                            Directory('plain', plain, ['p0', 'q1'])]
        self.backup = os.path.join(whole.folder, 'backup')
        code, out, error = wend('backup', whole.data, self.backup)
        assert code == 0, (out, error)

    def choose(self):
        """(directory, path, part, offset) of bytes."""
        parts = {}
        for d in self.directories:
            for path, full in sorted(d.files()):
                with open(full, 'rb') as file:
                    data = file.read(1 << 21)
                for part, start, end in cut(path, data):
                    parts.setdefault((d.name, kind_of(path), part), []).append((d, path, start, end))
        chosen = []
        for (name, kind, part), places in parts.items():
            if name != 'whole' and not self.options.all and (kind.startswith(('programmes', 'secret', 'snapshots', 'log/spare'))):
                continue
            for _ in range(self.options.each * (2 if kind in ('erased', 'erasing', 'secret', 'held') else 1)):
                d, path, start, end = self.chance.choice(places)
                chosen.append((d, path, part, self.chance.randrange(start, end)))
        for path, _, names in sorted(os.walk(self.backup)):
            for name in names if self.options.all else ['manifest'] * ('manifest' in names) + self.chance.sample(
                    [n for n in names if n != 'manifest'], min(2, len(names) - ('manifest' in names))):
                full = os.path.join(path, name)
                if os.path.getsize(full):
                    chosen.append((None, os.path.relpath(full, self.backup), 'bytes',
                                   self.chance.randrange(os.path.getsize(full))))
        return chosen

    @staticmethod
    def flip(path, offset, by):
        with open(path, 'r+b') as file:
            file.seek(offset)
            was = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([was ^ by]))

    def lead(self, place):
        d, path, part, offset = place
        by = 1 << (offset * 7 + self.options.seed) % 8
        folder = tempfile.mkdtemp(prefix='wend-damage-')
        wrong = []
        try:
            if d is None:
                wrong, told = self.damage_backup(folder, path, offset, by)
            else:
                d.copy(folder)
                data = os.path.join(folder, 'data')
                self.flip(os.path.join(data, path), offset, by)
                wrong, told = self.ask(d, data, path)
            self.ends[told] += 1
            if self.options.loud:
                print(d.name if d else 'backup', path, part, offset, told)
        except Exception as e:  # noqa: BLE001
            wrong.append(f'{type(e).__name__}: {e}')
        if wrong:
            print(f'wrong: {d.name if d else "backup"} {path} {part} at {offset} ^ {by}: {"; ".join(wrong)}; kept in {folder}')
            sys.stdout.flush()
            self.wrong.append(place)
        else:
            shutil.rmtree(folder)

    @staticmethod
    def refusal(what, code, said, path, is_kept=()):
        """What is wrong with a refusal."""
        name = os.path.basename(path).removesuffix('.seg')[:16]
        if code < 0:
            return [f'{what} ended by signal {-code}: {said[-300:]}']
        if code not in (3, 4) or not any(word in said for word in (name, *is_kept)):
            return [f'{what} ended with {code} and does not name {name}: {said[-400:]}']
        return []

    def ask(self, d, data, path):
        wrong, told = [], []
        programme = re.match(r'programmes/([0-9a-f]{12})', path)
        also = (programme.group(1),) if programme else ()
        code, report, said = d.replay(data)
        if code != 0:
            told.append('replay')
            wrong += self.refusal('replay', code, said, path, also)
        elif report != d.replayed[1]:
            wrong.append(f'replay finds another state: {report} instead of {d.replayed[1]}')
        code, story, said = d.why(data)
        if (code, story) != d.stories[:2]:
            if code == 0:
                wrong.append(f'why tells another story: {story[-300:]} {said[-200:]}')
            wrong += self.refusal('why', code, said, path, also)
            told.append('why')
        code, known, said = d.serve(data)
        is_warned = os.path.basename(path)[:16] in said
        if known is None:
            told.append('serve')
            wrong += self.refusal('serve', code, said, path, also)
        else:
            if known != d.known:
                wrong.append(f'serve knows something else: {known} instead of {d.known}')
            if code != 0:
                wrong += self.refusal('serve, at its stop,', code, said, path, also)
            elif not told:
                code, report, said = d.replay(data)
                if code != 0:
                    wrong.append(f'replay after it has served: {code} {said[-300:]}')
        if path in ('erased', 'erasing', 'secret') and not told:
            wrong.append('nobody tells')  # what it is for is done later
        return wrong, ' and '.join(told) or ('a warning' if is_warned else 'harmless')

    def damage_backup(self, folder, path, offset, by):
        place = os.path.join(folder, 'backup')
        shutil.copytree(self.backup, place)
        self.flip(os.path.join(place, path), offset, by)
        wrong = []
        for what, words in (('verify', ['backup', '--verify', place]), ('restore', ['restore', place, os.path.join(folder, 'to')])):
            code, out, error = wend(*words)
            if code == 0:
                wrong.append(f'{what} takes it')
            else:
                wrong += self.refusal(what, code, out + error, path)
        if os.path.exists(os.path.join(folder, 'to', 'secret')):
            wrong.append('something was restored')
        return wrong, 'verify and restore'

    def run(self):
        self.live()
        chosen = [c for c in self.choose() if self.options.only in f'{c[0].name if c[0] else "backup"} {c[1]} {c[2]} {c[3]}']
        self.led = len(chosen)
        in_parallel(self.lead, chosen, self.options.workers)
        for d in self.directories:
            d.life.end()
        print(f'seed {self.options.seed}: {self.led} bytes were damaged; told by: ' +
              ', '.join(f'{how} {n}' for how, n in self.ends.most_common()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--each', type=int, default=2)
    parser.add_argument('--all', action='store_true', help='each kind of file of each directory, every file of the backup')
    parser.add_argument('--only', default='', help='only bytes whose directory, file, part and offset contain this')
    options = read_options(parser)
    tests = Tests()
    damage = Damage(options)

    def bytes_of_every_kind_of_part_are_damaged():
        damage.run()
        assert damage.led > 0

    def each_damage_is_told_with_the_file_or_does_no_harm():
        assert not damage.wrong, f'{len(damage.wrong)} of {damage.led}'

    if tests.run(bytes_of_every_kind_of_part_are_damaged):
        tests.run(each_damage_is_told_with_the_file_or_does_no_harm)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
