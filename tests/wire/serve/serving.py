# SPDX-License-Identifier: Apache-2.0
"""What the tests of `wend serve` share: the server as a process, an SMTP server, a client, a count.

The client speaks as Segment's clients do: Basic authorization with the write key, batches, message ids.
"""
import base64
import email
import email.policy
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import uuid

from aiosmtpd.controller import Controller

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
WEND = os.environ.get('WEND', os.path.join(ROOT, 'wend'))
WRITE_KEY, SERVER_KEY = 'wk_test', 'sk_test'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(what, seconds=15, every=0.02):
    """Waits until what() is true and answers it; the last answer when the time is up."""
    until = time.monotonic() + seconds
    while True:
        found = what()
        if found or time.monotonic() > until:
            return found
        time.sleep(every)


class Server:
    """A `wend serve`, with the journal's lines as they come."""

    def __init__(self, programme, data, smtp_port, *options, keys=True):
        self.programme, self.data, self.smtp_port = programme, data, smtp_port
        self.options = list(options)
        if keys:
            self.options += ['--write-key', WRITE_KEY + '=web', '--server-key', SERVER_KEY + '=app']
        self.lines, self.errors, self.process = [], [], None
        self.environment = {}

    def start(self, expect_ready=True):
        environment = dict(os.environ, WEND_SMTP_URL=f'smtp://127.0.0.1:{self.smtp_port}',
                           **self.environment)
        self.lines, self.errors = [], []
        self.process = subprocess.Popen(
            [WEND, 'serve', self.programme, '--data', self.data, '--listen', '127.0.0.1:0', '--json',
             *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
        self.threads = [
            threading.Thread(target=self.read, args=(self.process.stdout, self.lines), daemon=True),
            threading.Thread(target=self.read, args=(self.process.stderr, self.errors), daemon=True)]
        for thread in self.threads:
            thread.start()
        if expect_ready:
            ready = wait_for(lambda: self.port() or self.process.poll() is not None, 60)
            if ready is True or not ready:
                raise RuntimeError(f'wend serve ended: {self.errors}')
        return self

    @staticmethod
    def read(pipe, lines):
        for line in pipe:
            lines.append(line.rstrip('\n'))

    def port(self):
        for line in self.lines:
            hit = re.search(r'listening on http://127\.0\.0\.1:(\d+)', line)
            if hit:
                return int(hit.group(1))
        return None

    def ended(self, seconds=60):
        code = self.process.wait(seconds)
        for thread in self.threads:
            thread.join()
        return code

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self):
        self.process.kill()
        return self.ended()

    def request(self, path, body=None, key=None, headers=(), method=None, timeout=10):
        """(status, body, headers); connection errors are raised."""
        request = urllib.request.Request(f'http://127.0.0.1:{self.port()}{path}', data=body, method=method)
        request.add_header('Content-Type', 'application/json')
        if key is not None:
            request.add_header('Authorization',
                               'Basic ' + base64.b64encode((key + ':').encode()).decode())
        for name, value in headers:
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read(), refused.headers

    def send(self, *events, key=SERVER_KEY):
        status, body, _ = self.request('/v1/batch', json.dumps({'batch': list(events)}).encode(), key)
        assert status == 200, (status, body)
        assert json.loads(body)['success'] is True, body

    def metrics(self):
        _, body, _ = self.request('/metrics')
        return {name: int(value) for name, value in
                re.findall(r'^([a-z_]+(?:\{[^}]*\})?) (\d+)$', body.decode(), re.M)}

    def receipts(self, kind):
        return self.metrics()[f'wend_receipts_total{{kind="{kind}"}}']

    def person(self, who):
        status, body, _ = self.request(f'/v1/person?person={who}', key=SERVER_KEY)
        return json.loads(body) if status == 200 else None

    def why(self, who):
        _, body, _ = self.request(f'/v1/why?person={who}', key=SERVER_KEY)
        return json.loads(body)


def event(who, name, message=None, **properties):
    return {'type': 'track', 'userId': who, 'event': name, 'properties': properties,
            'messageId': message or str(uuid.uuid4())}


def identify(who, **traits):
    return {'type': 'identify', 'userId': who, 'traits': traits, 'messageId': str(uuid.uuid4())}


def consent(who, status='granted', channel='email'):
    return event(who, 'Consent Changed', channel=channel, status=status, purpose='marketing')


class Post:
    """An SMTP server that keeps mails, and behaves as the recipient's name says: `slow` is answered
    late, `stuck` not before the test lets go, `later` is put off until then."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.mails, self.controller = [], None
        self.begun = []
        self.let_go = threading.Event()

    def start(self):
        self.controller = Controller(self, hostname='127.0.0.1', port=self.port)
        self.controller.start()
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
        self.controller = None

    async def handle_DATA(self, server, session, envelope):
        import asyncio
        to = envelope.rcpt_tos[0]
        self.begun.append(to)
        if to.startswith('slow'):
            await asyncio.sleep(0.5)
        while to.startswith('stuck') and not self.let_go.is_set():
            await asyncio.sleep(0.02)
        if to.startswith('later') and not self.let_go.is_set():
            return '451 try again later'
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append({'to': to, 'subject': str(message['subject']), 'id': str(message['message-id']),
                           'text': message.get_body(('plain',)).get_content().strip(),
                           'raw': envelope.content})
        return '250 2.0.0 kept'

    def of(self, who, subject=None):
        return [m for m in self.mails
                if m['to'] == who and (subject is None or m['subject'].startswith(subject))]

    def wait(self, who, subject=None, count=1, seconds=15):
        wait_for(lambda: len(self.of(who, subject)) >= count, seconds)
        return self.of(who, subject)


class Mischief:
    """Makes a server's clock jump and its disk fail (mischief.c)."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, 'mischief')
        os.makedirs(self.folder)
        self.library = os.path.join(self.folder, 'mischief.so')
        source = os.path.join(os.path.dirname(__file__), 'mischief.c')
        subprocess.run(['cc', '-shared', '-fPIC', '-o', self.library, source, '-ldl'], check=True)

    def environment(self):
        return {'LD_PRELOAD': self.library, 'WEND_MISCHIEF': self.folder}

    def clock(self, seconds):
        path = os.path.join(self.folder, 'clock')
        with open(path + '.new', 'w', encoding='ascii') as file:
            file.write(str(seconds))
        os.rename(path + '.new', path)

    def disk(self, fails):
        path = os.path.join(self.folder, 'disk')
        if fails:
            open(path, 'w', encoding='ascii').close()
        elif os.path.exists(path):
            os.remove(path)


class Tests:
    """Runs functions whose names are sentences; prints the summary that tests/suites.def counts."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def run(self, test, *arguments):
        name = test.__name__.replace('_', ' ')
        began = time.monotonic()
        try:
            reason = test(*arguments)
        except Exception:
            self.failed += 1
            print(f'not ok - {name}')
            traceback.print_exc(file=sys.stdout)
            return False
        if isinstance(reason, str):
            self.skipped += 1
            print(f'skipped: {name} ({reason})')
        else:
            self.passed += 1
            print(f'ok - {name} ({time.monotonic() - began:.1f} s)')
        sys.stdout.flush()
        return True

    def end(self):
        print(f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped')
        return 1 if self.failed or not self.passed else 0


def replay(data):
    """`wend replay --verify` as a dictionary; raises where anything does not agree."""
    done = subprocess.run([WEND, 'replay', data, '--verify', '--json'], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f'wend replay: {done.returncode}: {done.stdout}{done.stderr}')
    return json.loads(done.stdout)


def write(folder, files):
    for path, text in files.items():
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
