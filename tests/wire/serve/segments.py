#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Segments from outside: over HTTP while the directory is served, by `wend segment` while it is not.

Ends with `N passed, N failed, N skipped`; a name as argument runs only tests whose names contain it.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from serving import SERVER_KEY, WEND, WRITE_KEY, Post, Server, Tests, event, identify, wait_for, write  # noqa: E402

PROGRAMME = {
    'programme.yaml': '''
name: Test shop
traits:
  plan: {type: string}
categories:
  service: {lane: service, settle: 0s}
caps: []
quiet_hours: []
''',
    'segments/buyers.yaml': "segment: buyers\nowner: shop\nwhen: 'count(\"Order Completed\") >= 2'\n",
    'segments/pro.yaml': "segment: pro\nwhen: 'traits.plan == \"pro\"'\n",
    'segments/loyal.yaml': "segment: loyal\nwhen: 'has_been(traits.plan == \"pro\", \"7d\") && did(\"Login\")'\n",
    'segments/staff.yaml': 'segment: staff\nlist: true\n',
    'journeys/greet.yaml': '''
journey: greet
owner: tests
goal: Login
enter: {segment: staff}
steps:
  - send: hello
''',
    'messages/hello/message.yaml': '''
category: service
email: {subject: 'Hello'}
''',
    'messages/hello/email.txt.liquid': 'Hello.',
    'providers/mail.yaml': '''
kind: smtp
slots: 2
settings:
  url: '${ENV:WEND_SMTP_URL}'
  from: 'Shop <shop@example.com>'
  security: optional
''',
}


class World:
    """A programme, a data directory and a server that is not started yet."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='wend-segments-')
        self.programme = os.path.join(self.folder, 'programme')
        self.data = os.path.join(self.folder, 'data')
        write(self.programme, PROGRAMME)
        self.post = Post()
        self.post.start()
        self.server = Server(self.programme, self.data, self.post.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.post.let_go.set()
        if self.server.process and self.server.process.poll() is None:
            self.server.kill()
        self.post.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, path, wanted=200, key=SERVER_KEY):
        status, answer, _ = self.server.request(path, key=key)
        assert status == wanted, (path, status, answer)
        return json.loads(answer)

    def put(self, query, text, wanted=200, key=SERVER_KEY):
        status, answer, _ = self.server.request(f'/v1/segments/members?{query}', text.encode(), key, method='POST')
        assert status == wanted, (query, status, answer)
        return json.loads(answer)

    def members(self, segment):
        return sorted(m['user_id'] for m in self.get(f'/v1/segments/members?segment={segment}')['members'])


def wend(*words, code=0):
    done = subprocess.run([WEND, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def segment(*words, code=0):
    out = wend('segment', *words, '--json', code=code)
    return json.loads(out) if code == 0 else out


# --- served ---------------------------------------------------------------------------------------------


def a_served_directory_says_who_is_in_what_and_why():
    with World() as w:
        w.server.start()
        w.server.send(identify('ann', plan='pro'), event('ann', 'Order Completed'), event('ann', 'Order Completed'),
                      event('bob', 'Order Completed'))
        wait_for(lambda: w.members('buyers') == ['ann'])
        sizes = {s['segment']: s['people'] for s in w.get('/v1/segments')['segments']}
        assert sizes == {'buyers': 1, 'loyal': 0, 'pro': 1, 'staff': 0}, sizes
        why = w.get('/v1/segments/why?segment=buyers&person=ann')
        assert why['is_in'] and why['until'] == 'never' and 'since' in why, why
        why = w.get('/v1/segments/why?segment=buyers&person=bob')
        assert not why['is_in'] and 'was 1' in why['because'], why
        why = w.get('/v1/segments/why?segment=loyal&person=ann')
        assert why['because'].startswith('has_been(traits.plan == "pro", "7d") is false'), why
        assert [s['segment'] for s in w.server.person('ann')['segments']] == ['buyers', 'pro']
        for path, status in [('/v1/segments/members', 400), ('/v1/segments/members?segment=no', 404),
                             ('/v1/segments/members?segment=pro&limit=0', 400),
                             ('/v1/segments/members?segment=pro&after=x', 400),
                             ('/v1/segments/why?segment=pro', 400), ('/v1/segments/why?segment=pro&person=x', 404)]:
            w.get(path, status)
        w.get('/v1/segments', 403, WRITE_KEY)
        assert w.server.stop() == 0


def a_segment_is_looked_at_before_it_is_saved():
    with World() as w:
        w.server.start()
        w.server.send(*[event(f'u{i}', 'Order Completed', total=i) for i in range(30)], event('u3', 'Returned'))
        w.server.send(identify('last'))

        def look(wish, wanted=200, key=SERVER_KEY):
            text = wish if isinstance(wish, bytes) else json.dumps(wish).encode()
            status, answer, _ = w.server.request('/v1/segments/preview', text, key, timeout=60)
            assert status == wanted, (wish, status, answer)
            return json.loads(answer)

        wait_for(lambda: w.server.person('last'))
        when = "did('Returned') || sum('Order Completed', 'total') > 20.0"
        first = look({'when': when, 'sample': 40})
        assert first['people'] == 10 and first['of'] == 31 and first['errors'] == 0, first
        assert sorted(first['sample']) == sorted(f'u{i}' for i in [3, *range(21, 30)]), first
        assert len(look({'when': when})['sample']) == 10 and look({'when': when, 'sample': 0})['sample'] == []
        assert look({'when': "in_segment('buyers')"})['people'] == 0
        # Nothing is saved, and what is wrong is said.
        assert 'wend-candidate' not in json.dumps(w.get('/v1/segments'))
        refused = look({'when': 'did("Order Completed"'}, 400)
        assert refused['code'] == 'wrong_condition' and refused['message'], refused
        for wrong in [b'{', b'[]', {}, {'when': 7}, {'when': when, 'sample': -1}, {'when': when, 'sample': 5000}]:
            assert look(wrong, 400)['code'] == 'not_understood'
        look({'when': when}, 403, WRITE_KEY)
        look({'when': when}, 401, None)
        assert w.server.stop() == 0
        # The command says the same.
        same = segment('size', w.data, '--when', when, '--sample', '40')
        assert same == first, (same, first)


def members_come_a_page_at_a_time():
    with World() as w:
        w.server.start()
        w.server.send(*[identify(f'u{i}', plan='pro') for i in range(25)])
        wait_for(lambda: w.get('/v1/segments/members?segment=pro')['people'] == 25)
        seen, after = [], ''
        while True:
            page = w.get(f'/v1/segments/members?segment=pro&limit=10{after}')
            assert len(page['members']) <= 10
            seen += [m['user_id'] for m in page['members']]
            if 'next' not in page:
                break
            after = '&after=' + page['next']
        assert sorted(seen) == sorted(f'u{i}' for i in range(25)), seen
        then = w.get('/v1/segments/members?segment=pro&at=2026-03-02T12:00', 400)
        assert 'wend segment who' in then['message'], then
        assert w.server.stop() == 0


def lists_are_added_to_taken_from_and_replaced_and_survive_a_restart():
    with World() as w:
        w.server.start()
        w.server.send(identify('ann', email='ann@example.org'))
        w.put('segment=staff', 'user_id,name\nann,Ann\nbob,Bob\n')
        wait_for(lambda: w.members('staff') == ['ann', 'bob'])
        w.post.wait('ann@example.org')
        w.put('segment=staff&mode=replace', 'bob\ncid\n')
        wait_for(lambda: w.members('staff') == ['bob', 'cid'])
        w.put('segment=staff&mode=remove', 'bob\n')
        wait_for(lambda: w.members('staff') == ['cid'])
        assert w.server.stop() == 0
        w.server.start()
        assert w.members('staff') == ['cid']
        why = w.get('/v1/segments/why?segment=staff&person=cid')
        assert why['is_in'] and why['is_by_hand'], why
        assert w.server.stop() == 0
        wend('replay', w.data, '--verify')


def a_file_with_wrong_lines_changes_nothing_unless_asked():
    with World() as w:
        w.server.start()
        answer = w.put('segment=staff', 'user_id,name\nann,Ann\n,Bob\ncid\n', 400)
        assert answer['wrong'] == 2 and [x['line'] for x in answer['lines']] == [3, 4], answer
        assert w.members('staff') == []
        w.put('segment=staff&partial=yes', 'user_id,name\nann,Ann\n,Bob\ncid\n')
        wait_for(lambda: w.members('staff') == ['ann'])
        w.put('segment=staff&mode=replace&partial=yes', '', 400)
        answer = w.put('segment=staff&mode=replace&partial=yes', 'email\nann@example.org\n', 400)
        assert 'no list of ids' in answer['message'], answer
        assert w.members('staff') == ['ann']
        w.put('segment=pro', 'ann\n', 409)
        w.put('segment=nobody', 'ann\n', 404)
        w.put('segment=staff&mode=toggle', 'ann\n', 400)
        w.put('segment=staff', ''.join(f'u{i}\n' for i in range(2501)), 413)
        w.put('segment=staff', 'ann\n', 403, WRITE_KEY)
        assert w.server.stop() == 0


def only_a_server_key_puts_people_on_a_list():
    with World() as w:
        w.server.start()
        w.server.send(event('ann', 'Segment Member Added', segment='staff'), key=WRITE_KEY)
        w.server.send(event('bob', 'Segment Member Added', segment='staff'))
        body = json.dumps({'batch': [event('ann', '$entered:staff', segment='staff')]}).encode()
        assert w.server.request('/v1/batch', body, SERVER_KEY)[0] == 400
        wait_for(lambda: w.members('staff') == ['bob'])
        assert w.server.person('ann')['past_journeys'] == []
        assert w.server.stop() == 0


# --- not served -----------------------------------------------------------------------------------------


def a_past(folder):
    """A directory in which ann bought on 2, 3 and 20 March, and bob on 5 March; 'Seen' is never asked about."""
    events = os.path.join(folder, 'events.ndjson')
    lines = [('ann', '02', 'Order Completed', 10), ('ann', '03', 'Order Completed', 20), ('bob', '05', 'Order Completed', 70),
             ('bob', '06', 'Seen', 1), ('cid', '07', 'Seen', 1), ('ann', '20', 'Order Completed', 5)]
    with open(events, 'w', encoding='utf-8') as file:
        for who, day, name, total in lines:
            file.write(json.dumps({'type': 'track', 'userId': who, 'event': name, 'properties': {'total': total},
                                   'timestamp': f'2026-03-{day}T10:00:00Z'}) + '\n')
    programme, data = os.path.join(folder, 'programme'), os.path.join(folder, 'data')
    write(programme, PROGRAMME)
    wend('run', programme, '--events', events, '--data', data, '--quiet')
    return programme, data


def activate(programme, data):
    nothing = os.path.join(os.path.dirname(data), 'nothing.ndjson')
    write(os.path.dirname(data), {'nothing.ndjson': ''})
    wend('import', data, nothing, '--programme', programme, '--quiet')


def in_past(test):
    def run():
        with tempfile.TemporaryDirectory(prefix='wend-segments-') as folder:
            test(*a_past(folder), folder)
    run.__name__ = test.__name__
    return run


@in_past
def who_was_in_it_comes_from_what_was_noted(_, data, __):
    assert [m['person'] for m in segment('who', data, 'buyers')['members']] == ['ann']
    then = segment('who', data, 'buyers', '--at', '2026-03-02T12:00')
    assert then['people'] == 0 and 'as it was' in then['how'], then
    then = segment('who', data, 'buyers', '--at', '2026-03-03T12:00')
    assert [m['person'] for m in then['members']] == ['ann'], then
    assert then['members'][0]['since'].startswith('2026-03-03T10:00:00'), then


@in_past
def who_would_have_been_in_it_is_labelled(programme, data, _):
    write(programme, {'segments/seen.yaml': "segment: seen\nwhen: 'did(\"Seen\", \"10d\")'\n"})
    activate(programme, data)
    then = segment('who', data, 'seen', '--at', '2026-03-06T12:00')
    assert 're-evaluation' in then['how'] and [m['person'] for m in then['members']] == ['bob'], then
    then = segment('who', data, 'seen', '--at', '2026-03-16T12:00')
    assert [m['person'] for m in then['members']] == ['cid'], then


@in_past
def size_before_saving_is_exact_though_nothing_keeps_what_it_asks(programme, data, _):
    size = segment('size', data, '--when', 'did("Seen") || sum("Order Completed", "total") >= 35', '--sample', '9')
    assert (size['people'], size['of'], sorted(size['sample'])) == (3, 3, ['ann', 'bob', 'cid']), size
    size = segment('size', data, '--when', 'count("Order Completed", e, e.total >= 20) == 1')
    assert size['people'] == 2, size
    size = segment('size', data, '--when', '!in_segment("buyers")')
    assert size['people'] == 2, size
    assert segment('size', data, 'buyers')['people'] == 1
    write(programme, {'segments/buyers.yaml': "segment: buyers\nwhen: 'count(\"Order Completed\") >= 1'\n"})
    assert segment('size', data, 'buyers', '--programme', programme)['people'] == 2
    assert 'there is no trait' in segment('size', data, '--when', 'traits.pan == "x"', code=3).replace('unknown', 'there is no')
    size = segment('size', data, '--when', 'has_been(did("Seen"), "2d")')
    assert (size['people'], size['of']) == (2, 3), size
    segment('size', data, code=2)


@in_past
def a_change_of_threshold_makes_people_leave_and_a_comment_changes_nothing(programme, data, _):
    before = segment('who', data, 'buyers')
    write(programme, {'segments/buyers.yaml': "# twice\nsegment: buyers\nwhen: 'count( \"Order Completed\" )  >= 2'\n"})
    activate(programme, data)
    assert segment('who', data, 'buyers')['members'] == before['members']
    write(programme, {'segments/buyers.yaml': "segment: buyers\nwhen: 'count(\"Order Completed\") >= 4'\n"})
    activate(programme, data)
    assert segment('who', data, 'buyers')['people'] == 0
    wend('replay', data, '--verify')


@in_past
def lists_are_kept_by_the_command_too(_, data, folder):
    people = os.path.join(folder, 'people.csv')

    def change(action, text, *options, code=0):
        with open(people, 'w', encoding='utf-8') as file:
            file.write(text)
        wend('segment', action, data, 'staff', people, *options, code=code)
        return sorted(m['person'] for m in segment('who', data, 'staff')['members'])

    assert change('add', 'ann\nbob\n') == ['ann', 'bob']
    assert change('add', 'ann\n') == ['ann', 'bob']
    assert change('replace', 'bob\nnew\n') == ['bob', 'new']
    assert change('remove', 'new\n') == ['bob']
    assert change('add', 'user_id,x\ncid,1\n,2\n', code=3) == ['bob']
    assert change('add', 'user_id,x\ncid,1\n,2\n', '--partial') == ['bob', 'cid']
    assert change('replace', '', '--partial', code=3) == ['bob', 'cid']
    assert change('replace', 'email\ncid@example.org\n', '--partial', code=3) == ['bob', 'cid']
    assert 'list: true' in wend('segment', 'add', data, 'pro', people, code=3)
    assert 'did you mean' in wend('segment', 'who', data, 'buyer', code=3)
    assert 'say which segment' in wend('segment', 'who', data, code=2)
    assert 'ls, size, who, why' in wend('segment', 'list', data, code=2)
    wend('replay', data, '--verify')


def main():
    tests = Tests()
    for test in [
            a_served_directory_says_who_is_in_what_and_why,
            a_segment_is_looked_at_before_it_is_saved,
            members_come_a_page_at_a_time,
            lists_are_added_to_taken_from_and_replaced_and_survive_a_restart,
            a_file_with_wrong_lines_changes_nothing_unless_asked,
            only_a_server_key_puts_people_on_a_list,
            who_was_in_it_comes_from_what_was_noted,
            who_would_have_been_in_it_is_labelled,
            size_before_saving_is_exact_though_nothing_keeps_what_it_asks,
            a_change_of_threshold_makes_people_leave_and_a_comment_changes_nothing,
            lists_are_kept_by_the_command_too,
    ]:
        tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
