/* contacts.c - a programme of the size that its users have: 400,000 people, whom a journey of several steps
 * leads and whom a sale concerns all at once, under caps, quiet hours, consent and a control group. It is
 * counted person by person what they got, and in the end the whole state is audited: every cap in every
 * window, every slot, every timer.
 *
 * No time is measured here: that is what tests/bench is for. */
#include <string.h>

#include "base/map.h"
#include "support/house.h"

#define PEOPLE   400000
#define BATCH    2000 /* records at a time */
#define MESSAGES 3

#define PROGRAMME                                                                                                      \
    "=== programme.yaml\nname: Size\ntimezone: Europe/London\n"                                                        \
    "categories:\n  lifecycle: {lane: marketing, valid_for: 9d, priority: 500}\n"                                      \
    "  offer: {lane: marketing, promotional: true, priority: 300}\n"                                                   \
    "caps: [{limit: 1, per: day}, {limit: 3, per: 7d}]\nholdout: {percent: 5, salt: s}\n"                              \
    "=== providers/mail.yaml\nkind: smtp\nslots: 256\nsettings: {url: 'smtp://h:25', "                                 \
    "from: 'a <a@b.example>', security: none}\n"                                                                       \
    "=== journeys/welcome.yaml\njourney: welcome\nowner: t\nenter: {event: Signed Up, again: never}\n"                 \
    "goal: {event: Bought, within: 30d}\n"                                                                             \
    "steps:\n  - send: hello\n  - wait: {for: 1d, until: [Bought]}\n  - send: tip\n"                                   \
    "=== journeys/sale.yaml\njourney: sale\nowner: t\nenter: {business_event: Sale, people: 'true', pace: 400000/h}\n" \
    "goal: {event: Bought, within: 7d}\nsteps: [{send: sale}]\n"                                                       \
    "=== messages/hello/message.yaml\ncategory: lifecycle\nemail: {subject: 'Hello {{ person.email }}'}\n"             \
    "=== messages/hello/email.txt.liquid\nHello.\n"                                                                    \
    "=== messages/tip/message.yaml\ncategory: lifecycle\nemail: {subject: Tip}\n"                                      \
    "=== messages/tip/email.txt.liquid\nTip.\n"                                                                        \
    "=== messages/sale/message.yaml\ncategory: offer\nvalid_for: 6d\nemail: {subject: Sale}\n"                         \
    "=== messages/sale/email.txt.liquid\nSale.\n"

struct size {
    struct house *h;
    uint32_t messages[MESSAGES]; /* names */
    struct map_u64 people;       /* profile to place in `got` */
    uint8_t (*got)[MESSAGES];
    uint8_t *has_bought;
    uint64_t sent, no_night;
    struct record *waiting; /* receipts for the next batch */
    uint32_t waiting_count;
    struct arena bodies[2]; /* theirs; in turn */
};

static void take(struct size *s, const struct action *a)
{
    uint32_t place = map_u64_find(&s->people, a->profile);
    assert_true(place != MAP_NONE);
    for (uint32_t i = 0; i < MESSAGES; i++)
        s->got[place][i] += a->message_name == s->messages[i];
    s->sent++;
    int64_t hour = (s->h->now_ms / HOUR_MS) % 24; /* London is on UTC in March */
    s->no_night += hour >= 8 && hour < 21;
    struct buf clear, personal;
    struct record *r = &s->waiting[s->waiting_count++];
    struct receipt receipt = {
        .kind = RECEIPT_ACCEPTED,
        .profile = a->profile,
        .decision = a->decision,
        .attempt = a->attempt,
        .provider = engine_plans(s->h->engine)->at[a->plan]->providers[a->provider].name};
    buf_init(&clear);
    buf_init(&personal);
    *r = (struct record){.schema = RECORD_SCHEMA};
    receipt_write(&receipt, s->h->now_ms, &clear, &personal, r);
    struct str kept = arena_copy(&s->bodies[s->h->batch & 1],
                                 (struct str){(const char *)r->clear.at, r->clear.bytes});
    r->clear = (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
    kept = arena_copy(&s->bodies[s->h->batch & 1],
                      (struct str){(const char *)r->personal.at, r->personal.bytes});
    r->personal = (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
    buf_fini(&clear);
    buf_fini(&personal);
}

/* What is queued in the house and what providers have answered, as one batch; nothing is kept of it. */
static void apply(struct size *s, int64_t now_ms)
{
    struct house *h = s->h;
    struct engine_output out;
    assert_int_equal(names_count(h->names), h->names_told);
    uint32_t count = s->waiting_count + h->record_count;
    memcpy(&s->waiting[s->waiting_count], h->records, h->record_count * sizeof(h->records[0]));
    for (uint32_t i = 0; i < count; i++)
        s->waiting[i].at_ms = s->waiting[i].event_ms = s->waiting[i].arrival_ms = now_ms;
    struct batch batch = {++h->batch, now_ms, count, s->waiting};
    h->now_ms = now_ms;
    arena_reset(&s->bodies[h->batch & 1]);
    engine_apply(h->engine, &batch, &out);
    arena_reset(&h->bodies);
    h->record_count = s->waiting_count = 0;
    for (uint32_t i = 0; i < out.action_count; i++)
        take(s, &out.actions[i]);
}

static void run(struct size *s, int64_t until_ms)
{
    for (;;) {
        bool is_due = s->waiting_count > 0 || engine_has_inbox(s->h->engine);
        int64_t next_ms = is_due ? s->h->now_ms : max_of(engine_next(s->h->engine), s->h->now_ms);
        if (next_ms > until_ms)
            break;
        apply(s, next_ms);
    }
    apply(s, until_ms);
}

static void sign_up(struct size *s)
{
    struct house *h = s->h;
    char who[16], fields[64];
    for (uint32_t i = 0; i < PEOPLE; i++) {
        snprintf(who, sizeof(who), "u%u", i);
        snprintf(fields, sizeof(fields), "email=u%u@example.org", i);
        house_identify(h, who, fields);
        house_consent(h, who, "email", i % 10 != 9); /* one in ten says no */
        house_event(h, who, "Signed Up", "");
        if (h->record_count + 3 > BATCH)
            apply(s, h->now_ms + 20);
    }
    apply(s, h->now_ms + 20);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        snprintf(who, sizeof(who), "u%u", i);
        map_u64_set(&s->people, house_person(h, who), i);
    }
    map_u64_set(&s->people, house_person(h, "first"), PEOPLE);
}

/* requirement: S7, S89 */
static void each_of_400000_people_gets_what_is_theirs_and_no_more(void **state)
{
    (void)state;
    struct size s = {.h = house_new()};
    s.h->audits_every = 1u << 30;
    house_activate(s.h, PROGRAMME);
    house_run(s.h, at("9:00"));
    house_meet(s.h, "first", "email"); /* and all names are told */
    house_event(s.h, "first", "Bought", "");
    house_apply(s.h, at("9:00"));
    (void)house_name(s.h, "Sale");
    s.messages[0] = house_name(s.h, "hello");
    s.messages[1] = house_name(s.h, "tip");
    s.messages[2] = house_name(s.h, "sale");
    s.got = mem_new((PEOPLE + 1) * sizeof(s.got[0]));
    s.has_bought = mem_new(PEOPLE);
    s.waiting = mem_new((BATCH + 4096) * sizeof(s.waiting[0]));
    map_u64_init(&s.people);
    for (int i = 0; i < 2; i++)
        arena_init(&s.bodies[i], 1 << 20);

    sign_up(&s);
    run(&s, at("20:00"));
    /* one in four buys in the evening: no tip for them, and no sale */
    char who[16];
    for (uint32_t i = 0; i < PEOPLE; i += 4) {
        snprintf(who, sizeof(who), "u%u", i);
        house_event(s.h, who, "Bought", "");
        s.has_bought[i] = 1;
        if (s.h->record_count + 1 > BATCH)
            apply(&s, s.h->now_ms);
    }
    run(&s, at("1 6:00"));
    struct record *r = house_event(s.h, "first", "Sale", "");
    r->kind = EVENT_BUSINESS;
    r->user = (struct id128){0, 0};
    apply(&s, at("1 8:30"));
    run(&s, at("6 0:00"));

    uint64_t wanted = 0;
    for (uint32_t i = 0; i < PEOPLE; i++) {
        struct person person;
        snprintf(who, sizeof(who), "u%u", i);
        house_look(s.h, who, &person);
        bool is_held_out = hash_chance(person.plan->holdout_salt, person.id) < person.plan->holdout;
        bool may = i % 10 != 9 && !is_held_out;
        assert_int_equal(s.got[i][0], may);
        assert_int_equal(s.got[i][1], may && !s.has_bought[i]);
        assert_int_equal(s.got[i][2], may); /* on the day after the tip, where there was one */
        wanted += (uint64_t)s.got[i][0] + s.got[i][1] + s.got[i][2];
    }
    assert_int_equal(s.sent, wanted + s.got[PEOPLE][2]);
    assert_true(s.sent > 2 * (uint64_t)PEOPLE);
    assert_int_equal(s.no_night, s.sent);
    assert_int_equal(engine_profile_count(s.h->engine), PEOPLE + 1);
    assert_true(engine_bytes(s.h->engine) / PEOPLE < 2048);
    house_check(s.h);
    uint64_t hash = engine_hash(s.h->engine);
    house_hop(s.h); /* and it is the same behind a snapshot */
    assert_true(engine_hash(s.h->engine) == hash);

    mem_free(s.got);
    mem_free(s.has_bought);
    mem_free(s.waiting);
    map_u64_fini(&s.people);
    for (int i = 0; i < 2; i++)
        arena_fini(&s.bodies[i]);
    house_free(s.h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("each of 400,000 people gets what is theirs, and no more",
             each_of_400000_people_gets_what_is_theirs_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
