/* Who is who, against a model that knows nothing of indices, forwards or partitions: people are sets of
 * identifiers, and the rules of identity.h are applied to them by searching through all. */
#include "profile/identity.h"

#include "base/mem.h"
#include "test.h"

#define PEOPLE_MAX 4096

/* ---- the house of the profiles ------------------------------------------------------------------ */

struct host {
    struct identity_host host;
    struct profile *profiles[PARTITIONS][64];
    uint32_t counts[PARTITIONS];
    uint32_t merges, shared, refuses;
    uint64_t
        refuse_from; /* profiles of at least this number are too large to be merged; 0 = none */
};

static uint64_t create(void *self, uint32_t partition, int64_t at_ms)
{
    struct host *h = self;
    uint32_t local = ++h->counts[partition];
    assert_true(local < 64);
    h->profiles[partition][local] = mem_new(sizeof(struct profile));
    h->profiles[partition][local]->first_seen_ms = at_ms;
    return profile_number(partition, local);
}

static struct profile *profile(void *self, uint64_t number)
{
    struct host *h = self;
    return h->profiles[profile_partition(number)][profile_local(number)];
}

static bool merge(void *self, uint64_t loser, uint64_t winner)
{
    struct host *h = self;
    assert_true(winner != loser);
    assert_true(profile_forward(profile(h, winner)) == 0);
    assert_true(profile_forward(profile(h, loser)) == 0);
    if (h->refuse_from && loser >= h->refuse_from) {
        h->refuses++;
        return false;
    }
    profile_set_forward(profile(h, loser), winner);
    h->merges++;
    return true;
}

static void note_shared(void *self, uint64_t a, uint64_t b)
{
    struct host *h = self;
    assert_true(a != b);
    h->shared++;
}

static struct host *host_new(void)
{
    struct host *h = mem_new(sizeof(*h));
    h->host = (struct identity_host){h, create, profile, merge, note_shared};
    return h;
}

static void host_free(struct host *h)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint32_t i = 1; i <= h->counts[p]; i++)
            mem_free(h->profiles[p][i]);
    mem_free(h);
}

/* ---- the model ---------------------------------------------------------------------------------- */

enum { USERS = 8, DEVICES = 12, IDENTIFIERS = USERS + DEVICES };

static struct id128 identifier(uint32_t i)
{
    return (struct id128){hash_pair(i, 1), hash_pair(i, 2) | 1};
}

static bool is_user(uint32_t i)
{
    return i < USERS;
}

/* What is known of each identifier: whose it is (people are numbered as profiles are), and what each person is called. */
struct model {
    uint64_t owner[IDENTIFIERS]; /* 0 = unknown */
    uint32_t user[PEOPLE_MAX];   /* by place in people: its first user id + 1; 0 = none */
    uint64_t people[PEOPLE_MAX]; /* numbers, in the order in which they came */
    uint32_t count;
    uint32_t merges, shared;
};

static uint32_t *user_of(struct model *m, uint64_t person)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (m->people[i] == person)
            return &m->user[i];
    fail_msg("no such person");
    return NULL;
}

static uint32_t age_of(const struct model *m, uint64_t person)
{
    uint32_t i = 0;
    while (m->people[i] != person)
        i++;
    return i;
}

/* a and b are one person: all is whose who was a user before this record, else whose who came first. */
static uint64_t model_unite(struct model *m, uint64_t a, uint64_t b, uint64_t fresh)
{
    bool is_a_known = *user_of(m, a) != 0 && a != fresh;
    bool is_b_known = *user_of(m, b) != 0 && b != fresh;
    bool is_a = is_a_known != is_b_known ? is_a_known : age_of(m, a) < age_of(m, b);
    uint64_t winner = is_a ? a : b, loser = is_a ? b : a;
    for (uint32_t i = 0; i < IDENTIFIERS; i++)
        if (m->owner[i] == loser)
            m->owner[i] = winner;
    if (*user_of(m, winner) == 0)
        *user_of(m, winner) = *user_of(m, loser);
    m->merges++;
    return winner;
}

static uint64_t model_link(struct model *m, uint64_t person, uint32_t other, bool is_alias,
                           uint64_t fresh)
{
    uint64_t whose = m->owner[other];
    if (whose == 0 || whose == person) {
        m->owner[other] = person;
        return person;
    }
    bool are_strangers = *user_of(m, person) != 0 && *user_of(m, whose) != 0;
    if (!are_strangers || is_alias)
        return model_unite(m, person, whose, fresh);
    m->owner[other] = person; /* a shared device: from here on it is theirs */
    m->shared++;
    return person;
}

/* `fresh`: the number of a new person, if one is needed. */
static uint64_t model_resolve(struct model *m, uint32_t first, uint32_t device, uint32_t previous,
                              bool is_server, uint64_t fresh)
{
    uint64_t person = m->owner[first];
    if (person != 0) {
        fresh = 0;
    } else {
        person = m->owner[first] = m->people[m->count] = fresh;
        m->user[m->count++] = 0;
    }
    if (is_user(first) && *user_of(m, person) == 0)
        *user_of(m, person) = first + 1;
    if (device != UINT32_MAX)
        person = model_link(m, person, device, false, fresh);
    if (previous != UINT32_MAX && is_server)
        person = model_link(m, person, previous, true, fresh);
    return person;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 17;
}

static void everybody_is_who_the_model_says(void **state)
{
    (void)state;
    uint32_t merges = 0, shared = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct host *h = host_new();
        struct identity *id = mem_new(sizeof(*id));
        struct model *m = mem_new(sizeof(*m));
        uint64_t luck = seed;
        identity_init(id, 1024, NULL);
        for (int step = 0; step < 60; step++) {
            struct record r = {.type = RECORD_EVENT, .kind = EVENT_TRACK, .event_ms = step};
            uint32_t user = UINT32_MAX, device = UINT32_MAX, previous = UINT32_MAX;
            switch (next(&luck) % 4) {
            case 0: user = (uint32_t)(next(&luck) % USERS); break;
            case 1: device = USERS + (uint32_t)(next(&luck) % DEVICES); break;
            default:
                user = (uint32_t)(next(&luck) % USERS);
                device = USERS + (uint32_t)(next(&luck) % DEVICES);
            }
            r.flags = next(&luck) % 2 ? RECORD_IS_SERVER : 0;
            if (next(&luck) % 12 == 0) {
                r.kind = EVENT_ALIAS;
                previous = (uint32_t)(next(&luck) % USERS);
                r.previous = identifier(previous);
            }
            if (user != UINT32_MAX)
                r.user = identifier(user);
            if (device != UINT32_MAX)
                r.anonymous = identifier(device);
            uint32_t first = user != UINT32_MAX ? user : device;
            uint32_t partition = (uint32_t)(identifier(first).high & (PARTITIONS - 1));
            uint64_t fresh = profile_number(partition, h->counts[partition] + 1);
            uint64_t expected = model_resolve(m, first, user != UINT32_MAX ? device : UINT32_MAX,
                                              previous, r.flags & RECORD_IS_SERVER, fresh);
            assert_int_equal(identity_resolve(id, &h->host, &r), expected);
            for (uint32_t i = 0; i < IDENTIFIERS; i++)
                assert_int_equal(identity_find(id, &h->host, identifier(i)), m->owner[i]);
            for (uint32_t i = 0; i < m->count; i++) {
                uint64_t alive = identity_follow(&h->host, m->people[i]);
                struct id128 is = profile(h, alive)->user;
                uint32_t should = *user_of(m, alive);
                assert_int_equal(id128_is_set(is), should != 0);
                if (should)
                    assert_true(id128_equal(is, identifier(should - 1)));
            }
        }
        assert_int_equal(h->merges, m->merges);
        assert_int_equal(h->shared, m->shared);
        merges += h->merges;
        shared += h->shared;
        identity_fini(id);
        mem_free(id);
        mem_free(m);
        host_free(h);
    }
    assert_true(merges > 1000);
    assert_true(shared > 1000);
}

/* Without two users at one device nothing depends on the order in which things are heard of. */
static void the_order_does_not_matter_where_nobody_shares(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint32_t owner[DEVICES], pairs[40][2];
        uint64_t luck = seed * 7919;
        for (uint32_t i = 0; i < DEVICES; i++)
            owner[i] = (uint32_t)(next(&luck) % USERS);
        for (uint32_t i = 0; i < 40; i++) {
            pairs[i][1] = (uint32_t)(next(&luck) % DEVICES);
            pairs[i][0] = next(&luck) % 3 ? owner[pairs[i][1]] : UINT32_MAX;
        }
        uint32_t groups[2][IDENTIFIERS];
        for (int round = 0; round < 2; round++) {
            struct host *h = host_new();
            struct identity *id = mem_new(sizeof(*id));
            identity_init(id, 1024, NULL);
            for (uint32_t i = 40; i-- > 1 && round == 1;) { /* another order */
                uint32_t k = (uint32_t)(next(&luck) % (i + 1)), a = pairs[i][0], b = pairs[i][1];
                pairs[i][0] = pairs[k][0];
                pairs[i][1] = pairs[k][1];
                pairs[k][0] = a;
                pairs[k][1] = b;
            }
            for (uint32_t i = 0; i < 40; i++) {
                struct record r = {.type = RECORD_EVENT,
                                   .kind = EVENT_TRACK,
                                   .anonymous = identifier(USERS + pairs[i][1])};
                if (pairs[i][0] != UINT32_MAX)
                    r.user = identifier(pairs[i][0]);
                assert_true(identity_resolve(id, &h->host, &r) != 0);
            }
            assert_int_equal(h->shared, 0);
            for (uint32_t i = 0; i < IDENTIFIERS; i++) { /* named by their first identifier */
                uint64_t mine = identity_find(id, &h->host, identifier(i));
                groups[round][i] = UINT32_MAX;
                for (uint32_t k = 0; k <= i && mine != 0 && groups[round][i] == UINT32_MAX; k++)
                    if (identity_find(id, &h->host, identifier(k)) == mine)
                        groups[round][i] = k;
            }
            identity_fini(id);
            mem_free(id);
            host_free(h);
        }
        assert_memory_equal(groups[0], groups[1], sizeof(groups[0]));
    }
}

static uint64_t see(struct identity *id, struct host *h, uint32_t user, uint32_t device)
{
    struct record r = {.type = RECORD_EVENT, .kind = EVENT_TRACK};
    if (user != UINT32_MAX)
        r.user = identifier(user);
    if (device != UINT32_MAX)
        r.anonymous = identifier(device);
    return identity_resolve(id, &h->host, &r);
}

static void a_shared_device_follows_whoever_signs_in(void **state)
{
    (void)state;
    struct host *h = host_new();
    struct identity *id = mem_new(sizeof(*id));
    identity_init(id, 1024, NULL);
    uint64_t visitor = see(id, h, UINT32_MAX, USERS);
    uint64_t ann = see(id, h, 0, USERS); /* signs in: the visitor was Ann */
    assert_int_equal(identity_follow(&h->host, visitor), ann);
    uint64_t bob = see(id, h, 1, USERS);
    assert_true(bob != ann);
    assert_int_equal(see(id, h, UINT32_MAX, USERS), bob); /* what the tablet does now, Bob does */
    assert_int_equal(see(id, h, 0, UINT32_MAX), ann);
    assert_int_equal(see(id, h, 0, USERS), ann); /* and Ann takes it back */
    assert_int_equal(see(id, h, UINT32_MAX, USERS), ann);
    assert_int_equal(h->shared, 2);
    assert_int_equal(h->merges, 1);
    identity_fini(id);
    mem_free(id);
    host_free(h);
}

static void identifiers_of_a_person_are_bounded(void **state)
{
    (void)state;
    struct host *h = host_new();
    struct identity *id = mem_new(sizeof(*id));
    identity_init(id, 1024, NULL);
    uint64_t ann = see(id, h, 0, UINT32_MAX);
    for (uint32_t i = 1; i < PROFILE_IDENTIFIERS_MAX; i++)
        assert_int_equal(see(id, h, 0, 100 + i), ann);
    assert_int_equal(profile(h, ann)->identifier_count, PROFILE_IDENTIFIERS_MAX);
    assert_int_equal(see(id, h, 0, 1000), ann); /* one past it: hers this once, not remembered */
    assert_int_equal(identity_find(id, &h->host, identifier(1000)), 0);
    assert_int_equal(identity_find(id, &h->host, identifier(101)), ann);
    identity_fini(id);
    mem_free(id);
    host_free(h);
}

static void two_that_are_too_large_together_stay_two(void **state)
{
    (void)state;
    struct host *h = host_new();
    struct identity *id = mem_new(sizeof(*id));
    identity_init(id, 1024, NULL);
    uint64_t visitor = see(id, h, UINT32_MAX, USERS);
    uint64_t ann = see(id, h, 0, UINT32_MAX);
    h->refuse_from = 1;
    assert_int_equal(see(id, h, 0, USERS), ann);
    assert_int_equal(identity_follow(&h->host, visitor), visitor);
    assert_int_equal(see(id, h, UINT32_MAX, USERS), ann); /* the device is hers from here on */
    assert_int_equal(h->refuses, 1);
    assert_int_equal(h->shared, 1);
    assert_false(id128_is_set(profile(h, visitor)->user));
    identity_fini(id);
    mem_free(id);
    host_free(h);
}

static void a_message_id_counts_once_a_day(void **state)
{
    (void)state;
    struct identity *id = mem_new(sizeof(*id));
    identity_init(id, 1024, NULL);
    struct record r = {.type = RECORD_EVENT, .message_hash = 12345 << 8, .at_ms = 10 * DAY_MS};
    assert_false(identity_is_duplicate(id, &r));
    assert_true(identity_is_duplicate(id, &r));
    r.at_ms += 23 * HOUR_MS;
    assert_true(identity_is_duplicate(id, &r));
    r.at_ms += 3 * DAY_MS;
    assert_false(identity_is_duplicate(id, &r));
    r.message_hash = 0; /* has none: ticks, receipts */
    assert_false(identity_is_duplicate(id, &r));
    assert_false(identity_is_duplicate(id, &r));
    identity_fini(id);
    mem_free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("everybody is who a model of sets says they are", everybody_is_who_the_model_says),
        TEST("the order does not matter where nobody shares a device",
             the_order_does_not_matter_where_nobody_shares),
        TEST("a shared device follows whoever signs in", a_shared_device_follows_whoever_signs_in),
        TEST("a person's identifiers are bounded", identifiers_of_a_person_are_bounded),
        TEST("two that would be too large together stay two",
             two_that_are_too_large_together_stay_two),
        TEST("a message id counts once a day", a_message_id_counts_once_a_day),
    };
    return cmocka_run_group_tests_name("profile/identity", tests, NULL, NULL);
}
