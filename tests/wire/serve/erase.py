#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Erasing people from `wend serve` and from a directory that nobody serves.

Somebody says a thousand texts that nobody else says, in every field that there is. When they are erased, no
file of the data directory has any of them, compressed or not; what was sealed cannot be opened; what was
counted stays counted; a replay agrees; and a kill -9 at any step changes none of that.
"""
import ctypes
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from change import CARTS, World as Changing  # noqa: E402
from run import PROGRAMME, World  # noqa: E402
from serving import ROOT, SERVER_KEY, WEND, Server, Tests, consent, event, identify, replay, wait_for  # noqa: E402

OTHER = os.environ.get('WEND_OTHER', os.path.join(ROOT, 'build', 'plain', 'wend-other'))
MARKER = re.compile(rb'mk[0-9a-f]{12}')
STOPS = range(21, 29)
zstd = ctypes.CDLL('libzstd.so.1')
zstd.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_isError.restype = ctypes.c_uint


class Markers:
    """Texts that nobody else says."""

    def __init__(self):
        self.count = 0

    def new(self):
        self.count += 1
        return f'mk{self.count:012x}'


def frames(data):
    """What is compressed in the bytes."""
    for hit in re.finditer(rb'\x28\xb5\x2f\xfd', data):
        frame = data[hit.start():]
        size = zstd.ZSTD_findFrameCompressedSize(frame, ctypes.c_size_t(len(frame)))
        if zstd.ZSTD_isError(ctypes.c_size_t(size)):
            continue
        room = ctypes.create_string_buffer(1 << 22)
        got = zstd.ZSTD_decompress(room, ctypes.c_size_t(len(room)), frame[:size], ctypes.c_size_t(size))
        if not zstd.ZSTD_isError(ctypes.c_size_t(got)):
            yield room.raw[:got]


def found(folder):
    """Markers in the files below the folder, by file."""
    hits = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), 'rb') as file:
                data = file.read()
            texts = {m for part in [data, *frames(data)] for m in MARKER.findall(part)}
            if texts:
                hits[os.path.relpath(os.path.join(path, name), folder)] = texts
    return hits


def told(folder):
    """Markers in what the log says to somebody who has its keys."""
    done = subprocess.run([WEND, 'log', folder, '--results'], capture_output=True, check=True)
    return set(MARKER.findall(done.stdout))


def told_lines(folder):
    done = subprocess.run([WEND, 'log', folder, '--results'], capture_output=True, check=True, text=True)
    return done.stdout.splitlines()


def say_all(w, who, markers):
    """A thousand markers in everything that can be said, and a mail that has one of them."""
    new = markers.new
    w.server.send(identify(who, email=f'{new()}@example.org', first_name=new()))
    w.server.send(identify(who, email=f'{who}@example.org', first_name=new(), phone='+44' + new(),
                           push_token=new(), address={'street': new(), 'town': {'name': new()}}, list=[new(), {'a': new()}],
                           **{f'trait{i}': new() for i in range(100)}))
    w.server.send(consent(who))
    w.server.send(event(who, 'Signed Up', plan=new()))
    while markers.count < 990:
        said = event(who, f'Seen {markers.count % 7}', text=new(), deep={'a': {'b': new()}}, many=[new(), new()], number=7)
        said['context'] = {'ip': new(), 'userAgent': new(), 'page': {'url': new(), 'title': new()}}
        said['anonymousId'] = f'anon-{new()}' if markers.count % 3 == 0 else f'anon-{who}'
        w.server.send(said)
    by_address = {'type': 'track', 'event': 'Called', 'messageId': new(),
                  'properties': {'text': new()}, 'context': {'traits': {'email': f'{who}@example.org'}}}
    by_address['properties']['email'] = f'{who}@example.org'
    w.server.send(by_address)
    while markers.count < 1000:
        w.server.send({'type': 'group', 'userId': who, 'groupId': new(), 'traits': {'name': new()}, 'messageId': new()})
        w.server.send({'type': 'page', 'userId': who, 'name': new(), 'properties': {'title': new()}, 'messageId': new()})


def erase(w, who, status=200):
    got, body, _ = w.server.request(f'/v1/person/erase?person={who}', b'', SERVER_KEY, timeout=60)
    assert got == status, (got, body)
    return json.loads(body)


def lived(w, markers, who='gone'):
    """Two people; one of them says everything. Returns what the other one and the reports look like."""
    w.server.start()
    say_all(w, who, markers)
    w.server.send(identify('stays', email='stays@example.org', first_name='mk' + 'f' * 12))
    w.server.send(event('stays', 'Signed Up', plan='pro'), event('stays', 'Signed Up', plan='pro'))
    assert len(w.post.wait(f'{who}@example.org', 'Hello')) == 1
    assert len(w.post.wait('stays@example.org', 'Hello')) == 1
    wait_for(lambda: w.server.receipts('accepted') >= 3)


def funnel(w):
    status, body, _ = w.server.request('/v1/report/funnel?journey=welcome', key=SERVER_KEY)
    assert status == 200
    v = json.loads(body)['versions'][0]
    return v['entered'], v['ended'], v['messages']


def is_gone(w, markers, who='gone'):
    """Nothing is left of them anywhere; the other one is as before."""
    left = {b'mk' + b'f' * 12}
    for path, texts in found(w.data).items():
        assert texts <= left, (path, len(texts), sorted(texts)[:5])
    assert told(w.data) <= left, sorted(told(w.data))[:5]
    assert not os.path.exists(os.path.join(w.data, 'erasing'))
    with open(os.path.join(w.data, 'erased'), encoding='ascii') as file:
        lines = file.read().splitlines()
    assert lines[0] == 'wend-erased 1' and len(lines) >= 2 and who not in ''.join(lines), lines
    checked = replay(w.data)
    assert checked['erased_batch'] > 0 and checked['results_differ'] == 0, checked
    asked = subprocess.run([WEND, 'person', w.data, who], capture_output=True, text=True)
    assert asked.returncode == 3, asked
    asked = subprocess.run([WEND, 'person', w.data, 'stays'], capture_output=True, text=True)
    assert asked.returncode == 0 and 'mk' + 'f' * 12 in asked.stdout, asked


def who_is_erased_leaves_nothing_and_counts_stay():
    programme = dict(PROGRAMME)
    programme['journeys/trial.yaml'] = programme['journeys/trial.yaml'].replace('2s', '1h')
    with World(programme=programme) as w:
        markers = Markers()
        lived(w, markers)
        w.server.send(event('gone', 'Trial Started', plan='pro'))
        before = found(w.data)
        assert any(path.startswith('log/') for path in before) and sum(map(len, before.values())) > 900
        assert len(told(w.data)) > 900
        counted = funnel(w)
        proof = erase(w, 'gone')
        assert proof['keys_destroyed'] >= 2 and proof['identifiers'] >= 4, proof
        assert w.server.person('gone') is None
        assert funnel(w) == counted
        erase(w, 'gone', 404)
        # The wait that was under way has ended.
        rows = [json.loads(row) for row in told_lines(w.data)]
        assert any(r.get('result') == 'ended' and r.get('journey') == 'trial' and r.get('what') == 'erased' for r in rows)
        # Who comes back is somebody new, and can be erased again.
        w.server.send(identify('gone', email='gone@example.org', first_name='Again'))
        assert w.server.person('gone')['traits']['first_name'] == 'Again'
        again = erase(w, 'gone')
        assert again['profile'] != proof['profile']
        w.server.send(event('stays', 'Signed Up', plan='pro'))
        assert w.server.stop() == 0
        is_gone(w, markers)


def a_kill_at_any_step_of_an_erasure_is_gone_on_from():
    for stop in STOPS:
        with World() as w:
            markers = Markers()
            lived(w, markers)
            assert w.server.stop() == 0
            w.server.environment = {'WEND_HOOK_STOP': str(stop)}
            environment = dict(os.environ, WEND_SMTP_URL='smtp://127.0.0.1:1', WEND_HOOK_STOP=str(stop))
            done = subprocess.run([OTHER, 'erase', w.data, 'gone'], env=environment, capture_output=True)
            assert done.returncode == -9, (stop, done)
            w.server.environment = {}
            half = replay(w.data)  # also as it is now: keys may be gone
            assert half['audit_faults'] == 0, (stop, half)
            w.server.start()
            assert wait_for(lambda: not os.path.exists(os.path.join(w.data, 'erasing')), 30), (stop, w.server.lines)
            assert w.server.stop() == 0
            is_gone(w, markers)


def a_server_that_is_killed_while_it_erases_goes_on_with_the_next_start():
    for stop in (21, 22, 23, 25, 26, 28):
        with World() as w:
            markers = Markers()
            lived(w, markers)
            assert w.server.stop() == 0
            environment = dict(os.environ, WEND_SMTP_URL=f'smtp://127.0.0.1:{w.post.port}', WEND_HOOK_STOP=str(stop))
            process = subprocess.Popen([OTHER, 'serve', w.programme, '--data', w.data, '--listen', '127.0.0.1:0', '--json',
                                        *w.server.options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       env=environment)
            line = ''
            while 'listening on' not in line:
                line = process.stdout.readline()
                assert line, stop
            port = re.search(r':(\d+)"', line) or re.search(r'127\.0\.0\.1:(\d+)', line)
            subprocess.run([WEND, 'erase', w.data, 'gone', '--url', f'http://127.0.0.1:{port.group(1)}', '--key', SERVER_KEY],
                           capture_output=True)
            assert process.wait(30) == -9, stop
            w.server.start()
            assert wait_for(lambda: not os.path.exists(os.path.join(w.data, 'erasing')), 30), (stop, w.server.lines)
            assert w.server.stop() == 0
            is_gone(w, markers)


def the_command_erases_where_nobody_serves_and_asks_who_does():
    with World() as w:
        markers = Markers()
        lived(w, markers)
        said = subprocess.run([WEND, 'export', w.data, 'gone'], capture_output=True, text=True)
        assert said.returncode == 0, said
        held = json.loads(said.stdout)
        lines = subprocess.run([WEND, 'log', w.data, '--person', 'gone'], capture_output=True, text=True, check=True).stdout
        assert len(lines.splitlines()) == len(held['events']), (len(lines.splitlines()), len(held['events']))
        assert len(set(MARKER.findall(said.stdout.encode()))) > 900
        assert held['person']['traits'] and len(held['events']) > 50, held.keys()
        _, body, _ = w.server.request('/v1/person/export?person=gone', key=SERVER_KEY)
        assert len(json.loads(body)['events']) == len(held['events'])
        assert w.server.stop() == 0
        done = subprocess.run([WEND, 'erase', w.data, 'gone'], capture_output=True, text=True)
        assert done.returncode == 0, done
        assert json.loads(done.stdout)['keys_destroyed'] >= 2, done.stdout
        is_gone(w, markers)
        done = subprocess.run([WEND, 'erase', w.data, 'nobody'], capture_output=True, text=True)
        assert done.returncode == 3 and 'nobody' in done.stderr, done
        w.server.start()
        done = subprocess.run([WEND, 'erase', w.data, 'stays', '--url', f'http://127.0.0.1:{w.server.port()}', '--key', SERVER_KEY],
                              capture_output=True, text=True)
        assert done.returncode == 0, done
        assert w.server.person('stays') is None
        assert w.server.stop() == 0
        assert not found(w.data)
        replay(w.data)


# Asks what carts there were, and keeps what the newest one was called.
PAST = dict(CARTS, **{'journeys/carts.yaml': CARTS['journeys/carts.yaml'].replace(
    '>= 3', '>= 3 && last("Cart Updated").cart_id != "none"')})


def lived_with_carts(w, markers):
    w.server.start()
    w.people(300)
    w.server.send(identify('gone', email=f'{markers.new()}@example.org', name=markers.new()))
    w.server.send(*[event('gone', 'Cart Updated', cart_id=markers.new()) for _ in range(40)])


def erase_in_the_end(w, seen):
    while True:
        status, body, _ = w.server.request('/v1/person/erase?person=gone', b'', SERVER_KEY, timeout=60)
        seen.append(status)
        if status == 200:
            return
        assert status in (409, 503), (status, body)
        time.sleep(0.005)


def both_are_done(w, programme):
    """Who was erased is nowhere, and the past of all others is known; also after the newest snapshot is lost."""
    w.wait_active(programme)
    assert wait_for(lambda: not os.path.exists(os.path.join(w.data, 'erasing')), 30), w.server.lines
    assert w.server.person('gone') is None
    w.server.send(identify('gone', email='gone@example.org'), event('gone', 'Cart Updated', cart_id='x'))
    w.server.send(event('u3', 'Cart Updated', cart_id='9'))
    assert w.post.wait('u3@example.org', 'You left three carts')
    assert w.server.stop() == 0
    assert not found(w.data) and not told(w.data)
    assert not w.post.of('gone@example.org') and not w.post.of('u1@example.org')
    replay(w.data)
    snapshots = os.path.join(w.data, 'snapshots')
    names = sorted(os.listdir(snapshots))
    assert len(names) >= 2, names
    os.remove(os.path.join(snapshots, names[-1]))
    w.server.start()
    w.server.send(event('u4', 'Cart Updated', cart_id='9'))
    assert w.post.wait('u4@example.org', 'You left three carts')
    assert w.server.stop() == 0
    replay(w.data)


def an_erasure_and_a_change_of_programme_take_turns():
    first = {'change': 0, 'erasure': 0}
    for delay_ms in (-15, -4, 0, 2, 6):
        with Changing() as w:
            seen = []
            lived_with_carts(w, Markers())
            w.put(PAST)
            eraser = threading.Thread(target=erase_in_the_end, args=(w, seen))
            if delay_ms < 0:
                eraser.start()
                time.sleep(-delay_ms / 1000)
            programme = w.change()['programme']
            if delay_ms >= 0:
                time.sleep(delay_ms / 1000)
                eraser.start()
            eraser.join(60)
            assert seen and seen[-1] == 200, seen
            first['change' if 409 in seen else 'erasure'] += 1
            both_are_done(w, programme)
    assert first['erasure'] > 0, first


def an_erasure_that_was_killed_comes_before_another_programme():
    for stop in (21, 22, 24, 26, 28):
        with Changing() as w:
            lived_with_carts(w, Markers())
            assert w.server.stop() == 0
            environment = dict(os.environ, WEND_SMTP_URL='smtp://127.0.0.1:1', WEND_HOOK_STOP=str(stop))
            done = subprocess.run([OTHER, 'erase', w.data, 'gone'], env=environment, capture_output=True)
            assert done.returncode == -9, (stop, done)
            w.put(PAST)
            w.server.start()
            assert wait_for(lambda: not os.path.exists(os.path.join(w.data, 'erasing')), 30), (stop, w.server.lines)
            assert wait_for(lambda: w.status()['change'] is None, 30), (stop, w.status())
            both_are_done(w, w.status()['programme']['hash'])


def keys_are_wrapped_by_a_master_key_and_useless_without_it():
    with World() as w:
        w.server.environment = {'WEND_MASTER_KEY': '0123456789abcdef' * 4}
        w.server.start()
        w.sign_up('uma')
        erase(w, 'uma')
        w.sign_up('ada', name='mk' + 'f' * 12)
        assert w.server.stop() == 0
        refused = subprocess.run([WEND, 'log', w.data], capture_output=True, text=True)
        assert refused.returncode != 0 and 'WEND_MASTER_KEY' in refused.stderr, refused
        environment = dict(os.environ, WEND_MASTER_KEY='0123456789abcdef' * 4)
        fine = subprocess.run([WEND, 'log', w.data], capture_output=True, text=True, env=environment)
        assert fine.returncode == 0 and 'mk' + 'f' * 12 in fine.stdout, fine
        w.server.environment = {'WEND_MASTER_KEY': 'f' * 64}
        w.server.start(expect_ready=False)
        assert w.server.ended() != 0
        assert any('master key' in line for line in w.server.lines + w.server.errors), w.server.errors


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ''
    tests = Tests()
    for test in (who_is_erased_leaves_nothing_and_counts_stay, the_command_erases_where_nobody_serves_and_asks_who_does,
                 a_kill_at_any_step_of_an_erasure_is_gone_on_from,
                 a_server_that_is_killed_while_it_erases_goes_on_with_the_next_start,
                 an_erasure_and_a_change_of_programme_take_turns,
                 an_erasure_that_was_killed_comes_before_another_programme,
                 keys_are_wrapped_by_a_master_key_and_useless_without_it):
        if wanted in test.__name__:
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
