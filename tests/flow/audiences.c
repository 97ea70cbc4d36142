/* Ad audiences, where a scenario file is not enough: a network that answers late, wrongly or not at all,
 * snapshots and merges in between. What comes out is held against a network of the test's own, which
 * knows nothing but the attempts that it was sent. */
#include "decide/listing.h"
#include "measure/report.h"
#include "support/house.h"

#define PROGRAMME                                                                       \
    "=== programme.yaml\n"                                                              \
    "name: House\n"                                                                     \
    "categories: {ads: {lane: marketing}}\n"                                            \
    "audiences: {carts: {provider: network, category: ads}}\n"                          \
    "holds: [{name: ticket, from: Ticket Opened, until: Ticket Solved, at_most: 2d}]\n" \
    "=== providers/network.yaml\n"                                                      \
    "kind: webhook\n"                                                                   \
    "channel: webhook\n"                                                                \
    "slots: 2\n"                                                                        \
    "settings: {url: 'https://ads.example/lists', secret: '${ENV:ADS_SECRET}'}\n"       \
    "=== journeys/cart.yaml\n"                                                          \
    "journey: cart\n"                                                                   \
    "goal: {event: Ordered}\n"                                                          \
    "enter: {event: Cart Left, key: event.cart_id, again: always}\n"                    \
    "steps: [{audience: carts}, {wait: {for: 3d}}]\n"                                   \
    "=== journeys/ever.yaml\n"                                                          \
    "journey: ever\n"                                                                   \
    "enter: {event: Liked, again: always}\n"                                            \
    "steps: [{audience: {add: carts, for: ever}}]\n"                                    \
    "=== journeys/never.yaml\n"                                                         \
    "journey: never\n"                                                                  \
    "enter: {event: Disliked, again: always}\n"                                         \
    "steps: [{audience: {remove: carts}}]\n"

/* What is queued happens now; then time passes. */
static void run(struct house *h, int64_t until_ms)
{
    house_apply(h, h->now_ms);
    house_run(h, until_ms);
}

static struct house *house_of(const char *programme)
{
    struct house *h = house_new();
    house_activate(h, programme);
    run(h, at("12:00"));
    return h;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

/* What one attempt says: of "add|carts|HASH". */
static bool is_add(const struct house_attempt *a)
{
    return strncmp(a->fields, "add|carts|", 10) == 0;
}

static const char *hash_of(const struct house_attempt *a)
{
    assert_true(is_add(a) || strncmp(a->fields, "remove|carts|", 13) == 0);
    return strrchr(a->fields, '|') + 1;
}

static enum receipt_kind later(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    (void)h, (void)a, (void)delay_ms;
    return HOUSE_LATER;
}

static uint32_t wishes_of(struct house *h, const char *who)
{
    struct person person;
    house_look(h, who, &person);
    return person.profile->wishes.count;
}

static uint32_t listings_of(struct house *h, const char *who)
{
    struct person person;
    house_look(h, who, &person);
    return person.profile->listings.count;
}

static void no_overtaking(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    h->answer = later;
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Cart Left", "cart_id=1");
    run(h, at("13:00"));
    assert_int_equal(h->attempt_count, 1);
    house_event(h, "ann", "Ordered", "");
    run(h, at("14:00"));
    assert_int_equal(h->attempt_count, 1); /* the add is under way still */
    house_receipt(h, 0, RECEIPT_IN_DOUBT, 0);
    run(h, at("14:01"));
    assert_int_equal(h->attempt_count, 2); /* it may be in: out, and at once, for it was recalled */
    assert_false(is_add(&h->attempts[1]));
    assert_true(h->attempts[1].at_ms == at("14:00"));
    house_receipt(h, 1, RECEIPT_ACCEPTED, 0);
    run(h, at("15:00"));
    assert_int_equal(listings_of(h, "ann"), 0);
    assert_int_equal(h->attempt_count, 2);
    house_free(h);
}

static void nothing_to_remove(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    h->answer = later;
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Cart Left", "cart_id=1");
    run(h, at("13:00"));
    house_event(h, "ann", "Ordered", "");
    run(h, at("14:00"));
    house_receipt(h, 0, RECEIPT_GAVE_UP, 0);
    run(h, at("1 15:00"));
    assert_int_equal(h->attempt_count, 1);
    assert_int_equal(listings_of(h, "ann"), 0);
    house_free(h);
}

static void again_and_again(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    h->answer = later;
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Liked", "");
    run(h, at("13:00"));
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(h->attempt_count, i + 1);
        assert_true(is_add(&h->attempts[i]));
        assert_int_equal(h->attempts[i].attempt, i + 1); /* no id comes twice */
        house_hop(h);
        house_receipt(h, i, i % 2 ? RECEIPT_REJECTED_MESSAGE : RECEIPT_GAVE_UP, 400);
        run(h, h->now_ms + 8 * HOUR_MS);
    }
    house_receipt(h, 12, RECEIPT_ACCEPTED, 200);
    run(h, h->now_ms + DAY_MS);
    assert_int_equal(h->attempt_count, 13);
    house_free(h);
}

static void merged(void **state)
{
    (void)state;
    struct house *h = house_of(PROGRAMME);
    house_meet(h, "ann", "email");
    house_event(h, "ann", "Cart Left", "cart_id=1");
    house_event(h, "~tablet", "Liked", "");
    run(h, at("13:00"));
    assert_int_equal(h->attempt_count, 1); /* the tablet's owner has no address */
    house_event(h, "ann~tablet", "Seen", "");
    run(h, at("14:00"));
    assert_int_equal(wishes_of(h, "ann"), 2);
    house_event(h, "ann", "Ordered", "");
    run(h, at("15:00"));
    assert_int_equal(wishes_of(h, "ann"), 1);
    assert_int_equal(h->attempt_count, 1); /* what the tablet liked keeps them in */
    house_event(h, "ann", "Disliked", "");
    run(h, at("16:00"));
    assert_int_equal(h->attempt_count, 2);
    assert_false(is_add(&h->attempts[1]));
    house_free(h);
}

/* ---- random lives -------------------------------------------------------------------------------- */

enum { PEOPLE = 5, HASHES = 64 };

struct network {
    uint64_t luck;
    char hashes[HASHES][65];
    bool is_in[HASHES];
    uint32_t count;
    bool is_fine; /* accepts everything, at once */
};

static bool *place_of(struct network *n, const char *hash)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (strcmp(n->hashes[i], hash) == 0)
            return &n->is_in[i];
    assert_true(n->count < HASHES);
    snprintf(n->hashes[n->count], sizeof(n->hashes[0]), "%s", hash);
    return &n->is_in[n->count++];
}

/* What is in doubt may have been taken; what is refused was not. */
static enum receipt_kind network(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    struct network *n = h->self;
    static const enum receipt_kind answers[] = {RECEIPT_ACCEPTED, RECEIPT_ACCEPTED,
                                                RECEIPT_IN_DOUBT, RECEIPT_GAVE_UP,
                                                RECEIPT_REJECTED_MESSAGE};
    enum receipt_kind kind =
        n->is_fine ? RECEIPT_ACCEPTED : answers[next(&n->luck) % array_count(answers)];
    bool is_taken = kind == RECEIPT_ACCEPTED || (kind == RECEIPT_IN_DOUBT && next(&n->luck) % 2);
    if (is_taken)
        *place_of(n, hash_of(a)) = is_add(a);
    *delay_ms = n->is_fine ? 0 : (int64_t)(next(&n->luck) % (20 * MINUTE_MS));
    return kind;
}

/* In the end the network has those, and only those, who are let in by a wish; by the address of now. */
static void compare(struct house *h, struct network *n)
{
    uint32_t in = 0, wanted = 0;
    for (uint32_t i = 0; i < n->count; i++)
        in += n->is_in[i];
    for (uint32_t i = 0; i < PEOPLE; i++) {
        char name[8], hex[SHA256_HEX_BYTES];
        uint8_t hash[SHA256_BYTES];
        struct person who;
        bool is_wanted = false;
        snprintf(name, sizeof(name), "u%u", i);
        if (house_person(h, name) == 0)
            continue;
        house_look(h, name, &who);
        for (uint32_t k = 0; k < who.profile->wishes.count; k++)
            is_wanted |= person_wish(&who, k)->is_in;
        if (!listing_member(&who, CHANNEL_EMAIL, hash))
            continue;
        sha256_print(hash, hex);
        assert_int_equal(*place_of(n, hex), is_wanted);
        wanted += is_wanted;
    }
    assert_int_equal(in, wanted);
}

/* The report says of the audience what its people's listings say; *in_doubt: it came to that at least once. */
static struct report_audience count_members(struct house *h)
{
    struct arena arena;
    struct report_audience *list, found;
    uint32_t count;
    uint64_t in = 0;
    arena_init(&arena, 4096);
    report_audiences(engine_funnel(h->engine), engine_plan(h->engine), &arena, &list, &count);
    assert_int_equal(count, 1);
    found = list[0];
    for (uint64_t p = engine_each(h->engine, 0); p != 0; p = engine_each(h->engine, p)) {
        struct person who;
        engine_look(h->engine, p, &who);
        for (uint32_t i = 0; i < who.profile->listings.count; i++)
            in += person_listing(&who, i)->known == LISTING_IN;
    }
    assert_int_equal(found.members, in);
    arena_fini(&arena);
    return found;
}

static void lives(void **state)
{
    (void)state;
    static const char *const events[] = {"Cart Left",     "Cart Left",    "Ordered",
                                         "Liked",         "Disliked",     "Seen",
                                         "Ticket Opened", "Ticket Solved"};
    uint32_t attempts = 0;
    uint64_t doubts = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct network n = {.luck = seed};
        struct house *h = house_of(PROGRAMME);
        h->self = &n;
        h->answer = network;
        for (uint32_t i = 0; i < 200; i++) {
            char who[32], fields[64];
            uint32_t user = (uint32_t)(next(&n.luck) % PEOPLE);
            bool is_device = next(&n.luck) % 6 == 0;
            snprintf(who, sizeof(who), is_device ? "u%u~d%u" : "u%u", user, user);
            switch (next(&n.luck) % 8) {
            case 0: /* an address of their own */
                snprintf(fields, sizeof(fields), "email=%u.%u@example.org", user,
                         (uint32_t)(next(&n.luck) % 2));
                house_identify(h, who, fields);
                break;
            case 1: house_consent(h, who, "email", next(&n.luck) % 4 != 0); break;
            case 2: /* before it is known whose the device is */
                snprintf(who, sizeof(who), "~d%u", user);
                house_event(h, who, "Liked", "");
                break;
            default:
                snprintf(fields, sizeof(fields), "cart_id=%u", (uint32_t)(next(&n.luck) % 3));
                house_event(h, who, events[next(&n.luck) % array_count(events)], fields);
            }
            if (next(&n.luck) % 3 == 0)
                run(h, h->now_ms + (int64_t)(next(&n.luck) % (4 * HOUR_MS)));
            if (next(&n.luck) % 16 == 0)
                house_hop(h);
            (void)count_members(h);
        }
        n.is_fine = true;
        run(h, h->now_ms + 30 * DAY_MS);
        compare(h, &n);
        struct report_audience x = count_members(h);
        assert_true(x.members + x.removed <= x.added + x.in_doubt);
        assert_true(x.add_failed > 0 && x.refused > 0 && !x.is_gone);
        doubts += x.in_doubt;
        attempts += h->attempt_count;
        house_free(h);
    }
    assert_true(attempts > 300);
    assert_true(doubts > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a removal waits for the add that is under way, and follows it at once",
             no_overtaking),
        TEST("what was never added is not removed", nothing_to_remove),
        TEST("what the network refuses is told again, for days, under another id", again_and_again),
        TEST("a merged person is in the audience for what both did", merged),
        TEST("whatever the network answers, it has in the end whom journeys want", lives),
    };
    return cmocka_run_group_tests_name("flow/audiences", tests, NULL, NULL);
}
