/* Caps, the pool and the address gate, against plain models. */
#include "base/hash.h"
#include "base/mem.h"
#include "decide/gate.h"
#include "decide/memory.h"
#include "decide/pool.h"
#include "decide/rule.h"
#include "model/identifier.h"
#include "test.h"

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 11;
}

/* ---- caps --------------------------------------------------------------------------------------- */

struct fixture {
    struct space space;
    struct profile profile;
    struct plan plan;
    struct plan_category category;
    struct plan_message message;
    struct plan_cap cap;
    const struct plan *plans[2];
    struct plans versions;
    struct zoneset *zones;
    struct names *names;
    struct results results;
    struct messages messages;
    struct arena scratch;
    struct buf bytes;
    struct intent intent;
    struct person who;
    struct memory memory; /* over all that is asked of this person */
};

static void fixture_init(struct fixture *f)
{
    static const struct zone_file files[] = {
        {{"Europe/London", 13}, {"GMT0BST,M3.5.0/1,M10.5.0", 24}}};
    struct fault fault = {0};
    *f = (struct fixture){0};
    memory_init(&f->memory);
    space_init(&f->space);
    arena_init(&f->scratch, 4096);
    f->names = names_new();
    assert_int_equal(zoneset_build(STR("test"), files, 1, &f->zones, &fault), OK);
    f->category = (struct plan_category){.name = 70, .lane = LANE_MARKETING};
    f->plan = (struct plan){.zones = f->zones,
                            .categories = &f->category,
                            .category_count = 1,
                            .caps = &f->cap,
                            .cap_count = 1};
    f->plans[1] = &f->plan;
    f->versions = (struct plans){.at = f->plans, .count = 2, .newest = 1};
    f->intent = (struct intent){.decision = 1, .lane = LANE_MARKETING};
    f->who = (struct person){.space = &f->space,
                             .profile = &f->profile,
                             .id = profile_number(1, 1),
                             .plans = &f->versions,
                             .plan = &f->plan,
                             .names = f->names,
                             .names_end = UINT32_MAX,
                             .scratch = &f->scratch,
                             .bytes = &f->bytes,
                             .results = &f->results,
                             .messages = &f->messages};
}

static void fixture_fini(struct fixture *f)
{
    space_fini(&f->space);
    arena_fini(&f->scratch);
    buf_fini(&f->bytes);
    names_free(f->names);
    zoneset_free(f->zones);
    mem_free(f->results.rows);
    mem_free(f->messages.at);
}

static struct question question_at(struct fixture *f, int64_t at_ms)
{
    return (struct question){
        .who = &f->who,
        .intent = &f->intent,
        .plan = &f->plan,
        .message = &f->message,
        .journey = PLAN_NO_INDEX,
        .group = PLAN_NO_INDEX,
        .channel = CHANNEL_EMAIL,
        .lane_flags = lane_term(LANE_MARKETING)->flags,
        .at_ms = at_ms,
    };
}

static struct answer ask(struct fixture *f, int64_t at_ms)
{
    struct question q = question_at(f, at_ms);
    struct answer fresh = rule_cap_ask(&q);
    f->who.memory = &f->memory;
    struct answer remembered = rule_cap_ask(&q);
    f->who.memory = NULL;
    assert_int_equal(fresh.kind, remembered.kind);
    assert_int_equal(fresh.at_ms, remembered.at_ms);
    return fresh;
}

/* Instants come again, and push each other out of the memory. */
static void what_is_remembered_of_an_instant_is_what_would_be_found(void **state)
{
    (void)state;
    uint64_t seed = 5;
    struct fixture f;
    struct plan_window windows[3] = {
        {.from_minute = 21 * 60, .until_minute = 8 * 60},
        {.from_minute = 90, .until_minute = 150, .weekdays = 0x41},
        {.from_minute = 12 * 60, .until_minute = 13 * 60, .channels = 1u << CHANNEL_EMAIL}};
    fixture_init(&f);
    f.plan.windows = windows;
    f.plan.window_count = array_count(windows);
    for (int i = 0; i < 4000; i++) {
        int64_t at_ms = INT64_C(1774500000000) + (int64_t)(next(&seed) % 200) * HOUR_MS / 2;
        struct question q = question_at(&f, at_ms);
        struct memory_day room, fresh;
        q.lane_flags |= LANE_WINDOWS;
        fresh = *memory_day(&q, &room);
        struct answer hours = rule_window_ask(&q);
        f.who.memory = &f.memory;
        const struct memory_day *day = memory_day(&q, &room);
        struct answer remembered = rule_window_ask(&q);
        f.who.memory = NULL;
        assert_int_equal(hours.kind, remembered.kind);
        assert_int_equal(hours.at_ms, remembered.at_ms);
        assert_int_equal(day->at_ms, at_ms);
        assert_int_equal(day->day_start_ms, fresh.day_start_ms);
        assert_int_equal(day->day_end_ms, fresh.day_end_ms);
        assert_int_equal(day->week_start_ms, fresh.week_start_ms);
        assert_int_equal(day->week_end_ms, fresh.week_end_ms);
    }
    fixture_fini(&f);
}

/* Would one more message at at_ms break the cap? */
static bool fits(const struct fixture *f, const int64_t *times, uint32_t count, int64_t at_ms)
{
    const struct zone *zone = zoneset_zone(f->zones, 0);
    uint32_t inside = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool is_inside = false;
        switch ((enum cap_kind)f->cap.kind) {
        case CAP_SLIDING:
        case CAP_GAP: is_inside = times[i] > at_ms - f->cap.window_ms; break;
        case CAP_DAY: is_inside = zone_day(zone, times[i]) >= zone_day(zone, at_ms); break;
        case CAP_WEEK:
            is_inside = zone_week_start(zone, times[i]) >= zone_week_start(zone, at_ms);
            break;
        }
        inside += is_inside;
    }
    return inside < (f->cap.kind == CAP_GAP ? 1 : f->cap.limit);
}

static void caps_equal_a_recount(void **state)
{
    (void)state;
    uint64_t seed = 21;
    const int64_t start_ms = INT64_C(1774500000000); /* days before the clock changes */
    for (int round = 0; round < 400; round++) {
        struct fixture f;
        int64_t times[12];
        uint32_t count = (uint32_t)(next(&seed) % 12);
        fixture_init(&f);
        f.cap = (struct plan_cap){.kind = (uint8_t)(next(&seed) % 4),
                                  .limit = 1 + (uint32_t)(next(&seed) % 4),
                                  .window_ms = HOUR_MS * (1 + (int64_t)(next(&seed) % 100)),
                                  .journey = PLAN_NO_INDEX,
                                  .text = STR("the cap")};
        int64_t latest_ms = start_ms;
        for (uint32_t i = 0; i < count; i++) {
            times[i] = start_ms + (int64_t)(next(&seed) % (10 * DAY_MS));
            latest_ms = max_of(latest_ms, times[i]);
            *person_push_sent(&f.who) = (struct sent){.decision = 100 + i,
                                                      .at_ms = times[i],
                                                      .category = 70,
                                                      .channel = CHANNEL_EMAIL,
                                                      .lane = LANE_MARKETING,
                                                      .state = SENT_SPENT};
        }
        for (int probe = 0; probe < 40; probe++) {
            int64_t at_ms = latest_ms + (int64_t)(next(&seed) % (12 * DAY_MS));
            f.who.now_ms = at_ms;
            struct answer a = ask(&f, at_ms);
            assert_int_equal(a.kind == ALLOW, fits(&f, times, count, at_ms));
            if (a.kind == NOT_BEFORE) {
                assert_true(a.at_ms > at_ms);
                assert_true(a.at_ms != FOREVER_MS);
                assert_false(fits(&f, times, count, a.at_ms - 1)); /* not earlier than it must */
            }
        }
        fixture_fini(&f);
    }
}

/* Would one more message of a group for which nothing is kept break the cap? */
static bool fits_beside_kept(const struct fixture *f, const int64_t *times, const bool *is_kept_for,
                             uint32_t count, int64_t at_ms)
{
    uint32_t inside = 0, had = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (times[i] <= at_ms - f->cap.window_ms)
            continue;
        inside++;
        had += is_kept_for[i];
    }
    return inside + (f->cap.kept - min_of(had, f->cap.kept)) < f->cap.limit;
}

static void kept_slots_equal_a_recount(void **state)
{
    (void)state;
    uint64_t seed = 5;
    const int64_t start_ms = INT64_C(1774500000000);
    static const struct plan_group group = {.name = 80};
    uint32_t put_off = 0;
    for (int round = 0; round < 400; round++) {
        struct fixture f;
        int64_t times[12], latest_ms = start_ms;
        bool is_kept_for[12];
        uint32_t count = (uint32_t)(next(&seed) % 12);
        fixture_init(&f);
        f.plan.groups = &group;
        f.plan.group_count = 1;
        f.cap = (struct plan_cap){.kind = CAP_SLIDING,
                                  .limit = 2 + (uint32_t)(next(&seed) % 4),
                                  .window_ms = HOUR_MS * (1 + (int64_t)(next(&seed) % 100)),
                                  .journey = PLAN_NO_INDEX,
                                  .kept_for = 1,
                                  .text = STR("the cap")};
        f.cap.kept = 1 + (uint32_t)(next(&seed) % (f.cap.limit - 1));
        for (uint32_t i = 0; i < count; i++) {
            times[i] = start_ms + (int64_t)(next(&seed) % (6 * DAY_MS));
            is_kept_for[i] = next(&seed) % 2;
            latest_ms = max_of(latest_ms, times[i]);
            struct sent *line = person_push_sent(&f.who);
            *line = (struct sent){.decision = 100 + i,
                                  .at_ms = times[i],
                                  .category = 70,
                                  .channel = CHANNEL_EMAIL,
                                  .lane = LANE_MARKETING,
                                  .state = SENT_SPENT};
            sent_set_more(f.who.space, line, &(struct sent_more){.group = is_kept_for[i] ? 80 : 0});
        }
        for (int probe = 0; probe < 40; probe++) {
            int64_t at_ms = latest_ms + (int64_t)(next(&seed) % (6 * DAY_MS));
            f.who.now_ms = at_ms;
            struct answer a = ask(&f, at_ms);
            assert_int_equal(a.kind == ALLOW,
                             fits_beside_kept(&f, times, is_kept_for, count, at_ms));
            if (a.kind == ALLOW) { /* until then it stays so */
                int64_t until_ms = min_of(a.at_ms, at_ms + 10 * DAY_MS);
                for (int64_t t = at_ms; t < until_ms; t += HOUR_MS)
                    assert_true(fits_beside_kept(&f, times, is_kept_for, count, t));
                continue;
            }
            put_off++;
            assert_int_equal(a.kind, NOT_BEFORE);
            assert_true(a.at_ms > at_ms && a.at_ms != FOREVER_MS);
            assert_true(fits_beside_kept(&f, times, is_kept_for, count, a.at_ms));
            assert_false(fits_beside_kept(&f, times, is_kept_for, count, a.at_ms - 1));
        }
        fixture_fini(&f);
    }
    assert_true(put_off > 500);
}

static void reserved_slots_count_as_now(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.cap = (struct plan_cap){.kind = CAP_SLIDING,
                              .limit = 2,
                              .window_ms = HOUR_MS,
                              .journey = PLAN_NO_INDEX,
                              .text = STR("the cap")};
    f.who.now_ms = 100 * DAY_MS;
    for (uint32_t i = 0; i < 2; i++)
        *person_push_sent(&f.who) = (struct sent){.decision = 100 + i,
                                                  .at_ms = f.who.now_ms,
                                                  .category = 70,
                                                  .channel = CHANNEL_EMAIL,
                                                  .lane = LANE_MARKETING,
                                                  .state = i ? SENT_RESERVED : SENT_SPENT};
    struct answer a = ask(&f, f.who.now_ms);
    assert_int_equal(a.kind, NOT_BEFORE);
    assert_true(a.at_ms == FOREVER_MS); /* woken when it is spent or given back */
    f.intent.decision = 101;            /* its own slot does not count against it */
    assert_int_equal(ask(&f, f.who.now_ms).kind, ALLOW);
    fixture_fini(&f);
}

static void ghosts_count_only_against_ghosts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.cap = (struct plan_cap){.kind = CAP_SLIDING,
                              .limit = 1,
                              .window_ms = HOUR_MS,
                              .journey = PLAN_NO_INDEX,
                              .text = STR("the cap")};
    f.who.now_ms = 100 * DAY_MS;
    *person_push_sent(&f.who) = (struct sent){.decision = 100,
                                              .at_ms = f.who.now_ms,
                                              .category = 70,
                                              .channel = CHANNEL_EMAIL,
                                              .lane = LANE_MARKETING,
                                              .state = SENT_GHOST};
    assert_int_equal(ask(&f, f.who.now_ms).kind, ALLOW);
    f.intent.is_ghost = true;
    assert_int_equal(ask(&f, f.who.now_ms).kind, NOT_BEFORE);
    fixture_fini(&f);
}

/* ---- the pool ----------------------------------------------------------------------------------- */

static void the_pool_keeps_the_order(void **state)
{
    (void)state;
    uint64_t seed = 31;
    struct pools pools;
    struct arena scratch;
    struct stage_message model[300];
    uint32_t waiting = 0;
    pools_init(&pools);
    arena_init(&scratch, 4096);
    struct pool *pool = pools_get(&pools, 5);
    for (int step = 0; step < 20000; step++) {
        uint64_t what = next(&seed) % 10;
        if (what < 5 && waiting < 300) {
            char text[24];
            int len = snprintf(text, sizeof(text), "fields of %d", step);
            struct stage_message m = {.kind = TO_POOL_QUEUE,
                                      .lane = (uint8_t)(next(&seed) % 3),
                                      .priority = (int32_t)(next(&seed) % 5),
                                      .decision = next(&seed) | 1,
                                      .profile = 9,
                                      .until_ms = FOREVER_MS,
                                      .fields = {text, (size_t)len}};
            pool_queue(pool, &m);
            model[waiting++] = m;
        } else if (what < 7 && waiting > 0) {
            uint32_t i = (uint32_t)(next(&seed) % waiting);
            assert_true(pool_revoke(pool, &model[i]));
            assert_false(pool_revoke(pool, &model[i]));
            model[i] = model[--waiting];
        } else if (waiting > 0) {
            struct stage_message out;
            uint32_t best = 0;
            for (uint32_t i = 1; i < waiting; i++) {
                bool is_better = model[i].lane != model[best].lane
                                     ? model[i].lane < model[best].lane
                                 : model[i].priority != model[best].priority
                                     ? model[i].priority > model[best].priority
                                     : model[i].decision < model[best].decision;
                best = is_better ? i : best;
            }
            assert_true(pool_next(pool, 1, step, &scratch, &out));
            assert_int_equal(out.decision, model[best].decision);
            assert_true(str_starts(out.fields, STR("fields of ")));
            pool_granted(pool);
            assert_false(pool_next(pool, 1, step, &scratch, &out)); /* no connection is free */
            pool_done(pool);
            model[best] = model[--waiting];
        }
        arena_reset(&scratch);
        assert_int_equal(pool->count, waiting);
    }
    pools_fini(&pools);
    arena_fini(&scratch);
}

static void what_lapsed_comes_back_without_a_connection(void **state)
{
    (void)state;
    struct pools pools;
    struct arena scratch;
    struct stage_message out, m = {.kind = TO_POOL_QUEUE, .decision = 3, .until_ms = 50};
    pools_init(&pools);
    arena_init(&scratch, 4096);
    struct pool *pool = pools_get(&pools, 5);
    pool_queue(pool, &m);
    assert_false(pool_next(pool, 0, 49, &scratch, &out));
    assert_true(pool_next(pool, 0, 50, &scratch, &out));
    assert_int_equal(out.kind, BACK_LAPSED);
    pools_fini(&pools);
    arena_fini(&scratch);
}

/* ---- the gate ----------------------------------------------------------------------------------- */

static struct gate *gate_new(void)
{
    struct gate *g = mem_new(sizeof(*g));
    gate_init(g);
    return g;
}

static void gate_free(struct gate *g)
{
    gate_fini(g);
    mem_free(g);
}

static const struct plan four_a_day = {.address_limit = 4};

static void an_address_is_capped_whoever_it_is_for(void **state)
{
    (void)state;
    for (uint32_t limit = 1; limit <= PLAN_ADDRESS_LIMIT_MAX; limit++) {
        struct gate *g = gate_new();
        struct plan plan = {.address_limit = limit};
        struct stage_message m = {.lane = LANE_MARKETING, .address = {7, 8}};
        int64_t at_ms;
        for (int64_t i = 0; i < limit; i++) {
            m.profile = (uint64_t)i;
            assert_int_equal(gate_look_on(g, &plan, &m, 1000 * i, &at_ms), 0);
            assert_int_equal(gate_ask(g, &plan, &m, 1000 * i, &at_ms), 0);
        }
        assert_int_equal(gate_ask(g, &plan, &m, 50000, &at_ms), SUPPRESSED_CAP);
        assert_int_equal(at_ms, DAY_MS);
        assert_int_equal(gate_ask(g, &plan, &m, DAY_MS - 1, &at_ms), SUPPRESSED_CAP);
        assert_int_equal(gate_ask(g, &plan, &m, DAY_MS, &at_ms), 0);
        assert_int_equal(gate_ask(g, &plan, &m, DAY_MS, &at_ms), SUPPRESSED_CAP);
        assert_int_equal(at_ms, limit == 1 ? 2 * DAY_MS : DAY_MS + 1000);
        m.lane = LANE_SERVICE; /* neither obeys nor counts */
        assert_int_equal(gate_ask(g, &plan, &m, DAY_MS, &at_ms), 0);
        gate_free(g);
    }
}

/* Brute force: all attempts that were let through, looked over one by one. */
static void confirmations_are_rationed_as_a_recount_says(void **state)
{
    (void)state;
    uint64_t seed = 33;
    struct gate *g = gate_new();
    struct stage_message m = {.lane = LANE_OPT_IN, .address = {7, 8}};
    int64_t times[400], now_ms = 0, at_ms;
    uint32_t count = 0, refused = 0;
    while (count < array_count(times)) {
        now_ms += (int64_t)(next(&seed) % (20 * HOUR_MS));
        uint32_t day = 0, month = 0;
        for (uint32_t i = 0; i < count; i++) {
            day += times[i] > now_ms - DAY_MS;
            month += times[i] > now_ms - 30 * DAY_MS;
        }
        bool fits_in = day < 1 && month < 3;
        m.profile = next(&seed) % 3;
        assert_int_equal(gate_ask(g, &four_a_day, &m, now_ms, &at_ms) == 0, fits_in);
        if (fits_in) {
            times[count++] = now_ms;
            continue;
        }
        refused++;
        assert_true(at_ms > now_ms); /* not a moment before, and at it */
        assert_int_equal(gate_look_on(g, &four_a_day, &m, at_ms - 1, &at_ms), SUPPRESSED_CAP);
        assert_int_equal(gate_look_on(g, &four_a_day, &m, at_ms, &at_ms), 0);
    }
    assert_true(refused > 100);
    gate_free(g);
}

static void one_address_gets_a_message_once(void **state)
{
    (void)state;
    struct gate *g = gate_new();
    struct stage_message ann = {
        .lane = LANE_MARKETING, .address = {7, 8}, .profile = 1, .content = 5};
    struct stage_message bob = ann, other = ann, elsewhere = ann, service = ann;
    int64_t at_ms;
    bob.profile = other.profile = elsewhere.profile = service.profile = 2;
    other.content = 6;
    elsewhere.address = (struct id128){7, 9};
    service.lane = LANE_SERVICE;
    assert_int_equal(gate_ask(g, &four_a_day, &ann, 1000, &at_ms), 0);
    assert_int_equal(gate_ask(g, &four_a_day, &bob, 1000, &at_ms), SUPPRESSED_DUPLICATE);
    assert_int_equal(at_ms, FOREVER_MS);
    assert_int_equal(gate_look_on(g, &four_a_day, &other, 1000, &at_ms), 0);
    assert_int_equal(gate_look_on(g, &four_a_day, &elsewhere, 1000, &at_ms), 0);
    assert_int_equal(gate_look_on(g, &four_a_day, &service, 1000, &at_ms), 0);
    assert_int_equal(gate_look_on(g, &four_a_day, &ann, 1000, &at_ms),
                     0); /* their own is the desk's */
    assert_int_equal(gate_look_on(g, &four_a_day, &bob, 1000 + DAY_MS - 1, &at_ms),
                     SUPPRESSED_DUPLICATE);
    assert_int_equal(gate_ask(g, &four_a_day, &bob, 1000 + DAY_MS, &at_ms), 0);
    gate_free(g);
}

static void suppressed_addresses_stop_their_lanes(void **state)
{
    (void)state;
    static const struct {
        uint8_t how;
        bool is_lifted; /* by agreeing again */
        uint32_t lanes; /* that it stops */
    } rows[] = {
        {SUPPRESSED_BAD_ADDRESS, false, 0x3f},
        {SUPPRESSED_STOPPED, true, 0x3f & ~(1u << LANE_OTP)},
        {SUPPRESSED_UNSUBSCRIBED, true, 1u << LANE_MARKETING},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct gate *g = gate_new();
        struct stage_message off = {
            .kind = TO_ADDRESS_SUPPRESS, .how = rows[i].how, .address = {7, 8}};
        struct stage_message on = {.kind = TO_ADDRESS_CLEAR, .address = {7, 8}};
        off.at_ms = 1;
        for (uint32_t lane = 0; lane < LANE_END; lane++) {
            struct stage_message m = {.lane = (uint8_t)lane, .address = {7, 8}};
            int64_t at_ms, now_ms = lane * 100 * DAY_MS;
            bool is_stopped = rows[i].lanes >> lane & 1;
            on.at_ms = ++off.at_ms;
            gate_apply(g, &on);
            assert_int_equal(gate_look_on(g, &four_a_day, &m, now_ms, &at_ms),
                             lane > 0 && is_stopped && !rows[i].is_lifted ? rows[i].how : 0);
            gate_apply(g, &off);
            assert_int_equal(gate_ask(g, &four_a_day, &m, now_ms, &at_ms),
                             is_stopped ? rows[i].how : 0);
        }
        gate_free(g);
    }
}

/* Whichever comes first: it lifts what was said before it, and nothing that was said at its time or later. */
static void a_yes_lifts_only_what_was_said_before(void **state)
{
    (void)state;
    uint64_t lifted = 0, kept = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct gate *g = gate_new();
        struct stage_message m = {.lane = LANE_MARKETING, .address = {7, 8}};
        int64_t no_ms = 0, at_ms;
        for (uint64_t i = 0; i < 4; i++) {
            uint64_t luck = hash_pair(seed, i);
            struct stage_message word = {.kind = luck % 2 ? TO_ADDRESS_SUPPRESS : TO_ADDRESS_CLEAR,
                                         .how = luck & 16 ? SUPPRESSED_STOPPED
                                                          : SUPPRESSED_UNSUBSCRIBED,
                                         .address = {7, 8},
                                         .at_ms = 1 + (int64_t)(luck >> 32) % 4};
            gate_apply(g, &word);
            if (luck % 2)
                no_ms = max_of(no_ms, word.at_ms);
            else if (word.at_ms > no_ms)
                no_ms = 0;
            bool is_refused = gate_look_on(g, &four_a_day, &m, 1000, &at_ms) != 0;
            assert_int_equal(is_refused, no_ms != 0);
            lifted += luck % 2 == 0 && no_ms == 0;
            kept += luck % 2 == 0 && no_ms != 0;
        }
        gate_free(g);
    }
    assert_true(lifted > 500);
    assert_true(kept > 500);
}

/* docs/DESK.md, row by row. */
static void lanes_are_as_the_table_says(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum attempts attempts;
        int64_t deadline_ms;
        bool consent, holds, windows, holdout, exits, caps, settle, stopped, must, rationed;
    } rows[LANE_END] = {
        {.name = "otp", AT_LEAST_ONCE, 10 * MINUTE_MS, .stopped = true, .must = true},
        {.name = "alert", AT_LEAST_ONCE, 24 * HOUR_MS},
        {.name = "legal", AT_LEAST_ONCE, 72 * HOUR_MS, .must = true},
        {.name = "opt_in", AT_LEAST_ONCE, 24 * HOUR_MS, .rationed = true},
        {.name = "service", AT_LEAST_ONCE, 72 * HOUR_MS},
        {.name = "marketing",
         AT_MOST_ONCE,
         7 * DAY_MS,
         .consent = true,
         .holds = true,
         .windows = true,
         .holdout = true,
         .exits = true,
         .caps = true,
         .settle = true},
    };
    for (uint32_t i = 0; i < LANE_END; i++) {
        const struct lane_term *lane = lane_term((enum lane)i);
        assert_true(str_is(lane->name, rows[i].name)); /* in this order */
        assert_int_equal(lane->attempts, rows[i].attempts);
        assert_int_equal(lane->deadline_ms, rows[i].deadline_ms);
        assert_int_equal((lane->flags & LANE_CONSENT) != 0, rows[i].consent);
        assert_int_equal((lane->flags & LANE_HOLDS) != 0, rows[i].holds);
        assert_int_equal((lane->flags & LANE_WINDOWS) != 0, rows[i].windows);
        assert_int_equal((lane->flags & LANE_HOLDOUT) != 0, rows[i].holdout);
        assert_int_equal((lane->flags & LANE_EXITS) != 0, rows[i].exits);
        assert_int_equal((lane->flags & LANE_CAPS) != 0, rows[i].caps);
        assert_int_equal((lane->flags & LANE_SETTLE) != 0, rows[i].settle);
        assert_int_equal((lane->flags & LANE_TRIES_STOPPED) != 0, rows[i].stopped);
        assert_int_equal((lane->flags & LANE_MUST_CONTACT) != 0, rows[i].must);
        assert_int_equal((lane->flags & LANE_RATIONED) != 0, rows[i].rationed);
        assert_int_equal((lane->flags & LANE_NEEDS_DEADLINE) != 0,
                         i == LANE_ALERT || i == LANE_LEGAL);
        assert_int_equal((lane->flags & LANE_NEEDS_WAY_OUT) != 0, i == LANE_LEGAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("caps equal a recount, and free their slots at the right instant",
             caps_equal_a_recount),
        TEST("what is remembered of an instant is what would be found",
             what_is_remembered_of_an_instant_is_what_would_be_found),
        TEST("kept slots equal a recount", kept_slots_equal_a_recount),
        TEST("reserved slots count as sends of now", reserved_slots_count_as_now),
        TEST("ghosts count only against ghosts", ghosts_count_only_against_ghosts),
        TEST("the pool keeps the order of rule 12", the_pool_keeps_the_order),
        TEST("what lapsed comes back without a connection",
             what_lapsed_comes_back_without_a_connection),
        TEST("an address is capped, whoever the message is for",
             an_address_is_capped_whoever_it_is_for),
        TEST("confirmations are rationed as a recount says",
             confirmations_are_rationed_as_a_recount_says),
        TEST("one address gets a message once, whoever shares it", one_address_gets_a_message_once),
        TEST("lanes are as the table says", lanes_are_as_the_table_says),
        TEST("suppressed addresses stop their lanes", suppressed_addresses_stop_their_lanes),
        TEST("a yes to an address lifts only what was said before it",
             a_yes_lifts_only_what_was_said_before),
    };
    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
