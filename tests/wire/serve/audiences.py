#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ad audiences over real sockets: what an ad network is told, signed, by `wend serve`, and what of it
outlives refusals and kill -9."""
import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from serving import SERVER_KEY, WEND, Server, Tests, event, free_port, identify, replay, wait_for, write

KEY = b'0123456789abcdef0123456789abcdef'
SECRET = 'whsec_' + base64.b64encode(KEY).decode()


class Network:
    """An ad network: keeps lists of hashes; `mood` says how it answers."""

    def __init__(self):
        self.mood, self.asked, self.members = 'fine', [], {}
        self.let_go = threading.Event()
        network = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def log_message(self, *unused):
                pass

            def do_POST(self):
                network.answer(self)

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        body = request.rfile.read(int(request.headers['content-length']))
        number, stamp = request.headers['webhook-id'], request.headers['webhook-timestamp']
        wanted = base64.b64encode(
            hmac.new(KEY, f'{number}.{stamp}.'.encode() + body, hashlib.sha256).digest()).decode()
        said = json.loads(body)
        said['id'] = number
        said['is_signed'] = 'v1,' + wanted in request.headers['webhook-signature'].split(' ')
        self.asked.append(said)
        status = 200
        if self.mood == 'down':
            status = 500
        if self.mood == 'stuck':
            self.let_go.wait(30)
        if status == 200:
            names = self.members.setdefault(said['audience'], set())
            for member in said['members']:
                (names.add if said['action'] == 'add' else names.discard)(member)
        try:
            request.send_response(status)
            request.send_header('Content-Length', '2')
            request.end_headers()
            request.wfile.write(b'{}')
        except OSError:
            request.close_connection = True

    def has(self, text, audience='retargeting'):
        return hashlib.sha256(text.encode()).hexdigest() in self.members.get(audience, set())


class World:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='wend-audiences-')
        self.network = Network()
        write(self.folder + '/shop', {
            'programme.yaml': 'name: Shop\ntimezone: UTC\n'
                              'categories: {ads: {lane: marketing, purpose: ads}}\n'
                              'audiences: {retargeting: {provider: network, category: ads}}\n',
            'providers/network.yaml': 'kind: webhook\nchannel: webhook\nsettings:\n'
                                      f"  url: 'http://127.0.0.1:{self.network.port}/lists'\n"
                                      "  secret: '${ENV:ADS_SECRET}'\n"
                                      "  allow_addresses: '127.0.0.1/32'\n"
                                      f"  allow_ports: '{self.network.port}'\n",
            'journeys/retargeting.yaml': 'journey: retargeting\nowner: tests\n'
                                         'enter: {event: Cart Abandoned}\n'
                                         'goal: {event: Order Completed, within: 7d}\n'
                                         'steps:\n  - audience: {add: retargeting}\n  - wait: {for: 7d}\n'})
        self.data = self.folder + '/data'
        self.server = Server(self.folder + '/shop', self.data, free_port())
        self.server.environment = {'ADS_SECRET': SECRET}
        return self

    def __exit__(self, *unused):
        self.network.let_go.set()
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def agree(self, who, address):
        self.server.send(identify(who, email=address),
                         event(who, 'Consent Changed', channel='email', status='granted', purpose='ads'))

    def counts(self):
        """What GET /v1/report/audiences says of the one audience."""
        _, body, _ = self.server.request('/v1/report/audiences', key=SERVER_KEY)
        return json.loads(body)['audiences'][0]

    def report(self, *options):
        return json.loads(subprocess.run([WEND, 'report', 'audiences', self.data, '--json', *options],
                                         stdout=subprocess.PIPE, check=True).stdout)

    def check(self):
        assert replay(self.data)['audit_faults'] == 0


def who_leaves_a_cart_is_added_by_hash_and_removed_when_they_buy():
    with World() as w:
        w.server.start()
        w.agree('u1', ' Uma@Example.ORG ')
        w.server.send(event('u1', 'Cart Abandoned'))
        assert wait_for(lambda: w.network.has('uma@example.org')), w.network.asked
        person = w.server.person('u1')
        assert person['audiences'][0]['is_let_in'] is True, person['audiences']
        assert wait_for(lambda: w.server.person('u1')['listings'][0]['provider_has_them'] == 'in')
        w.server.send(event('u1', 'Order Completed'))
        assert wait_for(lambda: not w.network.has('uma@example.org')), w.network.asked
        assert wait_for(lambda: w.server.person('u1')['listings'] == [])
        assert [x['action'] for x in w.network.asked] == ['add', 'remove'], w.network.asked
        assert all(x['is_signed'] for x in w.network.asked)
        assert len({x['id'] for x in w.network.asked}) == 2
        assert w.network.asked[0]['identifier'] == 'email_sha256'
        w.agree('u2', 'u2@example.org')
        w.server.send(identify('u3', email='u3@example.org'),  # who did not agree
                      *[event(who, 'Cart Abandoned') for who in ('u2', 'u3')])
        assert wait_for(lambda: w.counts()['members'] == 1), w.counts()
        assert wait_for(lambda: w.counts()['refused'] == 1), w.counts()
        counts = w.counts()
        assert counts == {'audience': 'retargeting', 'is_gone': False, 'members': 1, 'added': 2, 'removed': 1,
                          'add_failed': 0, 'remove_failed': 0, 'in_doubt': 0, 'lost': 0, 'refused': 1,
                          'refused_by': {'consent': 1}}, counts
        assert wait_for(lambda: w.server.metrics().get('wend_audience_members{audience="retargeting"}') == 1)
        assert w.server.metrics()['wend_audience_added_total{audience="retargeting"}'] == 2
        assert w.server.stop() == 0
        told = w.report()
        assert told['audiences'] == [counts], told
        again = w.report('--recount')
        assert again['audiences'] == [counts], again
        w.server.start()
        status, body, _ = w.server.request('/v1/person/erase?person=u2', b'{}', SERVER_KEY)
        assert status == 200, body
        assert wait_for(lambda: w.counts()['lost'] == 1), w.counts()
        assert w.counts()['members'] == 0, w.counts()
        assert w.server.stop() == 0
        w.check()


def who_did_not_agree_is_never_told_of():
    with World() as w:
        w.server.start()
        w.server.send(identify('u1', email='u1@example.org'), event('u1', 'Cart Abandoned'))
        w.agree('u2', 'u2@example.org')
        w.server.send(event('u2', 'Cart Abandoned'))
        assert wait_for(lambda: w.network.has('u2@example.org'))
        time.sleep(0.3)
        assert len(w.network.asked) == 1, w.network.asked
        assert 'rule consent' in json.dumps(w.server.person('u1')), w.server.person('u1')
        assert w.server.stop() == 0
        w.check()


def an_add_that_waits_for_its_retry_is_recalled_when_they_buy():
    with World() as w:
        w.network.mood = 'down'
        w.server.start()
        w.agree('u1', 'u1@example.org')
        w.server.send(event('u1', 'Cart Abandoned'))
        assert wait_for(lambda: w.network.asked and w.server.receipts('temporary') == 1)
        w.server.send(event('u1', 'Order Completed'))
        assert wait_for(lambda: w.server.receipts('gave_up') == 1), w.server.metrics()
        assert wait_for(lambda: w.server.person('u1')['listings'] == [])
        w.network.mood = 'fine'
        time.sleep(6)  # its retry would have been after 5 s
        assert not w.network.has('u1@example.org')
        assert [x['action'] for x in w.network.asked] == ['add'], 'what was never added is not removed'
        assert w.server.stop() == 0
        w.check()


def an_add_that_a_crash_left_in_doubt_is_followed_by_its_removal():
    with World() as w:
        w.network.mood = 'stuck'
        w.server.start()
        w.agree('u1', 'u1@example.org')
        w.server.send(event('u1', 'Cart Abandoned'))
        assert wait_for(lambda: w.network.asked)
        w.server.kill()
        w.network.mood = 'fine'
        w.network.let_go.set()
        w.server.start()
        w.server.send(event('u1', 'Order Completed'))
        assert wait_for(lambda: [x['action'] for x in w.network.asked][-1] == 'remove', 60), w.network.asked
        assert wait_for(lambda: w.server.person('u1')['listings'] == [])
        assert not w.network.has('u1@example.org')
        assert w.server.stop() == 0
        w.check()


def main():
    tests = Tests()
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    for test in [who_leaves_a_cart_is_added_by_hash_and_removed_when_they_buy,
                 who_did_not_agree_is_never_told_of,
                 an_add_that_waits_for_its_retry_is_recalled_when_they_buy,
                 an_add_that_a_crash_left_in_doubt_is_followed_by_its_removal]:
        if only in test.__name__.replace('_', ' '):
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
