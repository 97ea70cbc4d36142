#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`wend serve` from outside: events over HTTP in, mails over SMTP out, restarts and crashes between.

Each test has its own data directory. Ends with `N passed, N failed, N skipped`; a name as argument runs
only tests whose names contain it.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(__file__))
from serving import (ROOT, SERVER_KEY, WEND, WRITE_KEY, Mischief, Post, Server, Tests, consent, event,  # noqa: E402
                     identify, replay, wait_for, write)

PROGRAMME = {
    'programme.yaml': '''
name: Test shop
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
enter: {event: Signed Up, again: never}
steps:
  - send: hello
  - send: offer
''',
    'journeys/trial.yaml': '''
journey: trial
owner: tests
enter: {event: Trial Started, again: always}
steps:
  - wait: {for: 2s}
  - send: trial
''',
    'journeys/promotion.yaml': '''
journey: promotion
owner: tests
enter: {event: Promoted, again: always}
steps:
  - send: promotion
''',
    'messages/hello/message.yaml': '''
category: service
email: {subject: 'Hello {{ person.first_name }}'}
''',
    'messages/hello/email.txt.liquid':
        'Dear {{ person.first_name }}, your plan is {{ entry.plan | upcase }}.',
    'messages/offer/message.yaml': '''
category: news
email: {subject: 'An offer'}
''',
    'messages/offer/email.txt.liquid': 'Buy, {{ person.first_name }}!',
    'messages/promotion/message.yaml': '''
category: news
email: {subject: 'A promotion'}
''',
    'messages/promotion/email.txt.liquid': 'Buy more, {{ person.first_name }}!',
    'messages/trial/message.yaml': '''
category: service
email: {subject: 'Your trial'}
''',
    'messages/trial/email.txt.liquid': 'Try it, {{ person.first_name }}.',
    'journeys/clock.yaml': '''
journey: clock
owner: tests
enter: {event: Asked Time, again: always}
steps:
  - send: clock
''',
    'messages/clock/message.yaml': '''
category: service
email: {subject: 'Clock'}
''',
    'messages/clock/email.txt.liquid': 'Offset {{ "now" | date: "%z" }}',
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


class World:
    """A programme, a data directory, an SMTP server and a server that is not started yet."""

    def __init__(self, *options, has_post=True, programme=PROGRAMME, keys=True):
        self.folder = tempfile.mkdtemp(prefix='wend-serve-')
        self.programme = os.path.join(self.folder, 'programme')
        self.data = os.path.join(self.folder, 'data')
        write(self.programme, programme)
        self.post = Post()
        if has_post:
            self.post.start()
        self.server = Server(self.programme, self.data, self.post.port, *options, keys=keys)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.post.let_go.set()
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        self.post.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sign_up(self, who, has_consent=False, name='Uma', key=SERVER_KEY):
        self.server.send(identify(who, email=f'{who}@example.org', first_name=name),
                         *([consent(who)] if has_consent else []),
                         event(who, 'Signed Up', plan='pro'), key=key)


# --- HTTP -----------------------------------------------------------------------------------------------


def requests_without_a_known_key_are_401_and_nothing_is_stored():
    with World() as w:
        w.server.start()
        body = json.dumps({'batch': [event('u1', 'Signed Up')]}).encode()
        for key in (None, 'wrong', ''):
            status, answer, _ = w.server.request('/v1/batch', body, key)
            assert status == 401, (key, status)
            assert set(json.loads(answer)) >= {'code', 'message'}, answer
        assert w.server.request('/v1/person?person=u1')[0] == 401
        assert w.server.request('/v1/person?person=u1', key='wrong')[0] == 401
        assert w.server.request('/v1/person?person=u1', key=WRITE_KEY)[0] == 403
        assert w.server.request('/v1/why?person=u1', key=WRITE_KEY)[0] == 403
        assert w.server.request('/v1/person?person=u1', key=SERVER_KEY)[0] == 404
        assert w.server.request('/v1/person', key=SERVER_KEY)[0] == 400
        assert w.server.stop() == 0
        assert replay(w.data)['events'] == 0


def what_is_not_there_is_404_the_wrong_method_405_and_too_much_413():
    with World() as w:
        w.server.start()
        for path, body, method, wanted in [
                ('/nothing', None, 'GET', 404), ('/v1/person', b'{}', 'POST', 405),
                ('/metrics', b'', 'POST', 405), ('/v1/batch', None, 'GET', 405),
                ('/v1/batch', b'x' * 600000, 'POST', 413), ('/v1/batch', b'{', 'POST', 400)]:
            status, answer, headers = w.server.request(path, body, SERVER_KEY, method=method)
            assert status == wanted, (path, status)
            assert set(json.loads(answer)) >= {'code', 'message'}, answer
            assert headers['Content-Type'].startswith('application/json')
        assert w.server.stop() == 0


def health_and_metrics_are_there():
    with World() as w:
        w.server.start()
        status, answer, _ = w.server.request('/healthz')
        assert (status, json.loads(answer)['status']) == (200, 'ok')
        w.sign_up('u1')
        w.server.send(event('u1', 'Twice', 'the-same'))
        w.server.send(event('u1', 'Twice', 'the-same'))
        w.post.wait('u1@example.org')
        wait_for(lambda: w.server.receipts('accepted') == 1)
        wait_for(lambda: w.server.person('u1')['messages'][0]['state'] == 'sent')
        figures = w.server.metrics()
        with open(os.path.join(ROOT, 'src/server/counters.def'), encoding='utf-8') as file:
            names = re.findall(r'^COUNTER\(\w+, "(\w+)"', file.read(), re.M)
        assert len(names) > 20
        for name in names:
            assert name in figures, name
        assert figures['wend_ingest_events_total'] == 4, figures
        assert figures['wend_duplicates_total'] == 1, figures
        assert figures['wend_actions_total'] == 1, figures
        assert figures['wend_receipts_total{kind="accepted"}'] == 1, figures
        assert figures['wend_profiles'] == 1, figures
        assert figures['wend_outbox_held'] == 0, figures
        assert w.server.stop() == 0


def keys_are_made_once_and_kept_where_none_is_given():
    with World(keys=False) as w:
        w.server.start()
        with open(os.path.join(w.data, 'keys.json'), encoding='utf-8') as file:
            keys = {row['kind']: row['key'] for row in json.load(file)['keys']}
        shown = '\n'.join(w.server.errors)
        assert keys['write'] in shown and keys['server'] in shown, shown
        w.sign_up('u1', key=keys['write'])
        assert w.server.request('/v1/person?person=u1', key=keys['server'])[0] == 200
        assert w.server.request('/v1/person?person=u1', key=keys['write'])[0] == 403
        assert w.server.stop() == 0
        assert keys['server'] not in '\n'.join(w.server.lines), 'the journal names no secret'
        w.server.start()
        assert keys['write'] not in '\n'.join(w.server.errors), 'shown once'
        w.sign_up('u2', key=keys['write'])
        mode = os.stat(os.path.join(w.data, 'keys.json')).st_mode & 0o077
        assert mode == 0, oct(mode)
        assert w.server.stop() == 0


def who_was_told_200_finds_what_they_sent():
    with World() as w:
        w.server.start()
        for i in range(200):
            w.server.send(identify('u1', count=i))
            assert w.server.person('u1')['traits']['count'] == i
        assert w.server.stop() == 0


def a_second_server_on_the_same_directory_ends_with_4():
    with World() as w:
        w.server.start()
        second = Server(w.programme, w.data, w.post.port).start(expect_ready=False)
        assert second.ended() == 4
        assert second.errors, 'says why'
        w.sign_up('u1')
        assert w.server.stop() == 0


def a_programme_with_errors_is_refused_with_3_and_changes_nothing():
    with World() as w:
        w.server.start()
        w.sign_up('u1')
        assert w.server.stop() == 0
        before = replay(w.data)['state_hash']
        write(w.programme, {'journeys/welcome.yaml': 'journey: welcome\nenter: {evnt: X}\nsteps: []\n'})
        w.server.start(expect_ready=False)
        assert w.server.ended() == 3
        assert 'welcome.yaml' in '\n'.join(w.server.errors), w.server.errors
        assert replay(w.data)['state_hash'] == before


# --- messages -------------------------------------------------------------------------------------------


# requirement: S173
def the_right_mail_arrives_once_and_as_it_was_written():
    with World() as w:
        w.server.start()
        w.sign_up('u1')
        mails = w.post.wait('u1@example.org')
        assert [m['subject'] for m in mails] == ['Hello Uma'], mails
        assert mails[0]['text'] == 'Dear Uma, your plan is PRO.', mails
        w.sign_up('u1')
        time.sleep(0.3)
        assert len(w.post.mails) == 1, 'again: never'
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def times_in_a_mail_are_those_of_the_persons_zone():
    with World() as w:
        w.server.start()
        for who, zone in (('u1', 'Asia/Tokyo'), ('u2', 'Mars/Olympus'), ('u3', 'Asia/Kolkata')):
            w.server.send(identify(who, email=f'{who}@example.org', timezone=zone), event(who, 'Asked Time'))
        for who, offset in (('u1', '+0900'), ('u2', '+0000'), ('u3', '+0530')):
            assert [m['text'] for m in w.post.wait(f'{who}@example.org')] == [f'Offset {offset}']
        assert w.server.stop() == 0


def without_consent_there_is_no_marketing_and_with_it_there_is():
    with World() as w:
        w.server.start()
        w.sign_up('no', has_consent=False)
        w.sign_up('yes', has_consent=True)
        assert w.post.wait('yes@example.org', 'An offer')
        assert w.post.wait('no@example.org', 'Hello')
        time.sleep(0.3)
        assert not w.post.of('no@example.org', 'An offer')
        assert len(w.post.mails) == 3, w.post.mails
        assert w.server.stop() == 0


def a_write_key_cannot_give_consent():
    with World() as w:
        w.server.start()
        w.sign_up('u1', has_consent=True, key=WRITE_KEY)
        assert w.post.wait('u1@example.org', 'Hello')
        time.sleep(0.3)
        assert not w.post.of('u1@example.org', 'An offer')
        assert w.server.stop() == 0


def by_address(address, name, key='email', **properties):
    return {'type': 'track', 'event': name, 'messageId': str(uuid.uuid4()), 'properties': properties,
            'context': {'traits': {key: address}}}


def an_address_finds_its_person_for_a_server_key_only():
    with World() as w:
        w.server.start()
        # in one request, so that identify and event may share a batch
        w.server.send(identify('u1', email='U1@example.org', first_name='Uma'),
                      by_address('u1@example.org', 'Signed Up', plan='pro'))
        assert [m['text'] for m in w.post.wait('U1@example.org')] == ['Dear Uma, your plan is PRO.']
        body = json.dumps(by_address('u1@example.org', 'Trial Started')).encode()
        status, answer, _ = w.server.request('/v1/track', body, WRITE_KEY)
        assert (status, json.loads(answer)['code']) == (400, 'address_needs_server_key'), answer
        body = json.dumps({'batch': [by_address('u1@example.org', 'Trial Started'),
                                     identify('u2', email='u2@example.org', first_name='Udo')]}).encode()
        status, answer, _ = w.server.request('/v1/batch', body, WRITE_KEY)
        assert (status, json.loads(answer)['rejectedCount']) == (200, 1), answer
        w.server.send(by_address('nobody@example.org', 'Signed Up'))
        assert wait_for(lambda: w.server.metrics()['wend_unfound_total'] == 1)
        assert w.server.metrics()['wend_profiles'] == 2
        assert w.server.person('u1@EXAMPLE.org')['profile'] == w.server.person('u1')['profile']
        assert w.server.request('/v1/person?person=u1@example.org', key=WRITE_KEY)[0] == 403
        told, known = w.server.why('u1@example.org'), w.server.why('u1')
        assert told['past'] == known['past'] and len(known['past']) > 3, told
        assert w.server.kill() is not None
        # what the address finds is in the log and in snapshots alike
        w.server.start()
        w.server.send(by_address('u2@example.org', 'Signed Up', plan='free'))
        assert w.post.wait('u2@example.org', 'Hello')
        assert w.server.stop() == 0
        w.server.start()
        w.server.send(by_address('u2@example.org', 'Trial Started'))
        assert w.post.wait('u2@example.org', 'Your trial')
        assert w.server.stop() == 0
        assert len(w.post.of('u1@example.org', 'Your trial')) == 0
        verified = replay(w.data)
        assert (verified['audit_faults'], verified['unfound']) == (0, 1), verified
        for who in ('u1', 'U1@example.org'):
            shown = subprocess.run([WEND, 'person', w.data, who], capture_output=True, text=True, check=True)
            assert json.loads(shown.stdout)['traits']['email'] == 'U1@example.org'
        stories = [subprocess.run([WEND, 'why', w.data, who], capture_output=True, text=True,
                                  check=True).stdout for who in ('u1', 'u1@example.org')]
        assert stories[0] == stories[1] and 'welcome' in stories[0], stories
        assert subprocess.run([WEND, 'why', w.data, 'x@example.org'], capture_output=True).returncode == 3


# --- Entries that are not a person's own events ----------------------------------------------------------

TRIGGERS = PROGRAMME | {
    'journeys/sale.yaml': '''
journey: sale
owner: tests
enter: {business_event: Sale Began, people: 'did("Signed Up")', pace: 1/s, again: never}
steps: [{send: trial}]
''',
    'journeys/claim.yaml': '''
journey: claim
owner: tests
enter: {api: true, when: 'event.amount > 10.0', key: event.claim}
steps: [{send: clock}, {wait: {for: 1h}}]
''',
    'journeys/yearly.yaml': '''
journey: yearly
owner: tests
enter: {date: {of: born_on, every: year}}
steps: [{send: clock}]
''',
}
TRIGGERS['programme.yaml'] = TRIGGERS['programme.yaml'].replace('traits:', 'traits:\n  born_on: {type: string}')


def business_events_and_entries_come_from_servers_only():
    with World(programme=TRIGGERS) as w:
        w.server.start()
        for who in ('u1', 'u2', 'u3', 'u4'):
            w.server.send(identify(who, email=f'{who}@example.org', first_name='Uma', born_on='1990-05-17'))
        for who in ('u1', 'u2', 'u3'):
            w.server.send(event(who, 'Signed Up', plan='pro'))
        sale = json.dumps({'event': 'Sale Began', 'messageId': 'sale-1'}).encode()
        claim = json.dumps({'userId': 'u4', 'payload': {'claim': 'c1', 'amount': 20.0}, 'messageId': 'claim-1'}).encode()
        for path, body in (('/v1/business', sale), ('/v1/journeys/claim/enter', claim)):
            status, answer, _ = w.server.request(path, body, WRITE_KEY)
            assert (status, json.loads(answer)['code']) == (403, 'server_key_needed'), answer
            assert w.server.request(path, body, 'wrong')[0] == 401
            assert w.server.request(path, body)[0] == 401
            assert w.server.request(path, key=SERVER_KEY)[0] == 405
        status, answer, _ = w.server.request('/v1/journeys/clam/enter', claim, SERVER_KEY)
        assert status == 404 and b'did you mean \\"claim\\"' in answer, (status, answer)
        assert w.server.request('/v1/journeys/zzz/enter', claim, SERVER_KEY)[0] == 404
        assert w.server.request('/v1/journeys/clam/enter', claim, 'nobody')[0] == 401
        status, answer, _ = w.server.request('/v1/journeys/claim/enter', b'{"payload": {}}', SERVER_KEY)
        assert (status, json.loads(answer)['code']) == (400, 'no_identity'), answer
        status, answer, _ = w.server.request('/v1/business', b'{"event": "E", "userId": "u1"}', SERVER_KEY)
        assert (status, json.loads(answer)['code']) == (400, 'business_event_of_a_person'), answer
        # the API enters once, however often the call is repeated; what it refuses is told
        for _ in range(2):
            assert w.server.request('/v1/journeys/claim/enter', claim, SERVER_KEY)[0] == 200
        many = json.dumps({'batch': [{'userId': 'u4', 'payload': {'claim': 'c2', 'amount': 5.0}},
                                     {'userId': 'u4', 'payload': {'claim': 'c1', 'amount': 50.0}}]}).encode()
        assert w.server.request('/v1/journeys/claim/enter', many, SERVER_KEY)[0] == 200
        assert w.server.request('/v1/journeys/welcome/enter', claim.replace(b'claim-1', b'claim-2'), SERVER_KEY)[0] == 200
        assert w.post.wait('u4@example.org', 'Clock')
        told = json.dumps(w.server.why('u4')['past'])
        for line in ('enters claim', 'does not enter claim', 'entry into claim refused: at_once',
                     'entry into welcome refused: no_way', 'appointment for yearly'):
            assert line in told, (line, told)
        person = w.server.person('u4')
        assert [j['journey'] for j in person['journeys']] == ['claim'], person
        assert [a['journey'] for a in person['appointments']] == ['yearly'], person
        assert person['appointments'][0]['at'][4:10] == '-05-17', person
        # a walk over people survives the death of the server, and comes to nobody twice
        for _ in range(2):
            assert w.server.request('/v1/business', sale, SERVER_KEY)[0] == 200
        def sent():
            return sum(len(w.post.of(f'u{i}@example.org', 'Your trial')) for i in range(1, 5))
        assert wait_for(lambda: sent() == 1)
        assert w.server.kill() is not None
        assert sent() < 3
        w.server.start()
        assert wait_for(lambda: sent() == 3), sent()
        assert [len(w.post.of(f'u{i}@example.org', 'Your trial')) for i in range(1, 5)] == [1, 1, 1, 0]
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def a_no_by_address_reaches_everybody_who_has_it():
    with World() as w:
        w.server.start()
        for who in ('u1', 'u2', 'u3'):
            address = f'{who}@example.org' if who == 'u3' else 'home@example.org'
            w.server.send(identify(who, email=address, first_name='Uma'), consent(who))
        w.server.send({'type': 'track', 'event': 'Unsubscribed', 'messageId': 'no',
                       'properties': {'address': 'Home@example.org'}})
        for who in ('u1', 'u2', 'u3'):
            w.server.send(event(who, 'Promoted'))
        assert w.post.wait('u3@example.org', 'A promotion')
        time.sleep(0.3)
        assert not w.post.of('home@example.org', 'A promotion')
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def why_says_which_rule_holds_a_message_back_and_until_when():
    with World() as w:
        w.server.start()
        w.sign_up('u1', has_consent=True)
        assert w.post.wait('u1@example.org', 'An offer')
        wait_for(lambda: w.server.receipts('accepted') == 2)
        w.server.send(event('u1', 'Promoted'))
        lines = [line['text'] for line in w.server.why('u1')['pending']]
        assert any('promotion' in line and 'cap' in line for line in lines), lines
        past = [line['text'] for line in w.server.why('u1')['past']]
        assert any('enters welcome' in line or 'welcome' in line and 'enter' in line for line in past), past
        assert any('hello' in line and 'sent' in line for line in past), past
        assert any('welcome ends' in line for line in past), past
        told = subprocess.run([WEND, 'why', w.data, 'u1', '--json'], capture_output=True, text=True,
                              check=True).stdout
        told = json.loads(told)
        assert [line['text'] for line in told['past']] == past, (told, past)
        assert [line['text'] for line in told['pending']] == lines, (told, lines)
        change = next(line for line in told['past'] if line['kind'] == 'change' and 'promotion' in line['text'])
        assert 'but for the cap' in change['text'] and change['zone'] and change['programme'], change
        ahead = w.server.why('u1')['ahead']
        assert any('promotion' in line['text'] and line['kind'] == 'outcome' for line in ahead), ahead
        status, answer, _ = w.server.request('/v1/why?person=u1&past=no', key=SERVER_KEY)
        answer = json.loads(answer)
        assert answer['past'] is None and [line['text'] for line in answer['pending']] == lines, answer
        assert w.server.request('/v1/why?person=nobody', key=SERVER_KEY)[0] == 404
        only = w.server.why('u1&message=promotion')
        assert only['past'] and only['pending'], only
        assert {line.get('message') for part in ('past', 'pending', 'ahead') for line in only[part]} == \
            {'promotion'}, only
        last = told['past'][-1]['at']
        late = w.server.why(f'u1&since={last}')['past']
        assert late and all(line['at'] >= last for line in late) and len(late) < len(past), late
        early = w.server.why(f'u1&journey=welcome&until={told["past"][0]["at"]}')['past']
        assert 0 < len(early) < len(past), early
        assert w.server.why('u1&at=2001-01-01T00:00Z')['past'] == []
        for query, want, words in (('journey=welcom', 404, 'did you mean \\"welcome\\"'),
                                   ('message=promotions', 404, 'did you mean \\"promotion\\"'),
                                   ('since=yesterday', 400, 'yesterday'),
                                   ('past=no&at=2026-01-01', 400, 'past=no')):
            status, answer, _ = w.server.request(f'/v1/why?person=u1&{query}', key=SERVER_KEY)
            assert status == want and words in answer.decode(), (query, status, answer)
        assert 'promotion' in w.server.person('u1')['next']['text']
        pending = w.server.person('u1')['pending']
        assert [p['message'] for p in pending] == ['promotion'], pending
        assert w.server.stop() == 0
        assert not w.post.of('u1@example.org', 'A promotion')


# requirement: S252
def the_same_message_id_again_sends_nothing_more():
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', email='u1@example.org', first_name='Uma'))
        for _ in range(5):
            w.server.send(event('u1', 'Trial Started', 'one'))
        assert w.post.wait('u1@example.org', 'Your trial')
        time.sleep(0.5)
        assert len(w.post.mails) == 1, w.post.mails
        assert w.server.stop() == 0
        assert replay(w.data)['duplicates'] == 4


def no_journal_line_carries_personal_data():
    with World() as w:
        w.server.start()
        w.sign_up('secret-person', name='Hildegard')
        w.post.wait('secret-person@example.org')
        w.post.stop()
        w.sign_up('other-person', name='Hildegard')
        wait_for(lambda: w.server.receipts('temporary') >= 1)
        assert w.server.stop() == 0
        said = '\n'.join(w.server.lines + w.server.errors)
        for word in ('secret-person', 'other-person', 'example.org', 'Hildegard'):
            assert word not in said, word
        for line in w.server.lines:
            assert set(json.loads(line)) >= {'at', 'level', 'event', 'text'}, line
        assert any('temporary' in line for line in w.server.lines), w.server.lines


# --- restarts -------------------------------------------------------------------------------------------


def waits_outlive(how):
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', email='u1@example.org', first_name='Uma'),
                      event('u1', 'Trial Started'))
        assert getattr(w.server, how)() in (0, -9)
        w.server.start()
        assert not w.post.mails
        assert [m['text'] for m in w.post.wait('u1@example.org')] == ['Try it, Uma.']
        time.sleep(0.3)
        assert len(w.post.mails) == 1
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def a_wait_outlives_sigterm():
    waits_outlive('stop')


def a_wait_outlives_kill_9():
    waits_outlive('kill')


def what_was_due_while_the_server_was_down_goes_out_when_it_is_back():
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', email='u1@example.org', first_name='Uma'),
                      event('u1', 'Trial Started'))
        w.server.kill()
        time.sleep(2.5)
        w.server.start()
        assert len(w.post.wait('u1@example.org', seconds=5)) == 1
        assert w.server.stop() == 0


def a_mail_that_nobody_took_is_tried_again_until_somebody_does():
    with World(has_post=False) as w:
        w.server.start()
        w.sign_up('u1')
        assert wait_for(lambda: w.server.receipts('temporary') >= 1), w.server.lines
        assert w.server.request('/healthz')[0] == 200
        def tries():
            return [line for line in w.server.why('u1')['past'] if line['kind'] == 'try']

        assert wait_for(tries), w.server.why('u1')
        past = tries()
        assert past and 'attempt 1, try 1 at provider' in past[0]['text'], past
        assert 'failed for now' in past[0]['text'] and 'the next try is at' in past[0]['text'], past
        waits = w.server.person('u1')['pending'][0]
        assert waits['attempt'] == 1 and waits['tries'] >= 1 and 'last_code' in waits, waits
        assert waits['next_try'] > w.server.person('u1')['first_seen'], waits
        assert w.server.metrics()['wend_outbox_retrying'] <= 1
        w.post.start()
        assert len(w.post.wait('u1@example.org', seconds=30)) == 1
        wait_for(lambda: w.server.receipts('accepted') == 1)
        assert w.server.metrics()['wend_outbox_held'] == 0
        assert w.server.metrics()['wend_retries_total'] >= 1
        assert wait_for(lambda: w.server.metrics()['wend_outbox_retrying'] == 0)
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def a_mail_that_nobody_took_goes_out_after_a_stop_and_a_start():
    """Marketing is at most once: had the stop left it in doubt, it would never go out."""
    with World(has_post=False) as w:
        w.server.start()
        w.server.send(identify('u1', email='u1@example.org', first_name='Uma'), consent('u1'),
                      event('u1', 'Promoted'))
        assert wait_for(lambda: w.server.receipts('temporary') >= 1)
        assert w.server.stop() == 0
        assert os.path.exists(os.path.join(w.data, 'held'))
        w.post.start()
        w.server.start()
        assert not os.path.exists(os.path.join(w.data, 'held'))
        assert len(w.post.wait('u1@example.org', seconds=30)) == 1
        assert w.server.receipts('in_doubt') == 0
        assert w.server.stop() == 0
        replay(w.data)


def stop_waits_for_mails_that_are_on_their_way():
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', email='slow@example.org', first_name='Uma'),
                      event('u1', 'Signed Up', plan='a'))
        assert wait_for(lambda: w.post.begun)
        assert w.server.stop() == 0
        assert len(w.post.mails) == 1
        w.server.start()
        assert w.server.receipts('in_doubt') == 0
        assert [m['state'] for m in w.server.person('u1')['messages']] == ['sent']
        assert w.server.stop() == 0


def killed_while_sending(event_name, stuck, is_sent_again):
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', email=stuck, first_name='Uma'), consent('u1'),
                      event('u1', event_name, plan='a'))
        assert wait_for(lambda: w.post.begun)
        w.server.kill()
        w.post.let_go.set()
        w.server.start()
        assert wait_for(lambda: w.server.receipts('in_doubt') == 1)
        if is_sent_again:
            assert wait_for(lambda: w.post.begun.count(stuck) == 2, 90)
            ids = w.post.wait(stuck, count=2, seconds=5)
            assert ids
        else:
            time.sleep(1)
            assert w.post.begun == [stuck], w.post.begun
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def marketing_that_is_in_doubt_after_a_crash_is_never_sent_again():
    killed_while_sending('Promoted', 'stuck1@example.org', False)


def a_service_mail_that_is_in_doubt_after_a_crash_is_sent_again():
    killed_while_sending('Trial Started', 'stuck2@example.org', True)


def a_restart_with_a_changed_programme_activates_it():
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', email='u1@example.org', first_name='Uma'),
                      event('u1', 'Trial Started'))
        assert w.server.stop() == 0
        write(w.programme, {'messages/trial/email.txt.liquid': 'Changed, {{ person.first_name }}.',
                            'journeys/new.yaml': '''
journey: new
owner: tests
enter: {event: Brand New, again: always}
steps:
  - send: trial
'''})
        w.server.start()
        assert any('becomes active' in line for line in w.server.lines)
        w.server.send(identify('u2', email='u2@example.org', first_name='Bo'), event('u2', 'Brand New'))
        assert w.post.wait('u2@example.org')[0]['text'] == 'Changed, Bo.'
        assert len(w.post.wait('u1@example.org')) == 1
        assert w.server.stop() == 0
        w.server.start()
        assert not any('becomes active' in line for line in w.server.lines)
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def snapshots_while_running_are_those_of_a_replay():
    with World('--snapshot-every', '20') as w:
        w.server.start()
        for i in range(100):
            w.server.send(identify(f'p{i % 7}', n=i))
        assert wait_for(lambda: w.server.metrics()['wend_snapshots_total'] >= 3)
        w.server.kill()
        w.server.start()
        recovered = next(json.loads(line) for line in w.server.lines if '"recovery"' in line)
        assert ': snapshot of batch ' in recovered['text'], recovered
        w.server.send(identify('p1', n='after'))
        assert w.server.person('p1')['traits']['n'] == 'after'
        assert w.server.stop() == 0
        report = replay(w.data)
        assert report['hashes_compared'] >= 1 and report['audit_faults'] == 0, report


def sighup_is_survived_and_said():
    with World() as w:
        w.server.start()
        w.server.process.send_signal(1)
        assert wait_for(lambda: any('"reload"' in line for line in w.server.lines))
        w.sign_up('u1')
        assert w.post.wait('u1@example.org')
        assert w.server.stop() == 0


def stories_are_told_while_events_come_in():
    with World() as w:
        w.server.start()
        w.sign_up('u1', has_consent=True)
        stop = threading.Event()

        def load():
            while not stop.is_set():
                w.server.send(*[identify(f'p{i}', n=i) for i in range(50)])

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                story = w.server.why('u1')
                assert any('welcome' in line['text'] for line in story['past']), story
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


# requirement: S252
def many_clients_at_once_lose_and_double_nothing():
    with World() as w:
        w.server.start()
        failures = []

        def client(number):
            try:
                for i in range(40):
                    w.server.send(*[identify(f'c{number}', n=i * 10 + k) for k in range(10)])
            except Exception as problem:  # noqa: BLE001
                failures.append(problem)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        for n in range(8):
            assert w.server.person(f'c{n}')['traits']['n'] == 399
        assert w.server.stop() == 0
        assert replay(w.data)['events'] == 3200


def new_names_from_many_clients_at_once_keep_their_numbers():
    with World() as w:
        w.server.start()

        def client(number):
            for i in range(30):
                w.server.send(event(f'c{number}', f'Event {i * 7 % 30}', **{f'p{number}-{i}': i, f'q{i}': 1}))

        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        w.server.kill()
        w.server.start()
        w.server.send(event('late', 'Event 3', q1=2, brand_new=3))
        assert w.server.stop() == 0
        assert replay(w.data)['events'] == 241


def a_failed_fsync_ends_the_process_and_acknowledges_nothing():
    with World() as w:
        mischief = Mischief(w.folder)
        w.server.environment = mischief.environment()
        w.server.start()
        w.server.send(identify('u1', n=1))
        mischief.disk(fails=True)
        try:
            status, _, _ = w.server.request('/v1/identify', json.dumps(identify('u1', n=2)).encode(),
                                            SERVER_KEY)
        except OSError:
            status = None
        assert status != 200, status
        assert w.server.ended() == 4
        assert 'sync' in '\n'.join(w.server.errors), w.server.errors
        mischief.disk(fails=False)
        w.server.start()
        assert w.server.person('u1')['traits']['n'] in (1, 2)
        w.server.send(identify('u1', n=3))
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def a_clock_that_jumps_stops_sending_until_the_operator_agrees():
    with World() as w:
        mischief = Mischief(w.folder)
        w.server.environment = mischief.environment()
        w.server.start()
        mischief.clock(86400)
        assert wait_for(lambda: w.server.metrics()['wend_sending_is_paused'] == 1)
        assert any('"clock"' in line and 'jumped by 86' in line for line in w.server.lines), w.server.lines
        w.sign_up('u1')
        time.sleep(1)
        assert not w.post.mails
        seen = w.server.person('u1')
        assert seen['as_of'] < time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() + 3600)), seen
        assert seen['last_seen'] < time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() + 3600)), seen
        w.server.process.send_signal(1)
        assert w.post.wait('u1@example.org')
        assert w.server.metrics()['wend_sending_is_paused'] == 0
        w.server.send(event('u1', 'Looked'))
        assert w.server.person('u1')['as_of'] > time.strftime('%Y-%m-%dT%H:%M:%S',
                                                              time.gmtime(time.time() + 80000))
        assert w.server.stop() == 0
        assert replay(w.data)['audit_faults'] == 0


def a_clock_that_jumps_and_comes_back_sends_again_by_itself():
    with World() as w:
        mischief = Mischief(w.folder)
        w.server.environment = mischief.environment()
        w.server.start()
        mischief.clock(-7200)
        assert wait_for(lambda: w.server.metrics()['wend_sending_is_paused'] == 1)
        w.sign_up('u1')
        mischief.clock(0)
        assert w.post.wait('u1@example.org')
        assert w.server.stop() == 0


def a_stop_while_the_clock_is_wrong_keeps_what_was_granted():
    with World() as w:
        mischief = Mischief(w.folder)
        w.server.environment = mischief.environment()
        w.server.start()
        mischief.clock(-7200)
        assert wait_for(lambda: w.server.metrics()['wend_sending_is_paused'] == 1)
        w.server.send(identify('u1', email='u1@example.org', first_name='Uma'), consent('u1'),
                      event('u1', 'Promoted'))
        assert wait_for(lambda: w.server.metrics()['wend_actions_total'] == 1)
        assert w.server.stop() == 0
        assert not w.post.mails
        mischief.clock(0)
        w.server.start()
        assert w.post.wait('u1@example.org')
        assert w.server.receipts('in_doubt') == 0
        assert w.server.stop() == 0


def a_template_that_cannot_be_rendered_is_aborted_and_blocks_nothing():
    broken = dict(PROGRAMME)
    broken['messages/hello/message.yaml'] = """
category: service
email: {subject: '{% if person.first_name == "Bad" %}{% abort "no" %}{% endif %}Hello {{ person.first_name }}'}
"""
    with World(programme=broken) as w:
        w.server.start()
        w.sign_up('bad', name='Bad')
        w.sign_up('good', name='Good')
        assert w.post.wait('good@example.org')
        assert wait_for(lambda: w.server.receipts('aborted') == 1)
        assert not w.post.of('bad@example.org')
        assert w.server.stop() == 0


def a_full_disk_answers_503_and_the_server_lives_on():
    if os.geteuid() != 0:
        return 'needs root, to mount a small tmpfs'
    with World() as w:
        os.makedirs(w.data)
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200m', 'none', w.data],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            return 'mount is not permitted here'
        try:
            w.server.start()
            filler = os.path.join(w.data, 'filler')
            with open(filler, 'wb', buffering=0) as file:
                try:
                    while True:
                        file.write(b'\0' * 65536)
                except OSError:
                    file.truncate(file.tell() - 65536)
            big = {f'k{i}': 'x' * 1000 for i in range(25)}

            def post():
                body = json.dumps({'batch': [identify('u1', **big) for _ in range(15)]}).encode()
                status, _, headers = w.server.request('/v1/batch', body, SERVER_KEY)
                return status, headers

            acknowledged, refused = 0, None
            for _ in range(1000):
                status, headers = post()
                if status == 200:
                    acknowledged += 1
                else:
                    refused = status, headers
                    break
            assert refused and refused[0] == 503, (acknowledged, refused)
            assert int(refused[1]['Retry-After']) >= 1
            assert w.server.request('/healthz')[0] == 200
            # who says no is heard, by the log's reserve
            w.server.send(event('u1', 'Unsubscribed'))
            w.server.send(consent('u2', 'denied'), event('u3', 'Unsubscribed'))
            assert post()[0] == 503
            acknowledged_noes = 3
            os.remove(filler)
            assert wait_for(lambda: post()[0] == 200), 'room again, and events get in'
            acknowledged += 1
            assert w.server.stop() == 0
            assert replay(w.data)['events'] >= acknowledged * 15 + acknowledged_noes
        finally:
            if w.server.process and w.server.process.poll() is None:
                w.server.kill()
            subprocess.run(['umount', '-l', w.data], check=False)
    return None


def main():
    tests = Tests()
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    for test in [requests_without_a_known_key_are_401_and_nothing_is_stored,
                 what_is_not_there_is_404_the_wrong_method_405_and_too_much_413,
                 health_and_metrics_are_there,
                 keys_are_made_once_and_kept_where_none_is_given,
                 who_was_told_200_finds_what_they_sent,
                 a_second_server_on_the_same_directory_ends_with_4,
                 a_programme_with_errors_is_refused_with_3_and_changes_nothing,
                 the_right_mail_arrives_once_and_as_it_was_written,
                 times_in_a_mail_are_those_of_the_persons_zone,
                 without_consent_there_is_no_marketing_and_with_it_there_is,
                 a_write_key_cannot_give_consent,
                 an_address_finds_its_person_for_a_server_key_only,
                 business_events_and_entries_come_from_servers_only,
                 a_no_by_address_reaches_everybody_who_has_it,
                 why_says_which_rule_holds_a_message_back_and_until_when,
                 the_same_message_id_again_sends_nothing_more,
                 no_journal_line_carries_personal_data,
                 a_wait_outlives_sigterm,
                 a_wait_outlives_kill_9,
                 what_was_due_while_the_server_was_down_goes_out_when_it_is_back,
                 a_mail_that_nobody_took_is_tried_again_until_somebody_does,
                 a_mail_that_nobody_took_goes_out_after_a_stop_and_a_start,
                 stop_waits_for_mails_that_are_on_their_way,
                 marketing_that_is_in_doubt_after_a_crash_is_never_sent_again,
                 a_service_mail_that_is_in_doubt_after_a_crash_is_sent_again,
                 a_restart_with_a_changed_programme_activates_it,
                 snapshots_while_running_are_those_of_a_replay,
                 sighup_is_survived_and_said,
                 stories_are_told_while_events_come_in,
                 many_clients_at_once_lose_and_double_nothing,
                 new_names_from_many_clients_at_once_keep_their_numbers,
                 a_failed_fsync_ends_the_process_and_acknowledges_nothing,
                 a_clock_that_jumps_stops_sending_until_the_operator_agrees,
                 a_clock_that_jumps_and_comes_back_sends_again_by_itself,
                 a_stop_while_the_clock_is_wrong_keeps_what_was_granted,
                 a_template_that_cannot_be_rendered_is_aborted_and_blocks_nothing,
                 a_full_disk_answers_503_and_the_server_lives_on]:
        if only in test.__name__.replace('_', ' '):
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
