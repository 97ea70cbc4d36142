#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Backups of a server that serves: what was acknowledged before one began is in it.

Clients post without end while backups are made into one place, are killed in the middle, and are verified; in the
end the newest is restored and served. Takes half a minute.
"""
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from run import World  # noqa: E402
from serving import SERVER_KEY, WEND, Server, Tests, event, identify, replay, wait_for  # noqa: E402


def wend(*words):
    done = subprocess.run([WEND, *words, '--json'], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


class Load:
    """Somebody who posts: for each person the newest value that was acknowledged."""

    def __init__(self, server, number):
        self.server, self.number, self.known, self.stop = server, number, {}, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        value = 0
        while not self.stop.is_set():
            who = f'l{self.number}-{value % 50}'
            value += 1
            try:
                self.server.send(identify(who, value=value), event(who, f'Seen {value % 20}'))
                self.known[who] = value
            except Exception:  # noqa: BLE001  the server is down
                time.sleep(0.02)

    def end(self):
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


def serve_again(w, data):
    server = Server(w.programme, data, w.post.port)
    return server.start()


def what_was_acknowledged_before_a_backup_is_in_it():
    with World('--snapshot-every', '40') as w:
        w.server.start()
        place = os.path.join(w.folder, 'backup')
        loads = [Load(w.server, n) for n in range(3)]
        told = None
        for _ in range(5):
            time.sleep(0.5)
            before = {who: value for load in loads for who, value in list(load.known.items())}
            code, out, error = wend('backup', w.data, place, '--verify')
            assert code == 0, (out, error)
            told = json.loads(out)
            assert told['verified'] and told['batch'] >= told['snapshot_batch'] > 0, told
        for load in loads:
            load.end()
        restored = os.path.join(w.folder, 'restored')
        code, out, error = wend('restore', place, restored)
        assert code == 0 and json.loads(out)['batch'] == told['batch'], (out, error)
        code, out, error = wend('restore', place, restored)
        assert code == 3 and 'not empty' in error, (code, error)
        again = serve_again(w, restored)
        try:
            for who, value in before.items():
                assert again.person(who)['traits']['value'] >= value, who
            again.send(identify('later', value=1))
            assert again.stop() == 0
        finally:
            if again.process.poll() is None:
                again.kill()
        report = replay(restored)
        assert report['audit_faults'] == 0, report
        assert w.server.stop() == 0


def a_backup_that_is_killed_leaves_the_one_before():
    with World('--snapshot-every', '30') as w:
        w.server.start()
        place = os.path.join(w.folder, 'backup')
        load = Load(w.server, 1)
        assert wait_for(lambda: len(load.known) > 20)
        assert wend('backup', w.data, place)[0] == 0
        chance = random.Random(7)
        ends = 0
        for _ in range(12):
            process = subprocess.Popen([WEND, 'backup', w.data, place], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.0, 0.03))
            process.kill()
            ends += process.wait() == 0
            code, out, error = wend('backup', '--verify', place)
            assert code == 0, (out, error)
        load.end()
        assert wend('backup', w.data, place, '--verify')[0] == 0


def a_server_killed_in_the_middle_of_a_snapshot_comes_back():
    with World('--snapshot-every', '3') as w:
        w.server.start()
        load = Load(w.server, 1)
        chance = random.Random(3)
        for _ in range(6):
            time.sleep(chance.uniform(0.2, 0.5))
            w.server.kill()
            w.server.start()
        load.end()
        for who, value in load.known.items():
            assert w.server.person(who)['traits']['value'] >= value, who
        place = os.path.join(w.folder, 'backup')
        w.server.kill()
        assert wend('backup', w.data, place, '--verify')[0] == 0  # of one that nobody serves
        report = replay(w.data)
        assert report['audit_faults'] == 0, report


def who_was_erased_since_stays_forgotten():
    with World() as w:
        w.server.start()
        marker = 'Markedname'
        w.sign_up('ann', name=marker)
        w.sign_up('bob', name='Bob')
        place, restored = os.path.join(w.folder, 'backup'), os.path.join(w.folder, 'restored')
        assert wend('backup', w.data, place)[0] == 0
        status, _, _ = w.server.request('/v1/person/erase?person=ann', b'', SERVER_KEY, method='POST', timeout=60)
        assert status == 200, status
        assert w.server.stop() == 0
        list_of = os.path.join(w.data, 'erased')
        assert not any(line.rstrip().endswith(' erased') for line in open(os.path.join(place, 'manifest')))
        code, out, error = wend('restore', place, restored, '--erased', list_of)
        assert code == 0 and json.loads(out)['erased'] == 1, (out, error)
        for folder, _, files in os.walk(restored):
            for name in files:
                with open(os.path.join(folder, name), 'rb') as f:
                    assert marker.encode() not in f.read(), name
        again = serve_again(w, restored)
        try:
            assert again.person('ann') is None
            assert again.person('bob')['traits']['first_name'] == 'Bob'
            assert again.stop() == 0
        finally:
            if again.process.poll() is None:
                again.kill()
        code, _, error = wend('restore', place, restored + '2', '--erased', place)
        assert code == 3 and 'erased' in error, error
        assert not os.path.exists(restored + '2')


def what_is_damaged_is_named_and_not_restored():
    with World() as w:
        w.server.start()
        w.sign_up('ann')
        assert w.server.stop() == 0
        place, other = os.path.join(w.folder, 'backup'), os.path.join(w.folder, 'other')
        assert wend('backup', w.data, place)[0] == 0
        with open(os.path.join(place, 'manifest')) as f:
            line = next(x for x in f if x.rstrip().endswith('.seg'))
        content = os.path.join(place, 'files', line.split()[1])
        with open(content, 'r+b') as f:
            f.seek(100)
            byte = f.read(1)
            f.seek(100)
            f.write(bytes([byte[0] ^ 1]))
        code, _, error = wend('restore', place, other)
        assert code == 3 and '.seg' in error, (code, error)
        assert not os.path.exists(other)
        os.remove(content)
        code, _, error = wend('backup', '--verify', place)
        assert code == 3 and 'lacks log/' in error, (code, error)
        assert wend('backup', w.data, place, '--verify')[0] == 0  # the next one writes what lacks
        assert wend('backup', w.data, w.programme)[0] == 3  # neither empty nor a backup


if __name__ == '__main__':
    tests = Tests()
    for test in [what_was_acknowledged_before_a_backup_is_in_it,
                 a_backup_that_is_killed_leaves_the_one_before,
                 a_server_killed_in_the_middle_of_a_snapshot_comes_back,
                 who_was_erased_since_stays_forgotten,
                 what_is_damaged_is_named_and_not_restored]:
        tests.run(test)
    sys.exit(tests.end())
