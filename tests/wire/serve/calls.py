#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls and tasks over real sockets: what a web service is asked by `wend serve`, how often, with which
secrets and keys, what comes of its answers, and what of it outlives refusals and kill -9."""
import base64
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from serving import SERVER_KEY, WEND, WRITE_KEY, Server, Tests, event, free_port, identify, replay, wait_for, write

TOKEN = 'very-secret-token-4711'
GOLD = {'customer': {'tier': 'gold', 'note': 'MARKER-NOT-SAVED'}, 'scores': [{'value': 731.5}]}


class Service:
    """A web service; `mood` says how it answers."""

    def __init__(self):
        self.mood, self.asked, self.answer = 'fine', [], GOLD
        self.let_go = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *unused):
                pass

            def do_POST(self):
                service.take(self)

            do_GET = do_POST

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *unused: None  # who breaks off an answer means to
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request):
        body = request.rfile.read(int(request.headers.get('content-length') or 0))
        mood = self.mood
        self.asked.append({'method': request.command, 'path': request.path, 'headers': dict(request.headers),
                           'body': json.loads(body) if body else None})
        if mood == 'stuck':
            self.let_go.wait(30)
        status, said = 200, json.dumps(self.answer).encode()
        if mood == 'down':
            status = 503
        if mood == 'refuses':
            status = 422
        if mood == 'html':
            said = b'<html>MARKER-NOT-SAVED</html>'
        if mood == 'large':
            said = b'"' + b'x' * 70000 + b'"'
        if mood == 'elsewhere':
            status = 302
        try:
            request.send_response(status)
            if mood == 'elsewhere':
                request.send_header('Location', f'http://127.0.0.1:{self.port}/stolen')
            request.send_header('Content-Length', str(len(said)))
            request.end_headers()
            request.wfile.write(said)
        except OSError:
            request.close_connection = True


PROGRAMME = """name: Shop
timezone: UTC
traits: {tier: {type: string}, score: {type: double}, fate: {type: string}, first_name: {type: string}}
categories: {care: {lane: service, purpose: service}}
"""

JOURNEYS = {
    'journeys/score.yaml': """journey: score
owner: tests
goal: {event: Thanked}
enter: {event: Order Placed, again: always}
steps:
  - call: risk
    id: score
    path: '/customers/{{ person.id }}/score?of={{ entry.what }}'
    headers: {X-Reason: 'for "{{ entry.what }}"'}
    body: |
      {"value": {{ entry.value }}, "what": "{{ entry.what }}"}
    category: care
    within: 20s
    save: {tier: customer.tier, score: 'scores[0].value', status: $status}
  - set: {fate: 'outcome("score")'}
  - branch:
      - if: 'saved.status == 200'
        do: [{set: {tier: saved.tier}}, {set: {score: saved.score}}]
  - wait: {for: 1h}
""",
    'journeys/once.yaml': """journey: once
owner: tests
goal: {event: Thanked}
enter: {event: Points Earned, again: always}
steps:
  - {call: risk, id: grant, path: /grant, retry: never, category: care, timeout: 2s}
  - set: {fate: 'outcome("grant")'}
  - wait: {for: 1h}
""",
    'journeys/look.yaml': """journey: look
owner: tests
goal: {event: Thanked}
enter: {event: Visited, again: always}
steps:
  - {call: risk, id: look, method: GET, path: /look, category: care, within: 3s, save: {tier: customer.tier}}
  - set: {fate: 'outcome("look")'}
  - wait: {for: 1h}
""",
    'journeys/inside.yaml': """journey: inside
owner: tests
goal: {event: Thanked}
enter: {event: Lured, again: always}
steps:
  - {call: metadata, id: steal, method: GET, category: care, within: 2s}
  - set: {fate: 'outcome("steal")'}
  - wait: {for: 1h}
""",
    'journeys/phone.yaml': """journey: phone
owner: tests
goal: {event: Bought}
enter: {event: Renewal Near, again: always}
steps:
  - task: sales
    id: phone
    title: 'Call {{ person.first_name }} about {{ entry.plan }}'
    category: care
    provider: crm
    save: {mood: mood}
  - set: {fate: 'outcome("phone")'}
  - set: {tier: saved.mood}
  - wait: {for: 1h}
""",
}


class World:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='wend-calls-')
        self.service = Service()
        port = self.service.port
        reach = f"allow_addresses: '127.0.0.1/32', allow_ports: '{port}'"
        write(self.folder + '/shop', {
            'programme.yaml': PROGRAMME,
            'providers/risk.yaml': "kind: http\nslots: 2\nsettings: "
                                   f"{{url: 'http://127.0.0.1:{port}/v1/', bearer: '${{ENV:RISK_TOKEN}}', "
                                   f"key_header: X-Api-Key, key: '${{ENV:RISK_TOKEN}}', {reach}}}\n",
            'providers/crm.yaml': "kind: http\nsettings: "
                                  f"{{url: 'http://127.0.0.1:{port}/tasks', user: me, password: '${{ENV:RISK_TOKEN}}', "
                                  f"{reach}}}\n",
            'providers/metadata.yaml': "kind: http\nsettings: {url: 'http://localhost.localdomain/latest'}\n",
            **JOURNEYS})
        self.data = self.folder + '/data'
        self.server = Server(self.folder + '/shop', self.data, free_port())
        self.server.environment = {'RISK_TOKEN': TOKEN}
        return self

    def __exit__(self, *unused):
        self.service.let_go.set()
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def traits(self, who):
        return (self.server.person(who) or {}).get('traits', {})

    def fate(self, who, wanted, seconds=15):
        def look():
            fate = self.traits(who).get('fate')
            return (fate['value'] if isinstance(fate, dict) else fate) == wanted
        return wait_for(look, seconds)

    def value(self, who, trait):
        value = self.traits(who).get(trait)
        return value['value'] if isinstance(value, dict) else value

    def end(self):
        """Stops in order; the log applied again agrees, asks nobody, and nothing secret was told."""
        said = '\n'.join(self.server.lines + self.server.errors)
        assert self.server.stop() == 0
        before = len(self.service.asked)
        assert replay(self.data)['audit_faults'] == 0
        assert len(self.service.asked) == before
        said += '\n'.join(self.server.lines + self.server.errors)
        assert TOKEN not in said and 'MARKER-NOT-SAVED' not in said, said
        for path in glob.glob(self.data + '/**', recursive=True):
            try:
                with open(path, 'rb') as f:
                    bytes_ = f.read()
            except OSError:
                continue
            assert TOKEN.encode() not in bytes_ and b'MARKER-NOT-SAVED' not in bytes_, path


def an_answer_leads_on_and_only_what_is_saved_is_kept():
    with World() as w:
        w.server.start()
        w.server.send(identify('u/../1', first_name='Uma'), event('u/../1', 'Order Placed', value=20.5, what='a"b\\c&d'))
        assert wait_for(lambda: w.service.asked), w.server.errors
        asked = w.service.asked[0]
        assert asked['method'] == 'POST', asked
        assert asked['path'] == '/v1/customers/u%2F..%2F1/score?of=a%22b%5Cc%26d', asked
        assert asked['body'] == {'value': 20.5, 'what': 'a"b\\c&d'}, asked
        assert asked['headers']['X-Reason'] == 'for "a"b\\c&d"', asked
        assert asked['headers']['Authorization'] == 'Bearer ' + TOKEN
        assert asked['headers']['X-Api-Key'] == TOKEN
        assert len(asked['headers']['Idempotency-Key']) == 33, asked
        assert wait_for(lambda: w.value('u%2F..%2F1', 'tier') == 'gold'), w.traits('u%2F..%2F1')
        assert w.value('u%2F..%2F1', 'score') == 731.5
        assert len(w.service.asked) == 1
        assert 'answered' in json.dumps(w.server.why('u%2F..%2F1'))
        w.end()


def what_fails_for_now_is_made_again_with_the_same_key():
    with World() as w:
        w.service.mood = 'down'
        w.server.start()
        w.server.send(event('u1', 'Order Placed', value=1, what='x'))
        assert wait_for(lambda: w.service.asked)
        w.service.mood = 'fine'
        assert w.fate('u1', 'answered', 20), w.service.asked
        assert len(w.service.asked) >= 2
        assert len({x['headers']['Idempotency-Key'] for x in w.service.asked}) == 1
        w.end()


def a_refusal_an_unreadable_a_large_answer_and_a_redirect_are_failures():
    with World() as w:
        w.server.start()
        for mood in ['refuses', 'html', 'large', 'elsewhere']:
            w.service.mood = mood
            w.server.send(event(mood, 'Order Placed', value=1, what='x'))
            assert w.fate(mood, 'failed'), (mood, w.traits(mood))
        assert len(w.service.asked) == 4, 'none is made again, and nothing is followed'
        assert all('stolen' not in x['path'] for x in w.service.asked)
        w.end()


def no_answer_in_time_is_a_time_out():
    with World() as w:
        w.service.mood = 'down'
        w.server.start()
        w.server.send(event('u1', 'Visited'))
        assert w.fate('u1', 'timed_out', 30), w.traits('u1')
        assert w.service.asked[0]['method'] == 'GET' and w.service.asked[0]['body'] is None
        w.end()


def one_that_must_not_be_repeated_is_not():
    with World() as w:
        w.server.start()
        w.service.mood = 'down'
        w.server.send(event('u1', 'Points Earned'))
        assert w.fate('u1', 'failed')
        w.service.mood = 'stuck'
        w.server.send(event('u2', 'Points Earned'))
        assert w.fate('u2', 'timed_out'), 'a lost answer is none'
        w.service.let_go.set()
        assert len(w.service.asked) == 2, w.service.asked
        w.end()


def addresses_inside_are_not_reached():
    with World() as w:
        w.server.start()
        w.server.send(event('u1', 'Lured'))
        assert w.fate('u1', 'timed_out', 30), w.traits('u1')
        assert w.service.asked == []
        w.end()


def a_call_that_a_crash_left_in_doubt_is_made_again_with_the_same_key():
    with World() as w:
        w.service.mood = 'stuck'
        w.server.start()
        w.server.send(event('u1', 'Order Placed', value=1, what='x'))
        assert wait_for(lambda: w.service.asked)
        w.server.kill()
        w.service.mood = 'fine'
        w.service.let_go.set()
        w.server.start()
        assert w.fate('u1', 'answered', 30), w.service.asked
        keys = {x['headers']['Idempotency-Key'] for x in w.service.asked}
        assert len(w.service.asked) == 2 and len(keys) == 1, w.service.asked
        w.end()


def one_that_must_not_be_repeated_is_not_after_a_crash_either():
    with World() as w:
        w.service.mood = 'stuck'
        w.server.start()
        w.server.send(event('u1', 'Points Earned'))
        assert wait_for(lambda: w.service.asked)
        w.server.kill()
        w.service.mood = 'fine'
        w.service.let_go.set()
        w.server.start()
        assert w.fate('u1', 'timed_out', 30), w.traits('u1')
        assert len(w.service.asked) == 1, w.service.asked
        w.end()


def a_task_is_told_done_and_withdrawn():
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', first_name='U"ma'), event('u1', 'Renewal Near', plan='Pro'))
        assert wait_for(lambda: w.service.asked)
        told = w.service.asked[0]
        task = told['body']
        assert task['title'] == 'Call U"ma about Pro' and task['queue'] == 'sales' and task['action'] == 'open', told
        assert task['person'] == 'u1' and task['journey'] == 'phone' and task['due'], told
        assert told['path'] == '/tasks' and base64.b64decode(
            told['headers']['Authorization'].split()[1]).decode() == 'me:' + TOKEN
        w.server.send(event('u1', 'Task Done', task=task['task'], mood='good'), key=WRITE_KEY)
        time.sleep(0.3)
        assert w.value('u1', 'fate') is None, 'anybody with a browser can say so'
        w.server.send(event('u1', 'Task Done', task=task['task'], mood='good'))
        assert w.fate('u1', 'done') and w.value('u1', 'tier') == 'good', w.traits('u1')
        w.server.send(event('u2', 'Renewal Near', plan='Pro'))
        assert wait_for(lambda: len(w.service.asked) == 2)
        w.server.send(event('u2', 'Bought'))
        assert wait_for(lambda: len(w.service.asked) == 3), w.service.asked
        last = w.service.asked[2]['body']
        assert last['action'] == 'withdraw' and last['task'] == w.service.asked[1]['body']['task'], last
        assert 'title' not in last
        w.end()


def a_task_is_listed_and_done_over_http_and_by_command():
    def wend(*arguments):
        done = subprocess.run([WEND, *arguments], capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, 'RISK_TOKEN': TOKEN})
        return done.returncode, done.stdout, done.stderr

    with World() as w:
        w.server.start()
        for who in ['u1', 'u2', 'u3']:
            w.server.send(identify(who, first_name=who.upper()), event(who, 'Renewal Near', plan='Pro'))
        assert wait_for(lambda: len(w.service.asked) == 3)

        def tasks(query=''):
            status, body, _ = w.server.request('/v1/tasks' + query, key=SERVER_KEY)
            assert status == 200, body
            return json.loads(body)
        assert wait_for(lambda: len(tasks()['tasks']) == 3), tasks()
        assert tasks('?queue=care')['tasks'] == []
        by_person = {x['person']: x for x in tasks('?queue=sales')['tasks']}
        assert by_person['u1']['title'] == 'Call U1 about Pro', by_person
        page = tasks('?limit=2')
        assert len(page['tasks']) == 2 and len(tasks('?after=' + page['next'])['tasks']) == 1, page
        assert w.server.request('/v1/tasks')[0] == 401
        assert w.server.request('/v1/tasks', key=WRITE_KEY)[0] == 403
        one = by_person['u1']['task']
        for wrong in ['nothing', '0' * 16 + '-' + '0' * 16, 'f' * 16 + '-' + 'f' * 16, one[:-1] + ('0' if one[-1] != '0' else '1')]:
            assert w.server.request(f'/v1/tasks/{wrong}/done', b'', SERVER_KEY)[0] == 404, wrong
        for wrong in [b'{"mod": "good"}', b'{"mood": ["good"]}', b'good', b'[]', b'{"mood": "good", "and": 1}']:
            status, body, _ = w.server.request(f'/v1/tasks/{one}/done?by=kim', wrong, SERVER_KEY)
            assert status == 400 and b'bad_values' in body, (wrong, status, body)
        assert len(tasks()['tasks']) == 3, 'what is refused ends nothing'
        assert w.server.request(f'/v1/tasks/{one}/done?by=kim', b'{"mood": "good"}', SERVER_KEY)[0] == 200
        assert w.fate('u1', 'done'), w.traits('u1')
        assert w.value('u1', 'tier') == 'good', w.traits('u1')
        assert w.server.request(f'/v1/tasks/{one}/done', b'', SERVER_KEY)[0] == 404, 'once is enough'
        url = f'http://127.0.0.1:{w.server.port()}'
        code, _, said = wend('task', 'declined', w.data, by_person['u2']['task'], '--url', url, '--key', SERVER_KEY)
        assert code == 0, said
        assert w.fate('u2', 'declined'), w.traits('u2')
        assert not w.value('u2', 'tier'), w.traits('u2')
        w.end()
        code, said, _ = wend('task', 'ls', w.data, '--json')
        assert code == 0 and [x['person'] for x in json.loads(said)['tasks']] == ['u3'], said
        code, said, wrong = wend('task', 'ls', w.data)
        assert code == 0 and 'Call U3 about Pro' in said, (said, wrong)
        three = by_person['u3']['task']
        code, _, wrong = wend('task', 'done', w.data, three, '--values', '{"mod": "good"}')
        assert code == 3 and 'saves no "mod"' in wrong, (code, wrong)
        code, _, wrong = wend('task', 'done', w.data, three, '--values', '{"mood": "fine"}')
        assert code == 0, wrong
        code, said, _ = wend('task', 'ls', w.data, '--json')
        assert json.loads(said)['tasks'] == [], said
        assert wend('task', 'done', w.data, by_person['u3']['task'])[0] == 3
        w.server.start()
        assert w.fate('u3', 'done'), w.traits('u3')
        assert w.value('u3', 'tier') == 'fine', w.traits('u3')
        w.end()


def main():
    tests = Tests()
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    for test in [an_answer_leads_on_and_only_what_is_saved_is_kept,
                 what_fails_for_now_is_made_again_with_the_same_key,
                 a_refusal_an_unreadable_a_large_answer_and_a_redirect_are_failures,
                 no_answer_in_time_is_a_time_out,
                 one_that_must_not_be_repeated_is_not,
                 addresses_inside_are_not_reached,
                 a_call_that_a_crash_left_in_doubt_is_made_again_with_the_same_key,
                 one_that_must_not_be_repeated_is_not_after_a_crash_either,
                 a_task_is_told_done_and_withdrawn,
                 a_task_is_listed_and_done_over_http_and_by_command]:
        if only in test.__name__.replace('_', ' '):
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
