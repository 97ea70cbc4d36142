/* Sends, where a scenario file is not enough: snapshots in between, merges, and codes over many people. */
#include "support/house.h"

#define MESSAGE(name, body)                              \
    "=== messages/" name "/message.yaml\n"               \
    "category: lifecycle\n"                              \
    "email: {subject: Hi}\n"                             \
    "=== messages/" name "/email.txt.liquid\n" body "\n" \
    "=== messages/" name "/sms.liquid\n" body "\n"

#define PROGRAMME(caps)                                                                       \
    "=== programme.yaml\n"                                                                    \
    "name: House\n"                                                                           \
    "categories: {lifecycle: {lane: marketing, valid_for: 2d}}\n"                             \
    "quiet_hours: []\n"                                                                       \
    "caps: " caps "\n"                                                                        \
    "=== providers/mail.yaml\n"                                                               \
    "kind: smtp\n"                                                                            \
    "slots: 2\n"                                                                              \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n"       \
    "=== providers/text.yaml\n"                                                               \
    "kind: webhook\n"                                                                         \
    "channel: sms\n"                                                                          \
    "slots: 2\n"                                                                              \
    "settings: {url: 'https://sms.example/send', secret: '${ENV:SMS_SECRET}'}\n"              \
    "=== journeys/tip.yaml\n"                                                                 \
    "journey: tip\n"                                                                          \
    "enter: {event: Tip Due, at_once: {max: 64}}\n"                                           \
    "steps: [{send: tip, channels: {first_of: [email, sms]}}]\n"                              \
    "=== journeys/both.yaml\n"                                                                \
    "journey: both\n"                                                                         \
    "enter: {event: Both Due, at_once: {max: 64}}\n"                                          \
    "steps: [{send: both, channels: {all_of: [email, sms]}}, {send: tip, channels: [sms]}]\n" \
    "=== journeys/cart.yaml\n"                                                                \
    "journey: cart\n"                                                                         \
    "enter: {event: Cart Left, key: event.cart_id, at_once: {max: 64}}\n"                     \
    "steps: [{send: reminder, channels: [email], follow_up: {send: nudge, channel: sms, "     \
    "after: 4h}}]\n"                                                                          \
    "=== journeys/gift.yaml\n"                                                                \
    "journey: gift\n"                                                                         \
    "enter: {event: Gift Due, at_once: {max: 64}}\n"                                          \
    "steps: [{send: gift, channels: {first_of: [email, sms]}, voucher: goodwill}]\n"          \
    "=== vouchers/goodwill.csv\n"                                                             \
    "C1\nC2\nC3\nC4\nC5\nC6\nC7\nC8\n" MESSAGE("tip", "tip") MESSAGE("both", "both")          \
        MESSAGE("reminder", "reminder") MESSAGE("nudge", "nudge") MESSAGE("gift", "{{ code }}")

static struct house *house_of(const char *programme)
{
    struct house *h = house_new();
    house_activate(h, programme);
    house_run(h, at("12:00"));
    return h;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

static void a_bounce_counts_after_a_restart(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("[]"));
    house_meet(h, "ann", "email sms");
    house_event(h, "ann", "Tip Due", "");
    house_apply(h, at("12:00"));
    house_run(h, at("12:10"));
    assert_int_equal(house_sent(h, "ann", "tip"), 1);
    house_hop(h);
    house_run(h, at("12:30"));
    house_receipt(h, 0, RECEIPT_BOUNCED, 550);
    house_hop(h);
    house_run(h, at("12:40"));
    assert_int_equal(house_sent(h, "ann", "tip"), 2);
    assert_int_equal(h->attempts[1].channel, CHANNEL_SMS);
    assert_true(h->attempts[1].decision == h->attempts[0].decision);
    assert_int_equal(h->attempts[1].attempt, 2);
    house_check(h);
    house_free(h);
}

static void a_follow_up_survives_restart_and_merge(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("[]"));
    house_meet(h, "~tablet", "email sms");
    house_event(h, "~tablet", "Cart Left", "cart_id=1");
    house_apply(h, at("12:00"));
    house_run(h, at("12:30"));
    house_hop(h);
    house_event(h, "ann~tablet", "Nothing", "");
    house_apply(h, at("13:00"));
    house_hop(h);
    house_run(h, at("18:00"));
    assert_int_equal(house_sent(h, "ann", "reminder"), 1);
    assert_int_equal(house_sent(h, "ann", "nudge"), 1);
    assert_true(house_when(h, "ann", "nudge") >= at("16:00"));
    house_check(h);
    house_free(h);
}

/* The bounce, the merge and the goal of others aside, a follow-up comes once for each message. */
static void every_cart_has_its_own_follow_up(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("[]"));
    house_meet(h, "ann", "email sms");
    house_event(h, "ann", "Cart Left", "cart_id=1");
    house_event(h, "ann", "Cart Left", "cart_id=2");
    house_apply(h, at("12:00"));
    house_run(h, at("12:30"));
    assert_int_equal(house_sent(h, "ann", "reminder"), 2);
    struct record *opened = house_event(h, "ann", "Message Opened", "");
    opened->cause = h->attempts[0].decision;
    house_apply(h, at("13:00"));
    house_run(h, at("20:00"));
    assert_int_equal(house_sent(h, "ann", "nudge"), 1);
    house_free(h);
}

static enum receipt_kind by_chance(struct house *h, const struct house_attempt *a,
                                   int64_t *delay_ms)
{
    uint64_t *seed = h->self;
    uint64_t x = next(seed) % 12;
    (void)a;
    *delay_ms = (int64_t)(next(seed) % 4) * 20 * SECOND_MS;
    return x < 7    ? RECEIPT_ACCEPTED
           : x < 10 ? RECEIPT_REJECTED_MESSAGE
           : x < 11 ? RECEIPT_IN_DOUBT
                    : RECEIPT_BOUNCED;
}

static const char *const people[] = {"ann", "bob", "cat", "dan"};

/* Of all that came about, which slots a cap over all channels saw: a set of all_of is one. The audit behind
 * every batch recounts the ledger; this counts what left the house. */
static void sets_and_caps_stand_random_days(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 6; round++) {
        struct house *h =
            house_of(PROGRAMME("[{limit: 2, per: 1d}, {limit: 1, per: 1d, channel: sms}]"));
        uint64_t seed = round * 77;
        h->self = &seed;
        h->answer = by_chance;
        h->audits_every = 1;
        for (uint32_t i = 0; i < array_count(people); i++)
            house_meet(h, people[i], "email sms");
        house_apply(h, at("12:00"));
        for (uint32_t step = 0; step < 60; step++) {
            static const char *const events[] = {"Tip Due", "Both Due", "Cart Left", "Nothing"};
            const char *who = people[next(&seed) % array_count(people)];
            house_event(h, who, events[next(&seed) % array_count(events)], "cart_id=1");
            house_apply(h, h->now_ms + (int64_t)(next(&seed) % (40 * MINUTE_MS)));
            house_run(h, h->now_ms + (int64_t)(next(&seed) % (3 * HOUR_MS)));
            if (step % 8 == 0)
                house_hop(h);
        }
        house_run(h, h->now_ms + 12 * DAY_MS);
        house_check(h);
        for (uint32_t i = 0; i < array_count(people); i++) {
            struct person who;
            house_look(h, people[i], &who);
            assert_int_equal(who.profile->intents.count, 0);
            for (uint32_t k = 0; k < h->attempt_count; k++) { /* text messages: one in any day */
                const struct house_attempt *a = &h->attempts[k];
                for (uint32_t m = k + 1; m < h->attempt_count; m++) {
                    const struct house_attempt *b = &h->attempts[m];
                    bool is_kept = a->profile == b->profile && a->channel == CHANNEL_SMS &&
                                   b->channel == CHANNEL_SMS && a->decision != b->decision &&
                                   b->at_ms - a->at_ms < DAY_MS;
                    uint32_t refused = 0;
                    for (uint32_t r = 0; is_kept && r < h->row_count; r++)
                        refused += h->rows[r].result.kind == RESULT_RECEIPT &&
                                   h->rows[r].result.id == a->decision &&
                                   h->rows[r].result.how == RECEIPT_REJECTED_MESSAGE;
                    assert_true(!is_kept || refused > 0);
                }
            }
        }
        house_free(h);
    }
}

static void no_code_goes_to_two_people(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 8; round++) {
        struct house *h = house_of(PROGRAMME("[]"));
        uint64_t seed = round * 1001;
        uint32_t with_code = 0;
        h->self = &seed;
        h->answer = by_chance;
        for (uint32_t i = 0; i < array_count(people); i++)
            house_meet(h, people[i], "email sms");
        house_apply(h, at("12:00"));
        for (uint32_t step = 0; step < 20; step++) {
            house_event(h, people[next(&seed) % array_count(people)], "Gift Due", "");
            house_apply(h, h->now_ms + (int64_t)(next(&seed) % (2 * HOUR_MS)));
            house_run(h, h->now_ms + (int64_t)(next(&seed) % (2 * HOUR_MS)));
            if (step % 3 == 0)
                house_hop(h);
        }
        house_run(h, h->now_ms + 5 * DAY_MS);
        for (uint32_t i = 0; i < h->attempt_count; i++) {
            const struct house_attempt *a = &h->attempts[i];
            assert_int_equal(a->fields[0], 'C'); /* who gets none gets no message */
            with_code++;
            for (uint32_t k = i + 1; k < h->attempt_count; k++) {
                const struct house_attempt *b = &h->attempts[k];
                if (strcmp(a->fields, b->fields) != 0 || a->decision == b->decision)
                    continue;
                int how = 0; /* only one that was given back goes out again */
                for (uint32_t r = 0; r < h->row_count; r++)
                    if (h->rows[r].result.kind == RESULT_DECIDED &&
                        h->rows[r].result.id == a->decision)
                        how = h->rows[r].result.how;
                assert_int_equal(how, OUTCOME_FAILED);
            }
        }
        assert_true(with_code >= 8);
        house_free(h);
    }
}

static enum receipt_kind no_tips_by_mail(struct house *h, const struct house_attempt *a,
                                         int64_t *delay_ms)
{
    (void)delay_ms;
    return a->channel == CHANNEL_EMAIL && a->message == house_name(h, "tip")
               ? RECEIPT_REJECTED_MESSAGE
               : RECEIPT_ACCEPTED;
}

/* A provider that refuses may have sent it all the same. Meanwhile the message waits for its next channel,
 * and is on none. */
static void a_complaint_between_two_channels_is_heard(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("[{limit: 1, per: day, channel: sms}]"));
    h->answer = no_tips_by_mail;
    house_meet(h, "ann", "email sms");
    house_event(h, "ann", "Both Due", "");
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    house_event(h, "ann", "Tip Due", "");
    house_apply(h, at("13:00"));
    house_run(h, at("14:00"));
    assert_int_equal(h->attempt_count, 3);
    assert_int_equal(house_last(h, RESULT_DECIDED, "tip"), OUTCOME_DEFERRED);
    house_event(h, "ann", "Message Complained", "")->cause = h->attempts[2].decision;
    house_apply(h, at("14:00"));
    house_run(h, at("20 15:00"));
    assert_int_equal(h->attempt_count, 3); /* it stands marketing down */
    house_free(h);
}

static void count_pending(void *self, struct pending p)
{
    uint32_t *count = self;
    assert_true(p.decision != 0);
    assert_int_equal(p.attempt, 1);
    ++*count;
}

static enum receipt_kind no_answer(struct house *h, const struct house_attempt *a,
                                   int64_t *delay_ms)
{
    (void)h;
    (void)a;
    (void)delay_ms;
    return HOUSE_LATER;
}

/* Whoever starts behind any batch must hear of every attempt that nobody reported. */
static void an_attempt_is_pending_from_its_batch_on(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME("[]"));
    uint32_t checked = 0;
    h->answer = no_answer;
    house_meet(h, "ann", "email");
    house_meet(h, "bob", "email");
    house_event(h, "ann", "Tip Due", "");
    house_event(h, "bob", "Tip Due", "");
    house_apply(h, at("13:00"));
    for (int i = 0; i < 10; i++) {
        uint32_t count = 0;
        house_hop(h);
        engine_pending(h->engine, &count, count_pending);
        assert_int_equal(count, h->attempt_count);
        checked += h->attempt_count > 0;
        house_apply(h, h->now_ms + MINUTE_MS);
    }
    assert_true(checked > 5);
    assert_int_equal(h->attempt_count, 2);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"a complaint between two channels is heard", a_complaint_between_two_channels_is_heard,
         NULL, NULL, NULL},
        {"an attempt is pending from its batch on", an_attempt_is_pending_from_its_batch_on, NULL,
         NULL, NULL},
        {"a bounce counts after a restart too", a_bounce_counts_after_a_restart, NULL, NULL, NULL},
        {"a follow-up survives a restart and a merge", a_follow_up_survives_restart_and_merge, NULL,
         NULL, NULL},
        {"every cart has a follow-up of its own", every_cart_has_its_own_follow_up, NULL, NULL,
         NULL},
        {"sets and caps stand random days, restarts included", sets_and_caps_stand_random_days,
         NULL, NULL, NULL},
        {"no code goes to two people", no_code_goes_to_two_people, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
