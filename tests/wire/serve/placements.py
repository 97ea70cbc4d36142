#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What places on pages show, asked from outside: POST /v1/decide.

Ends with `N passed, N failed, N skipped`; a name as argument runs only tests whose names contain it.
"""
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from serving import SERVER_KEY, WRITE_KEY, Post, Server, Tests, event, identify, replay, write  # noqa: E402

PROGRAMME = {
    'programme.yaml': '''
name: Test shop
traits: {plan: string, first_name: string}
categories:
  banners: {lane: marketing, consent: opt_out}
  help: {lane: service}
regulations: {packs: []}
placements:
  home:
    channel: web
    category: banners
    offers:
      - {offer: back, if: 'event.utm.source == "letter"', priority: 9, content: {title: 'Read "on"', tags: [a, 1, true]}}
      - {offer: cart, if: 'did("Cart Updated", "2d")', at_most: 1, content: {title: Still there}, with: {name: traits.first_name, plan: traits.plan}}
    otherwise: {title: Hello}
  tips:
    channel: in_app
    category: help
    offers: [{offer: start, if: 'did("Signed Up", "7d")', content: {text: Start here}}]
''',
    'providers/mail.yaml': "kind: smtp\nsettings: {url: '${ENV:WEND_SMTP_URL}', from: 'Shop <shop@example.com>', "
                           'security: optional}\n',
}


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='wend-placements-')
        self.data = os.path.join(self.folder, 'data')
        write(os.path.join(self.folder, 'programme'), PROGRAMME)
        self.post = Post()
        self.post.start()
        self.server = Server(os.path.join(self.folder, 'programme'), self.data, self.post.port)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        self.post.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, wanted=200, key=SERVER_KEY, **question):
        status, answer, _ = self.server.request('/v1/decide', json.dumps(question).encode(), key)
        assert status == wanted, (question, status, answer)
        return json.loads(answer)


# requirement: S244
def an_event_that_was_acknowledged_counts_in_the_next_decision():
    with World() as w:
        w.server.send(identify('ann', first_name='Ann'))
        for i in range(50):
            who = f'u{i}'
            w.server.send(identify(who, first_name=who))
            assert w.ask(placement='home', userId=who)['offer'] is None
            w.server.send(event(who, 'Cart Updated'))
            answer = w.ask(placement='home', userId=who)
            assert (answer['offer'], answer['content']) == ('cart', {'title': 'Still there'}), answer
            assert answer['with'] == {'name': who, 'plan': None}, answer
            assert answer['valid_until'] > '2020', answer
            w.server.send(event(who, 'Offer Shown', placement='home', offer='cart'))
            assert w.ask(placement='home', userId=who)['content'] == {'title': 'Hello'}
        now = w.server.metrics()
        assert now['wend_decisions_total'] == 150, now
        assert w.server.stop() == 0
        replay(w.data)


def who_is_not_known_is_shown_what_there_is_for_everybody():
    with World() as w:
        answer = w.ask(placement='home', anonymousId='nobody', context={'utm': {'source': 'letter'}})
        assert (answer['is_known'], answer['offer'], answer['content']) == (False, None, {'title': 'Hello'}), answer
        w.server.send({'type': 'track', 'anonymousId': 'v1', 'event': 'Page Seen', 'messageId': 'm1'})
        answer = w.ask(placement='home', anonymousId='v1', context={'utm': {'source': 'letter'}, 'more': [1, {'a': 2}]})
        assert (answer['is_known'], answer['offer']) == (True, 'back'), answer
        assert answer['content'] == {'title': 'Read "on"', 'tags': ['a', 1, True]}, answer
        assert w.ask(placement='home', userId='never-seen', anonymousId='v1')['is_known']
        status, answer, _ = w.server.request('/v1/decide?placement=home&anonymousId=v1', key=SERVER_KEY)
        assert status == 200 and json.loads(answer)['content'] == {'title': 'Hello'}, answer
        assert w.ask(placement='tips', anonymousId='v1')['content'] is None


def it_says_why_the_others_stand_back():
    with World() as w:
        w.server.send(identify('ann', first_name='Ann'))
        says = {x['offer']: x['says'] for x in w.ask(placement='home', userId='ann', explain=True)['explain']}
        assert set(says) == {'back', 'cart'} and 'Cart Updated' in says['cart'], says
        w.server.send({'type': 'track', 'userId': 'ann', 'event': 'Consent Changed', 'messageId': 'c1',
                       'properties': {'channel': 'web', 'status': 'denied'}})
        says = w.ask(placement='home', userId='ann', explain=True)['explain']
        assert says[0]['rule'] == 'consent' and 'said no' in says[0]['says'], says


def what_is_not_understood_is_refused():
    with World() as w:
        w.ask(404, placement='hom', userId='ann')
        w.ask(400, userId='ann')
        w.ask(400, placement='home')
        w.ask(400, placement='home', userId='')
        w.ask(403, WRITE_KEY, placement='home', userId='ann')
        for body in [b'{', b'[]', b'"home"', b'{"placement": 1, "userId": 2}']:
            status, answer, _ = w.server.request('/v1/decide', body, SERVER_KEY)
            assert status == 400, (body, status, answer)
        deep = {'placement': 'home', 'userId': 'ann', 'context': {}}
        for _ in range(20):
            deep['context'] = {'a': deep['context']}
        w.ask(400, **deep)
        w.ask(400, placement='home', userId='ann', context={'a': 'x' * 20000})
        assert w.ask(placement='home', userId='ann', context=None)['offer'] is None


def main():
    tests = Tests()
    for test in [
            an_event_that_was_acknowledged_counts_in_the_next_decision,
            who_is_not_known_is_shown_what_there_is_for_everybody,
            it_says_why_the_others_stand_back,
            what_is_not_understood_is_refused,
    ]:
        if len(sys.argv) < 2 or sys.argv[1] in test.__name__:
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
