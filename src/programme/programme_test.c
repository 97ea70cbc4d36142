/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/programme.h"

#include "base/hash.h"
#include "expr/expr.h"
#include "os/disk.h"
#include "programme/scenario.h"

#include "programme/test_programme.h"

static const struct plan_journey *journey_get(const struct trial *t, const char *name)
{
    uint16_t index = plan_journey_find(t->plan, names_find(t->names, str_of(name)));
    assert_int_not_equal(index, PLAN_NO_INDEX);
    return &t->plan->journeys[index];
}

static const struct plan_message *message_get(const struct trial *t, const char *name)
{
    uint16_t index = plan_message_find(t->plan, names_find(t->names, str_of(name)));
    assert_int_not_equal(index, PLAN_NO_INDEX);
    return &t->plan->messages[index];
}

static void compiles(struct trial *t)
{
    if (trial_compile(t) != OK)
        fail_msg("%s", (const char *)t->said.at);
}

#define name_is(t, name, text) assert_true(str_is(names_text((t)->names, (name)), text))

/* The wake bit of the only feature that the event feeds. */
static uint64_t feature_bit(const struct trial *t, uint32_t event)
{
    const struct plan_event *means = plan_event_find(t->plan, event);
    assert_int_equal(means->feature_count, 1);
    return plan_wake_bit(t->plan->features[means->features[0]].name);
}

static void feature_is(const struct trial *t, uint32_t event, enum feature_kind kind, uint32_t keep)
{
    const struct plan_event *means = plan_event_find(t->plan, event);
    assert_int_equal(means->feature_count, 1);
    const struct plan_feature *f = &t->plan->features[means->features[0]];
    assert_int_equal(f->event, event);
    assert_int_equal(f->kind, kind);
    assert_int_equal(f->keep, keep);
    assert_int_equal(plan_feature_find(t->plan, f->name), means->features[0]);
}

/* ---- defaults -------------------------------------------------------------------------------- */

static void defaults(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    compiles(&t);
    const struct plan *p = t.plan;
    assert_true(str_is(p->name, "Trial"));
    assert_true(str_is(zoneset_name(p->zones, p->zone), "UTC"));
    assert_string_equal(p->hash, t.folder.hash);

    assert_int_equal(p->cap_count, 3);
    assert_int_equal(p->caps[0].kind, CAP_DAY);
    assert_int_equal(p->caps[0].limit, 2);
    assert_int_equal(p->caps[1].kind, CAP_SLIDING);
    assert_int_equal(p->caps[1].limit, 3);
    assert_int_equal(p->caps[1].window_ms, 7 * DAY_MS);
    assert_int_equal(p->caps[2].kind, CAP_GAP);
    assert_int_equal(p->caps[2].window_ms, 2 * HOUR_MS);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(p->caps[i].journey, PLAN_NO_INDEX);
        assert_int_equal(p->caps[i].channels, 0);
        assert_int_equal(p->caps[i].categories, 0);
    }
    assert_int_equal(p->window_count, 1);
    assert_int_equal(p->windows[0].from_minute, 21 * 60);
    assert_int_equal(p->windows[0].until_minute, 8 * 60);
    assert_int_equal(p->hold_count, 0);
    assert_int_equal(p->holdout, 0);

    assert_int_equal(p->category_count, 3);
    name_is(&t, p->categories[1].name, "lifecycle");
    assert_int_equal(p->categories[0].lane, LANE_SERVICE);
    assert_int_equal(p->categories[0].settle_ms, 0);
    assert_int_equal(p->categories[1].settle_ms, MINUTE_MS);
    assert_int_equal(p->categories[1].valid_for_ms, 7 * DAY_MS);
    assert_int_equal(p->categories[1].purpose, NAME_MARKETING);
    assert_int_equal(p->categories[2].valid_for_ms, 3 * DAY_MS);

    const struct plan_journey *j = journey_get(&t, "j");
    assert_int_equal(j->again, AGAIN_ALWAYS);
    assert_int_equal(j->at_once_max, 1);
    assert_false(j->at_once_per_key);
    assert_int_equal(j->at_once_then, AT_ONCE_IGNORE);
    assert_int_equal(j->key, NAME_NONE);
    assert_int_equal(j->group, PLAN_NO_INDEX);
    assert_int_equal(j->step_count, 1);
    assert_int_equal(j->steps[0].next, PLAN_END);
    assert_int_equal(j->steps[0].send.channel_count, 1);
    assert_int_equal(j->steps[0].send.channels[0], CHANNEL_EMAIL);
    assert_int_equal(j->steps[0].send.if_not_sent, PLAN_NO_INDEX);

    const struct plan_message *m = message_get(&t, "m");
    assert_int_equal(m->channel_mask, 1u << CHANNEL_EMAIL);
    assert_int_equal(m->providers[CHANNEL_EMAIL], 0);
    assert_int_equal(m->providers[CHANNEL_SMS], PLAN_NO_INDEX);
    assert_int_equal(m->content_key, m->name);
    assert_int_equal(m->priority, 500);
    assert_true(p->ledger_ms >= 7 * DAY_MS);
    assert_int_equal(p->provider_count, 1);
    assert_int_equal(p->providers[0].slots, 4);

    for (int i = CHANNEL_NONE + 1; i < CHANNEL_END; i++)
        if (channel_trait((enum channel)i) != NAME_NONE)
            assert_non_null(plan_trait_find(p, channel_trait((enum channel)i)));
    trial_end(&t);
}

static void empty_lists(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    trial_put(&t, STR("programme.yaml"), STR("name: T\ncaps: []\nquiet_hours: []\n"));
    compiles(&t);
    assert_int_equal(t.plan->cap_count, 0);
    assert_int_equal(t.plan->window_count, 0);
    trial_end(&t);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void settings(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    trial_put(&t, STR("programme.yaml"),
              STR("name: T\n"
                  "timezone: Europe/London\n"
                  "traits:\n"
                  "  age: {type: int, default: 18}\n"
                  "  since: {type: time, default: '2026-01-01'}\n"
                  "  score: {type: double, default: 1, public: true}\n"
                  "  city: string\n"
                  "categories:\n"
                  "  lifecycle: {lane: marketing, priority: 7, topic: news}\n"
                  "  bill: {lane: service, purpose: contract}\n"
                  "  shop-offer: {lane: marketing, promotional: true, settle: 0s}\n"
                  "groups:\n"
                  "  - {name: a, pauses: [b], at_most: 2}\n"
                  "  - {name: b, journeys: [j]}\n"
                  "caps:\n"
                  "  - {limit: 5, per: week, channel: [email, sms], group: b}\n"
                  "  - {limit: 1, per: day, category: shop-offer, journey: j}\n"
                  "  - {min_gap: {for: 3h, after: [service, shop-offer]}}\n"
                  "  - {min_gap: 90m}\n"
                  "quiet_hours:\n"
                  "  - {from: '22:30', to: '07:15', on: [mon, sat-sun], channels: [sms], "
                  "categories: [bill]}\n"
                  "holds:\n"
                  "  - {name: t, from: Opened, until: Solved, key: event.ticket.id, categories: "
                  "[bill], linger: 0s, at_most: 2d, waits: freeze, drop: true}\n"
                  "holdout: {percent: 2.5, salt: abc}\n"));
    compiles(&t);
    const struct plan *p = t.plan;
    assert_true(str_is(zoneset_name(p->zones, p->zone), "Europe/London"));
    const struct plan_trait *age = plan_trait_find(p, names_find(t.names, STR("age")));
    assert_int_equal(age->type, VALUE_INT);
    assert_int_equal(age->missing.integer, 18);
    const struct plan_trait *since = plan_trait_find(p, names_find(t.names, STR("since")));
    assert_int_equal(since->missing.type, VALUE_TIME);
    assert_int_equal(since->missing.integer, INT64_C(1767225600000));
    const struct plan_trait *score = plan_trait_find(p, names_find(t.names, STR("score")));
    assert_int_equal(score->missing.type, VALUE_DOUBLE);
    assert_true(score->is_public);
    assert_int_equal(plan_trait_find(p, names_find(t.names, STR("city")))->type, VALUE_TEXT);
    for (uint32_t i = 1; i < p->trait_count; i++)
        assert_true(p->traits[i - 1].name < p->traits[i].name);

    assert_int_equal(p->groups[0].pauses, 1 << 1);
    assert_int_equal(p->groups[0].at_most, 2);
    assert_int_equal(journey_get(&t, "j")->group, 1);
    assert_int_equal(p->cap_count, 4);
    assert_int_equal(p->caps[0].kind, CAP_WEEK);
    assert_int_equal(p->caps[0].channels, 1u << CHANNEL_EMAIL | 1u << CHANNEL_SMS);
    assert_int_equal(p->caps[0].groups, 1 << 1);
    assert_true(str_is(p->caps[0].text, "5 per week on email, sms in the group b"));
    assert_int_equal(p->caps[1].kind, CAP_DAY);
    assert_int_equal(p->caps[1].categories, 1 << 2);
    assert_int_equal(p->caps[1].journey, 0);
    assert_int_equal(p->caps[2].window_ms, 3 * HOUR_MS);
    assert_int_equal(p->caps[2].after, 1 << 1 | 1 << 2);
    assert_int_equal(p->caps[3].window_ms, 90 * MINUTE_MS);
    assert_int_equal(p->caps[3].after, 0);
    assert_true(p->ledger_ms >= 8 * DAY_MS);

    const struct plan_window *w = &p->windows[0];
    assert_int_equal(w->from_minute, 22 * 60 + 30);
    assert_int_equal(w->until_minute, 7 * 60 + 15);
    assert_int_equal(w->weekdays, 1 << 0 | 1 << 5 | 1 << 6);
    assert_int_equal(w->channels, 1u << CHANNEL_SMS);
    assert_int_equal(w->categories, 1 << 1);

    const struct plan_hold *h = &p->holds[0];
    name_is(&t, h->from, "Opened");
    name_is(&t, h->key, "ticket.id");
    assert_int_equal(h->linger_ms, 0);
    assert_int_equal(h->at_most_ms, 2 * DAY_MS);
    assert_true(h->freezes);
    assert_true(h->drops);
    assert_int_equal(plan_event_find(p, h->from)->holds_from, 1);
    assert_int_equal(plan_event_find(p, h->until)->holds_until, 1);
    assert_int_equal(p->holdout, 250);
    assert_int_equal(p->categories[2].valid_for_ms, 3 * DAY_MS);
    assert_int_equal(p->categories[2].settle_ms, 0);
    assert_int_equal(message_get(&t, "m")->priority, 7);
    name_is(&t, message_get(&t, "m")->topic, "news");
    trial_end(&t);
}

/* ---- journeys -------------------------------------------------------------------------------- */

static void a_journey(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    trial_put(&t, STR("messages/m/message.yaml"),
              STR("category: lifecycle\nonly_if: 'entry.value > 0.0'\n"
                  "email: {subject: 'Hello {{ entry.item.name }}'}\n"));
    trial_put(&t, STR("journeys/j.yaml"),
              STR("journey: j\n"
                  "owner: us\n"
                  "goal: {event: Done, when: 'event.id == entry.id', within: 7d, then: stay}\n"
                  "exits:\n"
                  "  - {event: [Left, Gone], unless: 'event.soft'}\n"
                  "  - {if: 'did(\"Quit\")'}\n"
                  "enter:\n"
                  "  event: [Begun, Begun again]\n"
                  "  when: 'event.value >= 3.0'\n"
                  "  key: event.cart.id\n"
                  "  again: {after: 3d, of: start, per: key}\n"
                  "  at_once: {max: 3, per: person, then: restart}\n"
                  "  max_lateness: 2h\n"
                  "require: 'traits.email != \"\" && count(\"Seen\", \"7d\") < 9'\n"
                  "holdout: 10\n"
                  "steps:\n"
                  "  - {send: m, id: first, valid_for: 1h, if_not_sent: [{set: {phone: '\"1\"', "
                  "locale: '\"en\"'}}]}\n"
                  "  - wait:\n"
                  "      for: 2 weeks\n"
                  "      until: [Done, {event: Seen, when: 'event.long'}, {if: "
                  "'engaged(\"m\")'}]\n"
                  "      on_timeout: [{exit: }]\n"
                  "  - wait: {for: 1h, reset_by: Begun, refresh_entry: true, at_most: 1d}\n"
                  "  - wait: {for: 3d, unless: engaged}\n"
                  "  - goal:\n"
                  "  - send: m\n"));
    compiles(&t);
    const struct plan_journey *j = journey_get(&t, "j");
    assert_int_equal(j->entry_count, 2);
    name_is(&t, j->entries[1].event, "Begun again");
    name_is(&t, j->key, "cart.id");
    assert_int_equal(j->again, AGAIN_AFTER);
    assert_int_equal(j->again_ms, 3 * DAY_MS);
    assert_false(j->again_of_end);
    assert_true(j->again_per_key);
    assert_int_equal(j->at_once_max, 3);
    assert_false(j->at_once_per_key);
    assert_int_equal(j->at_once_then, AT_ONCE_RESTART);
    assert_int_equal(j->max_lateness_ms, 2 * HOUR_MS);
    assert_int_equal(j->holdout, 1000);
    assert_int_equal(j->goal.within_ms, 7 * DAY_MS);
    assert_true(j->goal.stays);
    assert_int_equal(j->exit_count, 3);
    name_is(&t, j->exits[1].event, "Gone");
    assert_true(str_is(j->exits[1].when.text, "not (event.soft)"));
    assert_int_equal(j->exits[2].event, NAME_NONE);
    uint32_t quit = names_find(t.names, STR("Quit"));
    assert_int_equal(j->exits[2].when.wake, feature_bit(&t, quit));
    uint32_t seen = names_find(t.names, STR("Seen"));
    assert_int_equal(j->require.wake, plan_wake_bit(NAME_EMAIL) | feature_bit(&t, seen));

    assert_int_equal(j->step_count, 9);
    const struct plan_step *s = j->steps;
    name_is(&t, s[0].id, "first");
    assert_int_equal(s[0].send.valid_for_ms, HOUR_MS);
    assert_int_equal(s[0].send.if_not_sent, 1);
    assert_int_equal(s[0].next, 3);
    assert_int_equal(s[1].kind, STEP_SET);
    assert_int_equal(s[1].set.trait, NAME_PHONE);
    assert_int_equal(s[1].next, 2);
    assert_int_equal(s[2].set.trait, NAME_LOCALE);
    assert_int_equal(s[2].next, 3);
    assert_int_equal(s[3].kind, STEP_WAIT);
    name_is(&t, s[3].id, "wait-1");
    assert_int_equal(s[3].wait.for_days, 14);
    assert_int_equal(s[3].wait.for_ms, -1);
    assert_int_equal(s[3].wait.until_count, 2);
    assert_non_null(s[3].wait.until_if.code);
    assert_int_equal(s[3].wait.until_if.wake, plan_wake_bit(message_get(&t, "m")->name));
    assert_int_equal(s[3].wait.on_timeout, 4);
    assert_int_equal(s[3].next, 5);
    assert_int_equal(s[4].kind, STEP_EXIT);
    assert_int_equal(s[5].wait.for_ms, HOUR_MS);
    assert_true(s[5].wait.refreshes_entry);
    assert_int_equal(s[5].wait.at_most_ms, DAY_MS);
    name_is(&t, s[5].wait.reset_by, "Begun");
    assert_int_equal(s[6].wait.engaged_message, 0);
    assert_int_equal(s[7].kind, STEP_GOAL);
    assert_int_equal(s[7].next, 8);
    name_is(&t, s[8].id, "m");
    assert_int_equal(s[8].next, PLAN_END);
    assert_int_equal(s[8].line, 25);

    uint64_t wake = 0;
    const char *const heard[] = {"Done", "Left", "Gone", "Seen", "Begun"};
    for (size_t i = 0; i < array_count(heard); i++)
        wake |= plan_wake_bit(names_find(t.names, str_of(heard[i])));
    assert_int_equal(j->event_wake, wake);

    /* entry.id, entry.value and entry.item.name, and nothing else. */
    assert_int_equal(j->kept_count, 3);
    const char *const kept[] = {"id", "value", "item.name"};
    for (size_t k = 0; k < array_count(kept); k++) {
        bool is_kept = false;
        for (uint32_t i = 0; i < j->kept_count; i++)
            is_kept |= str_is(names_text(t.names, j->kept[i]), kept[k]);
        assert_true(is_kept);
    }
    const struct plan_message *m = message_get(&t, "m");
    assert_int_equal(m->field_count, 1);
    assert_int_equal(SLOT_SPACE(m->fields[0]), SLOT_ENTRY);
    name_is(&t, SLOT_NAME(m->fields[0]), "item.name");

    feature_is(&t, seen, FEATURE_ITEMS, 10); /* it is compared with 9 */
    feature_is(&t, quit, FEATURE_MARK, 0);
    assert_int_equal(plan_event_find(t.plan, quit)->bit, plan_wake_bit(quit));
    const struct plan_event *begun = plan_event_find(t.plan, names_find(t.names, STR("Begun")));
    assert_int_equal(begun->entry_count, 1);
    assert_int_equal(begun->feature_count, 0);
    assert_int_equal(plan_event_find(t.plan, names_find(t.names, STR("Begun again")))->bit, 0);
    assert_null(plan_event_find(t.plan, names_find(t.names, STR("id"))));
    assert_null(plan_event_find(t.plan, 1000000));
    assert_true(t.plan->ledger_ms >= 90 * DAY_MS); /* engaged("m") without a window */
    trial_end(&t);
}

static void bindings(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    trial_put(&t, STR("programme.yaml"), STR("name: T\nlimits: {history: 9}\n"));
    trial_put(
        &t, STR("messages/m/message.yaml"),
        STR("category: lifecycle\n"
            "only_if: 'did(\"A\", \"3d\") && did(\"A\", \"72h\") && count(\"B\", \"1w\") > 9 && "
            "idle(\"C\", \"1w\") && sent(\"m\", \"2d\") && clicked(\"m\") && "
            "in_journey(\"j\") && consent(\"sms\") && bucket(\"x\") < 5000'\n"
            "email: {subject: Hello}\n"));
    compiles(&t);
    static const struct {
        enum binding_kind kind;
        const char *name;
        int64_t window_ms;
    } expected[] = {
        {BINDING_DID, "A", 3 * DAY_MS},
        {BINDING_COUNT, "B", 7 * DAY_MS},
        {BINDING_IDLE, "C", 7 * DAY_MS},
        {BINDING_SENT, "m", 2 * DAY_MS},
        {BINDING_CLICKED, "m", 90 * DAY_MS},
        {BINDING_IN_JOURNEY, "j", 0},
        {BINDING_CONSENT, "", 0},
        {BINDING_BUCKET, "", 0},
    };
    assert_int_equal(t.plan->binding_count, array_count(expected)); /* 3d and 72h are one */
    for (size_t i = 0; i < array_count(expected); i++) {
        const struct plan_binding *b = &t.plan->bindings[i];
        assert_int_equal(b->kind, expected[i].kind);
        name_is(&t, b->name, expected[i].name);
        assert_int_equal(b->window_ms, expected[i].window_ms);
    }
    assert_int_equal(t.plan->bindings[6].channel, CHANNEL_SMS);
    assert_int_not_equal(t.plan->bindings[7].salt, 0);
    feature_is(&t, names_find(t.names, STR("B")), FEATURE_ITEMS, 9); /* limits.history */
    trial_end(&t);
}

/* ---- the past -------------------------------------------------------------------------------- */

static const struct plan_feature *feature_of(const struct trial *t, const char *message)
{
    const struct plan_expr *condition = &message_get(t, message)->only_if;
    struct expr_reads reads = expr_reads(condition->code);
    assert_true(reads.binding_count >= 1);
    return &t->plan->features[t->plan->bindings[reads.bindings[0]].feature];
}

/* What is kept for a question, and what is asked when the event comes in. */
static void features(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum feature_kind kind;
        uint32_t keep, filters, kept, conditions;
        int64_t keep_ms;
    } cases[] = {
        {"did(\"A\", \"3d\")", FEATURE_MARK, 0, 0, 0, 0, 0},
        {"count(\"A\") > 1", FEATURE_MARK, 0, 0, 0, 0, 0},
        {"count(\"A\", e, e.x > 1 && has(e.y)) > 1", FEATURE_MARK, 0, 2, 0, 0, 0},
        {"count(\"A\", \"3d\") > 1", FEATURE_ITEMS, 2, 0, 0, 0, 3 * DAY_MS},
        {"255 <= count(\"A\", \"3d\")", FEATURE_ITEMS, 256, 0, 0, 0, 3 * DAY_MS},
        {"count(\"A\", \"3d\") > 300", FEATURE_ITEMS, 256, 0, 0, 0, 3 * DAY_MS},
        {"count(\"A\", \"3d\") == 0", FEATURE_ITEMS, 1, 0, 0, 0, 3 * DAY_MS},
        {"count(\"A\", \"3d\") + 1 > 1", FEATURE_ITEMS, 256, 0, 0, 0, 3 * DAY_MS},
        {"count(\"A\", \"3d\", e, e.x > traits.score) > 1", FEATURE_ITEMS, 256, 0, 1, 1,
         3 * DAY_MS},
        {"count(\"A\", \"day\") > 1", FEATURE_ITEMS, 2, 0, 0, 0, 2 * DAY_MS},
        {"count(\"A\", \"2 weeks\") > 1", FEATURE_ITEMS, 2, 0, 0, 0, 15 * DAY_MS},
        {"did(\"A\", e, e.x > 1 && e.y == traits.email && e.z.w == traits.email)", FEATURE_ITEMS,
         256, 1, 2, 2, 0},
        {"did(\"A\", e, e.x > 1 || e.y == traits.email)", FEATURE_ITEMS, 256, 0, 2, 1, 0},
        {"did(\"A\", e, e.x > count(\"B\"))", FEATURE_ITEMS, 256, 0, 1, 1, 0},
        {"sum(\"A\", \"x\") > 1", FEATURE_TALLY, 0, 0, 0, 0, 0},
        {"sum(\"A\", \"3d\", \"x\") > 1", FEATURE_ITEMS, 256, 0, 0, 0, 3 * DAY_MS},
        {"avg(\"A\", e, e.x, e.y == \"z\") > 1", FEATURE_TALLY, 0, 1, 0, 0, 0},
        {"distinct(\"A\", \"x\") > 1", FEATURE_VALUES, 256, 0, 0, 0, 0},
        {"distinct(\"A\", e, e.x, e.y == traits.email) > 1", FEATURE_ITEMS, 256, 0, 2, 1, 0},
        {"first(\"A\").x == 1", FEATURE_FIRST, 1, 0, 1, 0, 0},
        {"last(\"A\").x.y == 1", FEATURE_LAST, 1, 0, 1, 0, 0},
        {"last(\"A\", e, e.x > traits.score).y == 1", FEATURE_ITEMS, 256, 0, 2, 1, 0},
        {"first(\"A\", \"3d\").x == 1", FEATURE_ITEMS, 256, 0, 1, 0, 3 * DAY_MS},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct trial t;
        char message[512];
        trial_begin(&t);
        snprintf(message, sizeof(message),
                 "category: lifecycle\nonly_if: '%s'\nemail: {subject: Hello}\n", cases[i].text);
        trial_put(&t, STR("programme.yaml"),
                  STR("name: T\ntraits:\n  score: {type: int, default: 0}\n"));
        trial_put(&t, STR("messages/m/message.yaml"), str_of(message));
        compiles(&t);
        struct expr_reads reads = expr_reads(message_get(&t, "m")->only_if.code);
        const struct plan_binding *b = NULL;
        for (uint32_t k = 0; k < reads.binding_count; k++)
            if (!b || t.plan->bindings[reads.bindings[k]].condition_count)
                b = &t.plan->bindings[reads.bindings[k]];
        const struct plan_feature *f = &t.plan->features[b->feature];
        assert_int_equal(f->kind, cases[i].kind);
        assert_int_equal(f->keep, cases[i].keep);
        assert_int_equal(f->filter_count, cases[i].filters);
        assert_int_equal(f->kept_count, cases[i].kept);
        assert_int_equal(b->condition_count, cases[i].conditions);
        assert_int_equal(f->keep_ms, cases[i].keep_ms);
        trial_end(&t);
    }
}

/* The name of a feature says what it is, whoever asks and whatever else is asked. */
static void feature_names(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        bool are_same;
    } cases[] = {
        {"sum(\"A\", \"3d\", \"x\") > 1", "avg( \"A\",\"72h\", item, item.x ) < 5", true},
        {"did(\"A\", \"3d\")", "idle(\"A\", \"9d\") || count(\"A\") > 2", true},
        {"did(\"A\", e, e.x > 1 && has(e.y))", "did(\"A\", f, has( f.y ) && f.x>1)", true},
        {"did(\"A\", e, e.x == \"a b\")", "did(\"A\", e, e.x == \"ab\")", false},
        {"did(\"A\", e, e.x > 1)", "did(\"A\", e, e.x > 2)", false},
        {"did(\"A\")", "did(\"A*\")", false},
        {"count(\"A\", \"3d\") > 1", "count(\"A\", \"4d\") > 1", false},
        {"sum(\"A\", \"x\") > 1", "sum(\"A\", \"y\") > 1", false},
        {"last(\"A\").x == 1", "first(\"A\").x == 1", false},
        {"last(\"A\").x == 1", "last(\"A\").y == 1", false},
        {"did(\"A\", e, e.e > 1)", "did(\"A\", f, f.e > 1)", true},
        {"did(\"A\", e, e.x in [1, 2])", "did(\"A\", e, e.x   in [1,2])", true},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct str names[2];
        struct arena arena;
        arena_init(&arena, 1024);
        for (int k = 0; k < 2; k++) {
            struct trial t;
            char message[512];
            trial_begin(&t);
            if (k) /* other names in the way, and other questions */
                trial_put(&t, STR("messages/a/message.yaml"),
                          STR("category: lifecycle\nonly_if: 'sum(\"Z\", \"y\") > 1 && "
                              "count(\"Y\") > 1'\nemail: {subject: Hello}\n"));
            if (k)
                trial_put(&t, STR("messages/a/email.txt.liquid"), STR("Hello\n"));
            snprintf(message, sizeof(message),
                     "category: lifecycle\nonly_if: '%s'\nemail: {subject: Hello}\n",
                     k ? cases[i].other : cases[i].one);
            trial_put(&t, STR("messages/m/message.yaml"), str_of(message));
            compiles(&t);
            names[k] = arena_copy(&arena, names_text(t.names, feature_of(&t, "m")->name));
            trial_end(&t);
        }
        if (str_equal(names[0], names[1]) != cases[i].are_same)
            fail_msg("%s and %s", cases[i].one, cases[i].other);
        arena_fini(&arena);
    }
}

/* ---- since ----------------------------------------------------------------------------------- */

static void answer_moment(void *self, uint32_t binding, const struct value *arguments,
                          uint32_t count, struct arena *scratch, struct value *out,
                          int64_t *until_ms)
{
    (void)binding;
    (void)arguments;
    (void)count;
    (void)scratch;
    (void)until_ms;
    *out = value_time(*(const int64_t *)self);
}

static void since_is_solved(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    trial_put(&t, STR("messages/m/message.yaml"),
              STR("category: lifecycle\n"
                  "only_if: 'since(\"Log in (web)\") > duration(\"3d\") // not since(\"x\")'\n"
                  "email: {subject: Hello}\n"));
    compiles(&t);
    const struct plan_expr *e = &message_get(&t, "m")->only_if;
    int64_t login_ms = 1000000;
    struct arena scratch;
    arena_init(&scratch, 1024);
    struct expr_host host = {.self = &login_ms, .now_ms = login_ms + 5, .call = answer_moment};
    struct expr_result result;
    expr_run(e->code, &host, &scratch, &result);
    assert_int_equal(result.value.type, VALUE_BOOL);
    assert_false(result.value.boolean);
    assert_int_equal(result.until_ms, login_ms + 3 * DAY_MS + 1); /* one timer, not one a minute */
    host.now_ms = result.until_ms;
    expr_run(e->code, &host, &scratch, &result);
    assert_true(expr_is_true(&result));
    arena_fini(&scratch);
    trial_end(&t);
}

/* ---- names and versions ---------------------------------------------------------------------- */

static uint64_t hash_with(const char *journey)
{
    struct trial t;
    trial_begin(&t);
    trial_put(&t, STR("journeys/j.yaml"), str_of(journey));
    compiles(&t);
    uint64_t hash = journey_get(&t, "j")->hash;
    trial_end(&t);
    return hash;
}

static void versions(void **state)
{
    (void)state;
    uint64_t hash = hash_with(trial_journey);
    assert_int_equal(hash_with("# a comment\nsteps:\n  - send: 'm'\nenter:\n  event: Begun\n"
                               "goal: {event: Done}\njourney: j\nowner: somebody else\n"),
                     hash);
    assert_int_not_equal(hash_with("journey: j\nowner: us\ngoal: {event: Done}\n"
                                   "enter: {event: Begun}\nsteps: [{send: m, valid_for: 1d}]\n"),
                         hash);
    assert_int_not_equal(hash_with("journey: j\nowner: us\ngoal: {event: Done}\n"
                                   "enter: {event: Begun}\nsteps: [{send: m, go_on: true}]\n"),
                         hash);
}

static void salts(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    trial_put(&t, STR("programme.yaml"), STR("name: j\nholdout: {percent: 5, salt: x}\n"));
    trial_put(&t, STR("journeys/j.yaml"),
              STR("journey: j\nowner: us\ngoal: {event: Done}\nenter: {event: Begun}\n"
                  "holdout: {percent: 5, salt: x}\n"
                  "steps:\n"
                  "  - split: {name: a, arms: [{arm: x, weight: 2, do: [{send: m}]}, {arm: y}]}\n"
                  "  - split: {name: b, arms: [{arm: x}, {arm: y}]}\n"
                  "  - split: {name: c, salt: s, arms: [{arm: x}, {arm: y}]}\n"
                  "  - split: {name: d, salt: s, arms: [{arm: x}, {arm: y}]}\n"));
    compiles(&t);
    const struct plan_journey *j = journey_get(&t, "j");
    assert_int_not_equal(j->salt, t.plan->holdout_salt);
    const struct plan_step *a = &j->steps[0];
    const struct plan_step *b = &j->steps[a->split.arms[1].target];
    const struct plan_step *c = &j->steps[b->split.arms[0].target];
    const struct plan_step *d = &j->steps[c->split.arms[1].target];
    assert_int_equal(a->split.weight_total, 3);
    assert_int_not_equal(a->split.salt, b->split.salt);
    assert_int_equal(c->split.salt, d->split.salt);
    assert_int_equal(d->split.arms[0].target, PLAN_END);
    name_is(&t, b->id, "b");
    trial_end(&t);
}

static void names_are_stable(void **state)
{
    (void)state;
    struct trial t;
    trial_begin(&t);
    compiles(&t);
    uint32_t count = names_count(t.names);
    struct plan *again = NULL;
    struct findings findings;
    findings_init(&findings);
    assert_int_equal(programme_compile(&t.folder, t.names, &again, &findings), OK);
    assert_int_equal(names_count(t.names), count);
    assert_int_equal(again->journeys[0].hash, t.plan->journeys[0].hash);
    assert_int_equal(again->journeys[0].steps[0].id, t.plan->journeys[0].steps[0].id);
    programme_plan_free(again);
    findings_fini(&findings);
    trial_end(&t);
}

/* ---- flat and nested steps do the same -------------------------------------------------------- *
 *
 * Random nested steps are written as YAML and walked twice: as they are nested, and as the plan has
 * them. What each meets must be the same. */

#define TREE_SENDS_MAX 200

struct tree {
    uint64_t seed;
    uint32_t next; /* the next step's number, which is its id */
    struct buf yaml;
    uint32_t trace[TREE_SENDS_MAX]; /* numbers of the sends that the nested walk meets */
    uint32_t trace_count;
    bool is_over; /* an exit was met */
};

static uint32_t draw(struct tree *t, uint32_t below)
{
    t->seed = hash_pair(t->seed, 1);
    return (uint32_t)(t->seed % below);
}

/* Which of `count` ways step `number` takes: the same for both walks. */
static uint32_t way_of(uint32_t number, uint32_t count)
{
    return hash_chance(12345, number) % count;
}

static void tree_list(struct tree *t, uint32_t depth, bool is_taken);

static void tree_step(struct tree *t, uint32_t depth, bool is_taken)
{
    uint32_t number = t->next++;
    uint32_t kind = depth < 4 ? draw(t, 7) : 0;
    is_taken = is_taken && !t->is_over;
    if (kind <= 1) {
        buf_printf(&t->yaml, "{send: m, id: s%u", number);
        if (is_taken && t->trace_count < TREE_SENDS_MAX)
            t->trace[t->trace_count++] = number;
        if (kind == 1) { /* taken where the number is odd: "not sent" */
            buf_printf(&t->yaml, ", if_not_sent: ");
            tree_list(t, depth + 1, is_taken && way_of(number, 2) == 1);
        }
    } else if (kind == 2) {
        uint32_t arms = 2 + draw(t, 2);
        uint32_t way = way_of(number, arms);
        buf_printf(&t->yaml, "{id: s%u, split: {name: n%u, arms: [", number, number);
        for (uint32_t i = 0; i < arms; i++) {
            buf_printf(&t->yaml, "%s{arm: a%u, do: ", i ? ", " : "", i);
            tree_list(t, depth + 1, is_taken && way == i);
            buf_printf(&t->yaml, "}");
        }
        buf_printf(&t->yaml, "]}");
    } else if (kind == 3) {
        uint32_t arms = 1 + draw(t, 3);
        bool has_else = draw(t, 2) == 0;
        uint32_t way = way_of(number, arms + 1); /* the last: no condition is true */
        buf_printf(&t->yaml, "{id: s%u, branch: [", number);
        for (uint32_t i = 0; i < arms; i++) {
            buf_printf(&t->yaml, "%s{if: 'entry.a == 1', do: ", i ? ", " : "");
            tree_list(t, depth + 1, is_taken && way == i);
            buf_printf(&t->yaml, "}");
        }
        if (has_else) {
            buf_printf(&t->yaml, ", {else: , do: ");
            tree_list(t, depth + 1, is_taken && way == arms);
            buf_printf(&t->yaml, "}");
        }
        buf_printf(&t->yaml, "]");
    } else if (kind == 4) { /* runs out where the number is odd */
        buf_printf(&t->yaml, "{id: s%u, wait: {for: 1h, until: Done, on_timeout: ", number);
        tree_list(t, depth + 1, is_taken && way_of(number, 2) == 1);
        buf_printf(&t->yaml, "}");
    } else if (kind == 5) { /* labelled ways; the last number: the time runs out */
        uint32_t ways = 1 + draw(t, 3);
        uint32_t way = way_of(number, ways + 1);
        bool has_timeout = draw(t, 2) == 0;
        buf_printf(&t->yaml, "{id: s%u, wait: {any: [", number);
        for (uint32_t i = 0; i < ways; i++) {
            static const char *const what[] = {"event: Done", "if: 'entry.a == 1'", "for: 2h"};
            buf_printf(&t->yaml, "%s{label: w%u, %s, do: ", i ? ", " : "", i, what[i]);
            tree_list(t, depth + 1, is_taken && way == i);
            buf_printf(&t->yaml, "}");
        }
        /* Plain, or bent to the clock, which makes an ending of it. */
        buf_printf(&t->yaml, "], for: 1h%s", number % 2 ? ", at: '09:00'" : "");
        if (has_timeout) {
            buf_printf(&t->yaml, ", on_timeout: ");
            tree_list(t, depth + 1, is_taken && way == ways);
        }
        buf_printf(&t->yaml, "}");
    } else {
        buf_printf(&t->yaml, "{id: s%u, exit: ", number);
        t->is_over |= is_taken;
    }
    buf_printf(&t->yaml, "}");
}

static void tree_list(struct tree *t, uint32_t depth, bool is_taken)
{
    uint32_t count = depth ? draw(t, 4) : 3 + draw(t, 6);
    buf_printf(&t->yaml, "[");
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            buf_printf(&t->yaml, ", ");
        tree_step(t, depth, is_taken);
    }
    buf_printf(&t->yaml, "]");
}

static uint32_t number_of(const struct trial *t, const struct plan_step *step)
{
    int64_t number = -1;
    struct str id = names_text(t->names, step->id);
    assert_true(str_to_int(str_part(id, 1, id.len), &number));
    return (uint32_t)number;
}

static uint32_t plan_walk(const struct trial *t, const struct plan_journey *j, uint32_t *trace)
{
    uint32_t count = 0;
    uint16_t at = 0;
    for (uint32_t steps = 0; at != PLAN_END; steps++) {
        assert_true(at < j->step_count);
        assert_true(steps <= j->step_count); /* only forward */
        const struct plan_step *s = &j->steps[at];
        uint32_t number = number_of(t, s);
        uint16_t next = s->next;
        if (s->kind == STEP_SEND) {
            if (count < TREE_SENDS_MAX)
                trace[count++] = number;
            if (s->send.if_not_sent != PLAN_NO_INDEX && way_of(number, 2) == 1)
                next = s->send.if_not_sent;
        } else if (s->kind == STEP_SPLIT) {
            next = s->split.arms[way_of(number, s->split.arm_count)].target;
        } else if (s->kind == STEP_BRANCH) {
            uint32_t way = way_of(number, s->branch.arm_count + 1);
            if (way < s->branch.arm_count)
                next = s->branch.arms[way].target;
        } else if (s->kind == STEP_WAIT) {
            uint32_t labelled = 0;
            while (labelled < s->wait.ending_count && s->wait.endings[labelled].label)
                labelled++;
            uint32_t way = way_of(number, labelled + 1);
            if (labelled && way < labelled)
                next = s->wait.endings[way].target;
            else if (labelled && s->wait.ending_count > labelled)
                next = s->wait.endings[labelled].target; /* the bent time */
            else if (s->wait.on_timeout != PLAN_NO_INDEX && (labelled || way_of(number, 2) == 1))
                next = s->wait.on_timeout;
        } else {
            assert_int_equal(s->kind, STEP_EXIT);
            next = PLAN_END;
        }
        if (next != PLAN_END)
            assert_true(next > at);
        at = next;
    }
    return count;
}

static void flat_is_nested(void **state)
{
    (void)state;
    uint32_t sends = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct tree tree = {.seed = seed};
        buf_init(&tree.yaml);
        buf_printf(&tree.yaml, "journey: j\nowner: us\ngoal: {event: Done}\n"
                               "enter: {event: Begun}\nsteps: ");
        tree_list(&tree, 0, true);
        buf_printf(&tree.yaml, "\n");
        struct trial t;
        trial_begin(&t);
        trial_put(&t, STR("journeys/j.yaml"), buf_str(&tree.yaml));
        compiles(&t);
        const struct plan_journey *j = journey_get(&t, "j");
        uint32_t trace[TREE_SENDS_MAX];
        assert_int_equal(j->step_count, tree.next);
        assert_int_equal(plan_walk(&t, j, trace), tree.trace_count);
        assert_memory_equal(trace, tree.trace, tree.trace_count * sizeof(*trace));
        sends += tree.trace_count;
        trial_end(&t);
        buf_fini(&tree.yaml);
    }
    assert_true(sends > 200);
}

/* ---- the examples ---------------------------------------------------------------------------- */

static void example_compiles(const char *path, uint32_t least_scenarios)
{
    struct trial t;
    struct buf zones;
    struct fault f = {0};
    trial_begin(&t);
    buf_init(&zones);
    trial_zones(&zones);
    if (programme_folder_read(os_disk_real(), path, buf_str(&zones), &t.folder, &f) != OK)
        fail_msg("%s: %s (tests run at the repository's root)", path, f.text);
    buf_fini(&zones);
    enum status status = programme_compile(&t.folder, t.names, &t.plan, &t.findings);
    if (status == OK) {
        struct arena arena;
        const struct scenario *list;
        uint32_t count;
        arena_init(&arena, 4096);
        status = scenarios_read(&t.folder, t.plan, t.names, &arena, &list, &count, &t.findings);
        assert_true(count >= least_scenarios);
        arena_fini(&arena);
    }
    trial_say(&t);
    assert_string_equal((const char *)t.said.at, ""); /* not even advice */
    assert_int_equal(status, OK);
    trial_end(&t);
}

static void examples(void **state)
{
    (void)state;
    example_compiles("examples/shop", 30);
    example_compiles("examples/retail", 8);
    example_compiles("examples/saas", 15);
    example_compiles("examples/travel", 12);
    example_compiles("examples/lender", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a programme of one line has all defaults", defaults),
        TEST("an empty list means none, not the default", empty_lists),
        TEST("settings are what was written", settings),
        TEST("a journey with everything in it is what was written", a_journey),
        TEST("functions become bindings, each once", bindings),
        TEST("what a question needs is kept, and no more", features),
        TEST("a feature is named by what it keeps", feature_names),
        TEST("since() waits for one moment, not for every minute", since_is_solved),
        TEST("a journey's hash is that of its meaning", versions),
        TEST("every draw has its own salt", salts),
        TEST("the same names get the same numbers", names_are_stable),
        TEST("flat steps lead where nested steps lead", flat_is_nested),
        TEST("the examples compile without any finding", examples),
    };
    return cmocka_run_group_tests_name("programme/programme", tests, NULL, NULL);
}
