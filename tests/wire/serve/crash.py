#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of `wend serve` under load: nothing that was acknowledged is lost, nothing counts twice.

    crash.py [--times N] [--clients N] [--seed N]

Four clients post batches of events, each with an id of its own, and try again until they are told 200,
as the official clients do. Meanwhile the server is killed N times (200 if not given): at random moments under
load, every fourth time in the middle of its start, and now and then it is stopped in order first. In the end
  - the log has every acknowledged event, and nothing that nobody sent;
  - the engine counted each event once: events minus duplicates = distinct ids, and for every person the
    newest value they sent is the one that is known;
  - a replay from the beginning agrees with every result block and snapshot, and the audit finds no fault.
"""
import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(__file__))
from run import PROGRAMME  # noqa: E402
from serving import SERVER_KEY, WEND, Post, Server, Tests, consent, event, identify, replay, write  # noqa: E402


class Client:
    """Posts without end; each batch until it is acknowledged."""

    def __init__(self, number, server, stop):
        self.number, self.server, self.stop = number, server, stop
        self.ids, self.newest, self.retries, self.refused = set(), {}, 0, []
        self.chance = random.Random(number)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def batch(self):
        events = []
        for _ in range(self.chance.randrange(1, 6)):
            who = f'c{self.number}-{self.chance.randrange(20)}'
            unique = str(uuid.uuid4())
            value = self.newest.get(who, 0) + 1
            self.newest[who] = value
            self.ids.add(unique)
            kind = self.chance.random()
            if kind < 0.7:
                events.append(identify(who, value=value, unique=unique, email=f'{who}@example.org'))
            else:
                name = self.chance.choice(['Signed Up', 'Trial Started', f'Seen {self.chance.randrange(50)}'])
                events.append(identify(who, value=value, unique=unique))
                other = str(uuid.uuid4())
                self.ids.add(other)
                events.append(event(who, name, unique=other))
        return events

    def run(self):
        while not self.stop.is_set():
            body = json.dumps({'batch': self.batch()}).encode()
            while True:
                try:
                    status, answer, _ = self.server.request('/v1/batch', body, SERVER_KEY, timeout=5)
                    if status == 200:
                        break
                    if status not in (429, 503):
                        self.refused.append((status, answer))
                        return
                except Exception:  # noqa: BLE001  the server is down, or went down meanwhile
                    time.sleep(0.01)
                self.retries += 1


class Crash:
    def __init__(self, times, clients, seed):
        self.times, self.client_count, self.seed = times, clients, seed
        self.kills = self.stops = self.killed_starting = 0

    def kill(self, server):
        server.kill()
        self.kills += 1

    def run(self):
        self.folder = tempfile.mkdtemp(prefix='wend-crash-')
        self.programme = os.path.join(self.folder, 'programme')
        self.data = os.path.join(self.folder, 'data')
        write(self.programme, PROGRAMME)
        self.post = Post().start()
        server = Server(self.programme, self.data, self.post.port, '--snapshot-every', '500')
        server.start()
        stop = threading.Event()
        clients = [Client(n, server, stop) for n in range(self.client_count)]
        chance = random.Random(self.seed)
        start_seconds = 0.1
        try:
            for i in itertools.count():
                if self.kills == self.times:
                    break
                time.sleep(chance.uniform(0.01, 0.3))
                assert server.process.poll() is None, (server.lines, server.errors)
                if i % 16 == 15:
                    code = server.stop()
                    assert code == 0, (code, server.lines[-3:], server.errors)
                    self.stops += 1
                else:
                    self.kill(server)
                if i % 4 == 3 and self.kills < self.times:
                    server.start(expect_ready=False)
                    time.sleep(chance.uniform(0, 1.2 * start_seconds))
                    assert server.process.poll() is None, (server.lines, server.errors)
                    self.killed_starting += server.port() is None
                    self.kill(server)
                began = time.monotonic()
                server.start()
                start_seconds = time.monotonic() - began
            stop.set()
            for client in clients:
                client.thread.join(60)
                assert not client.thread.is_alive()
                assert not client.refused, client.refused
            self.people = {who: server.person(who)['traits']['value']
                           for client in clients for who in client.newest}
            assert server.stop() == 0
        finally:
            stop.set()
            if server.process.poll() is None:
                server.kill()
            self.post.stop()
        self.clients = clients
        self.sent = {unique for client in clients for unique in client.ids}
        self.report = replay(self.data)
        self.logged = self.read_log()
        print(f'{self.kills} kills, {self.killed_starting} of them before it served, {self.stops} stops, '
              f'{len(self.sent)} events, {sum(c.retries for c in clients)} retries, {self.report["duplicates"]} duplicates, '
              f'{len(self.post.mails)} mails')

    def read_log(self):
        text = subprocess.run([WEND, 'log', self.data, '--source', 'app'], capture_output=True, text=True,
                              check=True).stdout
        logged = {}
        for line in text.splitlines():
            record = json.loads(line)
            if record['type'] == 'event':
                fields = {**record['clear'], **record['personal']}
                logged[fields['unique']] = logged.get(fields['unique'], 0) + 1
        return logged

    # requirement: S252
    def no_acknowledged_event_is_lost(self):
        lost = self.sent - set(self.logged)
        assert not lost, len(lost)
        assert len(self.sent) > 10 * self.times

    def nothing_is_in_the_log_that_nobody_sent(self):
        assert not set(self.logged) - self.sent

    # requirement: S252
    def each_event_counts_once(self):
        assert self.report['events'] == sum(self.logged.values()), self.report
        assert self.report['events'] - self.report['duplicates'] == len(self.sent), self.report

    def every_person_is_as_they_last_said(self):
        for client in self.clients:
            for who, value in client.newest.items():
                assert self.people[who] == value, (who, value, self.people[who])

    def a_clean_replay_gives_the_same_results_and_states(self):
        assert self.report['hashes_compared'] >= 1, self.report
        assert self.report['results_missing'] == 0, self.report
        assert self.report['audit_faults'] == 0, self.report

    def no_mail_went_out_twice_under_one_id(self):
        ids = [mail['id'] for mail in self.post.mails]
        assert ids
        assert len(ids) == len(set(ids)), sorted(i for i in ids if ids.count(i) > 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--times', type=int, default=200)
    parser.add_argument('--clients', type=int, default=4)
    parser.add_argument('--seed', type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f'seed {options.seed}')
    crash = Crash(options.times, options.clients, options.seed)
    tests = Tests()

    def killed_again_and_again_it_comes_back_every_time():
        crash.run()

    if tests.run(killed_again_and_again_it_comes_back_every_time):
        for test in [crash.no_acknowledged_event_is_lost, crash.nothing_is_in_the_log_that_nobody_sent,
                     crash.each_event_counts_once, crash.every_person_is_as_they_last_said,
                     crash.a_clean_replay_gives_the_same_results_and_states,
                     crash.no_mail_went_out_twice_under_one_id]:
            tests.run(test)
    if not tests.failed:
        shutil.rmtree(crash.folder, ignore_errors=True)
    else:
        print(f'the data is kept in {crash.folder}')
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
