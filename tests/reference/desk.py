# SPDX-License-Identifier: Apache-2.0
"""The desk once more: small, slow and obvious, written from docs/DESK.md and not from the C code.

One person at a time. Time goes from instant to instant at which anything may change; at each of them every
rule is asked of everything that waits. Nothing is remembered from one instant to the next but what
happened, so there is no T, no wake-up and no timer to get wrong. When a message cannot go, every later
instant up to its deadline is tried, to see whether one will do.

Zones are the system's own (zoneinfo), not the product's.
"""
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
LANES = ['otp', 'alert', 'legal', 'opt_in', 'service', 'marketing']
PHONES = {'+44': ['GB'], '+1': ['US', 'CA'], '+91': ['IN'], '+49': ['DE']}
EU = ['DE', 'FR', 'SE']  # as far as these worlds have people there
TEXTS = ['sms']
# (place, channels, minute from, minute until, weekdays on which it begins, zone): docs/DESK.md, "What the law says"
DAILY = range(7)
HOURS = {
    'us-tcpa': [('US', TEXTS, 1260, 480, DAILY, None)] +
               [(state, TEXTS, 1200, 480, DAILY, None) for state in ('US-FL', 'US-WA', 'US-OK', 'US-MD')] +
               [('US-CT', TEXTS, 1200, 540, DAILY, None),
                ('US-TX', TEXTS, 1260, 540, [6, 0, 1, 2, 3, 4], None), ('US-TX', TEXTS, 1260, 720, [5], None)],
    'in-sms': [('IN', TEXTS, 1260, 600, DAILY, 'Asia/Kolkata')],
    'eu-consent': [], 'ca-casl': [],
}
CONSENTS = {'us-tcpa': [('US', TEXTS)], 'in-sms': [('IN', TEXTS)], 'eu-consent': [('EU', None), ('GB', None)],
            'ca-casl': [('CA', None)]}
ADDRESS_CAP = 4  # marketing attempts to one address in 24 hours
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def local(zone, ms):
    return (EPOCH + timedelta(milliseconds=ms)).astimezone(zone)


def instant(moment):
    return (moment.astimezone(timezone.utc) - EPOCH) // timedelta(milliseconds=1)


def midnight(zone, day):
    """The first instant whose date on the wall is `day`: midnight, or later where the clocks skip it."""
    ms = instant(datetime(day.year, day.month, day.day, tzinfo=zone))
    while local(zone, ms - MINUTE).date() >= day:
        ms -= MINUTE
    while local(zone, ms).date() < day:
        ms += MINUTE
    return ms


def day_start(zone, ms, days=0):
    return midnight(zone, local(zone, ms).date() + timedelta(days=days))


def week_start(zone, ms, weeks=0):
    day = local(zone, ms).date()
    return midnight(zone, day - timedelta(days=day.weekday()) + timedelta(weeks=weeks))


@dataclass(eq=False)
class Hold:
    name: str
    key: object
    since: int
    until: float
    is_open: bool = True


@dataclass(eq=False)
class Instance:
    journey: str
    entered: int
    is_ghost: bool
    step: int = 0
    waits_until: object = None


@dataclass(eq=False)
class Intent:
    message: str
    journey: str
    instance: object
    created: int
    settles: int
    deadline: int
    is_ghost: bool
    channels: list
    was_asked: bool = False
    channel: str = None  # on which it is on its way
    put_off: dict = None  # channel -> what the last gate said: not before, and about which address (None: about none)
    refused: tuple = ()  # channels that a gate is against for good, or until it is too late
    reason: object = None  # of the first of them
    instead: object = None  # (least score, message) that goes in its place
    voucher: object = None  # (pool, what if it is empty)


@dataclass(eq=False)
class Line:
    """A message that went, or would have gone: what caps count."""
    at: int
    category: str
    group: object
    journey: str
    channel: str
    is_ghost: bool
    content: object = None
    is_on_its_way: bool = False  # the last gate has not let it through yet


@dataclass(eq=False)
class Decision:
    journey: str
    message: str
    created: int
    outcome: str
    at: int
    channel: object = None

    def key(self):
        return (self.created, self.journey, self.message, self.outcome, self.at)


class Desk:
    def __init__(self, programme, is_control):
        self.p = programme
        self.is_control = is_control  # is this person in the programme's control group?
        self.traits, self.said = {}, {}  # said: when each of them was stated last
        self.consent = {}  # (channel, the address it was said about or None) -> (when, bool)
        self.unsubscribed = set()  # addresses that said no, whoever has them
        self.choices = {}  # (what, about) -> (when, what they said)
        self.holds = []
        self.instances = []
        self.intents = []
        self.ledger = []
        self.attempts = []  # of marketing: (address, when); everybody has addresses of their own
        self.decisions = []
        self.codes = dict(programme['vouchers'])  # pool -> how many are left; one person has them all
        self.spent = []  # (when, index of the budget, what it was charged); one person spends them all
        self.now = None

    # ---- what happens -----------------------------------------------------------------------------

    def live(self, events, until, ghosts):
        """`events`: (ms, name, properties), ascending. `ghosts`: (journey, ms) of entries that the
        journey's own control group swallowed: drawing lots is not the desk's work."""
        self.ghosts = ghosts
        events = list(events)
        while True:
            at = min([e[0] for e in events[:1]] + self.instants(), default=until + 1)
            if at > until:
                break
            self.now = at
            self.holds = [h for h in self.holds if h.until >= at]
            while events and events[0][0] == at:
                self.happens(*events.pop(0)[1:])
            for instance in list(self.instances):
                if instance.waits_until is not None and instance.waits_until <= at:
                    instance.waits_until = None
                    self.go_on(instance)
            for intent in list(self.intents):
                if intent.deadline <= at and intent in self.intents:
                    self.end(intent, 'expired')
            self.holds = [h for h in self.holds if h.until > at]
            while self.settle():
                pass
        return self.decisions

    def happens(self, name, properties):
        p = self.p
        if name == 'Merged':
            visitor = Desk(p, self.is_control)
            visitor.live(properties['visitor'], self.now - 1, self.ghosts)
            self.unite(visitor)
            return
        if name == 'identify':
            self.traits.update(properties)
            self.said.update(dict.fromkeys(properties, self.now))
            return
        if name == 'Consent Changed':
            channel = properties['channel']
            is_given = properties['status'] == 'granted'
            self.consent[channel, self.address(channel)] = (self.now, is_given)
            (self.unsubscribed.discard if is_given else self.unsubscribed.add)(self.address(channel))
        if name == 'Preferences Changed':
            self.choose(properties)
        for instance in list(self.instances):
            journey = p['journeys'][instance.journey]
            if name == journey.get('goal'):
                self.leave(instance, 'goal_reached')
            elif name in journey.get('exits', []):
                self.leave(instance, 'exited')
        for hold_name, hold in p['holds'].items():
            if name == hold['until']:
                self.close(hold_name, hold, properties.get(hold['key']))
            if name == hold['from']:
                self.open(hold_name, hold, properties.get(hold['key']))
        for journey_name, journey in p['journeys'].items():
            if journey['enter'] == name:
                self.enter(journey_name, journey)

    def choose(self, said):
        channel, topic = said.get('channel'), said.get('topic')
        if 'do_not_contact' in said:
            self.choices['no_contact', None] = (self.now, said['do_not_contact'])
        if 'status' in said:
            self.choices['topic', topic] = (self.now, said['status'])
        if 'snooze_until' in said:
            until = instant(datetime.fromisoformat(said['snooze_until'].replace('Z', '+00:00')))
            self.choices['snooze', (channel, topic)] = (self.now, until)
        if 'at_most' in said:
            old, since = self.choices.get(('cap', channel), (0, None))[1], self.now - 7 * DAY
            if old:  # another's place: what that one knew stays known
                window = old['per'] if isinstance(old['per'], int) else {'day': DAY, 'week': 7 * DAY}[old['per']] + HOUR
                since = min(since, max(old['since'], self.now - window))
            self.choices['cap', channel] = (self.now, None if said['at_most'] == 'any' else {
                'limit': said['at_most'], 'per': said['per'] if said['per'] in ('day', 'week') else
                int(said['per'][:-1]) * DAY, 'channel': channel, 'category': None, 'group': None, 'journey': None,
                'after': [], 'since': since})

    def chosen(self, what):
        return [(about, said) for (kind, about), (_, said) in self.choices.items() if kind == what]

    def own_caps(self):
        return [cap for _, cap in self.chosen('cap') if cap]

    def unite(self, other):
        """`other`, who lived until now, turns out to be the same person."""
        other.now = self.now
        self.decisions += other.decisions
        other.decisions = self.decisions
        for trait, at in other.said.items():
            if at > self.said.get(trait, -1):
                self.traits[trait], self.said[trait] = other.traits[trait], at
        for mine, theirs in ((self.consent, other.consent), (self.choices, other.choices)):
            for about, statement in theirs.items():
                mine[about] = max(mine.get(about, statement), statement, key=lambda x: x[0])
        for hold in other.holds:
            is_known = any(h.name == hold.name and h.key == hold.key and h.is_open for h in self.holds)
            if hold.key is None or not hold.is_open or not is_known:
                self.holds.append(hold)
        for instance in list(other.instances):
            twin = next((i for i in self.instances if i.journey == instance.journey), None)
            if twin and (-twin.step, twin.entered) <= (-instance.step, instance.entered):
                other.leave(instance, 'merged')
                continue
            if twin:
                self.leave(twin, 'merged')
            self.instances.append(instance)
        self.unsubscribed |= other.unsubscribed
        self.intents += other.intents
        self.ledger += other.ledger
        self.attempts = sorted(self.attempts + other.attempts, key=lambda x: x[1])
        once = []
        for intent in list(self.intents):
            if any(x.message == intent.message and x.journey == intent.journey and x.instance is not intent.instance
                   for x in once):
                self.end(intent, 'merged')
            else:
                once.append(intent)

    def open(self, name, hold, key):
        if key is not None and any(h.name == name and h.key == key and h.is_open for h in self.holds):
            return
        limit = hold['at_most']
        self.holds.append(Hold(name, key, self.now, self.now + limit if limit else float('inf')))

    def close(self, name, hold, key):
        for h in self.holds:
            if h.name == name and h.key == key and h.is_open:
                h.is_open = False
                h.until = min(h.until, self.now + hold['linger'])
                return

    def enter(self, name, journey):
        if any(i.journey == name for i in self.instances):
            return
        is_ghost = (name, self.now) in self.ghosts
        group = journey.get('group')
        limit = self.p['groups'][group].get('at_most') if group else None
        if limit:
            live = [i for i in self.instances if self.p['journeys'][i.journey].get('group') == group and
                    (is_ghost or not i.is_ghost)]
            if len(live) >= limit:
                return
        instance = Instance(name, self.now, is_ghost)
        self.instances.append(instance)
        self.go_on(instance)

    def go_on(self, instance):
        steps = self.p['journeys'][instance.journey]['steps']
        if instance.step == len(steps):
            self.instances.remove(instance)
            return
        step = steps[instance.step]
        instance.step += 1
        if 'wait' in step:
            instance.waits_until = self.now + step['wait']
            return
        message = self.p['messages'][step['send']]
        category = self.p['categories'][message['category']]
        is_marketing = category['lane'] == 'marketing'
        intent = Intent(step['send'], instance.journey, instance, self.now, self.now + category['settle'],
                        self.now + message.get('valid_for', category['valid_for']),
                        is_marketing and (instance.is_ghost or self.is_control), message['channels'],
                        instead=step.get('instead'), voucher=step.get('voucher'))
        self.intents.append(intent)

    def replace(self, intent):
        """Another message stands where it stood: as old, settled already, and replaced no more."""
        self.note(intent, 'replaced')
        intent.message, intent.instead, intent.voucher = intent.instead[1], None, None
        message, category = self.p['messages'][intent.message], self.category(intent)
        intent.deadline = self.now + message.get('valid_for', category['valid_for'])
        intent.channels, intent.settles, intent.refused, intent.put_off = message['channels'], self.now, (), None
        intent.reason = None
        # Its instance may be over by then, but not what was drawn for it.
        intent.is_ghost = self.is_marketing(intent) and (intent.instance.is_ghost or self.is_control)

    def leave(self, instance, outcome):
        self.instances.remove(instance)
        for intent in list(self.intents):
            if intent.instance is instance and self.is_marketing(intent):
                self.note(intent, outcome)
                self.intents.remove(intent)

    def note(self, intent, outcome):
        self.moved = True
        self.decisions.append(
            Decision(intent.journey, intent.message, intent.created, outcome, self.now, intent.channel))

    def end(self, intent, outcome):
        self.note(intent, outcome)
        self.intents.remove(intent)
        if intent.instance in self.instances:
            self.go_on(intent.instance)

    # ---- the desk ---------------------------------------------------------------------------------

    def category(self, intent):
        return self.p['categories'][self.p['messages'][intent.message]['category']]

    def is_marketing(self, intent):
        return self.category(intent)['lane'] == 'marketing'

    def group(self, intent):
        return self.p['journeys'][intent.journey].get('group')

    def rank(self, intent):
        """Rule 12: smaller goes first."""
        p, category = self.p, self.category(intent)
        groups = list(p['groups'])
        place = groups.index(self.group(intent)) if self.group(intent) else len(groups)
        priority = p['messages'][intent.message].get('priority', category['priority'])
        return (LANES.index(category['lane']), place, -p['journeys'][intent.journey]['priority'], -priority,
                intent.deadline, intent.created)

    def is_settling(self, intent):
        return intent.settles > self.now and not intent.was_asked

    def settle(self):
        """Everything that waits is asked, the highest first. True if something moved: then it is done again."""
        self.moved = False
        sent, has_ended = [], False
        queue = sorted(self.intents, key=self.rank)
        while queue:
            intent = queue.pop(0)
            if intent not in self.intents or self.is_settling(intent):
                continue
            intent.was_asked = True
            if intent.channel is None and self.verdict(intent)[0] == 'replaced':
                self.replace(intent)
                queue = sorted(self.intents, key=self.rank)
                continue
            if intent.channel is None and self.verdict(intent)[0] == 'go':
                if has_ended:  # its journey has heard: what that has changed counts before anything more goes
                    has_ended, queue = False, sorted(self.intents, key=self.rank)
                    continue
                # Before a lower one goes, higher ones that still wait for rivals are asked.
                for other in sorted(self.intents, key=self.rank):
                    if self.rank(other) < self.rank(intent) and self.is_settling(other):
                        self.try_to_go(other, sent, only_go=True)
            self.try_to_go(intent, sent, only_go=False)
            has_ended |= intent not in self.intents
        for intent, line in sorted(sent, key=lambda x: self.rank(x[0])):
            self.come_to_the_gate(intent, line)
        return self.moved

    def keeps_a_slot(self, intent, channel):
        """Does a higher one that is known to come find its cap full if this one goes?"""
        if not self.p['reserve'] or not self.is_marketing(intent):
            return False
        for higher in self.intents:
            if (higher is intent or not self.is_marketing(higher) or higher.channel is not None or
                    not higher.was_asked or self.rank(higher) > self.rank(intent) or
                    higher.is_ghost and not intent.is_ghost):
                continue
            at, where = self.known_moment(higher)
            if at is None or at > self.now + self.p['reserve'] or at >= higher.deadline:
                continue
            if self.ask(higher, where, at, is_ahead=False)[0] != 'allow':
                continue
            self.ledger.append(self.line(intent, channel))
            goes = self.ask(higher, where, at, is_ahead=False)[0] == 'allow'
            self.ledger.pop()
            if not goes:
                return True
        return False

    def known_moment(self, intent):
        """When the rules, all of whose ends are known, let it go, and on which channel; or (None, None)."""
        for channel in intent.channels:
            if channel in intent.refused:
                continue
            kind = self.ask(intent, channel, self.now, is_ahead=False)[0]
            if kind != 'not before' or not self.has_instant(intent, channel):
                if kind in ('allow', 'never'):
                    return None, None
                continue
            rules = (self.chose, self.held, self.paused, self.capped, self.budgeted)
            if any(rule(intent, channel, self.now, False) and not rule(intent, channel, self.now, True)
                   for rule in rules) or self.is_held_openly(intent):
                return None, None
            for at in self.edges(intent.deadline):
                if self.ask(intent, channel, at, is_ahead=True)[0] != 'not before':
                    return at, channel
            return None, None
        return None, None

    def try_to_go(self, intent, sent, only_go):
        if intent.channel is not None:
            return
        verdict, channel = self.verdict(intent)
        if verdict == 'go' and self.keeps_a_slot(intent, channel):
            return
        if verdict == 'go':
            self.go(intent, channel, sent)
        elif verdict != 'wait' and not only_go:
            self.end(intent, verdict)

    def go(self, intent, channel, sent):
        intent.was_asked = True
        line = self.line(intent, channel)
        if intent.is_ghost:
            self.ledger.append(line)
            self.end(intent, 'held_out')
            return
        intent.channel = channel
        line.is_on_its_way = True
        self.ledger.append(line)
        sent.append((intent, line))

    def line(self, intent, channel):
        message = self.p['messages'][intent.message]
        return Line(self.now, message['category'], self.group(intent), intent.journey, channel, intent.is_ghost,
                    message.get('content_key'))

    def come_to_the_gate(self, intent, line):
        """Rule 14; behind it the provider takes everything at once."""
        channel = intent.channel
        if self.budgeted(intent, channel, self.now, is_ahead=False):  # another one took what was left
            self.ledger.remove(line)
            self.moved = True
            intent.channel = None
            return
        if intent.voucher and intent.voucher[1] != 'send_without' and not self.codes[intent.voucher[0]]:
            self.ledger.remove(line)
            self.moved = True
            intent.channel = None
            if intent.voucher[1] == 'skip':
                self.end(intent, 'no_voucher')
            else:
                intent.put_off = {**(intent.put_off or {}), channel: (self.now + 15 * MINUTE, None)}
            return
        if self.is_marketing(intent):
            if self.address(channel) in self.unsubscribed:  # a yes that was said about no address lifts no address's no
                self.refuse(intent, channel, line, 'no_consent')
                return
            recent = [at for where, at in self.attempts if where == self.address(channel) and at > self.now - DAY]
            if len(recent) >= ADDRESS_CAP:
                again = recent[-ADDRESS_CAP] + DAY
                if again >= intent.deadline:
                    self.refuse(intent, channel, line, 'expired')
                    return
                self.ledger.remove(line)
                self.moved = True
                intent.channel = None
                intent.put_off = {**(intent.put_off or {}), channel: (again, self.address(channel))}
                return
            self.attempts.append((self.address(channel), self.now))
        if intent.voucher and self.codes[intent.voucher[0]]:
            self.codes[intent.voucher[0]] -= 1
        self.spent += [(self.now, i, b['costs'][channel]) for i, b in self.budgets_of(intent, channel)]
        line.is_on_its_way = False
        self.end(intent, 'sent')

    def refuse(self, intent, channel, line, reason):
        self.ledger.remove(line)
        self.moved = True
        intent.channel = None
        intent.refused += (channel,)
        intent.reason = intent.reason or reason

    def verdict(self, intent):
        """('go', channel), ('wait', None) or (outcome, None)."""
        end = None
        for channel in intent.channels:
            if channel in intent.refused:
                end = end or intent.reason
                continue
            kind, outcome = self.ask(intent, channel, self.now, is_ahead=False)
            if kind == 'allow':
                return 'go', channel
            if kind == 'never':
                return outcome, None
            if kind == 'not before' and self.has_instant(intent, channel):
                return 'wait', None
            end = end or (outcome if kind == 'never here' else 'expired')
        return end, None

    def has_instant(self, intent, channel):
        """Is there an instant before its deadline at which no rule whose end is known stands against it?"""
        return any(self.ask(intent, channel, at, is_ahead=True)[0] != 'not before'
                   for at in [self.now] + self.edges(intent.deadline))

    def ask(self, intent, channel, at, is_ahead):
        """All rules at the instant `at`: the gravest answer. Ahead, a rule whose end is not known says nothing."""
        answers = [rule(intent, channel, at, is_ahead) for rule in
                   (self.reachable, self.agreed, self.chose, self.regulated, self.wanted, self.held, self.paused,
                    self.duplicate, self.quiet, self.capped, self.budgeted, self.addressed)]
        for kind in ('never', 'never here', 'not before'):
            for answer in answers:
                if answer and answer[0] == kind:
                    return answer
        return 'allow', None

    # ---- the rules: None allows -------------------------------------------------------------------

    def reachable(self, intent, channel, at, is_ahead):
        if not self.address(channel) or channel not in self.p['carried']:
            return 'never here', 'unreachable'

    def address(self, channel):
        return self.traits.get({'email': 'email', 'sms': 'phone'}[channel])

    def agreed(self, intent, channel, at, is_ahead):
        if any(said for _, said in self.chosen('no_contact')):
            return 'never', 'no_consent'
        if not self.is_marketing(intent):
            return None
        if self.topic(intent) and (self.topic(intent), 'off') in self.chosen('topic'):
            return 'never', 'no_consent'
        silence_is_one = self.category(intent).get('consent') == 'opt_out' and not any(
            self.is_at(place, channel) for pack in self.packs() for place, channels in CONSENTS[pack]
            if channels is None or channel in channels)
        said = [x for x in (self.consent.get((channel, about)) for about in {None, self.address(channel)}) if x]
        if not (max(said)[1] if said else silence_is_one):
            return 'never here', 'no_consent'

    def chose(self, intent, channel, at, is_ahead):
        if not self.is_marketing(intent) or self.agreed(intent, channel, at, is_ahead):
            return None
        for (where, topic), until in self.chosen('snooze'):
            if where in (None, channel) and topic in (None, self.topic(intent)) and at < until:
                return 'not before', None
        if self.over(self.own_caps(), intent, channel, at, is_ahead):
            return 'not before', None

    def regulated(self, intent, channel, at, is_ahead):
        """Rule 3; what the packs say, and the programme's own rules."""
        wall = local(self.zone(), at)
        for place, channels, begin, end, days, zone in self.laws(intent):
            if channels and channel not in channels or not self.is_at(place, channel):
                continue
            if is_quiet(local(ZoneInfo(zone), at) if zone else wall, begin, end, days):
                return 'not before', None

    def laws(self, intent):
        own = self.p['regulations'] or {'rules': []}
        rows = [row for pack in self.packs() for row in HOURS[pack]] if self.is_marketing(intent) else []
        for rule in own['rules']:
            name = self.p['messages'][intent.message]['category']
            if name in rule['categories'] if rule['categories'] else self.is_marketing(intent):
                rows += [(place, rule['channels'], rule['from'], rule['to'], DAILY, None)
                         for place in rule['places'] or ['*']]
        return rows

    def packs(self):
        regulations = self.p['regulations']
        return regulations['packs'] if regulations else list(HOURS)

    def is_at(self, place, channel):
        """Does the person count to the place, on that channel?"""
        country, region = self.traits.get('country'), self.traits.get('region')
        countries = {country: region} if country else {}
        if channel == 'sms':
            for code in PHONES[next(p for p in PHONES if self.traits.get('phone', '+44').startswith(p))]:
                countries.setdefault(code, region if not country else None)
        if not countries:
            unknown = self.p['regulations'] and self.p['regulations']['unknown']
            if not unknown:
                return True
            for where in unknown:
                if is_part(place, where[:2], where[3:] or region):
                    return True
            return False
        return any(is_part(place, code, state) for code, state in countries.items())

    def topic(self, intent):
        return self.p['messages'][intent.message].get('topic')

    def duplicate(self, intent, channel, at, is_ahead):
        key = self.p['messages'][intent.message].get('content_key')
        if key and any(line.content == key and (intent.is_ghost or not line.is_ghost) for line in self.ledger):
            return 'never', 'duplicate'

    def wanted(self, intent, channel, at, is_ahead):
        if intent.instead and self.traits.get('score', 0) >= intent.instead[0]:
            return 'never', 'replaced'
        least = self.p['messages'][intent.message].get('only_if')
        if least is not None and self.traits.get('score', 0) < least:
            return 'never', 'not_relevant'

    def is_held_openly(self, intent):
        name = self.p['messages'][intent.message]['category']
        return any(h.is_open and h.since <= self.now < h.until and
                   (name in self.p['holds'][h.name]['categories'] if self.p['holds'][h.name]['categories'] else
                    self.is_marketing(intent)) for h in self.holds)

    def held(self, intent, channel, at, is_ahead):
        answer = None
        for hold in self.holds:
            means = self.p['holds'][hold.name]
            if means['categories']:
                is_meant = self.p['messages'][intent.message]['category'] in means['categories']
            else:
                is_meant = self.is_marketing(intent)
            if not is_meant or not hold.since <= at < hold.until:
                continue
            if means['drop']:
                return 'never', 'held'
            if not (hold.is_open and is_ahead):
                answer = 'not before', None
        return answer

    def paused(self, intent, channel, at, is_ahead):
        group = self.group(intent)
        if group is None or not self.is_marketing(intent) or is_ahead:
            return None
        for instance in self.instances:
            other = self.p['journeys'][instance.journey].get('group')
            if instance.is_ghost or instance.journey == intent.journey or other is None:
                continue
            if group in self.p['groups'][other]['pauses']:
                return 'not before', None

    def quiet(self, intent, channel, at, is_ahead):
        name = self.p['messages'][intent.message]['category']
        for window in self.p['quiet']:
            is_meant = name in window['categories'] if window['categories'] else self.is_marketing(intent)
            if not is_meant or (window['channels'] and channel not in window['channels']):
                continue
            if is_quiet(local(self.zone(), at), window['from'], window['to'], DAILY):
                return 'not before', None

    def capped(self, intent, channel, at, is_ahead):
        if self.is_marketing(intent) and self.over(self.p['caps'], intent, channel, at, is_ahead):
            return 'not before', None

    def over(self, caps, intent, channel, at, is_ahead):
        for cap in caps:
            if not self.matches(cap, channel, self.p['messages'][intent.message]['category'], self.group(intent),
                                intent.journey):
                continue
            if cap['per'] == 'day':
                begin, end = day_start(self.zone(), at), day_start(self.zone(), at, 1)
                inside = [x for x in self.ledger if begin <= x.at < end]
            elif cap['per'] == 'week':
                begin, end = week_start(self.zone(), at), week_start(self.zone(), at, 1)
                inside = [x for x in self.ledger if begin <= x.at < end]
            else:
                inside = [x for x in self.ledger if at - cap['per'] < x.at <= at]
            count = on_their_way = 0
            for line in inside:
                if line.is_ghost and not intent.is_ghost or line.at <= cap.get('since', 0):
                    continue
                lane = self.p['categories'][line.category]['lane']
                counts = lane == 'marketing' and self.matches(cap, line.channel, line.category, line.group,
                                                              line.journey)
                if counts or line.category in cap['after'] or lane in cap['after']:
                    count += not line.is_on_its_way
                    on_their_way += line.is_on_its_way
            if count >= cap['limit'] or (not is_ahead and count + on_their_way >= cap['limit']):
                return True
        return False

    def budgets_of(self, intent, channel):
        if intent.is_ghost or not self.is_marketing(intent):
            return []
        category = self.p['messages'][intent.message]['category']
        return [(i, b) for i, b in enumerate(self.p['budgets'])
                if self.matches(b, channel, category, self.group(intent), intent.journey)]

    def budgeted(self, intent, channel, at, is_ahead):
        answer = None
        for i, b in self.budgets_of(intent, channel):
            begin, end = self.period(b, at)
            used = sum(cost for when, which, cost in self.spent if which == i and begin <= when < end)
            if not b['costs'][channel] or used + b['costs'][channel] <= b['limit']:
                continue
            if b['then'] == 'refuse':
                return 'never here', 'no_budget'
            if not (is_ahead and b['per'] == 'all'):  # nothing is known to bring something back
                answer = 'not before', None
        return answer

    def period(self, budget, at):
        zone = ZoneInfo(budget['zone'])
        if budget['per'] == 'all':
            return 0, float('inf')
        if budget['per'] == 'week':
            return week_start(zone, at), week_start(zone, at, 1)
        return day_start(zone, at), day_start(zone, at, 1)

    def addressed(self, intent, channel, at, is_ahead):
        """What the last gate said before stands."""
        until, about = (intent.put_off or {}).get(channel, (0, None))
        if at < until and about in (None, self.address(channel)):
            return 'not before', None

    def matches(self, cap, channel, category, group, journey):
        return ((not cap['channel'] or channel == cap['channel']) and
                (not cap['category'] or category == cap['category']) and
                (not cap['group'] or group == cap['group']) and
                (not cap['journey'] or journey == cap['journey']))

    # ---- time -------------------------------------------------------------------------------------

    def zone(self):
        return ZoneInfo(self.traits.get('timezone') or self.p['timezone'])

    def edges(self, until):
        """Every instant from now to `until` at which a rule may answer otherwise, if nothing happens."""
        found = set()
        zone = self.zone()
        day = local(zone, self.now).date() - timedelta(days=1)
        while day <= local(zone, until).date() + timedelta(days=1):  # India's day may be ahead of theirs
            found |= walls(zone, day, self.minutes())
            found |= walls(ZoneInfo('Asia/Kolkata'), day, (600, 1260))
            for budget in self.p['budgets']:
                found |= walls(ZoneInfo(budget['zone']), day, ())
            day += timedelta(days=1)
        found |= {until for _, until in self.chosen('snooze')}
        for cap in self.p['caps'] + self.own_caps():
            if isinstance(cap['per'], int):
                found |= {line.at + cap['per'] for line in self.ledger}
        found |= {at for intent in self.intents for at, _ in (intent.put_off or {}).values()}
        found |= {hold.until for hold in self.holds} | {at + DAY for _, at in self.attempts}
        return sorted(at for at in found if self.now < at < until)

    def minutes(self):
        """Of the wall, at which windows begin and end."""
        own = self.p['regulations'] or {'rules': []}
        found = {w[side] for w in self.p['quiet'] + own['rules'] for side in ('from', 'to')}
        return tuple(sorted(found | {side for pack in self.packs() for row in HOURS[pack] for side in row[2:4]}))

    def instants(self):
        """When anything may change next if nothing happens."""
        found = [i.waits_until for i in self.instances if i.waits_until is not None]
        for intent in self.intents:
            found += [intent.deadline, intent.settles]
            found += self.edges(intent.deadline)[:1]
        return [at for at in found if self.now is None or at > self.now]


def is_quiet(wall, begin, end, days):
    """From `begin` to before `end`, over midnight if it is the earlier; begun on one of these weekdays."""
    minute, day = wall.hour * 60 + wall.minute, wall.weekday()
    if begin < end:
        return begin <= minute < end and day in days
    return (minute >= begin and day in days) or (minute < end and (day - 1) % 7 in days)


def is_part(place, country, region):
    """Is somebody of that country and region (None: may be any) at the place?"""
    if place == '*':
        return True
    if place == 'EU':
        return country in EU
    return place[:2] == country and (len(place) == 2 or region is None or place[3:] == region)


@lru_cache(maxsize=None)
def walls(zone, day, minutes):
    """The instants of a day at which its wall shows one of the minutes, at which it begins, and at which its
    clocks are changed."""
    begin = midnight(zone, day)
    found = {begin}
    for minute in minutes:
        for fold in (0, 1):
            found.add(instant(datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone,
                                       fold=fold)))
    for quarter in range(100):
        at = begin + quarter * 15 * MINUTE
        if local(zone, at).utcoffset() != local(zone, at - 1).utcoffset():
            found.add(at)
    return frozenset(found)
