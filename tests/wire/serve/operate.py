#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Operators from outside: journeys are paused, resumed, drained and stopped, messages killed, over HTTP and by
the commands, also across kill -9; and what is counted meanwhile.

Ends with `N passed, N failed, N skipped`; a name as argument runs only tests whose names contain it.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
from serving import (SERVER_KEY, WEND, WRITE_KEY, Post, Server, Tests, consent, event, identify, replay,  # noqa: E402
                     wait_for, write)

PROGRAMME = {
    'programme.yaml': '''
name: Test shop
categories:
  order-update: {lane: service, settle: 0s}
  news: {lane: marketing, settle: 0s}
  alarms: {lane: alert, valid_for: 1d, settle: 0s}
caps: []
quiet_hours: []
monitors:
  - {name: twice, watch: duplicates, source: app, event: Ordered, over: 1h, above: 40%, at_least: 4, tell: ops,
     pause: {categories: news}}
''',
    'journeys/alarm.yaml': 'journey: alarm\nowner: t\nenter: {event: Monitor Raised}\nsteps: [{send: alarm}]\n',
    'journeys/news.yaml': 'journey: news\nowner: t\nenter: {event: Joined}\nsteps: [{send: news}]\n',
    'journeys/orders.yaml': 'journey: orders\nowner: t\nenter: {event: Ordered}\nsteps: [{send: receipt}]\n',
    'journeys/nudge.yaml': 'journey: nudge\nowner: t\ngoal: Bought\nenter: {event: Seen}\n'
                           'steps:\n  - {id: rest, wait: {for: 1s}}\n  - {send: nudge}\n  - {wait: {for: 30d}}\n',
    'journeys/gift.yaml': 'journey: gift\nowner: t\nenter: {event: Won}\n'
                          'steps: [{send: gift, voucher: {pool: goodwill, if_empty: wait}}]\n',
    'vouchers/goodwill.csv': 'code\nFILE-1\n',
    'journeys/idea.yaml': 'journey: idea\nowner: t\nstate: draft\nenter: {event: Thought}\nsteps: [{send: nudge}]\n',
    'providers/mail.yaml': '''
kind: smtp
slots: 1
settings:
  url: '${ENV:WEND_SMTP_URL}'
  from: 'Shop <shop@example.com>'
  security: optional
''',
}
for name, category in [('news', 'news'), ('nudge', 'news'), ('receipt', 'order-update'), ('alarm', 'alarms')]:
    PROGRAMME[f'messages/{name}/message.yaml'] = f"category: {category}\nemail: {{subject: '{name}'}}\n"
    PROGRAMME[f'messages/{name}/email.txt.liquid'] = name + '.'
PROGRAMME['messages/gift/message.yaml'] = "category: news\nemail: {subject: '{{ code }}'}\n"
PROGRAMME['messages/gift/email.txt.liquid'] = '{{ code }}'


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='wend-operate-')
        self.programme = os.path.join(self.folder, 'programme')
        self.data = os.path.join(self.folder, 'data')
        write(self.programme, PROGRAMME)
        self.post = Post()
        self.post.start()
        self.server = Server(self.programme, self.data, self.post.port)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.post.let_go.set()
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        self.post.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def meet(self, *people):
        events = []
        for who in people:
            events += [identify(who, email=f'{who}@example.org'), consent(who)]
        self.server.send(*events)

    def get(self, path, wanted=200, key=SERVER_KEY):
        status, answer, _ = self.server.request(path, key=key)
        assert status == wanted, (path, status, answer)
        return json.loads(answer)

    def do(self, path, wanted=200, key=SERVER_KEY):
        status, answer, _ = self.server.request(path, b'', key, method='POST')
        assert status == wanted, (path, status, answer)
        return json.loads(answer)

    def journey(self, name):
        return [j for j in self.get('/v1/journeys')['journeys'] if j['journey'] == name][0]

    def wend(self, *words, code=0):
        done = subprocess.run([WEND, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def funnel(self, name, *more):
        return json.loads(self.wend('report', 'funnel', self.data, '--journey', name, '--json', *more))

    def got(self, who, subject):
        return self.post.of(f'{who}@example.org', subject)


def quiet(seconds=0.7):
    time.sleep(seconds)


def what_is_at_the_pool_is_taken_back_before_a_kill_is_answered():
    with World() as w:
        w.meet('stuck', 'bob', 'cid', 'dan')
        w.server.send(event('stuck', 'Joined'))
        wait_for(lambda: w.post.begun)  # it has the only connection
        w.server.send(event('bob', 'Joined'), event('cid', 'Joined'), event('dan', 'Joined'), event('dan', 'Ordered'))
        wait_for(lambda: w.journey('news')['in_flight'] == 4)
        answer = w.do('/v1/kill?message=news')
        assert answer['is_killed'] and answer['name'] == 'news', answer
        w.post.let_go.set()
        w.post.wait('dan@example.org', 'receipt')  # other lanes go on
        w.post.wait('stuck@example.org', 'news')   # what was under way stays
        quiet()
        assert not any(w.got(who, 'news') for who in ('bob', 'cid', 'dan')), w.post.mails
        assert w.server.metrics()['wend_kills'] == 1
        kills = w.get('/v1/journeys')['kills']
        assert [(k['scope'], k['name'], k['by']) for k in kills] == [('message', 'news', 'app')], kills
        why = w.server.request('/v1/why?person=bob&past=no', key=SERVER_KEY)[1].decode()
        assert 'kill 1 (message news)' in why and 'by app' in why, why
        w.do('/v1/unkill?message=news&pace=none')
        for who in ('bob', 'cid', 'dan'):
            w.post.wait(f'{who}@example.org', 'news')
        assert w.server.stop() == 0
        replay(w.data)


def what_a_provider_put_off_is_not_tried_again_after_a_kill():
    with World() as w:
        w.meet('later-ann', 'later-bob')
        w.server.send(event('later-ann', 'Joined'))
        wait_for(lambda: w.server.receipts('temporary') >= 1)
        w.do('/v1/kill?message=news')
        wait_for(lambda: w.server.receipts('gave_up') >= 1)
        w.post.let_go.set()
        tries = len(w.post.begun)
        w.server.send(event('later-bob', 'Ordered'))
        w.post.wait('later-bob@example.org', 'receipt')
        assert len(w.post.begun) == tries + 1, w.post.begun
        w.do('/v1/unkill?message=news&pace=none')
        w.post.wait('later-ann@example.org', 'news')
        assert w.server.stop() == 0
        replay(w.data)


def what_a_provider_put_off_ends_withdrawn_by_a_kill_that_drops():
    with World() as w:
        w.meet('later-ann')
        w.server.send(event('later-ann', 'Joined'))
        wait_for(lambda: w.server.receipts('temporary') >= 1)
        w.do('/v1/kill?message=news&drop=yes')
        wait_for(lambda: w.journey('news')['in_flight'] == 0)
        w.post.let_go.set()
        v = w.get('/v1/report/funnel?journey=news')['versions'][0]
        assert {o['outcome']: o['count'] for o in v['messages'][0]['outcomes']} == {'withdrawn': 1}, v
        w.do('/v1/unkill?message=news&pace=none')
        assert w.server.stop() == 0
        assert not w.got('later-ann', 'news')
        replay(w.data)


def a_kill_that_drops_withdraws_what_waits():
    with World() as w:
        w.meet('ann', 'stuck')
        w.server.send(event('stuck', 'Joined'))
        wait_for(lambda: w.post.begun)
        w.server.send(event('ann', 'Joined'))
        w.do('/v1/kill?all=yes&drop=yes')
        w.post.let_go.set()
        wait_for(lambda: w.journey('news')['in_flight'] == 0)
        quiet()
        assert not w.got('ann', 'news')
        v = w.get('/v1/report/funnel?journey=news')['versions'][0]
        outcomes = {o['outcome']: o['count'] for o in v['messages'][0]['outcomes']}
        assert outcomes == {'sent': 1, 'withdrawn': 1}, outcomes
        assert w.server.stop() == 0
        replay(w.data)


def a_paused_journey_stays_paused_over_a_crash_and_loses_nobody():
    with World() as w:
        w.meet('ann', 'bob')
        w.server.send(event('ann', 'Seen'))
        wait_for(lambda: w.journey('nudge')['in_flight'] == 1)
        assert w.do('/v1/journeys/nudge/pause')['state'] == 'paused'
        w.server.send(event('bob', 'Seen'))
        quiet(1.5)
        w.server.kill()
        w.server.start()
        now = w.journey('nudge')
        assert (now['state'], now['by'], now['entries'], now['in_flight']) == ('paused', 'app', 'held', 1), now
        quiet(1.0)
        assert not w.got('ann', 'nudge') and not w.got('bob', 'nudge')
        w.do('/v1/journeys/nudge/resume?pace=none')
        w.post.wait('ann@example.org', 'nudge')
        w.post.wait('bob@example.org', 'nudge')
        assert len(w.got('ann', 'nudge')) == len(w.got('bob', 'nudge')) == 1
        assert w.journey('nudge')['entered'] == 2
        w.server.kill()
        replay(w.data)


def a_stopped_journey_ends_for_everybody_also_if_the_server_dies_at_once():
    with World() as w:
        people = [f'u{i}' for i in range(40)]
        w.meet(*people)
        w.do('/v1/journeys/nudge/pause')
        w.do('/v1/journeys/nudge/resume?pace=none')
        w.server.send(*[event(who, 'Seen') for who in people])
        wait_for(lambda: w.journey('nudge')['in_flight'] == 40)
        w.do('/v1/journeys/nudge/stop')
        w.server.kill()
        w.server.start()
        wait_for(lambda: w.journey('nudge')['in_flight'] == 0)
        w.server.send(event('u1', 'Seen'))
        wait_for(lambda: w.get('/v1/report/funnel?journey=nudge')['refused'] == [{'reason': 'stopped', 'count': 1}])
        ends = w.get('/v1/report/funnel?journey=nudge')['versions'][0]['ended_by']
        assert ends == [{'reason': 'withdrawn', 'by_design': True, 'count': 40}], ends
        assert w.server.stop() == 0
        replay(w.data)


def the_commands_reach_the_server_and_the_directory_when_there_is_none():
    with World() as w:
        w.meet('ann')
        at = ['--url', f'http://127.0.0.1:{w.server.port()}', '--key', SERVER_KEY]
        assert 'nudge is paused' in w.wend('journey', 'pause', w.data, 'nudge', '--entries', 'refused', *at)
        assert w.journey('nudge')['entries'] == 'refused'
        w.wend('kill', w.data, '--channel', 'email', '--drop', *at)
        assert [k['scope'] for k in w.get('/v1/journeys')['kills']] == ['channel']
        assert 'did you mean "nudge"' in w.wend('journey', 'stop', w.data, 'nudgee', *at, code=3)
        assert w.server.stop() == 0
        w.wend('unkill', w.data, '--channel', 'email')
        w.wend('journey', 'start', w.data, 'idea')
        listed = w.wend('journey', 'ls', w.data)
        assert 'paused' in listed and 'draft' not in listed, listed
        assert 'that is not killed' in w.wend('unkill', w.data, '--all', code=3)
        assert 'one of --journey' in w.wend('kill', w.data, code=2)
        replay(w.data)
        w.server.start()
        w.server.send(event('ann', 'Thought'))
        w.post.wait('ann@example.org', 'nudge')
        assert w.server.stop() == 0
        replay(w.data)


def the_funnel_is_the_same_live_offline_and_recounted():
    with World() as w:
        people = [f'u{i}' for i in range(30)]
        w.meet(*people)
        w.server.send(*[event(who, 'Joined') for who in people], *[event(who, 'Ordered') for who in people[:7]])
        for who in people:
            w.post.wait(f'{who}@example.org', 'news')
        wait_for(lambda: w.journey('news')['in_flight'] == 0)
        live = w.get('/v1/report/funnel?journey=news')
        v = live['versions'][0]
        assert (v['entered'], v['ended'], v['messages'][0]['proposed']) == (30, 30, 30), v
        # A batch's results stand in the log with the next batch.
        w.server.send(event('u9', 'Seen'))
        wait_for(lambda: w.get('/v1/report/funnel?journey=news&since=2020-01-01T00:00Z')['versions'][0]['ended'] == 30)
        since = w.get('/v1/report/funnel?journey=news&since=2020-01-01T00:00Z')
        assert since['versions'][0]['messages'][0]['outcomes'] == v['messages'][0]['outcomes'], since
        later = w.get('/v1/report/funnel?journey=news&since=2100-01-01T00:00Z')
        assert later['versions'][0]['entered'] == 0, later
        for path, status in [('/v1/report/funnel', 400), ('/v1/report/funnel?journey=no', 404),
                             ('/v1/report/funnel?journey=news&since=soon', 400)]:
            w.get(path, status)
        w_versions = live['versions']
        w.server.kill()
        kept, again = w.funnel('news'), w.funnel('news', '--recount')
        assert kept == again
        assert kept['versions'] == w_versions, (kept, w_versions)


# requirement: S188, S227
def a_raised_monitor_tells_ops_and_pauses_what_depends_on_it_also_after_a_crash():
    with World() as w:
        w.meet('ann')
        w.server.send(identify('ops', email='ops@example.org'))
        assert w.server.metrics()['wend_monitor_raised{monitor="twice"}'] == 0
        for message in ['m1', 'm2', 'm3', 'm1', 'm2', 'm3']:
            w.server.send(event('ann', 'Ordered', message))
        w.post.wait('ops@example.org', 'alarm')
        is_ = w.get('/v1/monitors')['monitors'][0]
        assert (is_['monitor'], is_['is_raised'], is_['unit']) == ('twice', True, 'percent'), is_
        assert is_['pauses'] == [{'scope': 'category', 'name': 'news'}], is_
        assert (is_['value'], is_['count'], is_['of']) == (50.0, 3, 6), is_
        wait_for(lambda: w.server.metrics()['wend_monitor_raised{monitor="twice"}'] == 1)
        w.server.kill()
        w.server.start()
        w.server.send(event('ann', 'Joined'))
        wait_for(lambda: w.journey('news')['in_flight'] == 1)
        quiet()
        assert not w.got('ann', 'news')
        assert [(k['scope'], k['monitor']) for k in w.get('/v1/journeys')['kills']] == [('category', 'twice')]
        why = w.server.request('/v1/why?person=ann&past=no', key=SERVER_KEY)[1].decode()
        assert 'monitor twice is raised since' in why, why
        w.get('/v1/monitors', 403, WRITE_KEY)
        assert w.server.stop() == 0
        listed = w.wend('monitor', 'ls', w.data)
        assert 'raised' in listed and '50.00 %' in listed, listed
        replay(w.data)


# requirement: S141
def what_happens_is_counted_from_the_first_event_on_and_nobody_has_set_anything_up():
    with World() as w:
        w.meet('ann')
        w.server.send(event('ann', 'Joined'), event('ann', 'Ordered'))
        w.post.wait('ann@example.org', 'news')
        w.post.wait('ann@example.org', 'receipt')
        wait_for(lambda: w.journey('news')['in_flight'] == 0 and w.journey('orders')['in_flight'] == 0)
        for journey in ('news', 'orders'):
            v = w.get(f'/v1/report/funnel?journey={journey}')['versions'][0]
            assert (v['entered'], v['ended'], v['messages'][0]['outcomes'][0]['outcome']) == (1, 1, 'sent'), v
        now = w.server.metrics()
        assert now['wend_events_total'] == now['wend_events_matched_total'] == 4, now
        assert (now['wend_profiles'], now['wend_actions_total'], now['wend_merges_late_total']) == (1, 2, 0), now
        assert w.server.stop() == 0


def a_map_takes_people_along_for_one_activation_by_the_server_and_without_it():
    with World() as w:
        people = [f'u{i}' for i in range(5)]
        w.meet(*people)
        w.server.send(*[event(who, 'Seen') for who in people])
        for who in people:
            w.post.wait(f'{who}@example.org', 'nudge')
        at = ['--url', f'http://127.0.0.1:{w.server.port()}', '--key', SERVER_KEY]
        # Another version with another name for the last wait: by themselves people stay in the old one.
        text = PROGRAMME['journeys/nudge.yaml'].replace('{wait: {for: 30d}}', '{id: long, wait: {for: 40d}}')
        write(w.programme, {'journeys/nudge.yaml': text})
        write(w.folder, {'map.yaml': 'journeys: {nudge: {steps: {wait-2: long}}}',
                         'wrong.yaml': 'journeys: {nudge: {steps: {wait-2: lond}}}', 'end.yaml': 'journeys: {nudge: {steps: {long: exit}}}'})
        wrong = w.wend('activate', w.data, w.programme, '--map', w.folder + '/wrong.yaml', '--preview', *at, code=3)
        assert 'migrate.yaml' in wrong and '"long"' in wrong, wrong
        before = w.wend('activate', w.data, w.programme, '--map', w.folder + '/map.yaml', '--preview', *at)
        assert 'long' in before, before
        assert [v['in_flight'] for v in w.journey('nudge')['versions']] == [5]
        w.wend('activate', w.data, w.programme, '--map', w.folder + '/map.yaml', *at)
        wait_for(lambda: [v['in_flight'] for v in w.journey('nudge')['versions'] if v['is_newest']] == [5])
        assert w.server.stop() == 0
        w.wend('activate', w.data, w.programme, '--map', w.folder + '/end.yaml')
        w.server.start()
        wait_for(lambda: w.journey('nudge')['in_flight'] == 0)
        assert w.server.stop() == 0
        replay(w.data)


def what_is_not_there_or_not_understood_changes_nothing():
    with World() as w:
        for path, status in [('/v1/journeys/nobody/pause', 404), ('/v1/journeys/nudge/pause?entries=eaten', 400),
                             ('/v1/journeys/nudge/pause?timers=odd', 400), ('/v1/journeys/nudge/resume?pace=often', 400),
                             ('/v1/journeys/nudge/fly', 404), ('/v1/journeys/a/b/pause', 404), ('/v1/kill', 400),
                             ('/v1/kill?message=no', 404), ('/v1/kill?channel=pigeon', 400),
                             ('/v1/kill?message=news&all=yes', 400), ('/v1/unkill?all=yes', 404)]:
            w.do(path, status)
        w.do('/v1/kill?all=yes', 403, WRITE_KEY)
        w.get('/v1/journeys', 403, WRITE_KEY)
        assert w.get('/v1/journeys')['kills'] == []
        assert {j['journey']: j['state'] for j in w.get('/v1/journeys')['journeys']} == \
            {'alarm': 'active', 'gift': 'active', 'idea': 'draft', 'news': 'active', 'nudge': 'active', 'orders': 'active'}
        assert w.server.stop() == 0


def codes_come_into_a_pool_while_it_is_served_and_when_it_is_not():
    with World() as w:
        def pool():
            return {k: v for k, v in w.get('/v1/vouchers')['pools'][0].items() if k != 'pool'}

        w.post.let_go.set()
        w.meet('ann', 'bob', 'cid')
        file = os.path.join(w.folder, 'codes.csv')
        with open(file, 'w', encoding='utf-8') as f:
            f.write('code\n' + ''.join(f'MORE-{i:05}\n' for i in range(6000)) + 'FILE-1\n')
        w.server.send(event('ann', 'Won'))
        w.post.wait('ann@example.org', 'FILE-1')
        wait_for(lambda: pool()['gone'] == 1)
        assert pool() == {'file': 1, 'loaded': 0, 'free': 0, 'held': 0, 'gone': 1}, pool()
        load = ('voucher', 'load', w.data, 'goodwill', file)
        said = w.wend(*load, '--url', f'http://127.0.0.1:{w.server.port()}', '--key', SERVER_KEY)
        assert '6001 codes: 6000 are new, 1 were there already' in said, said
        assert '6000 free, 0 held, 1 gone' in said, said
        w.server.kill()  # what was answered is in the log
        w.server.start()
        assert pool() == {'file': 1, 'loaded': 6000, 'free': 6000, 'held': 0, 'gone': 1}, pool()
        status, answer, _ = w.server.request('/v1/vouchers/goodwill', b'code\nMORE-00000\nAPI-1\n', SERVER_KEY,
                                             method='POST')
        assert status == 200 and json.loads(answer)['loaded'] == 6001, answer
        for body, wanted, words in [(b'A,B', 400, 'line 1'), (b'code', 400, 'no codes')]:
            status, answer, _ = w.server.request('/v1/vouchers/goodwill', body, SERVER_KEY, method='POST')
            assert status == wanted and words in json.loads(answer)['message'], answer
        status, answer, _ = w.server.request('/v1/vouchers/goodwil', b'C', SERVER_KEY, method='POST')
        assert status == 404 and 'did you mean "goodwill"' in json.loads(answer)['message'], answer
        w.server.send(event('bob', 'Won'))
        w.post.wait('bob@example.org', 'MORE-00000')
        assert w.server.stop() == 0
        assert '6001 codes: 0 are new' in w.wend(*load)
        with open(file, 'a', encoding='utf-8') as f:
            f.write('LATE-1\nLATE-2\n')
        assert '6003 codes: 2 are new' in w.wend(*load)
        assert 'goodwil' in w.wend('voucher', 'load', w.data, 'goodwil', file, code=3)
        counts = json.loads(w.wend('voucher', 'ls', w.data, '--json'))['pools'][0]
        assert (counts['loaded'], counts['free'], counts['gone']) == (6003, 6002, 2), counts
        replay(w.data)


def main():
    tests = Tests()
    for test in [
            what_is_at_the_pool_is_taken_back_before_a_kill_is_answered,
            what_a_provider_put_off_is_not_tried_again_after_a_kill,
            what_a_provider_put_off_ends_withdrawn_by_a_kill_that_drops,
            a_kill_that_drops_withdraws_what_waits,
            a_paused_journey_stays_paused_over_a_crash_and_loses_nobody,
            a_stopped_journey_ends_for_everybody_also_if_the_server_dies_at_once,
            the_commands_reach_the_server_and_the_directory_when_there_is_none,
            the_funnel_is_the_same_live_offline_and_recounted,
            a_raised_monitor_tells_ops_and_pauses_what_depends_on_it_also_after_a_crash,
            what_happens_is_counted_from_the_first_event_on_and_nobody_has_set_anything_up,
            a_map_takes_people_along_for_one_activation_by_the_server_and_without_it,
            what_is_not_there_or_not_understood_changes_nothing,
            codes_come_into_a_pool_while_it_is_served_and_when_it_is_not,
    ]:
        if len(sys.argv) < 2 or sys.argv[1] in test.__name__:
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
