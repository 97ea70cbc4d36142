/* Calls and tasks, where a scenario file is not enough: a service that answers late, wrongly or not at all,
 * people who do tasks at odd moments, snapshots and merges in between. What comes out is held against a
 * service of the test's own, which knows nothing but the attempts that it was sent. */
#include "model/errand.h"
#include "model/keep.h"
#include "support/house.h"

#define PROGRAMME                                                                           \
    "=== programme.yaml\n"                                                                  \
    "name: House\n"                                                                         \
    "categories: {care: {lane: service}}\n"                                                 \
    "=== providers/service.yaml\n"                                                          \
    "kind: http\n"                                                                          \
    "slots: 3\n"                                                                            \
    "settings: {url: 'https://service.example', bearer: '${ENV:TOKEN}'}\n"                  \
    "=== journeys/safe.yaml\n"                                                              \
    "journey: safe\n"                                                                       \
    "goal: {event: Ordered}\n"                                                              \
    "enter: {event: Cart Left, key: event.cart_id, again: always}\n"                        \
    "steps: [{call: service, id: ask, category: care, within: 2h, save: {tier: a.tier}}]\n" \
    "=== journeys/once.yaml\n"                                                              \
    "journey: once\n"                                                                       \
    "enter: {event: Earned, again: always}\n"                                               \
    "steps: [{call: service, id: grant, category: care, retry: never, within: 2h}]\n"       \
    "=== journeys/later.yaml\n"                                                             \
    "journey: later\n"                                                                      \
    "enter: {event: Later Wanted, again: always}\n"                                         \
    "steps: [{wait: 1h}, {call: service, id: last, category: care, retry: never}]\n"        \
    "=== journeys/work.yaml\n"                                                              \
    "journey: work\n"                                                                       \
    "goal: {event: Ordered}\n"                                                              \
    "enter: {event: Help Wanted, again: always}\n"                                          \
    "steps: [{task: care, id: help, title: Help, category: care, provider: service, due: 1d}]\n"

static void run(struct house *h, int64_t until_ms)
{
    house_apply(h, h->now_ms);
    house_run(h, until_ms);
}

static struct house *house_of(void)
{
    struct house *h = house_new();
    house_activate(h, PROGRAMME);
    run(h, at("12:00"));
    return h;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

static enum receipt_kind later(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    (void)h, (void)a, (void)delay_ms;
    return HOUSE_LATER;
}

static uint32_t errands_of(struct house *h, const char *who)
{
    struct person person;
    house_look(h, who, &person);
    return person.profile->errands.count;
}

static void same_key(void **state)
{
    (void)state;
    struct house *h = house_of();
    h->answer = later;
    house_event(h, "ann", "Cart Left", "cart_id=1");
    run(h, at("12:10"));
    assert_int_equal(h->attempt_count, 1);
    house_hop(h);
    house_receipt(h, 0, RECEIPT_IN_DOUBT, 0);
    run(h, at("12:20"));
    assert_int_equal(h->attempt_count, 2);
    assert_int_equal(h->attempts[1].attempt, 2);                       /* no id comes twice ... */
    assert_string_equal(h->attempts[0].fields, h->attempts[1].fields); /* ... and the key stays */
    house_receipt(h, 1, RECEIPT_ACCEPTED, 200);
    run(h, at("12:30"));
    assert_int_equal(errands_of(h, "ann"), 0);
    house_event(h, "ann", "Earned", "");
    run(h, at("13:00"));
    house_receipt(h, 2, RECEIPT_IN_DOUBT, 0);
    run(h, at("1 13:00"));
    assert_int_equal(h->attempt_count, 3); /* once is once */
    assert_int_equal(errands_of(h, "ann"), 0);
    house_free(h);
}

static void recalled(void **state)
{
    (void)state;
    struct house *h = house_of();
    h->answer = later;
    house_event(h, "ann", "Cart Left", "cart_id=1");
    run(h, at("12:10"));
    house_event(h, "ann", "Ordered", "");
    run(h, at("12:20"));
    assert_int_equal(h->recall_count, 1);
    assert_int_equal(errands_of(h, "ann"), 1); /* until its receipt is there */
    house_hop(h);
    house_receipt(h, 0, RECEIPT_ACCEPTED, 200);
    run(h, at("12:30"));
    assert_int_equal(errands_of(h, "ann"), 0);
    assert_int_equal(house_last(h, RESULT_ENDED, "safe"), JOURNEY_GOAL_REACHED);
    house_free(h);
}

static void merged(void **state)
{
    (void)state;
    struct house *h = house_of();
    h->answer = later;
    house_event(h, "~tablet", "Cart Left", "cart_id=1");
    house_event(h, "ann", "Help Wanted", "");
    run(h, at("12:10"));
    assert_int_equal(h->attempt_count, 2);
    house_event(h, "ann~tablet", "Seen", "");
    run(h, at("12:20"));
    house_hop(h);
    assert_int_equal(errands_of(h, "ann"), 2);
    for (uint32_t i = 0; i < 2; i++)
        house_receipt(h, i, RECEIPT_ACCEPTED, 200);
    run(h, at("12:30"));
    assert_int_equal(errands_of(h, "ann"), 1); /* the call is answered, the task open */
    assert_int_equal(house_last(h, RESULT_ENDED, "safe"), JOURNEY_COMPLETED);
    run(h, at("1 13:00"));
    assert_int_equal(house_last(h, RESULT_ENDED, "work"), JOURNEY_COMPLETED); /* overdue */
    assert_int_equal(h->attempt_count, 3);
    assert_non_null(strstr(h->attempts[2].fields, "withdraw"));
    house_free(h);
}

/* ---- another release ------------------------------------------------------------------------------ */

/* In the next batch: two releases say different things of an attempt of the journey that was entered last. */
static void other_release(struct house *h, enum release_kind kind, const char *journey,
                          const char *step, uint32_t attempt)
{
    struct keep k = {.kind = kind,
                     .is_errand = true,
                     .channel = CHANNEL_WEBHOOK,
                     .attempt = attempt,
                     .journey = house_name(h, journey),
                     .message = house_name(h, step),
                     .granted_ms = h->now_ms};
    struct buf clear;
    for (uint32_t i = 0; i < h->row_count; i++)
        if (h->rows[i].result.kind == RESULT_ENTERED && h->rows[i].result.journey == k.journey) {
            k.profile = h->rows[i].result.profile;
            k.decision = h->rows[i].result.id;
        }
    assert_true(k.decision != 0);
    buf_init(&clear);
    struct record *r = &h->records[h->record_count++];
    keep_write(&k, &clear, r);
    struct str kept = arena_copy(&h->bodies, buf_str(&clear));
    r->clear = (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
    buf_fini(&clear);
}

/* All of the service's connections are taken: whoever comes now waits for one. */
static struct house *busy_house(void)
{
    struct house *h = house_of();
    h->answer = later;
    for (const char *const *who = (const char *const[]){"u0", "u1", "u2", NULL}; *who; who++)
        house_event(h, *who, "Cart Left", "cart_id=1");
    run(h, at("12:10"));
    assert_int_equal(h->attempt_count, 3);
    return h;
}

static void answer_three(struct house *h)
{
    for (uint32_t i = 0; i < 3; i++)
        house_receipt(h, i, RECEIPT_ACCEPTED, 200);
}

static void kept_in_a_queue(void **state)
{
    (void)state;
    struct house *h = busy_house();
    house_event(h, "ann", "Earned", "");
    house_event(h, "bob", "Cart Left", "cart_id=1");
    run(h, at("12:11"));
    assert_int_equal(h->attempt_count, 3);
    other_release(h, RELEASE_KEPT, "once", "grant", 1);
    other_release(h, RELEASE_KEPT, "safe", "ask", 1);
    run(h, at("12:12"));
    house_hop(h);
    assert_int_equal(h->attempt_count, 3);
    assert_int_equal(house_last(h, RESULT_ENDED, "once"), JOURNEY_COMPLETED); /* that was it */
    answer_three(h);
    run(h, at("12:30"));
    assert_int_equal(h->attempt_count, 4); /* made again, under an id of its own and the same key */
    assert_int_equal(h->attempts[3].attempt, 2);
    assert_true(h->attempts[3].journey == house_name(h, "safe"));
    house_receipt(h, 3, RECEIPT_ACCEPTED, 200);
    run(h, at("1 12:30"));
    assert_int_equal(h->attempt_count, 4);
    assert_int_equal(errands_of(h, "ann"), 0);
    assert_int_equal(errands_of(h, "bob"), 0);
    house_free(h);
}

static void kept_before_it_is_begun(void **state)
{
    (void)state;
    for (int is_kept = 0; is_kept <= 1; is_kept++) {
        struct house *h = house_of();
        house_event(h, "ann", "Later Wanted", "");
        run(h, at("12:10"));
        if (is_kept)
            other_release(h, RELEASE_KEPT, "later", "last", 1);
        run(h, at("12:20"));
        house_hop(h);
        run(h, at("14:00"));
        assert_int_equal(h->attempt_count, is_kept ? 0 : 1);
        assert_int_equal(house_last(h, RESULT_ENDED, "later"), JOURNEY_COMPLETED);
        assert_int_equal(errands_of(h, "ann"), 0);
        house_free(h);
    }
}

static void kept_that_nobody_wants(void **state)
{
    (void)state;
    for (int is_kept = 0; is_kept <= 1; is_kept++) {
        struct house *h = busy_house();
        house_event(h, "ann", "Help Wanted", "");
        run(h, at("12:11"));
        if (is_kept)
            other_release(h, RELEASE_KEPT, "work", "help", 1);
        house_event(h, "ann", "Ordered", "");
        run(h, at("12:12"));
        answer_three(h);
        run(h, at("12:30"));
        assert_int_equal(h->attempt_count, 3 + (uint32_t)is_kept);
        if (is_kept) /* people may have it */
            assert_non_null(strstr(h->attempts[3].fields, "withdraw"));
        house_free(h);
    }
}

static void undone(void **state)
{
    (void)state;
    struct house *h = house_of();
    h->answer = later;
    house_event(h, "ann", "Earned", "");
    run(h, at("12:10"));
    assert_int_equal(h->attempt_count, 1);
    other_release(h, RELEASE_UNDONE, "once", "grant", 2); /* of another attempt: not this one */
    run(h, at("12:11"));
    assert_int_equal(h->attempt_count, 1);
    other_release(h, RELEASE_UNDONE, "once", "grant", 1);
    run(h, at("12:12"));
    house_hop(h);
    assert_int_equal(h->attempt_count, 2);
    assert_int_equal(h->attempts[1].attempt, 2);
    house_receipt(h, 0, RECEIPT_ACCEPTED, 200); /* nobody was asked */
    run(h, at("12:13"));
    assert_int_equal(errands_of(h, "ann"), 1);
    house_receipt(h, 1, RECEIPT_ACCEPTED, 200);
    run(h, at("12:14"));
    assert_int_equal(errands_of(h, "ann"), 0);
    house_event(h, "bob", "Cart Left", "cart_id=1");
    run(h, at("12:15"));
    house_event(h, "bob", "Ordered", "");
    run(h, at("12:16"));
    assert_int_equal(h->recall_count, 1);
    other_release(h, RELEASE_UNDONE, "safe", "ask", 1); /* recalled, and never given to anybody */
    run(h, at("12:17"));
    assert_int_equal(errands_of(h, "bob"), 0);
    assert_int_equal(h->attempt_count, 3);
    house_free(h);
}

/* ---- random lives -------------------------------------------------------------------------------- */

enum { PEOPLE = 5 };

struct service {
    uint64_t luck;
    bool is_fine;
};

static enum receipt_kind service(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    struct service *s = h->self;
    static const enum receipt_kind answers[] = {RECEIPT_ACCEPTED, RECEIPT_ACCEPTED,
                                                RECEIPT_IN_DOUBT, RECEIPT_GAVE_UP,
                                                RECEIPT_REJECTED_MESSAGE};
    (void)a;
    *delay_ms = s->is_fine ? 0 : (int64_t)(next(&s->luck) % (40 * MINUTE_MS));
    return s->is_fine ? RECEIPT_ACCEPTED : answers[next(&s->luck) % array_count(answers)];
}

/* Somebody does, or declines, a task of the person's, open or not. */
static void work_on(struct house *h, const char *who, uint64_t luck)
{
    struct person person;
    char fields[ERRAND_KEY_BYTES + 8], key[ERRAND_KEY_BYTES];
    if (house_person(h, who) == 0)
        return;
    house_look(h, who, &person);
    if (person.profile->errands.count == 0)
        return;
    const struct errand *x =
        person_errand(&person, (uint32_t)(luck % person.profile->errands.count));
    errand_key_print(x->key_profile, x->decision, key);
    snprintf(fields, sizeof(fields), "task=%s", key);
    house_event(h, who, luck % 3 ? "Task Done" : "Task Declined", fields);
}

/* Of each journey as many have ended as were entered, each call of `once` was made once, every errand is
 * gone, and every row that says how one ended has its own of the errand. */
static void compare(struct house *h)
{
    uint32_t over = 0;
    for (uint32_t i = 0; i < h->row_count; i++)
        over += h->rows[i].result.kind == RESULT_ERRAND && h->rows[i].result.how == ERRAND_IS_OVER;
    assert_int_equal(over, house_count(h, RESULT_WAITED, NULL));
    for (uint32_t i = 0; i < PEOPLE; i++) {
        char name[8];
        struct person who;
        snprintf(name, sizeof(name), "u%u", i);
        if (house_person(h, name) == 0)
            continue;
        house_look(h, name, &who);
        assert_int_equal(who.profile->errands.count, 0);
        assert_int_equal(who.profile->instances.count, 0);
    }
    uint32_t once = house_name(h, "once"), made = 0;
    for (uint32_t i = 0; i < h->attempt_count; i++) {
        made += h->attempts[i].journey == once;
        for (uint32_t k = 0; k < i; k++) {
            bool is_same = h->attempts[i].decision == h->attempts[k].decision;
            assert_false(is_same && h->attempts[i].journey == once);
            assert_false(is_same && h->attempts[i].attempt == h->attempts[k].attempt);
        }
    }
    assert_true(made <= house_count(h, RESULT_ENTERED, "once"));
}

static void lives(void **state)
{
    (void)state;
    static const char *const events[] = {"Cart Left", "Cart Left",   "Earned",
                                         "Ordered",   "Help Wanted", "Seen"};
    uint32_t attempts = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct service s = {.luck = seed};
        struct house *h = house_of();
        h->self = &s;
        h->answer = service;
        h->flags = RECORD_IS_SERVER;
        for (uint32_t i = 0; i < 200; i++) {
            char who[32], fields[64];
            uint32_t user = (uint32_t)(next(&s.luck) % PEOPLE);
            bool is_device = next(&s.luck) % 6 == 0;
            snprintf(who, sizeof(who), is_device ? "u%u~d%u" : "u%u", user, user);
            snprintf(fields, sizeof(fields), "cart_id=%u", (uint32_t)(next(&s.luck) % 3));
            if (next(&s.luck) % 8 == 0) { /* before it is known whose the device is */
                snprintf(who, sizeof(who), "~d%u", user);
                house_event(h, who, "Cart Left", fields);
            } else if (next(&s.luck) % 5 == 0) {
                snprintf(who, sizeof(who), "u%u", user);
                work_on(h, who, next(&s.luck));
            } else {
                house_event(h, who, events[next(&s.luck) % array_count(events)], fields);
            }
            if (next(&s.luck) % 3 == 0)
                run(h, h->now_ms + (int64_t)(next(&s.luck) % (2 * HOUR_MS)));
            if (next(&s.luck) % 16 == 0)
                house_hop(h);
        }
        s.is_fine = true;
        for (uint32_t i = 0; i < PEOPLE; i++) { /* whose devices they are */
            char who[32];
            snprintf(who, sizeof(who), "u%u~d%u", i, i);
            house_event(h, who, "Seen", "");
        }
        run(h, h->now_ms + 30 * DAY_MS);
        compare(h);
        attempts += h->attempt_count;
        house_free(h);
    }
    assert_true(attempts > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a call in doubt is made again with its key, and one that must not be is not",
             same_key),
        TEST("a call whose journey has ended is recalled, and its answer changes nothing",
             recalled),
        TEST("calls and tasks go on when two people are one", merged),
        TEST("what another release handed over is in doubt when the queue has given it back",
             kept_in_a_queue),
        TEST("what another release handed over is in doubt before it is begun here",
             kept_before_it_is_begun),
        TEST("a task that another release handed over, and nobody wants, is withdrawn",
             kept_that_nobody_wants),
        TEST("what this release alone handed over goes to nobody, and is asked again", undone),
        TEST("whatever the service and people do, every errand ends once", lives),
    };
    return cmocka_run_group_tests_name("flow/calls", tests, NULL, NULL);
}
