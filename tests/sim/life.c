/* Random lives: people who share devices and addresses, change their clocks and minds, are told of late
 * and twice; a provider that fails in every way; two programmes, one after the other. What comes out is
 * held against models that know nothing of the engine: they see facts go in and rows and attempts come
 * out. The same life over snapshots gives the same rows and state.
 *
 * After the last fact the world is left alone for a month; then nothing may be pending. */
#include <string.h>

#include "profile/consent.h"
#include "profile/traits.h"
#include "support/house.h"

/* ---- two programmes ------------------------------------------------------------------------------ */

#define MESSAGE(name, settings)                                                               \
    "=== messages/" name "/message.yaml\n" settings "email: {subject: '{{ person.name }}'}\n" \
    "=== messages/" name "/email.txt.liquid\n" name "\n"                                      \
    "=== messages/" name "/sms.liquid\n{{ person.name }}\n"

#define PROVIDERS(mail, text)                                                             \
    "=== providers/mail.yaml\nkind: smtp\nslots: " mail                                   \
    "\nsettings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n" \
    "=== providers/text.yaml\nkind: webhook\nchannel: sms\nslots: " text                  \
    "\nsettings: {url: 'https://sms.example/send', secret: '${ENV:SMS_SECRET}'}\n"

#define SETTINGS                                                          \
    "=== programme.yaml\nname: Life\ntimezone: Europe/London\n"           \
    "traits: {name: {type: string}, vip: {type: bool, default: false}}\n" \
    "categories:\n"                                                       \
    "  order-update: {lane: service}\n"                                   \
    "  code: {lane: otp}\n"                                               \
    "  lifecycle: {lane: marketing, valid_for: 4d, priority: 500}\n"      \
    "  offer: {lane: marketing, valid_for: 2d, priority: 300}\n"

#define JOURNEYS                                                                                    \
    "=== journeys/welcome.yaml\njourney: welcome\nenter: {event: Signed Up, again: never}\n"        \
    "steps:\n  - {send: hello}\n  - wait: {for: 1d, unless: engaged}\n"                             \
    "  - branch: [{if: 'engaged(\"hello\", \"7d\")', do: [{send: thanks}]}]\n"                      \
    "=== journeys/cart.yaml\njourney: cart\npriority: 50\n"                                         \
    "goal: {event: Order Completed, within: 7d}\n"                                                  \
    "enter: {event: Cart Updated, key: event.cart_id, at_once: {max: 3}}\n"                         \
    "steps:\n  - wait: {for: 1h, reset_by: Cart Updated, at_most: 5h}\n"                            \
    "  - {send: reminder, channels: {first_of: [email, sms]}, if_not_sent: [{send: offer}]}\n"      \
    "=== journeys/order.yaml\njourney: order\nenter: {event: Order Completed, at_once: {max: 5}}\n" \
    "steps:\n  - {send: receipt}\n  - wait: {for: 2 days}\n  - {send: review, go_on: true}\n"       \
    "  - set: {vip: 'true'}\n"                                                                      \
    "=== journeys/login.yaml\njourney: login\nenter: {event: Login Tried, at_once: {max: 9}}\n"     \
    "steps: [{send: code}]\n"                                                                       \
    "=== journeys/idle.yaml\njourney: idle\nenter: {event: Seen}\n"                                 \
    "require: '!traits.vip || idle(\"Order Completed\", \"1d\")'\n"                                 \
    "steps:\n  - wait: {until: {if: 'idle(\"Seen\", \"2d\")'}}\n  - {send: come-back}\n"

#define MESSAGES                                                                           \
    MESSAGE("hello", "category: lifecycle\n")                                              \
    MESSAGE("thanks", "category: lifecycle\ncontent_key: kind\n")                          \
    MESSAGE("come-back", "category: lifecycle\ncontent_key: kind\n")                       \
    MESSAGE("reminder", "category: offer\nonly_if: '!did(\"Order Completed\", \"1h\")'\n") \
    MESSAGE("offer", "category: offer\n")                                                  \
    MESSAGE("receipt", "category: order-update\n")                                         \
    MESSAGE("review", "category: lifecycle\n")                                             \
    MESSAGE("code", "category: code\n")

static const char *const programmes[] = {
    SETTINGS
    "groups:\n  - {name: first, journeys: [cart]}\n"
    "  - {name: second, journeys: [welcome], pauses: [third]}\n  - {name: third, journeys: [promo]}\n"
    "caps:\n  - {limit: 2, per: day}\n  - {limit: 4, per: 7d}\n  - {limit: 1, per: day, channel: sms}\n"
    "  - min_gap: {for: 2h, after: [order-update]}\n"
    "quiet_hours: [{from: '21:00', to: '08:00'}]\n"
    "holds:\n"
    "  - {name: ticket, from: Ticket Opened, until: Ticket Solved, key: ticket, linger: 2h, "
    "at_most: 3d, waits: freeze}\n"
    "  - {name: fraud, from: Fraud Seen, until: Fraud Over, linger: 0s, at_most: 1d, drop: true}\n"
    "holdout: {percent: 15, salt: one}\n" PROVIDERS("2", "1") JOURNEYS
    "=== journeys/promo.yaml\njourney: promo\nholdout: {percent: 20}\n"
    "enter: {event: Sale Seen, at_once: {max: 1, then: restart}}\n"
    "steps:\n  - wait: {for: 10m}\n  - {send: sale}\n" MESSAGES MESSAGE("sale",
                                                                        "category: offer\n"),
    SETTINGS
    "caps:\n  - {limit: 1, per: day}\n  - {limit: 4, per: 7d}\n"
    "quiet_hours: [{from: '21:00', to: '08:00'}]\n"
    "holds:\n"
    "  - {name: fraud, from: Fraud Seen, until: Fraud Over, linger: 1h, at_most: 1d, drop: true}\n"
    "holdout: {percent: 30, salt: two}\n" PROVIDERS("1", "3") JOURNEYS MESSAGES,
};

/* ---- a life ------------------------------------------------------------------------------------- */

enum { USERS = 9, DEVICES = 6, ADDRESSES = 8 };

/* What is known from outside of an address: the last word about it, by channel. */
struct said {
    char address[64];
    uint8_t channel;
    bool is_yes;
};

struct life {
    struct house *house;
    uint64_t luck;
    struct said said[64];
    uint32_t said_count;
    uint64_t twice; /* records that were sent again */
    uint32_t looked_attempts, looked_rows;
    uint32_t marketing, service;
};

static uint64_t next(struct life *l)
{
    l->luck = l->luck * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return l->luck >> 17;
}

static const char *pick(struct life *l, const char *const *list, uint32_t count)
{
    return list[next(l) % count];
}

#define PICK(l, list) pick(l, list, array_count(list))

/* Mostly users, often on one of their devices, sometimes nobody knows who. */
static const char *somebody(struct life *l, char out[32])
{
    unsigned user = (unsigned)(next(l) % USERS), device = (unsigned)(next(l) % DEVICES);
    switch (next(l) % 8) {
    case 0: snprintf(out, 32, "~d%u", device); break;
    case 1: snprintf(out, 32, "u%u~d%u", user, next(l) % 3 ? user % DEVICES : device); break;
    default: snprintf(out, 32, "u%u", user); break;
    }
    return out;
}

static void address_of(struct life *l, char out[64], uint8_t channel)
{
    unsigned nth = (unsigned)(next(l) % ADDRESSES);
    snprintf(out, 64, channel == CHANNEL_EMAIL ? "a%u@example.org" : "+44%u", nth);
}

static struct said *said_of(struct life *l, const char *address, uint8_t channel)
{
    for (uint32_t i = 0; i < l->said_count; i++)
        if (l->said[i].channel == channel && strcmp(l->said[i].address, address) == 0)
            return &l->said[i];
    assert_true(l->said_count < array_count(l->said));
    struct said *fresh = &l->said[l->said_count++];
    snprintf(fresh->address, sizeof(fresh->address), "%s", address);
    fresh->channel = channel;
    return fresh;
}

static void say(struct life *l, bool is_yes)
{
    char who[32], address[64], fields[160];
    uint8_t channel = next(l) % 3 ? CHANNEL_EMAIL : CHANNEL_SMS;
    address_of(l, address, channel);
    snprintf(fields, sizeof(fields), "channel=%s status=%s address=%s",
             channel == CHANNEL_EMAIL ? "email" : "sms", is_yes ? "granted" : "denied", address);
    house_event(l->house, somebody(l, who), "Consent Changed", fields);
    said_of(l, address, channel)->is_yes = is_yes;
}

static void become_known(struct life *l)
{
    static const char *const zones[] = {"Europe/London", "America/New_York", "Asia/Tokyo",
                                        "Europe/London"};
    char who[32], email[64], phone[64], fields[300];
    address_of(l, email, CHANNEL_EMAIL);
    address_of(l, phone, CHANNEL_SMS);
    snprintf(fields, sizeof(fields), "email=%s phone=%s timezone=%s name=N%u", email, phone,
             PICK(l, zones), (unsigned)(next(l) % 3));
    house_identify(l->house, somebody(l, who), fields);
}

/* An answer to something that was sent. */
static void answer(struct life *l)
{
    static const char *const answers[] = {"Message Opened", "Message Clicked", "Message Opened",
                                          "Message Complained", "Unsubscribed"};
    struct house *h = l->house;
    char who[32], fields[160];
    if (h->attempt_count == 0)
        return;
    const struct house_attempt *a = &h->attempts[next(l) % h->attempt_count];
    const char *event = PICK(l, answers);
    bool is_complaint = strcmp(event, "Message Complained") == 0;
    bool is_no = strcmp(event, "Unsubscribed") == 0;
    if ((is_complaint || is_no) && next(l) % 4)
        return;
    snprintf(fields, sizeof(fields), "channel=%s address=%s",
             a->channel == CHANNEL_EMAIL ? "email" : "sms", a->address);
    struct record *r = house_event(h, somebody(l, who), event, is_no ? fields : "");
    r->cause = a->decision;
    if (is_no)
        said_of(l, a->address, a->channel)->is_yes = false;
    /* Who complains about a message that they were not sent is not heard. */
    if (is_complaint) {
        struct person person;
        engine_look(h->engine, a->profile, &person);
        h->record_count--;
        char own[32];
        snprintf(own, sizeof(own), "u%u", (unsigned)(next(l) % USERS));
        if (house_person(h, own) == person.id) {
            house_event(h, own, event, "")->cause = a->decision;
            for (uint32_t i = 0; i < person.profile->ledger.count; i++)
                if (person_sent(&person, i)->decision == a->decision)
                    said_of(l, a->address, a->channel)->is_yes = false;
        }
    }
}

/* Somebody is erased: nothing goes to their addresses any more until they agree again. */
static void forget_somebody(struct life *l)
{
    struct house *h = l->house;
    char who[32];
    snprintf(who, sizeof(who), "u%u", (unsigned)(next(l) % USERS));
    uint64_t profile = house_person(h, who);
    if (profile == 0)
        return;
    struct record *r = house_event(h, who, "Nothing", "");
    struct buf clear;
    buf_init(&clear);
    body_put_int(&clear, NAME_PROFILE, (int64_t)profile);
    struct str kept = arena_copy(&h->bodies, buf_str(&clear));
    buf_fini(&clear);
    *r = (struct record){.type = RECORD_ERASE,
                         .kind = ERASE_PERSON,
                         .schema = RECORD_SCHEMA,
                         .at_ms = r->at_ms,
                         .event_ms = r->event_ms,
                         .arrival_ms = r->arrival_ms,
                         .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len}};
}

static void something(struct life *l)
{
    static const char *const events[] = {
        "Signed Up",     "Cart Updated",  "Cart Updated", "Cart Updated", "Order Completed",
        "Sale Seen",     "Sale Seen",     "Seen",         "Seen",         "Login Tried",
        "Ticket Opened", "Ticket Solved", "Fraud Seen",   "Fraud Over",   "Nothing"};
    struct house *h = l->house;
    char who[32], fields[64];
    if (next(l) % 500 == 0) {
        forget_somebody(l);
        return;
    }
    switch (next(l) % 12) {
    case 0: become_known(l); return;
    case 1: say(l, next(l) % 8 != 0); return;
    case 2: answer(l); return;
    default: break;
    }
    snprintf(fields, sizeof(fields), "cart_id=%u ticket=%u", (unsigned)(next(l) % 3),
             (unsigned)(next(l) % 2));
    struct record *r = house_event(h, somebody(l, who), PICK(l, events), fields);
    if (next(l) % 10 == 0)
        r->event_ms = h->now_ms - (int64_t)(next(l) % (3 * HOUR_MS)); /* told of late */
    if (next(l) % 40 == 0)
        r->flags |= RECORD_IS_HISTORY;
    if (next(l) % 12 == 0) { /* and once more */
        struct record again = *r;
        h->records[h->record_count++] = again;
        l->twice++;
    }
}

static enum receipt_kind provider(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    struct life *l = h->self;
    static const enum receipt_kind answers[] = {
        RECEIPT_ACCEPTED, RECEIPT_ACCEPTED, RECEIPT_ACCEPTED,         RECEIPT_ACCEPTED,
        RECEIPT_ACCEPTED, RECEIPT_IN_DOUBT, RECEIPT_REJECTED_MESSAGE, RECEIPT_REJECTED_POLICY,
        RECEIPT_GAVE_UP,  RECEIPT_ABORTED};
    (void)a;
    *delay_ms = next(l) % 3 ? (int64_t)(next(l) % (5 * MINUTE_MS)) : 0;
    return next(l) % 60 ? answers[next(l) % array_count(answers)] : RECEIPT_REJECTED_ADDRESS;
}

/* ---- what must hold of every attempt -------------------------------------------------------------- */

static const struct plan *newest(const struct house *h)
{
    return h->plans[h->plan_count - 1];
}

static uint64_t now_is(const struct house *h, uint64_t profile)
{
    struct person person;
    engine_look(h->engine, profile, &person);
    return person.id;
}

/* The attempts so far that hold a slot of the person of now, since from_ms. */
static uint32_t count_slots(const struct life *l, uint64_t person, int64_t from_ms, uint32_t before)
{
    const struct house *h = l->house;
    uint32_t count = 0;
    for (uint32_t i = 0; i < before; i++) {
        const struct house_attempt *a = &h->attempts[i];
        bool is_given_back = false;
        if (a->attempt != 1 || a->lane != LANE_MARKETING || a->at_ms <= from_ms ||
            now_is(h, a->profile) != person)
            continue;
        for (uint32_t k = 0; k < h->row_count && !is_given_back; k++)
            is_given_back = h->rows[k].result.kind == RESULT_RETURNED &&
                            h->rows[k].result.id == a->decision && h->rows[k].now_ms >= a->at_ms &&
                            h->rows[k].batch > 0;
        count += !is_given_back;
    }
    return count;
}

static void check_marketing(struct life *l, const struct house_attempt *a, uint32_t nth)
{
    struct house *h = l->house;
    const struct plan *plan = newest(h);
    struct person person;
    engine_look(h->engine, a->profile, &person);
    /* Consent: somebody agreed for the address, and nobody has said no since. */
    if (!said_of(l, a->address, a->channel)->is_yes)
        fail_msg("%s is written to against its word", a->address);
    /* Quiet hours, by the clock on the person's wall. */
    struct value zone = traits_get(&person, NAME_TIMEZONE, NULL);
    uint16_t index = zone.type == VALUE_TEXT ? zoneset_find(plan->zones, zone.text) : plan->zone;
    struct local wall = zone_local(zoneset_zone(plan->zones, index), a->at_ms);
    assert_true(wall.hour >= 8);
    assert_true(wall.hour < 21);
    /* Holds: no stretch of theirs covers the moment. */
    for (uint32_t i = 0; i < person.profile->holds.count; i++) {
        const struct hold *hold = person_hold(&person, i);
        bool is_known = hold->name == NAME_MESSAGE_COMPLAINED;
        for (uint32_t k = 0; k < plan->hold_count; k++)
            is_known |= plan->holds[k].name == hold->name;
        if (is_known && hold->from_ms <= a->at_ms && a->at_ms < hold->until_ms)
            fail_msg("a person under a hold is written to");
    }
    /* Control groups, from the mark on: what was tried before a merge goes on. */
    uint16_t journey = plan_journey_find(plan, a->journey);
    assert_true(journey != PLAN_NO_INDEX);
    const struct plan_journey *j = &plan->journeys[journey];
    if (a->attempt == 1) {
        assert_true(hash_chance(plan->holdout_salt, person.id) >= plan->holdout);
        assert_true(j->holdout == 0 || hash_chance(j->salt, person.id) >= j->holdout);
    }
    /* Caps over all channels, if this is the attempt that takes the slot. */
    if (a->attempt == 1) {
        int64_t day_ms = zone_day_start(zoneset_zone(plan->zones, index), a->at_ms);
        uint32_t today = count_slots(l, person.id, day_ms - 1, nth);
        uint32_t week = count_slots(l, person.id, a->at_ms - 7 * DAY_MS, nth);
        uint32_t gap = count_slots(l, person.id, a->at_ms - 2 * HOUR_MS, nth);
        assert_true(today < plan->caps[0].limit);
        assert_true(week < 4);
        if (plan->cap_count > 2)
            assert_int_equal(gap, 0);
    }
    /* An address has four in a day, whoever they are for. */
    uint32_t here = 0;
    for (uint32_t i = 0; i <= nth; i++) {
        const struct house_attempt *x = &h->attempts[i];
        here += x->lane == LANE_MARKETING && x->channel == a->channel &&
                x->at_ms > a->at_ms - DAY_MS && strcmp(x->address, a->address) == 0;
    }
    assert_true(here <= 4);
}

/* Looks at what the batches since the last look have brought. */
static void look(struct life *l)
{
    struct house *h = l->house;
    for (; l->looked_attempts < h->attempt_count; l->looked_attempts++) {
        const struct house_attempt *a = &h->attempts[l->looked_attempts];
        uint32_t earlier = 0;
        for (uint32_t i = 0; i < l->looked_attempts; i++)
            earlier += h->attempts[i].decision == a->decision;
        assert_int_equal(a->attempt, earlier + 1); /* no attempt twice, none left out */
        assert_true(a->at_ms <= a->deadline_ms);
        if (a->lane == LANE_MARKETING)
            check_marketing(l, a, l->looked_attempts);
        l->marketing += a->lane == LANE_MARKETING;
        l->service += a->lane != LANE_MARKETING;
    }
}

/* ---- what must hold of the rows ------------------------------------------------------------------- */

struct tale {
    uint64_t id;
    uint32_t begun, ended; /* instances: entered and ended; decisions: terminal outcomes */
    uint32_t reserved, spent, returned;
    uint32_t attempts, doubted;
    bool is_reserved, is_spent;
};

static int tale_order(const void *a, const void *b)
{
    const struct tale *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static struct tale *tale_of(struct tale *tales, uint32_t count, uint64_t id)
{
    struct tale key = {.id = id};
    struct tale *found = bsearch(&key, tales, count, sizeof(*tales), tale_order);
    assert_non_null(found);
    return found;
}

static void check_rows(const struct life *l)
{
    const struct house *h = l->house;
    struct tale *tales = mem_new((h->row_count + 1) * sizeof(*tales));
    uint32_t count = 0, duplicates = 0, live = 0, entered = 0, ended = 0;
    for (uint32_t i = 0; i < h->row_count; i++)
        if (h->rows[i].result.id)
            tales[count++].id = h->rows[i].result.id;
    qsort(tales, count, sizeof(*tales), tale_order);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || tales[i].id != tales[kept - 1].id)
            tales[kept++] = tales[i];
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *row = &h->rows[i].result;
        struct tale *t = row->id ? tale_of(tales, kept, row->id) : NULL;
        switch (row->kind) {
        case RESULT_DUPLICATE: duplicates++; break;
        case RESULT_ENTERED:
            entered++;
            assert_int_equal(t->begun++, 0);
            break;
        case RESULT_STEP: /* only of what lives */
            assert_int_equal(t->begun, 1);
            assert_int_equal(t->ended, 0);
            break;
        case RESULT_ENDED:
            ended++;
            assert_int_equal(t->begun, 1);
            assert_int_equal(t->ended++, 0);
            break;
        case RESULT_DECIDED:
            assert_int_equal(t->ended, 0); /* one outcome, and nothing after it */
            t->ended += outcome_term((enum outcome)row->how)->class != OUTCOME_WAITING;
            break;
        case RESULT_RESERVED:
            assert_false(t->is_reserved);
            assert_true(!t->is_spent || t->attempts > 0); /* again only for another channel */
            t->is_spent = false;
            t->is_reserved = true;
            t->reserved++;
            break;
        case RESULT_SPENT:
            assert_true(t->is_reserved);
            t->is_reserved = false;
            t->is_spent = true;
            t->spent++;
            break;
        case RESULT_RETURNED:
            assert_true(t->is_reserved || t->is_spent);
            t->is_reserved = t->is_spent = false;
            t->returned++;
            break;
        case RESULT_GRANTED:
            assert_int_equal(t->ended, 0);
            assert_int_equal(++t->attempts, row->step);
            break;
        default: break;
        }
    }
    for (uint64_t p = engine_each(h->engine, 0); p != 0; p = engine_each(h->engine, p)) {
        struct person person;
        engine_look(h->engine, p, &person);
        live += person.profile->instances.count;
        assert_int_equal(person.profile->intents.count, 0); /* a month later */
    }
    for (uint32_t i = 0; i < kept; i++) {
        assert_false(tales[i].is_reserved);
        if (tales[i].attempts || tales[i].reserved)
            assert_int_equal(tales[i].ended, 1);
        if (tales[i].spent)
            assert_true(tales[i].attempts >= 1);
        assert_true(tales[i].reserved >= tales[i].spent);
    }
    assert_int_equal(entered, ended + live);
    assert_int_equal(duplicates, l->twice);
    mem_free(tales);
}

/* Marketing that was in doubt was never attempted again. */
static void check_doubts(const struct life *l)
{
    const struct house *h = l->house;
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *row = &h->rows[i].result;
        if (row->kind != RESULT_DECIDED || row->how != OUTCOME_IN_DOUBT)
            continue;
        for (uint32_t k = i + 1; k < h->row_count; k++) {
            const struct result *later = &h->rows[k].result;
            if (later->kind == RESULT_DECIDED && later->id == row->id)
                break;
            assert_false(later->kind == RESULT_GRANTED && later->id == row->id);
        }
    }
}

/* ---- lives -------------------------------------------------------------------------------------- */

static struct life *live(uint64_t seed, uint32_t steps, bool hops)
{
    struct life *l = mem_new(sizeof(*l));
    struct house *h = l->house = house_new();
    uint64_t aside = seed; /* not of the life's own luck */
    l->luck = seed * 977;
    h->self = l;
    h->answer = provider;
    h->audits_every = 1;
    house_activate(h, programmes[0]);
    for (int i = 0; i < 12; i++)
        become_known(l);
    for (int i = 0; i < 30; i++)
        say(l, true);
    house_apply(h, h->now_ms);
    for (uint32_t step = 0; step < steps; step++) {
        uint64_t size = next(l) % 8 ? next(l) % 4 : next(l) % 40;
        int64_t to_ms = h->now_ms + (int64_t)(next(l) % (2 * HOUR_MS));
        house_run(h, to_ms);
        look(l);
        for (uint64_t i = 0; i < size; i++)
            something(l);
        /* The records of a batch are of moments before it. */
        to_ms = h->now_ms + (int64_t)(next(l) % (3 * MINUTE_MS));
        for (uint32_t i = 0; i < h->record_count; i++)
            h->records[i].at_ms = h->now_ms + (to_ms - h->now_ms) * (i + 1) / (h->record_count + 1);
        house_apply(h, to_ms);
        look(l);
        if (step == steps / 2)
            house_activate(h, programmes[1]);
        if (hops && (aside = aside * 48271 % 2147483647) % 9 == 0)
            house_hop(h);
    }
    house_run(h, h->now_ms + 32 * DAY_MS);
    look(l);
    check_rows(l);
    check_doubts(l);
    return l;
}

static void life_free(struct life *l)
{
    house_free(l->house);
    mem_free(l);
}

static void lives_keep_every_promise(void **state)
{
    (void)state;
    uint32_t marketing = 0, service = 0, merges = 0, held_out = 0, deferred = 0, shared = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct life *l = live(seed, 260, false);
        marketing += l->marketing;
        service += l->service;
        for (uint32_t i = 0; i < l->house->row_count; i++) {
            const struct result *row = &l->house->rows[i].result;
            merges += row->kind == RESULT_MERGED;
            shared += row->kind == RESULT_SHARED;
            held_out += row->kind == RESULT_DECIDED && row->how == OUTCOME_HELD_OUT;
            deferred += row->kind == RESULT_DECIDED && row->how == OUTCOME_DEFERRED;
        }
        life_free(l);
    }
    printf("%u marketing and %u other attempts, %u merges, %u shared, %u held out, %u deferred\n",
           marketing, service, merges, shared, held_out, deferred);
    assert_true(marketing > 300);
    assert_true(service > 300);
    assert_true(merges > 20);
    assert_true(shared > 50);
    assert_true(held_out > 50);
    assert_true(deferred > 500);
}

static void snapshots_change_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 103; seed++) {
        struct life *a = live(seed, 150, false);
        struct life *b = live(seed, 150, true);
        assert_int_equal(engine_hash(a->house->engine), engine_hash(b->house->engine));
        assert_true(str_equal(buf_str(&a->house->log), buf_str(&b->house->log)));
        assert_int_equal(a->house->attempt_count, b->house->attempt_count);
        life_free(a);
        life_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("random lives keep every promise", lives_keep_every_promise),
        TEST("snapshots change nothing in them", snapshots_change_nothing),
    };
    return cmocka_run_group_tests_name("sim/life", tests, NULL, NULL);
}
