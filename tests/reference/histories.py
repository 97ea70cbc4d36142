# SPDX-License-Identifier: Apache-2.0
"""Random programmes and random lives, for the product and for the reference desk alike.

A programme is a dictionary as desk.py reads it; write() makes the folder of it that `wend` reads.
"""
import json
import os
from datetime import datetime, timezone

from desk import DAY, HOUR, HOURS, MINUTE

ZONES = ['UTC', 'Europe/London', 'America/New_York', 'Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Lord_Howe',
         'America/Los_Angeles', 'Pacific/Auckland', 'America/Sao_Paulo']
STARTS = ['2026-03-05', '2026-03-24', '2026-06-10', '2026-10-20', '2026-10-29', '2026-12-22']
PLACES = ['GB', 'US', 'US-FL', 'US-TX', 'IN', 'DE', 'EU', 'CA']
SPAN_MS = {'m': MINUTE, 'h': HOUR, 'd': DAY}


def span(ms):
    for unit in 'dhm':
        if ms % SPAN_MS[unit] == 0:
            return f'{ms // SPAN_MS[unit]}{unit}'
    return f'{ms // 1000}s'


def some(r, things, most):
    things = list(things)
    return r.sample(things, r.randint(0, min(most, len(things))))


def programme(r, people):
    p = {'vouchers': {}, 'timezone': r.choice(ZONES), 'carried': ['email'] + (['sms'] if r.random() < 0.5 else [])}
    p['categories'] = {}
    for i in range(r.randint(1, 4)):
        lane = 'marketing' if i == 0 else r.choice(['marketing', 'marketing', 'marketing', 'service'])
        p['categories'][f'category-{i}'] = {
            'lane': lane,
            'valid_for': r.choice([2 * HOUR, 6 * HOUR, 20 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY]),
            'settle': r.choice([0, MINUTE, MINUTE, 10 * MINUTE]) if lane == 'marketing' else 0,
            'priority': r.choice([0, 0, 100, 500]),
        }
    categories = list(p['categories'])
    p['messages'] = {}
    for i in range(r.randint(2, 7)):
        m = {'category': r.choice(categories), 'channels': [r.choice(p['carried'])]}
        if len(p['carried']) == 2 and r.random() < 0.4:
            m['channels'] = r.sample(['email', 'sms'], 2)
        if r.random() < 0.3:
            m['valid_for'] = r.choice([HOUR, 5 * HOUR, 30 * HOUR, 4 * DAY])
        if r.random() < 0.3:
            m['priority'] = r.choice([-5, 50, 300, 900])
        if r.random() < 0.25:
            m['only_if'] = r.randint(1, 9)
        if r.random() < 0.25:
            m['content_key'] = f'content-{r.randint(0, 1)}'
        if r.random() < 0.3:
            m['topic'] = f'topic-{r.randint(0, 1)}'
        p['messages'][f'message-{i}'] = m
    if people == 1:  # codes are shared by all people, and this desk knows of one at a time
        p['vouchers'] = {f'pool-{i}': r.randint(0, 4) for i in range(r.randint(1, 2))}
    p['groups'] = {f'group-{i}': {'pauses': []} for i in range(r.randint(0, 3))}
    groups = list(p['groups'])
    for i, g in enumerate(groups):
        p['groups'][g]['pauses'] = some(r, groups[i + 1:], 2) if r.random() < 0.4 else []
        if r.random() < 0.25:
            p['groups'][g]['at_most'] = r.randint(1, 2)
    p['journeys'] = {}
    priorities = r.sample(range(-50, 50), 12)
    for i in range(r.randint(2, 8)):
        steps = []
        for k in range(r.randint(1, 3)):
            if k > 0:
                steps.append({'wait': r.choice([30 * MINUTE, 2 * HOUR, 7 * HOUR, DAY, 2 * DAY])})
            steps.append({'send': r.choice(list(p['messages']))})
            if r.random() < 0.15:
                others = [m for m in p['messages'] if m != steps[-1]['send']]
                steps[-1]['instead'] = (r.randint(3, 9), r.choice(others))
            if p['vouchers'] and r.random() < 0.5:
                steps[-1]['voucher'] = (r.choice(list(p['vouchers'])), r.choice(['skip', 'wait', 'send_without']))
        j = {'enter': f'Enter {r.randint(0, 3)}', 'priority': priorities[i], 'steps': steps, 'exits': []}
        if groups and r.random() < 0.6:
            j['group'] = r.choice(groups)
        if r.random() < 0.4:
            j['exits'] = [f'Exit {r.randint(0, 1)}']
        if r.random() < 0.4:
            j['goal'] = f'Goal {r.randint(0, 1)}'
        # Whether a person whom `at_most` refuses had been drawn nobody tells, so it must not matter.
        if r.random() < 0.2 and not any('at_most' in p['groups'][g] for g in p['groups']):
            j['holdout'] = r.choice([20, 50])
        p['journeys'][f'journey-{i}'] = j
    p['caps'] = []
    for _ in range(r.choice([0, 1, 2, 2, 3, 4])):
        cap = {'limit': r.randint(1, 3), 'per': r.choice([6 * HOUR, DAY, 2 * DAY, 7 * DAY, 'day', 'week']),
               'channel': None, 'category': None, 'group': None, 'journey': None, 'after': []}
        if r.random() < 0.3:
            cap.update(limit=1, per=r.choice([30 * MINUTE, 2 * HOUR, 5 * HOUR]), is_gap=True)
            if r.random() < 0.3:
                cap['after'] = [r.choice(categories + ['service'])]
        narrow = r.random()
        if narrow < 0.15:
            cap['channel'] = r.choice(p['carried'])
        elif narrow < 0.3:
            cap['category'] = r.choice([c for c in categories if p['categories'][c]['lane'] == 'marketing'])
        elif narrow < 0.4 and groups:
            cap['group'] = r.choice(groups)
        elif narrow < 0.45:
            cap['journey'] = r.choice(list(p['journeys']))
        p['caps'].append(cap)
    p['quiet'] = []
    for _ in range(r.choice([0, 1, 1, 2])):
        begin, end = r.sample(range(0, 1440, 30), 2)
        p['quiet'].append({'from': begin, 'to': end,
                           'channels': [r.choice(p['carried'])] if r.random() < 0.2 else [],
                           'categories': some(r, categories, 2) if r.random() < 0.2 else []})
    p['holds'] = {}
    for i in range(r.choice([0, 0, 1, 2])):
        p['holds'][f'hold-{i}'] = {
            'from': f'Hold {i} Opened', 'until': f'Hold {i} Solved', 'key': 'ticket' if r.random() < 0.5 else None,
            'linger': r.choice([0, HOUR, DAY]), 'at_most': r.choice([0, 5 * HOUR, 3 * DAY, 30 * DAY]),
            'categories': some(r, categories, 2) if r.random() < 0.4 else [], 'drop': r.random() < 0.15}
    p['holdout'] = r.choice([0, 0, 0, 20])
    p['reserve'] = r.choice([0, 0, 3 * HOUR, 12 * HOUR, 24 * HOUR])
    for category in p['categories'].values():
        if category['lane'] == 'marketing' and r.random() < 0.2:
            category['consent'] = 'opt_out'
    p['regulations'] = None
    if r.random() < 0.6:
        rules = []
        for i in range(r.choice([0, 0, 1, 2])):
            begin, end = r.sample(range(0, 1440, 30), 2)
            rules.append({'name': f'rule-{i}', 'from': begin, 'to': end, 'places': some(r, PLACES, 2),
                          'channels': [r.choice(p['carried'])] if r.random() < 0.4 else [],
                          'categories': some(r, categories, 2) if r.random() < 0.3 else []})
        p['regulations'] = {'packs': some(r, HOURS, 4), 'unknown': some(r, PLACES, 2), 'rules': rules}
    p['budgets'], p['costs'] = [], {'email': r.randint(0, 2), 'sms': r.randint(1, 9)}  # cents
    for _ in range(r.choice([0, 1, 2, 2]) if people == 1 else 0):  # they are shared like codes
        is_money = r.random() < 0.4
        budget = {'is_money': is_money, 'limit': r.randint(2, 12) if is_money else r.randint(1, 3),
                  'per': r.choice(['day', 'day', 'week', 'all']), 'then': r.choice(['wait', 'wait', 'refuse']),
                  'zone': r.choice(ZONES), 'costs': p['costs'] if is_money else {'email': 1, 'sms': 1},
                  'channel': None, 'category': None, 'group': None, 'journey': None}
        narrow = r.random()
        if narrow < 0.2:
            budget['channel'] = r.choice(p['carried'])
        elif narrow < 0.35:
            budget['category'] = r.choice([c for c in categories if p['categories'][c]['lane'] == 'marketing'])
        elif narrow < 0.5 and groups:
            budget['group'] = r.choice(groups)
        elif narrow < 0.6:
            budget['journey'] = r.choice(list(p['journeys']))
        p['budgets'].append(budget)
    p['has_visitors'] = people > 1 and r.random() < 0.4
    if p['has_visitors']:  # whom a control group has after a merge is the product's to draw
        p['holdout'] = 0
        for j in p['journeys'].values():
            j.pop('holdout', None)
    return p


def life(r, p, start_ms, people):
    """(ms, user, name, properties), ascending; no two at one instant. Some of visitors v0, v1, ..., who turn out to be
    u0, u1, ... by an event `Merged`."""
    events, times = [], set()
    who = [(f'u{n}', start_ms) for n in range(people)]
    if p['has_visitors']:
        who += [(f'v{n}', start_ms + r.randint(0, 4 * DAY)) for n in range(people) if r.random() < 0.7]
    for n, (user, from_ms) in enumerate(who):
        at = from_ms + r.randint(0, DAY)
        traits = {'score': r.randint(0, 9), 'timezone': r.choice(ZONES)}
        if r.random() < 0.93:
            traits['email'] = f'{user}@example.org'
        if r.random() < 0.8:
            traits['phone'] = r.choice(['+4470000', '+4470000', '+1213555', '+9198765', '+4915112']) + f'{n:05}'
        if r.random() < 0.6:
            traits['country'] = r.choice(['GB', 'US', 'US', 'IN', 'DE', 'CA', 'BR'])
        if r.random() < 0.4:
            traits['region'] = r.choice(['FL', 'TX', 'CT', 'CA'])
        happen = [(at, 'identify', traits)]
        for channel in ('email', 'sms'):
            if r.random() < 0.85:
                happen.append((at + r.randint(1, 5000), 'Consent Changed',
                               {'channel': channel, 'status': 'granted', 'purpose': 'marketing'}))
        days = 9
        if user[0] == 'v':
            days = 5
            merged = at + r.randint(6000, days * DAY)
            happen.append((merged, 'Merged', {}))
            for _ in range(r.randint(0, 3)):  # the same journeys, before it is known that both are one
                enter = f'Enter {r.randint(0, 3)}'
                for one in (user, owner(user)):
                    while (ms := merged - r.randint(1, 4 * HOUR)) in times:
                        pass
                    times.add(ms)
                    events.append((ms, one, enter, {}))
        for _ in range(r.randint(3, 14) * (3 if people == 1 else 1)):
            when = at + r.randint(6000, days * DAY)
            happen.append((when, *fact(r, p, when)))
        # Some of it close together, where rivals meet.
        near = [(x[0] + r.randint(1, 90_000), *fact(r, p, x[0])) for x in happen[1:] if r.random() < 0.3]
        for ms, name, properties in happen + near:
            if p['has_visitors'] and properties.get('per') == '10d':  # of the other's sends less may be known
                properties['per'] = '4d'
            while ms in times:
                ms += 1
            times.add(ms)
            events.append((ms, user, name, properties))
    return sorted(events, key=lambda e: e[0])


def owner(user):
    """Who a visitor turns out to be."""
    return 'u' + user[1:]


def of_person(events, user):
    """(ms, name, properties) of one user: what a visitor did is theirs from the merge on, and before it what
    `Merged` brings."""
    visitor = 'v' + user[1:]
    merged = next((ms for ms, who, name, _ in events if who == visitor and name == 'Merged'), None)
    before = [(ms, name, x) for ms, who, name, x in events if who == visitor and ms < merged]
    mine = [(ms, name, {'visitor': before} if name == 'Merged' else x) for ms, who, name, x in events
            if who == user or who == visitor and ms >= merged]
    return mine


def choice(r, at):
    """What somebody chooses for themselves, at that moment."""
    where = {'channel': r.choice(['email', 'sms'])} if r.random() < 0.4 else {}
    draw = r.random()
    if draw < 0.1:
        return {'do_not_contact': r.random() < 0.5}
    if draw < 0.4:
        return {'topic': f'topic-{r.randint(0, 1)}', 'status': r.choice(['off', 'on'])}
    if draw < 0.6:
        until = datetime.fromtimestamp((at + r.randint(-DAY, 4 * DAY)) // 1000, timezone.utc)
        topic = {'topic': f'topic-{r.randint(0, 1)}'} if r.random() < 0.3 else {}
        return {'snooze_until': until.strftime('%Y-%m-%dT%H:%M:%SZ'), **where, **topic}
    if draw < 0.7:
        return {'at_most': 'any', **where}
    return {'at_most': r.randint(1, 3), 'per': r.choice(['day', 'week', '1d', '3d', '10d']), **where}


def fact(r, p, at):
    draw = r.random()
    if draw < 0.62:
        return f'Enter {r.randint(0, 3)}', {}
    if draw < 0.68:
        return f'Exit {r.randint(0, 1)}', {}
    if draw < 0.74:
        return f'Goal {r.randint(0, 1)}', {}
    if draw < 0.8:
        return 'identify', {'score': r.randint(0, 9)}
    if draw < 0.84:
        return 'Consent Changed', {'channel': r.choice(['email', 'sms']), 'purpose': 'marketing',
                                   'status': r.choice(['granted', 'denied'])}
    if draw < 0.92:
        return 'Preferences Changed', choice(r, at)
    hold = r.randint(0, 1)
    return f"Hold {hold} {r.choice(['Opened', 'Opened', 'Solved'])}", {'ticket': r.randint(1, 2)}


def write(p, folder):
    """The programme as files. JSON is a part of YAML."""
    def put(path, text):
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text if isinstance(text, str) else json.dumps(text, indent=1))

    def clock(minute):
        return f'{minute // 60:02}:{minute % 60:02}'

    caps = []
    for cap in p['caps']:
        narrow = {k: cap[k] for k in ('channel', 'category', 'group', 'journey') if cap[k]}
        if cap.get('is_gap'):
            gap = {'for': span(cap['per']), **({'after': cap['after']} if cap['after'] else {})}
            caps.append({'min_gap': gap, **narrow})
        else:
            per = cap['per'] if isinstance(cap['per'], str) else span(cap['per'])
            caps.append({'limit': cap['limit'], 'per': per, **narrow})
    put('programme.yaml', {
        'name': 'Reference', 'timezone': p['timezone'], 'traits': {'score': {'type': 'int', 'default': 0}, 'country': 'string', 'region': 'string'},
        'categories': {n: {**c, 'valid_for': span(c['valid_for']), 'settle': span(c['settle'])}
                       for n, c in p['categories'].items()},
        'groups': [{'name': n, **{k: v for k, v in g.items() if v}} for n, g in p['groups'].items()],
        'caps': caps,
        **({'costs': {c: cents / 100 for c, cents in p['costs'].items()}, 'budgets': [
            {'name': f'budget-{i}', ('money' if b['is_money'] else 'messages'):
             b['limit'] / 100 if b['is_money'] else b['limit'], 'per': b['per'], 'then': b['then'],
             'timezone': b['zone'], **{k: b[k] for k in ('channel', 'category', 'group', 'journey') if b[k]}}
            for i, b in enumerate(p['budgets'])]} if p['budgets'] else {}),
        'quiet_hours': [{'from': clock(w['from']), 'to': clock(w['to']),
                         **{k: w[k] for k in ('channels', 'categories') if w[k]}} for w in p['quiet']],
        'holds': [{'name': n, 'from': h['from'], 'until': h['until'], 'linger': span(h['linger']),
                   'at_most': span(h['at_most']), 'drop': h['drop'],
                   **{k: h[k] for k in ('key', 'categories') if h[k]}} for n, h in p['holds'].items()],
        **({'holdout': {'percent': p['holdout']}} if p['holdout'] else {}),
        **({'reserve': span(p['reserve'])} if p['reserve'] else {}),
        **({'regulations': {'packs': p['regulations']['packs'],
                            **({'unknown': p['regulations']['unknown']} if p['regulations']['unknown'] else {}),
                            'rules': [{'name': x['name'], 'quiet': {'from': clock(x['from']), 'to': clock(x['to'])},
                                       **{k: x[k] for k in ('places', 'channels', 'categories') if x[k]}}
                                      for x in p['regulations']['rules']]}} if p['regulations'] else {})})
    for name, j in p['journeys'].items():
        steps = []
        for i, step in enumerate(j['steps']):
            if 'wait' in step:
                steps.append({'wait': {'for': span(step['wait'])}})
            else:
                steps.append({'send': step['send'], 'id': f'send-{i}',
                              'channels': {'first_of': p['messages'][step['send']]['channels']}})
                if 'instead' in step:
                    least, other = step['instead']
                    steps[-1]['instead'] = [{'if': f'traits.score >= {least}', 'do': [
                        {'send': other, 'channels': {'first_of': p['messages'][other]['channels']}}]}]
                if 'voucher' in step:
                    pool, if_empty = step['voucher']
                    steps[-1]['voucher'] = {'pool': pool, 'if_empty': if_empty}
        put(f'journeys/{name}.yaml', {
            'journey': name, 'priority': j['priority'], 'enter': {'event': j['enter']}, 'steps': steps,
            **({'group': j['group']} if 'group' in j else {}),
            **({'exits': [{'event': x} for x in j['exits']]} if j['exits'] else {}),
            **({'goal': {'event': j['goal'], 'within': '30d'}} if 'goal' in j else {}),
            **({'holdout': {'percent': j['holdout']}} if 'holdout' in j else {})})
    code = ' {{ voucher.code }}' if p['vouchers'] else ''
    for pool, count in p['vouchers'].items():
        put(f'vouchers/{pool}.csv', 'code\n' + ''.join(f'{pool}-{i}\n' for i in range(count)))
    for name, m in p['messages'].items():
        content = {'category': m['category'], 'email': {'subject': name}}
        if 'valid_for' in m:
            content['valid_for'] = span(m['valid_for'])
        if 'priority' in m:
            content['priority'] = m['priority']
        for key in ('content_key', 'topic'):
            if key in m:
                content[key] = m[key]
        if 'only_if' in m:
            content['only_if'] = f"traits.score >= {m['only_if']}"
        put(f'messages/{name}/message.yaml', content)
        put(f'messages/{name}/email.txt.liquid', name + code)
        if 'sms' in p['carried']:
            put(f'messages/{name}/sms.liquid', name + code)
    put('providers/mail.yaml', {'kind': 'smtp', 'slots': 256, 'settings': {
        'url': 'smtp://127.0.0.1:2525', 'from': 'a@example.org', 'security': 'optional'}})
    if 'sms' in p['carried']:
        put('providers/text.yaml', {'kind': 'webhook', 'channel': 'sms', 'slots': 256, 'settings': {
            'url': 'https://sms.example/send', 'secret': '${ENV:WEND_HOOK_SECRET}'}})


def write_events(events, path):
    with open(path, 'w', encoding='utf-8') as f:
        for i, (ms, user, name, properties) in enumerate(events):
            when = datetime.fromtimestamp(ms / 1000, timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.') + f'{ms % 1000:03}Z'
            line = {'timestamp': when, 'messageId': f'e{i}'}
            if user[0] == 'v':
                line['anonymousId'] = user
            if user[0] == 'u' or name == 'Merged':
                line['userId'] = owner(user)
            if name == 'Merged':
                name, properties = 'identify', {}
            if name == 'identify':
                line.update(type='identify', traits=properties)
            else:
                line.update(type='track', event=name, properties=properties)
            f.write(json.dumps(line) + '\n')
