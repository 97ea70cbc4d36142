/* Best times, where a scenario file is not enough: visits, merges, restarts, and who is asked again. */
#include "support/house.h"

#include "profile/habits.h"

#define PROGRAMME(best)                                                                 \
    "=== programme.yaml\n"                                                              \
    "name: House\n"                                                                     \
    "categories: {offer: {lane: marketing, valid_for: 3d, settle: 0s}}\n"               \
    "quiet_hours: []\n"                                                                 \
    "caps: []\nlimits: {address: 16}\n"                                                 \
    "=== providers/mail.yaml\n"                                                         \
    "kind: smtp\n"                                                                      \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n" \
    "=== journeys/offer.yaml\n"                                                         \
    "journey: offer\n"                                                                  \
    "enter: {event: Offer Due, at_once: {max: 64}}\n"                                   \
    "steps: [{send: offer, channels: [email]" best "}]\n"                               \
    "=== messages/offer/message.yaml\n"                                                 \
    "category: offer\n"                                                                 \
    "email: {subject: Hi}\n"                                                            \
    "=== messages/offer/email.txt.liquid\nHi\n"

static struct house *house_of(const char *programme)
{
    struct house *h = house_new();
    house_activate(h, programme);
    house_run(h, at("0:00"));
    return h;
}

static void visit(struct house *h, const char *who, int64_t at_ms)
{
    struct record *r = house_event(h, who, "Home", "");
    r->kind = EVENT_PAGE;
    house_apply(h, at_ms);
}

static void visits_count(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME(", best_time: 24h"));
    house_meet(h, "ann", "email");
    house_apply(h, at("1:00"));
    for (int day = 0; day < 5; day++)
        visit(h, "ann", at("16:10") + day * DAY_MS);
    house_hop(h);
    house_event(h, "ann", "Offer Due", "");
    house_apply(h, at("5 9:00"));
    house_hop(h);
    house_run(h, at("7 0:00"));
    assert_true(house_when(h, "ann", "offer") == at("5 16:00"));
    house_check(h);
    house_free(h);
}

static void what_servers_say_is_no_visit(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME(", best_time: 24h"));
    house_meet(h, "ann", "email");
    house_apply(h, at("1:00"));
    for (int day = 0; day < 5; day++) {
        house_event(h, "ann", "Parcel Sent", "")->flags |= RECORD_IS_SERVER;
        house_apply(h, at("16:10") + day * DAY_MS);
    }
    house_event(h, "ann", "Offer Due", "")->flags |= RECORD_IS_SERVER;
    house_apply(h, at("5 9:00"));
    house_run(h, at("7 0:00"));
    assert_true(house_when(h, "ann", "offer") == at("5 9:00"));
    house_free(h);
}

static void a_programme_without_best_times_remembers_nothing(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME(""));
    struct person who;
    house_meet(h, "ann", "email");
    house_apply(h, at("1:00"));
    for (int day = 0; day < 5; day++)
        visit(h, "ann", at("16:10") + day * DAY_MS);
    house_look(h, "ann", &who);
    assert_int_equal(who.profile->habits.count, 0);
    house_free(h);
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

/* One person on two devices who turn out to be one has the habits of one who was always known. */
static void a_merge_unites_habits(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 10; round++) {
        struct house *h = house_of(PROGRAMME(", best_time: 24h"));
        uint64_t seed = round;
        int64_t now_ms = at("1:00");
        house_meet(h, "ann", "email");
        house_meet(h, "bob", "email");
        house_apply(h, now_ms);
        for (uint32_t i = 0; i < 140; i++) {
            now_ms += (int64_t)(next(&seed) % (50 * MINUTE_MS));
            visit(h, next(&seed) % 2 ? "ann" : "~tablet", now_ms);
            visit(h, "bob", now_ms);
        }
        house_event(h, "ann~tablet", "Nothing", "")->flags |= RECORD_IS_SERVER;
        house_apply(h, now_ms + 1);
        house_hop(h);
        struct person ann, bob;
        house_look(h, "ann", &ann);
        house_look(h, "bob", &bob);
        assert_int_equal(ann.profile->habits.count, HABITS_MAX);
        assert_int_equal(bob.profile->habits.count, HABITS_MAX);
        for (uint32_t i = 0; i < HABITS_MAX; i++) {
            uint32_t a = *(const uint32_t *)vec_at(ann.space, &ann.profile->habits, i, 4);
            uint32_t b = *(const uint32_t *)vec_at(bob.space, &bob.profile->habits, i, 4);
            assert_int_equal(a, b);
        }
        house_free(h);
    }
}

/* Whatever is known of them, nothing comes after its deadline or later than the file says, and every
 * restart leads to the same. */
static void never_later_than_it_may(void **state)
{
    static const char *const people[] = {"ann", "bob", "cat"};
    (void)state;
    for (uint64_t round = 1; round <= 8; round++) {
        struct house *h = house_of(PROGRAMME(", best_time: 20h, valid_for: 9h"));
        uint64_t seed = round * 17;
        uint32_t waited = 0;
        h->audits_every = 1;
        for (uint32_t i = 0; i < array_count(people); i++)
            house_meet(h, people[i], "email");
        house_apply(h, at("1:00"));
        for (uint32_t step = 0; step < 120; step++) {
            const char *who = people[next(&seed) % array_count(people)];
            int64_t now_ms = h->now_ms + (int64_t)(next(&seed) % (3 * HOUR_MS));
            house_run(h, now_ms);
            if (next(&seed) % 6 == 0) {
                house_event(h, who, "Offer Due", "");
                house_apply(h, now_ms);
            } else {
                visit(h, who, now_ms);
            }
            house_run(h, h->now_ms + (int64_t)(next(&seed) % HOUR_MS));
            if (step % 11 == 0)
                house_hop(h);
        }
        house_run(h, h->now_ms + 3 * DAY_MS);
        uint32_t entered = house_count(h, RESULT_ENTERED, "offer");
        assert_int_equal(house_sent(h, NULL, "offer"), entered); /* none expired */
        for (uint32_t i = 0; i < h->attempt_count; i++)
            waited += h->attempts[i].deadline_ms - h->attempts[i].at_ms < 9 * HOUR_MS;
        for (uint32_t i = 0; i < h->attempt_count; i++)
            assert_true(h->attempts[i].at_ms < h->attempts[i].deadline_ms);
        assert_true(waited > 0);
        house_check(h);
        house_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"visits count, before and after restarts", visits_count, NULL, NULL, NULL},
        {"what servers say is no visit", what_servers_say_is_no_visit, NULL, NULL, NULL},
        {"a programme without best times remembers nothing",
         a_programme_without_best_times_remembers_nothing, NULL, NULL, NULL},
        {"a merge leaves the habits of one who was always known", a_merge_unites_habits, NULL, NULL,
         NULL},
        {"nothing goes later than it may", never_later_than_it_may, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
