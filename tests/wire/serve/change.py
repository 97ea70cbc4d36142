#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A running `wend serve` goes over to another programme: by request, by signal, at a start, and over kills.

The programme counts orders; the one it is changed for asks about carts, which nobody kept before. Whether
the past of carts was filled in is told by who gets a mail: "You left three carts" wants three of them.
Ends with `N passed, N failed, N skipped`; a name as argument runs only tests whose names contain it.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
from serving import (SERVER_KEY, WEND, WRITE_KEY, Post, Server, Tests, event, identify, replay, wait_for,  # noqa: E402
                     write)

BASE = {
    'programme.yaml': '''
name: Change
categories:
  service: {lane: service, settle: 0s}
quiet_hours: []
''',
    'journeys/thanks.yaml': '''
journey: thanks
owner: tests
enter: {event: Order Completed, when: 'count("Order Completed", "30d") >= 2', again: always}
steps:
  - send: thanks
''',
    'journeys/slow.yaml': '''
journey: slow
owner: tests
enter: {event: Started, again: always}
steps:
  - wait: {until: {event: Go On}}
  - send: thanks
''',
    'messages/thanks/message.yaml': '''
category: service
email: {subject: 'Thanks'}
''',
    'messages/thanks/email.txt.liquid': 'Thank you.',
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

CARTS = dict(BASE, **{
    'journeys/carts.yaml': '''
journey: carts
owner: tests
enter: {event: Cart Updated, when: 'count("Cart Updated", "30d") >= 3', again: always}
steps:
  - send: carts
''',
    'journeys/slow.yaml': '''
journey: slow
owner: tests
enter: {event: Started, again: always}
steps:
  - wait: {until: {event: Go On}}
  - send: carts
''',
    'messages/carts/message.yaml': '''
category: service
email: {subject: 'You left three carts'}
''',
    'messages/carts/email.txt.liquid': 'Come back.',
})

# Asks about pages: what was prepared for carts is then to be given up.
PAGES = dict(BASE, **{
    'journeys/pages.yaml': '''
journey: pages
owner: tests
enter: {event: Visited, when: 'count("Visited", "30d") >= 2', again: always}
steps:
  - send: thanks
''',
})

BROKEN = dict(CARTS, **{
    'journeys/carts.yaml': CARTS['journeys/carts.yaml'].replace('send: carts', 'send: cart'),
})


class World:
    def __init__(self, programme=None, *options):
        self.folder = tempfile.mkdtemp(prefix='wend-change-')
        self.programme = os.path.join(self.folder, 'programme')
        self.data = os.path.join(self.folder, 'data')
        self.put(programme or BASE)
        self.post = Post().start()
        self.server = Server(self.programme, self.data, self.post.port, *options)

    def put(self, programme):
        shutil.rmtree(self.programme, ignore_errors=True)
        write(self.programme, programme)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        self.post.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def people(self, count, carts=2):
        events = []
        for i in range(count):
            who = f'u{i}'
            events.append(identify(who, email=f'{who}@example.org'))
            events += [event(who, 'Cart Updated', cart_id=str(k)) for k in range(carts)]
        for first in range(0, len(events), 100):
            self.server.send(*events[first:first + 100])

    def status(self, people=False):
        status, body, _ = self.server.request('/v1/programme' + ('?people=yes' if people else ''),
                                              key=SERVER_KEY, timeout=60)
        assert status == 200, (status, body)
        return json.loads(body)

    def change(self, wish=None, expect=202):
        status, body, _ = self.server.request('/v1/programme', json.dumps(wish or {}).encode(), SERVER_KEY,
                                              method='POST', timeout=60)
        assert status == expect, (status, body)
        return json.loads(body)

    def wait_active(self, programme_hash):
        assert wait_for(lambda: self.is_active(programme_hash), 30), self.status()

    def is_active(self, programme_hash):
        status = self.status()
        return status['programme']['hash'] == programme_hash and status['change'] is None


def kinds(answer, kind):
    return {(row['how'], row['name']) for row in answer['changes'] if row['kind'] == kind}


# --- changing while it runs ------------------------------------------------------------------------------


def a_programme_that_asks_about_something_new_knows_the_past():
    with World() as w:
        w.server.start()
        w.people(5)
        w.put(CARTS)
        answer = w.change()
        assert answer['is_begun'] is True
        assert kinds(answer, 'journey') == {('new', 'carts'), ('changed', 'slow')}, answer
        assert len(kinds(answer, 'kept')) >= 1 and all(how == 'new' for how, _ in kinds(answer, 'kept'))
        w.wait_active(answer['programme'])
        w.server.send(event('u3', 'Cart Updated', cart_id='9'))
        assert w.post.wait('u3@example.org', 'You left three carts')
        assert w.server.stop() == 0
        assert not w.post.of('u1@example.org')
        replay(w.data)


def what_happens_during_the_change_counts_once():
    with World() as w:
        w.server.start()
        w.people(300, carts=1)
        w.put(CARTS)
        answer = w.change()
        w.server.send(*[event(f'u{i}', 'Cart Updated', cart_id='d') for i in range(0, 40)])
        w.wait_active(answer['programme'])
        assert not w.post.mails
        w.server.send(*[event(f'u{i}', 'Cart Updated', cart_id='e') for i in range(0, 80)])
        assert wait_for(lambda: len(w.post.mails) >= 40)
        w.server.send(event('u79', 'Cart Updated', cart_id='f'))
        assert w.post.wait('u79@example.org')
        assert sorted(m['to'] for m in w.post.mails) == sorted([f'u{i}@example.org' for i in range(40)] +
                                                               ['u79@example.org'])
        assert w.server.stop() == 0
        replay(w.data)


def a_signal_reads_the_folder_again():
    with World() as w:
        w.server.start()
        w.people(3)
        before = w.status()['programme']['hash']
        w.server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert w.status()['programme']['hash'] == before
        w.put(CARTS)
        w.server.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: w.status()['programme']['hash'] != before)
        w.server.send(event('u0', 'Cart Updated', cart_id='9'))
        assert w.post.wait('u0@example.org', 'You left three carts')
        assert w.server.stop() == 0
        replay(w.data)


def a_folder_with_errors_changes_nothing_and_says_what_and_where():
    with World() as w:
        w.server.start()
        w.people(2)
        before = w.status()['programme']
        w.put(BROKEN)
        answer = w.change(expect=422)
        assert answer['code'] == 'programme_has_errors', answer
        first = [f for f in answer['findings'] if f['severity'] == 'error'][0]
        assert first['file'] == 'journeys/carts.yaml' and first['line'] > 0 and 'cart' in first['text'], first
        assert 'journeys/carts.yaml' in answer['message']
        assert w.status()['programme'] == before and w.status()['change'] is None
        w.server.process.send_signal(signal.SIGHUP)
        assert wait_for(lambda: any('nothing was changed' in line and 'journeys/carts.yaml' in line
                                    for line in w.server.lines[-3:]))
        os.rename(w.programme, w.programme + '.gone')  # at once: the signal's turn may be yet to come
        assert w.change(expect=422)['code'] == 'no_programme'
        assert w.status()['programme'] == before
        w.server.send(event('u0', 'Order Completed'), event('u0', 'Order Completed'))
        assert w.post.wait('u0@example.org', 'Thanks')
        assert w.server.stop() == 0
        replay(w.data)


def who_is_under_way_keeps_the_steps_they_began_with():
    with World() as w:
        w.server.start()
        w.people(2)
        w.server.send(event('u0', 'Started'))
        w.put(CARTS)
        w.wait_active(w.change()['programme'])
        w.server.send(event('u1', 'Started'))
        assert wait_for(lambda: len(w.status(people=True)['in_flight']) == 2)
        flights = {(x['journey'], x['version'], x['is_newest'], x['people'])
                   for x in w.status(people=True)['in_flight']}
        assert flights == {('slow', 1, False, 1), ('slow', 2, True, 1)}, flights
        w.server.send(event('u0', 'Go On'), event('u1', 'Go On'))
        assert w.post.wait('u0@example.org', 'Thanks')
        assert w.post.wait('u1@example.org', 'You left three carts')
        assert w.server.stop() == 0
        replay(w.data)


def only_a_server_key_may_look_and_change():
    with World() as w:
        w.server.start()
        for method in ('GET', 'POST'):
            assert w.server.request('/v1/programme', b'' if method == 'POST' else None, method=method)[0] == 401
            assert w.server.request('/v1/programme', b'' if method == 'POST' else None, WRITE_KEY,
                                    method=method)[0] == 403
        assert w.server.request('/v1/programme', b'{', SERVER_KEY, method='POST')[0] == 400
        assert w.server.request('/v1/programme', b'{"programme": "abc"}', SERVER_KEY, method='POST')[0] == 400
        assert w.change({'programme': '0' * 64}, expect=422)['code'] == 'no_programme'
        assert w.server.stop() == 0


def looking_says_what_would_change_and_changes_nothing():
    with World() as w:
        w.server.start()
        before = w.status()['programme']
        w.put(CARTS)
        answer = w.change({'check': True}, expect=200)
        assert answer['is_begun'] is False and kinds(answer, 'journey')
        time.sleep(0.2)
        assert w.status()['programme'] == before and w.status()['last_change']['programme'] == before['hash']
        assert w.server.stop() == 0
        assert not os.path.exists(os.path.join(w.data, 'programmes', answer['programme']))


def another_provider_is_used_at_once():
    with World() as w:
        w.server.start()
        w.people(1)
        w.server.send(event('u0', 'Order Completed'), event('u0', 'Order Completed'))
        assert w.post.wait('u0@example.org', 'Thanks')
        other = Post().start()
        try:
            w.put(dict(BASE, **{'providers/mail.yaml': BASE['providers/mail.yaml'].replace(
                '${ENV:WEND_SMTP_URL}', f'smtp://127.0.0.1:{other.port}')}))
            w.wait_active(w.change()['programme'])
            w.server.send(event('u0', 'Order Completed'))
            assert other.wait('u0@example.org', 'Thanks')
            assert len(w.post.mails) == 1
            # A provider whose secret cannot be had is told before anything happens.
            w.put(dict(BASE, **{'providers/mail.yaml': BASE['providers/mail.yaml'].replace(
                'WEND_SMTP_URL', 'WEND_NOWHERE')}))
            assert 'WEND_NOWHERE' in w.change(expect=422)['message']
        finally:
            other.stop()
        assert w.server.stop() == 0


# --- at a start ------------------------------------------------------------------------------------------


def a_start_with_another_folder_knows_the_past():
    with World() as w:
        w.server.start()
        w.people(4)
        assert w.server.stop() == 0
        w.put(CARTS)
        w.server.start()
        assert wait_for(lambda: w.status()['change'] is None)
        w.server.send(event('u2', 'Cart Updated', cart_id='9'))
        assert w.post.wait('u2@example.org', 'You left three carts')
        assert w.server.stop() == 0
        replay(w.data)


def an_imported_past_counts_for_the_first_programme():
    with World() as w:
        w.put(CARTS)
        lines = [identify('u1', email='u1@example.org'), event('u1', 'Cart Updated', cart_id='1'),
                 event('u1', 'Cart Updated', cart_id='2')]
        path = os.path.join(w.folder, 'old.ndjson')
        with open(path, 'w', encoding='utf-8') as file:
            for line in lines:
                file.write(json.dumps(line) + '\n')
        done = subprocess.run([WEND, 'import', w.data, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        w.server.start()
        w.server.send(event('u1', 'Cart Updated', cart_id='3'))
        assert w.post.wait('u1@example.org', 'You left three carts')
        assert w.server.stop() == 0
        replay(w.data)


def a_backfill_is_removed_when_every_snapshot_has_it():
    with World(None, '--snapshot-every', '5') as w:
        backfills = os.path.join(w.data, 'backfills')
        w.server.start()
        w.people(20, carts=2)
        w.put(CARTS)
        w.wait_active(w.change()['programme'])
        assert len(os.listdir(backfills)) >= 1

        def nothing_is_left():
            w.server.send(event('u1', 'Looked Around'))
            return not os.listdir(backfills)
        assert wait_for(nothing_is_left, 40, every=0.1)
        w.server.kill()
        w.server.start()
        w.server.send(event('u1', 'Cart Updated', cart_id='3'))
        assert w.post.wait('u1@example.org', 'You left three carts')
        assert w.server.stop() == 0
        replay(w.data)
        assert not os.listdir(backfills), 'a replay makes it again in memory'


# --- kills -----------------------------------------------------------------------------------------------


def a_kill_at_any_moment_of_a_change_loses_and_doubles_nothing():
    for moment in range(8):
        with World(None, '--snapshot-every', '7') as w:
            w.server.start()
            w.people(60, carts=1)
            w.put(CARTS)
            answer = w.change()
            time.sleep(moment * 0.004)
            sent = 0
            if moment % 2:
                w.server.send(*[event(f'u{i}', 'Cart Updated', cart_id='d') for i in range(30)])
                sent = 30
            w.server.kill()
            if moment == 5:
                shutil.rmtree(os.path.join(w.data, 'backfills'), ignore_errors=True)
            w.server.start()
            w.wait_active(answer['programme'])
            w.server.send(*[event(f'u{i}', 'Cart Updated', cart_id='e') for i in range(60)])
            wait_for(lambda: len(w.post.mails) >= sent, 20)
            w.server.send(*[event(f'u{i}', 'Cart Updated', cart_id='f') for i in range(sent, 60)])
            wait_for(lambda: len(w.post.mails) >= 60, 20)
            assert sorted(m['to'] for m in w.post.mails) == sorted(f'u{i}@example.org' for i in range(60)), \
                (moment, len(w.post.mails))
            assert w.server.stop() == 0
            replay(w.data)
            # The backfill can be made again from the log.
            shutil.rmtree(os.path.join(w.data, 'backfills'), ignore_errors=True)
            replay(w.data)


def long_past(w, people=2000, events=60000):
    """So much that a backfill takes a moment: everybody has the same number of carts and visits."""
    path = os.path.join(w.folder, 'past.ndjson')
    with open(path, 'w', encoding='utf-8') as file:
        for i in range(people):
            file.write(f'{{"type":"identify","userId":"u{i}","traits":{{"email":"u{i}@example.org"}},'
                       f'"messageId":"i{i}"}}\n')
        for i in range(events):
            name = ('Cart Updated', 'Visited', 'Calm')[min(i // people, 2)]
            file.write(f'{{"type":"track","userId":"u{i % people}","event":"{name}","messageId":"e{i}"}}\n')
    done = subprocess.run([WEND, 'import', w.data, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def a_kill_during_a_backfill_begins_it_anew():
    with World() as w:
        long_past(w)
        w.server.start()
        w.put(CARTS)
        wanted = w.change()['programme']
        assert wait_for(lambda: (w.status()['change'] or {}).get('phase') == 'backfilling', every=0.001)
        w.server.send(*[event(f'u{i}', 'Cart Updated') for i in range(3)])
        w.server.kill()
        w.server.start()
        # It serves under the old programme meanwhile, and goes over by itself.
        w.wait_active(wanted)
        assert len(os.listdir(os.path.join(w.data, 'backfills'))) >= 1
        w.server.send(*[event(f'u{i}', 'Cart Updated') for i in range(6)])
        assert wait_for(lambda: len(w.post.mails) >= 3)
        time.sleep(0.2)
        assert sorted(m['to'] for m in w.post.mails) == [f'u{i}@example.org' for i in range(3)], w.post.mails
        assert w.server.stop() == 0
        replay(w.data)


def another_programme_takes_the_place_of_one_that_is_filled_in():
    with World() as w:
        long_past(w, events=300000)
        w.server.start()
        w.put(CARTS)
        w.change()
        assert wait_for(lambda: (w.status()['change'] or {}).get('phase') == 'backfilling', every=0.001)
        again = w.change()
        assert again['is_begun'] is True
        w.put(PAGES)
        wanted = w.change()['programme']
        w.wait_active(wanted)
        w.server.send(event('u7', 'Visited'))
        assert w.post.wait('u7@example.org', 'Thanks')
        w.put(BASE)
        w.change()
        assert wait_for(lambda: w.status()['change'] is None)
        assert w.server.stop() == 0
        replay(w.data)


def what_is_prepared_is_given_up_for_another_folder():
    with World() as w:
        w.server.start()
        w.people(40, carts=1)
        w.server.send(*[event('u1', 'Visited') for _ in range(1)])
        w.put(CARTS)
        w.change()
        w.server.kill()
        w.put(PAGES)
        w.server.start()
        assert wait_for(lambda: w.status()['change'] is None)
        w.server.send(event('u1', 'Visited'))
        assert w.post.wait('u1@example.org', 'Thanks')
        w.put(BASE)
        w.wait_active(w.change()['programme'])
        # Kept, given up, and asked for again: counted once.
        w.server.send(*[event(f'u{i}', 'Cart Updated', cart_id='g') for i in range(2)])
        w.put(CARTS)
        w.wait_active(w.change()['programme'])
        before = len(w.post.mails)
        w.server.send(event('u0', 'Cart Updated', cart_id='h'), event('u5', 'Cart Updated', cart_id='h'))
        assert w.post.wait('u0@example.org', 'You left three carts')
        assert len(w.post.mails) == before + 1, w.post.mails
        assert w.server.stop() == 0
        replay(w.data)


# --- the command -----------------------------------------------------------------------------------------


def activate(w, *options):
    done = subprocess.run([WEND, 'activate', w.data, w.programme, '--json', *options], capture_output=True,
                          text=True, timeout=60)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def the_command_changes_a_server_that_runs():
    with World() as w:
        w.server.start()
        w.people(3)
        w.put(CARTS)
        url = f'http://127.0.0.1:{w.server.port()}'
        code, answer, errors = activate(w, '--url', url, '--key', SERVER_KEY, '--check')
        assert code == 0 and answer['is_active'] is False and answer['changes'], (code, answer, errors)
        code, answer, errors = activate(w, '--url', url, '--key', SERVER_KEY)
        assert code == 0 and answer['is_active'] is True, (code, answer, errors)
        assert w.status()['programme']['hash'] == answer['programme']
        w.server.send(event('u0', 'Cart Updated', cart_id='9'))
        assert w.post.wait('u0@example.org', 'You left three carts')
        code, answer, errors = activate(w, '--url', url, '--key', SERVER_KEY)
        assert code == 0 and answer['changes'] == [], (code, answer, errors)
        code, answer, errors = activate(w, '--url', url, '--key', 'wrong')
        assert code == 4 and 'key' in errors, (code, answer, errors)
        w.put(BROKEN)
        code, answer, errors = activate(w, '--url', url, '--key', SERVER_KEY)
        assert code == 3 and 'journeys/carts.yaml' in errors, (code, answer, errors)
        assert w.server.stop() == 0
        replay(w.data)


def the_command_changes_a_directory_that_nobody_serves():
    with World() as w:
        w.server.start()
        w.people(3)
        assert w.server.stop() == 0
        w.put(CARTS)
        code, answer, errors = activate(w, '--check')
        assert code == 0 and answer['is_active'] is False, (code, answer, errors)
        code, answer, errors = activate(w)
        assert code == 0 and answer['is_active'] is True, (code, answer, errors)
        replay(w.data)
        w.server.start()
        assert w.status()['programme']['hash'] == answer['programme']
        w.server.send(event('u0', 'Cart Updated', cart_id='9'))
        assert w.post.wait('u0@example.org', 'You left three carts')
        assert w.server.stop() == 0
        replay(w.data)


TESTS = [
    a_programme_that_asks_about_something_new_knows_the_past,
    what_happens_during_the_change_counts_once,
    a_signal_reads_the_folder_again,
    a_folder_with_errors_changes_nothing_and_says_what_and_where,
    who_is_under_way_keeps_the_steps_they_began_with,
    only_a_server_key_may_look_and_change,
    looking_says_what_would_change_and_changes_nothing,
    another_provider_is_used_at_once,
    a_start_with_another_folder_knows_the_past,
    an_imported_past_counts_for_the_first_programme,
    a_kill_at_any_moment_of_a_change_loses_and_doubles_nothing,
    a_backfill_is_removed_when_every_snapshot_has_it,
    a_kill_during_a_backfill_begins_it_anew,
    another_programme_takes_the_place_of_one_that_is_filled_in,
    what_is_prepared_is_given_up_for_another_folder,
    the_command_changes_a_server_that_runs,
    the_command_changes_a_directory_that_nobody_serves,
]


def main():
    tests = Tests()
    for test in TESTS:
        if len(sys.argv) < 2 or sys.argv[1] in test.__name__.replace('_', ' '):
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
