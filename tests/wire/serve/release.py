#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A data directory in the hands of another release: the real program, and one that is linked with hooks
(tests/hooks/hook.c), which make it another release that names things otherwise, or decides otherwise.

Equal tail: it goes on. Other tail: it does not start, and says where and what to do. Adopted: it goes on, what was
sent is in doubt and is not sent again; over kill -9 at every place of the adoption.
Ends with `N passed, N failed, N skipped`; a name as argument runs only tests whose names contain it.
"""
import collections
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
import serving  # noqa: E402
from serving import ROOT, WEND, Post, Server, Tests, consent, event, identify, wait_for, write  # noqa: E402

OTHER = os.path.join(os.path.dirname(os.path.realpath(WEND)), 'wend-other')
SHOP = os.path.join(ROOT, 'examples', 'shop')

PROGRAMME = {
    'programme.yaml': '''
name: Release
categories:
  order: {lane: service, settle: 0s}
  news: {lane: marketing, settle: 0s}
quiet_hours: []
caps: []
''',
    'journeys/thanks.yaml': '''
journey: thanks
owner: tests
enter: {event: Order Completed, when: 'count("Order Completed", "30d") >= 1', again: always}
steps:
  - send: thanks
''',
    'journeys/news.yaml': '''
journey: news
owner: tests
enter: {event: Read, again: always}
steps:
  - send: news
''',
    'messages/thanks/message.yaml': "category: order\nemail: {subject: 'Thanks'}\n",
    'messages/thanks/email.txt.liquid': 'Thank you.',
    'messages/news/message.yaml': "category: news\nemail: {subject: 'News {{ entry.number }}'}\n",
    'messages/news/email.txt.liquid': 'There is news.',
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


def hooks(release=2, **numbers):
    """The environment of another release."""
    numbers = dict(numbers, release=release)
    return {'WEND_HOOK_' + name.upper(): str(number) for name, number in numbers.items()}


def other(command, *words, expect=0, **numbers):
    """A command of the other release: its output as JSON where it is that."""
    done = subprocess.run([OTHER, command, *words], capture_output=True, text=True,
                          env=dict(os.environ, **hooks(**numbers)))
    if done.returncode != expect:
        raise AssertionError(f'{command} {words}: {done.returncode}: {done.stdout}{done.stderr}')
    return json.loads(done.stdout) if '--json' in words and expect in (0, 1) else done.stdout + done.stderr


def own(command, *words):
    done = subprocess.run([WEND, command, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f'{command} {words}: {done.returncode}: {done.stdout}{done.stderr}')
    return json.loads(done.stdout) if '--json' in words else done.stdout


def log_of(data, *words):
    return [json.loads(line) for line in own('log', data, *words).splitlines()]


def releases(data):
    return [r for r in log_of(data) if r['type'] == 'release']


def bytes_of(folder):
    """What is in the folder: a hash of every file."""
    found = {}
    for path, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(path, name), 'rb') as file:
                found[os.path.join(path, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='wend-release-')
        self.programme = os.path.join(self.folder, 'programme')
        self.data = os.path.join(self.folder, 'data')
        write(self.programme, PROGRAMME)
        self.post = None
        self.server = None

    def served(self):
        """A server of the program's own release, and somebody who takes mail."""
        self.post = Post().start()
        self.server = Server(self.programme, self.data, self.post.port)
        return self.server.start()

    def lived(self, has_snapshot, environment=None):
        """A month of made-up customers; without its snapshot the log's whole is the tail."""
        subprocess.run([OTHER if environment else WEND, 'run', SHOP, '--data', self.data, '--people', '120',
                        '--days', '6', '--start', '2026-03-02', '--quiet'], check=True, capture_output=True,
                       env=dict(os.environ, **(environment or {})))
        if not has_snapshot:
            shutil.rmtree(os.path.join(self.data, 'snapshots'))
        return self

    def serve_as(self, programme=None, expect_ready=True, **numbers):
        """A server of another release."""
        server = Server(programme or self.programme, self.data, self.post.port if self.post else 9)
        server.environment = hooks(**numbers)
        serving.WEND = OTHER
        try:
            return server.start(expect_ready)
        finally:
            serving.WEND = WEND

    def end(self):
        if self.post:
            self.post.stop()
        shutil.rmtree(self.folder)


def attempts(data):
    """How often each attempt was granted."""
    rows = [r for r in log_of(data, '--results') if r.get('result') == 'granted']
    return collections.Counter((r['id'], r['step']) for r in rows)


def a_release_that_makes_other_names_goes_on(w):
    for has_snapshot in (False, True):
        v = World().lived(has_snapshot)
        told = other('recover', v.data, '--json', names=1)
        assert told['is_same'] is True, told
        assert has_snapshot or told['results_compared'] > 300, told
        before = own('replay', v.data, '--verify', '--json')
        server = v.serve_as(SHOP, names=1)
        assert any('this release goes on' in line for line in server.lines), server.lines
        server.send(identify('eva', email='eva@example.org'), event('eva', 'Product Viewed'))
        assert server.person('eva')['profile']
        assert server.stop() == 0
        took_over = releases(v.data)
        assert [r['clear']['$text'] for r in took_over] == ['test-2'], took_over
        assert took_over[0]['clear']['$number'] > before['batches'] - 1
        # and back again, by the release that wrote it first
        assert own('recover', v.data, '--json')['is_same'] is True
        own('replay', v.data, '--verify', '--json')
        v.end()


def a_release_that_makes_fewer_names_goes_on(w):
    w.lived(False, hooks(1, names=1))
    assert own('recover', w.data, '--json')['is_same'] is True
    assert other('recover', w.data, '--json', names=1)['is_same'] is True
    own('replay', w.data, '--verify', '--json')


def a_release_whose_features_have_other_names_reads_the_log(w):
    w.lived(True)
    told = other('recover', w.data, '--json', features=1)
    assert told['is_same'] is True and told['snapshot_batch'] == 0, told
    server = w.serve_as(SHOP, features=1)
    assert any('compiles programme' in line for line in server.lines), server.lines
    assert server.stop() == 0
    assert other('replay', w.data, '--verify', '--json', features=1)['audit_faults'] == 0


def a_tail_that_comes_out_otherwise_is_refused(w):
    w.lived(False)
    before = bytes_of(os.path.join(w.data, 'log'))
    server = w.serve_as(SHOP, expect_ready=False, decision=3)
    assert server.ended() == 4, server.errors
    said = json.loads(server.errors[-1])['message']
    for word in ('batch ', 'row ', 'in the log', 'here', f'wend recover {w.data}'):
        assert word in said, (word, said)
    assert bytes_of(os.path.join(w.data, 'log')) == before
    told = other('recover', w.data, '--json', decision=3, expect=1)
    assert told['is_same'] is False and told['difference']['kept'] > 0, told
    assert str(told['difference']['batch']) in said, (told, said)
    assert 'wend recover' in other('recover', w.data, decision=3, expect=1)
    assert not releases(w.data)


def a_claim_that_does_not_hold_names_the_batch(w):
    w.lived(False)
    for command in ('recover', 'replay'):
        said = other(command, w.data, expect=-6, claim=100)
        assert 'does not hold' in said and 'while batch 100 of the log' in said, said
    assert own('recover', w.data, '--json')['is_same'] is True


def a_tail_that_comes_out_otherwise_is_adopted(w):
    w.lived(False)
    told = other('recover', w.data, '--adopt', '--reason', 'caps are right now', '--json', decision=3)
    assert told['is_adopted'] is True, told
    adopted, *rest = releases(w.data)
    assert adopted['clear']['$number'] == told['difference']['batch'], adopted
    assert adopted['clear']['$detail'] == 'caps are right now', adopted
    kept = [r for r in rest if '$decision' in r['clear']]
    assert len(kept) == told['difference']['kept'] + told['difference']['undone'] > 0
    assert rest[-1]['clear']['$text'] == 'test-2'
    server = w.serve_as(SHOP, decision=3)
    time.sleep(0.5)
    assert server.stop() == 0
    verified = other('replay', w.data, '--verify', '--json', decision=3)
    assert verified['results_differ'] > 0 and verified['audit_faults'] == 0, verified
    assert max(attempts(w.data).values()) == 1
    # The one before takes it back: what it would have done otherwise lies behind a snapshot.
    assert own('recover', w.data, '--json')['is_same'] is True


def an_adoption_outlives_kill_9(w):
    for place in (1, 2, 3, 4):
        v = World().lived(False)
        other('recover', v.data, '--adopt', expect=-9, decision=3, stop=place)
        if place == 1:
            assert not releases(v.data)
            other('recover', v.data, expect=1, decision=3)
            other('recover', v.data, '--adopt', decision=3)
        else:
            assert len(releases(v.data)) > 1
        server = v.serve_as(SHOP, decision=3)
        time.sleep(0.3)
        assert server.stop() == 0
        assert other('replay', v.data, '--verify', '--json', decision=3)['audit_faults'] == 0
        assert max(attempts(v.data).values()) == 1
        assert sum(1 for r in releases(v.data) if r['clear'].get('$text') == 'test-2') == 2
        v.end()


def a_takeover_outlives_kill_9(w):
    for place in (2, 3, 4):
        v = World().lived(False)
        server = v.serve_as(SHOP, expect_ready=False, names=1, stop=place)
        assert server.ended() == -9
        server = v.serve_as(SHOP, names=1)
        assert server.stop() == 0
        assert len(releases(v.data)) == 1
        other('replay', v.data, '--verify', '--json', names=1)
        v.end()


def mail_of_the_release_before_is_not_sent_again(w):
    """Decisions of a live server that the next release would not have made: the mail is there, and stays one."""
    server = w.served()
    people = [f'p{i}' for i in range(24)]
    for who in people:
        server.send(identify(who, email=f'{who}@example.org'), consent(who), event(who, 'Read', number=1))
    assert wait_for(lambda: len(w.post.mails) == len(people)), len(w.post.mails)
    wait_for(lambda: server.receipts('accepted') == len(people))
    server.kill()
    told = other('recover', w.data, '--adopt', '--json', decision=3)
    assert 0 < told['difference']['kept'] < len(people), told
    after = w.serve_as(decision=3)
    for who in people:
        after.send(event(who, 'Order Completed'))
    time.sleep(2)
    news = collections.Counter(m['to'] for m in w.post.mails if m['subject'].startswith('News'))
    assert max(news.values()) == 1 and len(news) == len(people), news
    doubted = [who for who in people
               if any('in_doubt' in json.dumps(line) or 'in doubt' in json.dumps(line)
                      for line in after.why(who)['past'])]
    assert len(doubted) == told['difference']['kept'], (doubted, told)
    assert after.stop() == 0
    assert max(attempts(w.data).values()) == 1


def what_waited_to_be_sent_is_sent_by_the_next_release(w):
    """A mail that nobody took before a stop in order is kept over the change of release."""
    server = w.served()
    w.post.stop()
    server.send(identify('ann', email='ann@example.org'), event('ann', 'Order Completed'))
    wait_for(lambda: server.metrics().get('wend_actions_total', 0) > 0, 5)
    time.sleep(0.5)
    assert server.stop() == 0
    assert os.path.exists(os.path.join(w.data, 'held'))
    w.post.start()
    after = w.serve_as(names=1)
    assert len(w.post.wait('ann@example.org', count=1, seconds=30)) == 1
    time.sleep(1)
    assert len(w.post.of('ann@example.org')) == 1
    assert after.receipts('in_doubt') == 0
    assert after.stop() == 0


def the_version_names_every_format(w):
    told = own('version', '--json')
    assert set(told['formats']) >= {'log', 'record', 'result', 'snapshot', 'state', 'backfill', 'held',
                                    'zoneset', 'programme'}, told
    assert len(told['sources']) == 64 and all(v > 0 for v in told['formats'].values())
    w.lived(False)
    server = w.serve_as(SHOP, release=0)
    assert server.stop() == 0
    assert releases(w.data)[0]['clear']['$release'] == told['sources']


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ''
    tests = Tests()
    for test in (a_release_that_makes_other_names_goes_on, a_release_that_makes_fewer_names_goes_on,
                 a_release_whose_features_have_other_names_reads_the_log,
                 a_claim_that_does_not_hold_names_the_batch, a_tail_that_comes_out_otherwise_is_refused, a_tail_that_comes_out_otherwise_is_adopted,
                 an_adoption_outlives_kill_9, a_takeover_outlives_kill_9,
                 mail_of_the_release_before_is_not_sent_again,
                 what_waited_to_be_sent_is_sent_by_the_next_release, the_version_names_every_format):
        if wanted not in test.__name__:
            continue
        world = World()
        tests.run(test, world)
        if world.server and world.server.process and world.server.process.poll() is None:
            world.server.kill()
        world.end()
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
