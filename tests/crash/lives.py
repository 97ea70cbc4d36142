# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: a short life of `wend serve` in which every file is written.

A life has two runs of the server over one data directory. In the first it starts where nothing was, takes
events, sends, takes snapshots, is paused and resumed, goes over to a programme that needs a backfill, forgets
a person (which closes and seals a segment), and stops with an attempt held back; in the second it starts from
that. Each event has a number. What was acknowledged is kept: `Life.holds()` says what of it is not true.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'wire', 'serve'))
from serving import SERVER_KEY, WEND, Post, Server, Tests, consent, replay, wait_for, write  # noqa: E402, F401

SHIM = os.environ.get('WEND_FAIL_SHIM', os.path.join(ROOT, 'build', 'plain', 'tests', 'crash', 'shim', 'fail.so'))

BEFORE = {
    'programme.yaml': '''
name: Lives
traits:
  first_name: {type: string}
categories:
  service: {lane: service, settle: 0s}
  news: {lane: marketing, settle: 0s}
caps:
  - {limit: 1, per: 7d}
quiet_hours: []
''',
    'journeys/welcome.yaml': '''
journey: welcome
owner: tests
enter: {event: Said, again: never}
steps:
  - send: hello
  - wait: {for: 3d}
  - send: offer
''',
    'messages/hello/message.yaml': '''
category: service
email: {subject: 'Hello {{ person.first_name }}'}
''',
    'messages/hello/email.txt.liquid': 'Dear {{ person.first_name }}, number {{ entry.number }}.',
    'messages/offer/message.yaml': '''
category: news
email: {subject: 'An offer'}
''',
    'messages/offer/email.txt.liquid': 'Buy!',
    'providers/mail.yaml': '''
kind: smtp
channel: email
slots: 2
settings:
  url: '${ENV:WEND_SMTP_URL}'
  from: 'Shop <shop@example.com>'
  security: optional
''',
}

# Asks about something that nobody kept before: its past is made from the log.
AFTER = dict(BEFORE, **{
    'journeys/often.yaml': '''
journey: often
owner: tests
enter: {event: Said, when: 'count("Said", "30d") >= 2', again: always}
steps:
  - send: offer
''',
})


class Ended(Exception):
    """The server is not there any more."""


class Life:
    """One data directory, and what was acknowledged about it."""

    KEPT_MAX = 8  # of those that went wrong: a folder has some 130 MB
    lock, led, kept = threading.Lock(), set(), 0
    are_over = False  # the test is being stopped: what ends now is not wrong

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='wend-life-')
        with Life.lock:
            Life.led.add(self)
        self.programme = os.path.join(self.folder, 'programme')
        self.data = os.path.join(self.folder, 'data')
        self.trace = os.path.join(self.folder, 'trace')
        write(self.programme, BEFORE)
        self.post = Post().start()
        self.mails = []  # of the life that this one is a copy of
        self.mark = uuid.uuid4().hex[:8]  # of this life, in everybody's address
        self.server = Server(self.programme, self.data, self.post.port, '--snapshot-every', '6')
        self.said, self.told, self.pending = 0, set(), []
        self.erased = self.changed = None

    def twin(self):
        """Another life that was the same until now, without its data; the server must not run."""
        other = Life()
        shutil.rmtree(other.programme)
        shutil.copytree(self.programme, other.programme)
        other.mails = self.mails + self.post.mails
        other.mark, other.said, other.told, other.pending = self.mark, self.said, set(self.told), list(self.pending)
        other.erased, other.changed = self.erased, self.changed
        return other

    def copy(self):
        """The same with its data."""
        other = self.twin()
        subprocess.run(['cp', '-a', '--sparse=always', self.data, other.data], check=True)
        return other

    def put_at(self, data):
        """The data directory is elsewhere."""
        self.data = self.server.data = data

    def end(self):
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        self.post.stop()
        self.forget()

    def forget(self):
        """Without it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with Life.lock:
            Life.led.discard(self)

    @staticmethod
    def forget_all(number, _):
        """Somebody stops the test: no server goes on, and no folder stays but those that were kept."""
        Life.are_over = True
        for life in list(Life.led):
            if life.server.process and life.server.process.poll() is None:
                life.server.process.kill()
                life.server.process.wait()
            shutil.rmtree(life.folder, ignore_errors=True)
        os._exit(128 + number)

    # --- what somebody does with the server ---

    def keep(self, fault, wrong):
        """Ends what still runs, and says where to look."""
        if self.server.process.poll() is None:
            self.server.kill()
        self.post.stop()
        if Life.are_over:
            self.forget()
            return
        with Life.lock:
            Life.kept += 1
            is_kept = Life.kept <= Life.KEPT_MAX
            Life.led.discard(self)
        if not is_kept:
            self.forget()
        print(f'wrong: {fault}: {"; ".join(wrong)}; ' + (f'kept in {self.folder}' if is_kept else 'not kept'))
        sys.stdout.flush()

    def start(self, orders=None):
        """Starts the server, under the shim if there are orders; whether it serves."""
        self.server.environment = {} if orders is None else dict(
            orders, LD_PRELOAD=SHIM, WEND_FAIL_BELOW=self.data, WEND_FAIL_TRACE=self.trace)
        self.server.start(expect_ready=False)
        wait_for(lambda: self.server.port() or self.server.process.poll() is not None, 60)
        return self.server.port() is not None

    def ask(self, path, body=None, timeout=20):
        """(status, answer); asks a server that lives once more, as a client would; raises Ended when it does not."""
        for _ in range(3):
            try:
                status, answer, _ = self.server.request(path, body, SERVER_KEY, timeout=timeout)
                return status, answer
            except Exception as broken:  # noqa: BLE001  nobody there, a closed connection, an answer that was cut off
                gone = broken
            if wait_for(lambda: self.server.process.poll() is not None, 3):
                break
        raise Ended() from gone

    def say(self, who, count=2, to=None):
        """Sends `count` numbered events of the person; what is not acknowledged is kept and sent again."""
        who = f'{who}-{self.mark}'
        events = [{'type': 'identify', 'userId': who, 'messageId': str(uuid.uuid4()),
                   'traits': {'email': f'{to or who}-{self.mark}@example.org', 'first_name': 'Uma'}}]
        numbers = []
        for _ in range(count):
            self.said += 1
            numbers.append(self.said)
            events.append({'type': 'track', 'userId': who, 'event': 'Said', 'messageId': str(uuid.uuid4()),
                           'properties': {'number': self.said, 'text': f'text {self.said} ' + 'x' * 40}})
        events.append(consent(who))
        self.pending.append((numbers, json.dumps({'batch': events}).encode()))
        self.say_again()

    def say_again(self):
        """Sends all that was not acknowledged; three tries each."""
        for numbers, body in list(self.pending):
            for _ in range(3):
                status, _ = self.ask('/v1/batch', body)
                assert status in (200, 429, 500, 503), status
                if status == 200:
                    self.told |= set(numbers)
                    self.pending.remove((numbers, body))
                    break

    def metric(self, name):
        _, body = self.ask('/metrics')
        return int(re.search(rf'^{name} (\d+)$', body.decode(), re.M).group(1))

    def change(self):
        """Goes over to the other programme, if it can."""
        shutil.rmtree(self.programme)
        write(self.programme, AFTER)
        status, body = self.ask('/v1/programme', b'{}')
        if status != 202:
            return
        wished = json.loads(body)['programme']

        def is_over():
            status, body = self.ask('/v1/programme')
            now = json.loads(body)
            if status == 200 and now['programme']['hash'] == wished:
                self.changed = wished
            return status == 200 and now['change'] is None

        wait_for(is_over, 20)

    def erase(self, who):
        status, _ = self.ask(f'/v1/person/erase?person={who}-{self.mark}', b'', timeout=60)
        if status == 200:
            self.erased = f'{who}-{self.mark}'
        return status

    def first_run(self, orders=None):
        """How the server ended: its exit code."""
        if not self.start(orders):
            return self.server.ended()
        try:
            self.say('stuck', 1, to='later')
            for i in range(7):
                self.say(f'p{i % 3}')
            wait_for(lambda: self.metric('wend_snapshots_total') >= 1, 1)
            for verb in ('pause', 'resume'):
                self.ask(f'/v1/journeys/welcome/{verb}', b'')
            self.change()
            for i in range(3):
                self.say(f'q{i}')
            self.erase('p1')
            self.say('r')
        except Ended:
            return self.server.ended()
        return self.server.stop()

    def second_run(self, orders=None):
        if not self.start(orders):
            return self.server.ended()
        try:
            self.say_again()
            self.say('p0')
            self.say('t')
        except Ended:
            return self.server.ended()
        return self.server.stop()

    # --- what must be true of it ---

    def reasons(self):
        """What the server said of its end."""
        return [line for line in self.server.lines + self.server.errors if ' warning: ' not in line]

    def recover(self):
        """Starts it without the shim and sends what is left; an empty list, or what is wrong."""
        if not self.start():
            return [f'it does not start again: {self.reasons()[-3:]}']
        try:
            self.say_again()
            self.say('last')
            wrong = [] if not self.pending else ['it does not take events']
            wait_for(lambda: not os.path.exists(os.path.join(self.data, 'erasing')), 20)
            if os.path.exists(os.path.join(self.data, 'erasing')):
                wrong.append('an erasure does not end')
            if self.erased and self.server.person(self.erased) is not None:
                wrong.append('who was erased is there again')
            status, body = self.ask('/v1/programme')
            if self.changed and json.loads(body)['programme']['hash'] != self.changed:
                wrong.append('the programme that was active is not')
        except Ended:
            return [f'it ended: {self.server.ended()} {self.reasons()[-3:]}']
        code = self.server.stop()
        if code != 0:
            wrong.append(f'its stop ended with {code}: {self.reasons()[-3:]}')
        return wrong + self.holds()

    def gone(self):
        """The numbers of those whose erasure is listed as completed."""
        path = os.path.join(self.data, 'erased')
        if not os.path.exists(path):
            return set()
        with open(path, encoding='ascii') as file:
            return {int(line.split()[2]) for line in file.read().splitlines()[1:]}

    def holds(self):
        """What is not as it was acknowledged, after the server has stopped."""
        wrong = []
        done = subprocess.run([WEND, 'log', self.data], capture_output=True, text=True)
        if done.returncode != 0:
            return [f'wend log: {done.returncode} {done.stderr[-300:]}']
        logged, proven = [], set()
        for line in done.stdout.splitlines():
            record = json.loads(line)
            if record['type'] == 'erase' and '$number' in record['clear']:
                proven.add(record['clear']['$profile'])
            if record['type'] == 'event' and 'number' in record.get('clear', {}):
                logged.append(record['clear']['number'])
        if not self.gone() <= proven:
            wrong.append(f'an erasure is listed, and the log has no proof of it: {sorted(self.gone() - proven)}')
        lost = self.told - set(logged)
        if lost:
            wrong.append(f'acknowledged and lost: {sorted(lost)}')
        if set(logged) - set(range(1, self.said + 1)):
            wrong.append('in the log is what nobody said')
        try:
            report = replay(self.data)
            if report['audit_faults'] or report['results_missing']:
                wrong.append(f'the replay says {report}')
            twice = len(logged) - len(set(logged))
            if report['erased_batch'] == 0 and report['duplicates'] < twice:  # else it does not begin with them
                wrong.append(f'{twice} events are in the log again, {report["duplicates"]} counted as such')
        except AssertionError as no:
            wrong.append(str(no)[-400:])
        ids = [mail['id'] for mail in self.mails + self.post.mails]
        if len(ids) != len(set(ids)):
            wrong.append('a mail went out twice under one id')
        return wrong


def traced(path):
    """The counted calls of a trace, each (call, path), and what failed; without who called."""
    calls, failed = [], []
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            for line in file:
                words = line.rstrip('\n').split(' ', 2)
                if words[0] == 'by':
                    continue
                (failed if words[0] == 'failed' else calls).append(tuple(words[1:] if words[0] == 'failed' else words))
    return calls, failed


def read_options(parser):
    """What all of these tests are told beside what is their own; ends with 2 where the shim was not built."""
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--workers', type=int, default=3)
    parser.add_argument('--loud', action='store_true')
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, Life.forget_all)
    if not os.path.exists(SHIM):
        print(f'{SHIM} is missing: make crash-shim')
        sys.exit(2)
    return options


def in_parallel(work, items, workers):
    """work(item) for each, `workers` at a time."""
    items, lock = list(items), threading.Lock()

    def run():
        while True:
            with lock:
                if not items:
                    return
                item = items.pop(0)
            work(item)

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
