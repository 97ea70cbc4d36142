#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`keep: {log}`: what is old is dropped while `wend serve` goes on, and everything says how far back it reaches.

The programme keeps some seconds, so a test sees in a minute what takes years. No test depends on how fast the machine
is: it waits until something was dropped.
"""
import glob
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from run import PROGRAMME, World  # noqa: E402
from serving import ROOT, SERVER_KEY, WEND, Tests, consent, event, identify, replay, wait_for, write  # noqa: E402

OTHER = os.environ.get('WEND_OTHER', os.path.join(ROOT, 'build', 'plain', 'wend-other'))
STOPS = range(31, 35)
KEEPING = dict(PROGRAMME)
KEEPING['programme.yaml'] = PROGRAMME['programme.yaml'] + 'keep: {log: 4s}\n'
COUNTING = dict(KEEPING)
COUNTING['segments/callers.yaml'] = 'segment: callers\nwhen: count("Called", "30d") >= 1\n'


def log_first(w):
    """The first batch that the log has."""
    return min(int(os.path.basename(p)[:16]) for p in glob.glob(os.path.join(w.data, 'log', '*.seg')))


def wend(*arguments, expect=0):
    done = subprocess.run([WEND, *arguments], capture_output=True, text=True)
    assert done.returncode == expect, (arguments, done.returncode, done.stdout, done.stderr)
    return done


def metric(w, name):
    _, body, _ = w.server.request('/metrics', key=SERVER_KEY)
    return int(re.search(rf'^{name} (\d+)', body if isinstance(body, str) else body.decode(), re.M).group(1))


def seq(w):
    w.number = getattr(w, 'number', 0) + 1
    return w.number


def live_until(w, what, seconds=90):
    """Says something again and again until it is so."""
    def step():
        try:
            w.server.send(event('ann', 'Called', number=seq(w)))
        except OSError:
            return w.server.process.poll() is not None or what()
        return what()
    assert wait_for(step, seconds, 0.1), w.server.lines[-5:]


def begun(w):
    w.server.start()
    w.server.send(identify('ann', email='ann@example.org', first_name='Ann'))
    w.server.send(consent('ann'))
    w.server.send(event('ann', 'Signed Up', plan='pro'))
    w.server.send(identify('old', email='old@example.org', first_name='Marker0123'), event('old', 'Old Said', text='Marker4567'))
    assert len(w.post.wait('ann@example.org', 'Hello')) == 1
    wait_for(lambda: w.server.receipts('accepted') >= 1)


def verified(w):
    out = json.loads(wend('replay', w.data, '--verify', '--json').stdout)
    assert out['log_first'] == log_first(w)
    assert out['audit_faults'] == 0 and out['results_differ'] == 0
    return out


def what_is_old_is_dropped():
    with World(programme=KEEPING) as w:
        begun(w)
        first = json.loads(w.server.request('/v1/person?person=ann', key=SERVER_KEY)[1])
        # The log is past what Ann did first, and says nothing of it any more.
        live_until(w, lambda: 'Old Said' not in wend('log', w.data).stdout)
        assert metric(w, 'wend_log_segments_dropped_total') >= 1
        assert log_first(w) > 1
        status, body, _ = w.server.request('/v1/person?person=ann', key=SERVER_KEY)
        assert status == 200 and json.loads(body)['traits']['first_name'] == first['traits']['first_name']
        # Reports count all that ever was; those of a time say from when on.
        status, body, _ = w.server.request('/v1/report/funnel?journey=welcome', key=SERVER_KEY)
        assert json.loads(body)['versions'][0]['entered'] == 1
        status, body, _ = w.server.request('/v1/report/funnel?journey=welcome&since=2020-01-01T00:00', key=SERVER_KEY)
        since = json.loads(body)
        assert status == 200 and since['since'] > '2026' and sum(v['entered'] for v in since['versions']) == 0
        # Why? What is left of the story, and from when on that is.
        status, body, _ = w.server.request('/v1/why?person=ann', key=SERVER_KEY, timeout=60)
        story = json.loads(body)
        assert status == 200 and story['kept_since'] > '2026', story
        assert not any('Signed Up' in line['text'] for line in story['past'])
        status, body, _ = w.server.request('/v1/why?person=ann&at=2020-01-01T00:00', key=SERVER_KEY, timeout=60)
        assert status == 404 and b'not_kept' in (body if isinstance(body, bytes) else body.encode())
        assert w.server.stop() == 0
        done = wend('why', w.data, 'ann')
        assert 'is beyond retention' in done.stdout and 'Signed Up' not in done.stdout
        assert 'not kept any more' in wend('why', w.data, 'ann', '--at', '2020-01-01T00:00', expect=3).stderr
        done = wend('report', 'funnel', w.data, '--journey', 'welcome', '--since', '2020-01-01T00:00')
        assert 'not in the log any more' in done.stderr
        done = wend('replay', w.data, '--verify')
        assert 'older ones were dropped' in done.stderr
        verified(w)
        # What is personal went with its segments, unless it is what people are now.
        text = wend('log', w.data, '--results').stdout
        assert 'Marker4567' not in text and 'Marker0123' not in text
        assert 'Marker0123' in wend('person', w.data, 'old').stdout


def nothing_is_dropped_without_a_word():
    with World(programme=KEEPING) as w:
        write(w.programme, PROGRAMME)
        w.server.start()
        w.server.send(event('ann', 'Signed Up'))
        until = time.monotonic() + 6
        live_until(w, lambda: time.monotonic() > until)
        assert log_first(w) == 1 and metric(w, 'wend_log_segments_dropped_total') == 0
        assert w.server.stop() == 0
        assert verified(w)['log_first'] == 1


def an_idle_server_drops_too():
    with World(programme=KEEPING) as w:
        begun(w)
        wait_for(lambda: 'Old Said' not in wend('log', w.data).stdout, 90, 0.5)
        assert 'Old Said' not in wend('log', w.data).stdout
        assert w.server.stop() == 0
        verified(w)


def a_restart_and_a_backup_go_on_from_what_is_left():
    with World(programme=KEEPING) as w:
        begun(w)
        live_until(w, lambda: log_first(w) > 1)
        backup = os.path.join(w.folder, 'backup')
        wend('backup', w.data, backup, '--verify')
        first = log_first(w)
        w.server.kill()
        w.server.start()
        live_until(w, lambda: log_first(w) > first)
        # A message id that was seen is known although its batch is gone.
        assert w.server.stop() == 0
        verified(w)
        again = os.path.join(w.folder, 'again')
        wend('restore', backup, again)
        out = json.loads(wend('replay', again, '--verify', '--json').stdout)
        assert 1 < out['log_first'] <= log_first(w) and out['audit_faults'] == 0
        assert 'Ann' in wend('person', again, 'ann').stdout


def a_message_id_is_known_longer_than_its_batch():
    with World(programme=KEEPING) as w:
        begun(w)
        said = event('ann', 'Signed Up', plan='pro')
        w.server.send(said)
        count = lambda: json.loads(w.server.request('/v1/report/funnel?journey=promotion', key=SERVER_KEY)[1])  # noqa: E731
        promoted = event('ann', 'Promoted')
        w.server.send(promoted)
        wait_for(lambda: sum(v['entered'] for v in count()['versions']) == 1)
        live_until(w, lambda: 'Promoted' not in wend('log', w.data).stdout)
        w.server.send(promoted)
        w.server.send(event('ann', 'Called', number=seq(w)))
        assert sum(v['entered'] for v in count()['versions']) == 1
        assert w.server.stop() == 0
        verified(w)


def a_new_question_begins_with_what_is_left():
    with World(programme=KEEPING) as w:
        begun(w)
        w.server.send(event('old', 'Called'))
        # Ann calls again and again; the other one did only once, and that is gone.
        live_until(w, lambda: sum('"Called"' in line and 'number' not in line
                                  for line in wend('log', w.data).stdout.splitlines()) == 0)
        done = wend('check', w.programme)
        write(w.programme, COUNTING)
        done = wend('check', w.programme)
        assert 'begins with what is there' in done.stdout + done.stderr
        status, body, _ = w.server.request('/v1/programme', b'', SERVER_KEY, timeout=60)
        assert status in (200, 202), (status, body)

        def members():
            status, body, _ = w.server.request('/v1/segments/members?segment=callers', key=SERVER_KEY)
            return [m.get('user_id', m.get('person')) for m in json.loads(body).get('members', [])] if status == 200 else None
        assert wait_for(lambda: members(), 60), w.server.lines[-8:]
        assert 'old' not in members()
        assert any('the log reaches back to' in line for line in w.server.lines)
        assert w.server.stop() == 0
        verified(w)


def a_kill_at_any_step_is_gone_on_from():
    with World(programme=KEEPING) as w:
        """The other release's program can be told to end behind a step (base/hook.h)."""
        if not os.path.exists(OTHER):
            return
        begun(w)
        live_until(w, lambda: metric(w, 'wend_snapshots_total') >= 1)
        assert w.server.stop() == 0
        import serving
        for stop in STOPS:
            before = serving.WEND
            serving.WEND = OTHER
            try:
                w.server.environment = {'WEND_HOOK_STOP': str(stop)}
                w.server.start()
                live_until(w, lambda: w.server.process.poll() is not None)
            finally:
                serving.WEND = before
                w.server.environment = {}
            w.server.ended()
            w.server.start()
            w.server.send(event('ann', 'Called', number=seq(w)))
            assert w.server.stop() == 0
            verified(w)


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ''
    tests = Tests()
    for test in (what_is_old_is_dropped,
                 nothing_is_dropped_without_a_word,
                 an_idle_server_drops_too,
                 a_restart_and_a_backup_go_on_from_what_is_left,
                 a_message_id_is_known_longer_than_its_batch,
                 a_new_question_begins_with_what_is_left,
                 a_kill_at_any_step_is_gone_on_from):
        if wanted in test.__name__:
            tests.run(test)
    return tests.end()


if __name__ == '__main__':
    sys.exit(main())
