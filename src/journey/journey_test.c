/* Who begins a journey, and how long waits take, against plain models that go through time minute by
 * minute. The desk is not here: what is proposed is only noted. */
#include "journey/journey_int.h"

#include "base/mem.h"
#include "profile/holds.h"
#include "test.h"

enum { E_BEGIN = 2000, E_RESET, E_DONE, E_GOAL, E_EXIT, E_OPEN, E_CLOSE, K_CART, EVENTS_END };

#define START_MS INT64_C(1772409600000) /* 2026-03-02T00:00Z */

struct fixture {
    struct space space;
    struct profile profile;
    struct plan plan;
    struct plan_journey journeys[2];
    struct plan_step steps[2][8];
    struct plan_arm arms[4];
    struct plan_listen entry, until[2], exits[2];
    struct plan_message message;
    struct plan_hold hold;
    struct plan_group group;
    struct plan_event events[EVENTS_END - E_BEGIN];
    uint16_t entries[2];
    uint16_t event_index[EVENTS_END];
    const struct plan *plans[2];
    struct plans versions;
    struct zoneset *zones;
    struct names *names;
    struct results results;
    struct messages messages;
    struct arena scratch;
    struct buf bytes;
    struct person who;
    uint32_t proposed, cancelled;
    enum outcome cancelled_as;
};

static void propose(struct person *who, const struct instance *from, uint16_t step)
{
    struct fixture *f = who->engine;
    assert_int_equal(from->step, step);
    f->proposed++;
}

static void cancel(struct person *who, uint64_t instance, enum outcome outcome)
{
    struct fixture *f = who->engine;
    assert_true(instance != 0);
    f->cancelled++;
    f->cancelled_as = outcome;
}

static struct plan_step wait_step(int64_t for_ms, uint16_t next)
{
    struct plan_step step = {.kind = STEP_WAIT, .next = next};
    step.wait = (struct plan_wait){
        .for_ms = for_ms, .on_timeout = PLAN_NO_INDEX, .engaged_message = PLAN_NO_INDEX};
    return step;
}

static struct plan_step send_step(uint16_t next)
{
    struct plan_step step = {.kind = STEP_SEND, .next = next};
    step.send = (struct plan_send){
        .channel_count = 1, .channels = {CHANNEL_EMAIL}, .if_not_sent = PLAN_NO_INDEX};
    return step;
}

/* One journey that E_BEGIN enters: a wait of an hour, then a send. */
static struct fixture *fixture_new(void)
{
    static const struct zone_file files[] = {
        {{"Europe/London", 13}, {"GMT0BST,M3.5.0/1,M10.5.0", 24}}};
    struct fixture *f = mem_new(sizeof(*f));
    struct fault fault = {0};
    space_init(&f->space);
    arena_init(&f->scratch, 4096);
    buf_init(&f->bytes);
    f->names = names_new();
    assert_int_equal(zoneset_build(STR("test"), files, 1, &f->zones, &fault), OK);
    memset(f->event_index, 0xff, sizeof(f->event_index));
    for (uint32_t i = 0; i < array_count(f->events); i++) {
        f->events[i] = (struct plan_event){.name = E_BEGIN + i, .bit = plan_wake_bit(E_BEGIN + i)};
        f->event_index[E_BEGIN + i] = (uint16_t)i;
    }
    f->entry.event = E_BEGIN;
    f->events[0].entries = f->entries;
    f->events[0].entry_count = 1;
    f->events[E_OPEN - E_BEGIN].holds_from = 1;
    f->events[E_CLOSE - E_BEGIN].holds_until = 1;
    f->hold = (struct plan_hold){.name = 90, .freezes = true};
    f->steps[0][0] = wait_step(HOUR_MS, 1);
    f->steps[0][1] = send_step(PLAN_END);
    f->message = (struct plan_message){.name = 95};
    for (uint32_t i = 0; i < 2; i++)
        f->journeys[i] = (struct plan_journey){.name = 80 + i,
                                               .group = PLAN_NO_INDEX,
                                               .entry_count = 1,
                                               .entries = &f->entry,
                                               .again = AGAIN_ALWAYS,
                                               .at_once_max = 1,
                                               .max_lateness_ms = 100 * DAY_MS,
                                               .step_count = 2,
                                               .steps = f->steps[i],
                                               .event_wake = UINT64_MAX};
    f->entries[1] = 1;
    f->plan = (struct plan){.zones = f->zones,
                            .journeys = f->journeys,
                            .journey_count = 1,
                            .messages = &f->message,
                            .message_count = 1,
                            .holds = &f->hold,
                            .hold_count = 1,
                            .groups = &f->group,
                            .events = f->events,
                            .event_count = array_count(f->events),
                            .event_index = f->event_index,
                            .event_index_count = EVENTS_END};
    f->plans[1] = &f->plan;
    f->versions = (struct plans){.at = f->plans, .count = 2, .newest = 1};
    f->who = (struct person){.space = &f->space,
                             .profile = &f->profile,
                             .id = profile_number(3, 1),
                             .plans = &f->versions,
                             .plan = &f->plan,
                             .names = f->names,
                             .names_end = UINT32_MAX,
                             .scratch = &f->scratch,
                             .bytes = &f->bytes,
                             .results = &f->results,
                             .messages = &f->messages,
                             .engine = f,
                             .propose = propose,
                             .cancel = cancel};
    return f;
}

static void fixture_free(struct fixture *f)
{
    space_fini(&f->space);
    arena_fini(&f->scratch);
    buf_fini(&f->bytes);
    names_free(f->names);
    zoneset_free(f->zones);
    mem_free(f->results.rows);
    mem_free(f->messages.at);
    mem_free(f);
}

/* Time passes to at_ms, exclusive: what is due at at_ms comes after what happens then. */
static void pass(struct fixture *f, int64_t at_ms)
{
    for (;;) {
        int64_t next_ms = min_of(journey_deadline(&f->who), holds_deadline(&f->who));
        if (next_ms >= at_ms)
            break;
        f->who.at_ms = f->who.now_ms = max_of(next_ms, f->who.at_ms);
        holds_timer(&f->who);
        journey_thaw(&f->who);
        journey_timer(&f->who);
    }
    f->who.at_ms = f->who.now_ms = max_of(at_ms, f->who.at_ms);
}

static void happen(struct fixture *f, uint32_t event, int64_t cart, int64_t event_ms, int64_t at_ms)
{
    struct buf b;
    pass(f, at_ms);
    buf_init(&b);
    if (cart)
        body_put_int(&b, K_CART, cart);
    struct record r = {.type = RECORD_EVENT,
                       .kind = EVENT_TRACK,
                       .name = event,
                       .at_ms = at_ms,
                       .arrival_ms = at_ms,
                       .event_ms = event_ms,
                       .clear = body_of(&b)};
    const struct plan_event *means = plan_event_find(&f->plan, event);
    f->who.event = &r;
    if (means->holds_from | means->holds_until) {
        holds_event(&f->who, means);
        journey_thaw(&f->who);
    }
    journey_event(&f->who);
    f->who.event = NULL;
    buf_fini(&b);
}

static void happens(struct fixture *f, uint32_t event, int64_t cart, int64_t at_ms)
{
    happen(f, event, cart, at_ms, at_ms);
}

static const struct result *last_row(const struct fixture *f, enum result_kind kind)
{
    for (uint32_t i = f->results.count; i-- > 0;)
        if (f->results.rows[i].kind == kind)
            return &f->results.rows[i];
    return NULL;
}

static uint32_t count_rows(const struct fixture *f, enum result_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->results.count; i++)
        count += f->results.rows[i].kind == kind;
    return count;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 17;
}

/* ---- waits -------------------------------------------------------------------------------------- */

/* A wait with everything it may have, under random resets, ends and freezing holds: it is over in the
 * minute in which a model that counts minutes says so, and goes the way that the model says. */
static void waits_equal_a_count_of_minutes(void **state)
{
    (void)state;
    enum { MINUTES = 600 };
    uint32_t ways[4] = {0};
    for (uint64_t seed = 1; seed <= 2500; seed++) {
        uint64_t luck = seed;
        struct fixture *f = fixture_new();
        struct plan_wait *w = &f->steps[0][0].wait;
        int64_t minutes = 1 + (int64_t)(next(&luck) % 120);
        bool has_until = next(&luck) % 2, has_timeout = has_until && next(&luck) % 2;
        w->for_ms = minutes * MINUTE_MS;
        w->reset_by = next(&luck) % 2 ? E_RESET : NAME_NONE;
        w->at_most_ms = w->reset_by && next(&luck) % 2 ? (150 * MINUTE_MS) : 0;
        f->until[0].event = E_DONE;
        w->until = f->until;
        w->until_count = has_until;
        w->on_timeout = has_timeout ? 2 : PLAN_NO_INDEX;
        f->steps[0][2] = (struct plan_step){.kind = STEP_EXIT};
        f->journeys[0].step_count = 3;
        f->hold.linger_ms = (int64_t)(next(&luck) % 3) * 7 * MINUTE_MS;

        /* The story: what happens in which minute. */
        uint32_t story[MINUTES] = {0};
        for (uint64_t k = next(&luck) % 8; k-- > 0;) {
            static const uint32_t what[] = {E_RESET, E_RESET, E_DONE, E_OPEN, E_CLOSE, E_OPEN};
            story[1 + next(&luck) % 300] = what[next(&luck) % array_count(what)];
        }

        /* The model. An open hold freezes, and for its linger after it was closed; nobody knows before
         * the time when that will be. */
        int64_t left = minutes, since_start = 0, lingers = 0;
        int64_t most = w->at_most_ms ? w->at_most_ms / MINUTE_MS : INT64_MAX;
        int open = 0;
        int64_t over = -1;
        bool by_event = false;
        left = min_of(left, most);
        for (int64_t t = 0; t < MINUTES && over < 0; t++) {
            if (story[t] == E_DONE && has_until) {
                over = t;
                by_event = true;
                break;
            }
            if (story[t] == E_RESET && w->reset_by) {
                /* The bound runs on the wall, from the wait's start. */
                left = max_of(min_of(minutes, most - since_start), (int64_t)0);
            } else if (story[t] == E_OPEN) {
                open++;
            } else if (story[t] == E_CLOSE && open > 0) {
                open--;
                lingers = max_of(lingers, t + f->hold.linger_ms / MINUTE_MS);
            }
            bool is_frozen = open > 0 || t < lingers;
            since_start++;
            if (left == 0)
                over = t; /* what is due comes after what happens */
            else if (!is_frozen)
                left--;
        }

        happens(f, E_BEGIN, 0, START_MS);
        for (int64_t t = 1; t < MINUTES; t++)
            if (story[t])
                happens(f, story[t], 0, START_MS + t * MINUTE_MS);
        pass(f, START_MS + MINUTES * MINUTE_MS);
        const struct result *step = last_row(f, RESULT_STEP);
        if (over < 0 || over >= MINUTES) {
            assert_int_equal(step->step, 0);
            ways[0]++;
        } else {
            assert_int_equal(step->step, has_timeout && !by_event ? 2 : 1);
            if ((step->at_ms - START_MS) / MINUTE_MS != over)
                fail_msg("seed %lu: over after %ld minutes, not %ld", seed,
                         (step->at_ms - START_MS) / MINUTE_MS, over);
            ways[by_event ? 1 : has_timeout ? 2 : 3]++;
        }
        fixture_free(f);
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_true(ways[i] > 50);
}

static void calendar_days_keep_the_hour(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    const int64_t noon_ms =
        INT64_C(1774612800000); /* 2026-03-27T12:00Z; clocks change on the 29th */
    f->steps[0][0].wait.for_ms = -1;
    f->steps[0][0].wait.for_days = 4;
    happens(f, E_BEGIN, 0, noon_ms);
    pass(f, noon_ms + 10 * DAY_MS);
    assert_int_equal(last_row(f, RESULT_STEP)->at_ms - noon_ms, 4 * DAY_MS - HOUR_MS);
    fixture_free(f);
}

static void no_time_at_all_passes_at_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->steps[0][0].wait.for_ms = 0;
    happens(f, E_OPEN, 0, START_MS); /* nor does a hold freeze it */
    happens(f, E_BEGIN, 0, START_MS);
    assert_int_equal(f->proposed, 1);
    fixture_free(f);
}

static void imported_history_moves_nobody(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->until[0].event = E_DONE;
    f->steps[0][0].wait.until = f->until;
    f->steps[0][0].wait.until_count = 1;
    f->journeys[0].exits = f->exits;
    f->journeys[0].exit_count = 1;
    f->exits[0].event = E_EXIT;
    happens(f, E_BEGIN, 0, START_MS);
    struct record r = {.name = E_DONE,
                       .flags = RECORD_IS_HISTORY,
                       .at_ms = START_MS + 1,
                       .event_ms = START_MS + 1,
                       .arrival_ms = START_MS + 1};
    f->who.event = &r;
    journey_event(&f->who);
    assert_int_equal(f->proposed, 0);
    r.name = E_BEGIN;
    journey_event(&f->who);
    assert_int_equal(last_row(f, RESULT_REFUSED)->how, REFUSAL_HISTORY);
    r.name = E_EXIT; /* but what is over is over */
    journey_event(&f->who);
    assert_int_equal(last_row(f, RESULT_ENDED)->how, JOURNEY_EXITED);
    assert_int_equal(f->cancelled_as, OUTCOME_EXITED);
    fixture_free(f);
}

/* ---- entry -------------------------------------------------------------------------------------- */

struct life {
    int64_t begin, end; /* in minutes; end is INT64_MAX while it lives */
    int64_t cart;
};

/* Entries under random policies, against a list of all lives there ever were. */
static void entries_equal_a_list_of_lives(void **state)
{
    (void)state;
    uint32_t refusals[REFUSAL_END] = {0};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t luck = seed * 31;
        struct fixture *f = fixture_new();
        struct plan_journey *j = &f->journeys[0];
        struct life lives[200];
        uint32_t count = 0;
        bool has_key = next(&luck) % 2;
        int64_t length = 1 + (int64_t)(next(&luck) % 50), again = 1 + (int64_t)(next(&luck) % 60);
        f->steps[0][0].wait.for_ms = length * MINUTE_MS;
        f->steps[0][0].next = PLAN_END;
        j->key = has_key ? K_CART : NAME_NONE;
        j->again = (uint8_t)(next(&luck) % 3);
        j->again_of_end = next(&luck) % 2;
        j->again_per_key = has_key && next(&luck) % 2;
        j->again_ms = again * MINUTE_MS;
        j->at_once_max = 1 + (uint32_t)(next(&luck) % 3);
        j->at_once_per_key = has_key && next(&luck) % 2;
        j->at_once_then = next(&luck) % 2 ? AT_ONCE_RESTART : AT_ONCE_IGNORE;
        j->max_lateness_ms = 5 * MINUTE_MS;
        for (int64_t t = 0; t < 400; t += 1 + (int64_t)(next(&luck) % 20)) {
            int64_t cart = has_key ? 1 + (int64_t)(next(&luck) % 3) : 0;
            int64_t late = next(&luck) % 8 ? 0 : (int64_t)(next(&luck) % 10);
            uint32_t live = 0, oldest = UINT32_MAX;
            enum refusal why = 0;
            bool is_soon = false;
            for (uint32_t i = 0; i < count; i++) {
                struct life *x = &lives[i];
                if (x->end == INT64_MAX && x->begin + length < t)
                    x->end = x->begin + length; /* what is due now comes after what happens now */
                bool is_rival = !j->at_once_per_key || x->cart == cart;
                if (x->end == INT64_MAX && is_rival && live++ == 0)
                    oldest = i;
                if (j->again_per_key && x->cart != cart)
                    continue;
                bool has_ended = x->end != INT64_MAX;
                if (j->again == AGAIN_NEVER)
                    is_soon = true;
                else if (j->again == AGAIN_AFTER && j->again_of_end)
                    is_soon |= has_ended && x->end + again > t;
                else if (j->again == AGAIN_AFTER)
                    is_soon |= x->begin + again > t;
            }
            bool is_full = live >= j->at_once_max;
            if (late > 5)
                why = REFUSAL_LATE;
            else if (is_full && j->at_once_then == AT_ONCE_IGNORE)
                why = REFUSAL_AT_ONCE;
            else if (is_soon)
                why = REFUSAL_AGAIN;
            uint32_t entered = count_rows(f, RESULT_ENTERED);
            happen(f, E_BEGIN, cart, START_MS + (t - late) * MINUTE_MS, START_MS + t * MINUTE_MS);
            assert_int_equal(count_rows(f, RESULT_ENTERED), entered + (why == 0));
            refusals[why]++;
            if (why != 0) {
                assert_int_equal(last_row(f, RESULT_REFUSED)->how, why);
                continue;
            }
            if (is_full) {
                lives[oldest].end = t;
                assert_int_equal(last_row(f, RESULT_ENDED)->how, JOURNEY_REPLACED);
            }
            lives[count++] = (struct life){t, INT64_MAX, cart};
        }
        fixture_free(f);
    }
    assert_true(refusals[0] > 500);
    assert_true(refusals[REFUSAL_LATE] > 100);
    assert_true(refusals[REFUSAL_AT_ONCE] > 100);
    assert_true(refusals[REFUSAL_AGAIN] > 100);
}

static void without_its_key_nobody_enters(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->journeys[0].key = K_CART;
    happens(f, E_BEGIN, 0, START_MS);
    assert_int_equal(last_row(f, RESULT_REFUSED)->how, REFUSAL_ERROR);
    happens(f, E_BEGIN, 5, START_MS);
    assert_int_equal(count_rows(f, RESULT_ENTERED), 1);
    fixture_free(f);
}

static void a_full_person_enters_nothing_more(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->journeys[0].at_once_max = 1000;
    for (uint32_t i = 0; i <= PROFILE_INSTANCES_MAX; i++)
        happens(f, E_BEGIN, 0, START_MS + i);
    assert_int_equal(f->profile.instances.count, PROFILE_INSTANCES_MAX);
    assert_int_equal(last_row(f, RESULT_REFUSED)->how, REFUSAL_LIMIT);
    fixture_free(f);
}

static void ghosts_take_no_place_in_their_group(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->plan.journey_count = f->events[0].entry_count = 2;
    f->steps[1][0] = wait_step(HOUR_MS, PLAN_END);
    f->journeys[0].group = f->journeys[1].group = 0;
    f->plan.group_count = 1;
    f->group.at_most = 1;
    happens(f, E_BEGIN, 0, START_MS);
    assert_int_equal(count_rows(f, RESULT_ENTERED), 1);
    assert_int_equal(last_row(f, RESULT_REFUSED)->how, REFUSAL_GROUP);
    pass(f, START_MS + 2 * HOUR_MS);
    journey_settled(&f->who, person_instance(&f->who, 0)->id,
                    person_more(&f->who, person_instance(&f->who, 0))->decision, 1, OUTCOME_SENT);
    f->journeys[0].holdout = 10000; /* everybody is in its control group */
    happens(f, E_BEGIN, 0, START_MS + 3 * HOUR_MS);
    assert_int_equal(count_rows(f, RESULT_ENTERED), 3); /* the ghost, and the other all the same */
    fixture_free(f);
}

/* ---- steps -------------------------------------------------------------------------------------- */

static void a_long_row_of_steps_is_no_loop(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct plan_step *steps = mem_new(PLAN_STEPS_MAX * sizeof(*steps));
    for (uint32_t i = 0; i < PLAN_STEPS_MAX; i++) {
        steps[i] = (struct plan_step){.kind = STEP_BRANCH, .next = (uint16_t)(i + 1)};
        steps[i].branch.arm_count = 0;
    }
    steps[PLAN_STEPS_MAX - 1] = send_step(PLAN_END);
    f->journeys[0].steps = steps;
    f->journeys[0].step_count = PLAN_STEPS_MAX;
    happens(f, E_BEGIN, 0, START_MS);
    assert_int_equal(f->proposed, 1);
    assert_null(last_row(f, RESULT_ERROR));
    fixture_free(f);
    mem_free(steps);
}

static void a_goal_counts_once_and_stays_if_it_says_so(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->journeys[0].goal = (struct plan_goal){.event = E_GOAL, .within_ms = DAY_MS, .stays = true};
    f->steps[0][0].wait.for_ms = 2 * DAY_MS;
    f->steps[0][0].next = 2;
    f->steps[0][2] = (struct plan_step){.kind = STEP_GOAL, .next = 1};
    f->journeys[0].step_count = 3;
    happens(f, E_BEGIN, 0, START_MS);
    happens(f, E_GOAL, 0, START_MS + HOUR_MS);
    happens(f, E_GOAL, 0, START_MS + 2 * HOUR_MS);
    assert_int_equal(count_rows(f, RESULT_CONVERTED), 1);
    assert_int_equal(last_row(f, RESULT_CONVERTED)->number, HOUR_MS);
    pass(f, START_MS + 3 * DAY_MS);
    assert_int_equal(count_rows(f, RESULT_CONVERTED), 1); /* the goal step counts nothing twice */
    assert_int_equal(f->proposed, 1);                     /* and lets it go on */
    fixture_free(f);
}

static void a_goal_too_late_ends_but_does_not_count(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->journeys[0].goal = (struct plan_goal){.event = E_GOAL, .within_ms = DAY_MS};
    f->steps[0][0].wait.for_ms = 3 * DAY_MS;
    happens(f, E_BEGIN, 0, START_MS);
    happens(f, E_GOAL, 0, START_MS + 2 * DAY_MS);
    assert_int_equal(count_rows(f, RESULT_CONVERTED), 0);
    assert_int_equal(last_row(f, RESULT_ENDED)->how, JOURNEY_GOAL_REACHED);
    fixture_free(f);
}

static void goal_comes_before_exit(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->journeys[0].goal = (struct plan_goal){.event = E_GOAL};
    f->journeys[0].exits = f->exits;
    f->journeys[0].exit_count = 1;
    f->exits[0].event = E_GOAL;
    happens(f, E_BEGIN, 0, START_MS);
    happens(f, E_GOAL, 0, START_MS + 1);
    assert_int_equal(last_row(f, RESULT_ENDED)->how, JOURNEY_GOAL_REACHED);
    assert_int_equal(f->cancelled_as, OUTCOME_GOAL_REACHED);
    fixture_free(f);
}

static void arms_are_taken_by_weight_and_for_ever(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint32_t taken[3] = {0};
    for (uint32_t i = 0; i < 3; i++)
        f->arms[i] = (struct plan_arm){.name = 70 + i, .weight = i, .target = PLAN_END};
    f->steps[0][0] = (struct plan_step){.kind = STEP_SPLIT, .next = PLAN_END};
    f->steps[0][0].split =
        (struct plan_split){.salt = 5, .weight_total = 3, .arm_count = 3, .arms = f->arms};
    for (uint32_t i = 1; i <= 3000; i++) {
        f->who.id = profile_number(3, i);
        happens(f, E_BEGIN, 0, START_MS + i);
        int64_t arm = last_row(f, RESULT_ARM)->number;
        taken[arm - 70]++;
        happens(f, E_BEGIN, 0, START_MS + i);
        assert_int_equal(last_row(f, RESULT_ARM)->number, arm);
    }
    assert_int_equal(taken[0], 0);
    assert_in_range(taken[1], 900, 1100);
    assert_in_range(taken[2], 1900, 2100);
    fixture_free(f);
}

static void what_was_not_sent_goes_its_own_way(void **state)
{
    (void)state;
    static const struct {
        enum outcome outcome;
        bool was_sent;
    } outcomes[] = {{OUTCOME_SENT, true},        {OUTCOME_UNKNOWN, true},  {OUTCOME_IN_DOUBT, true},
                    {OUTCOME_HELD_OUT, true},    {OUTCOME_FAILED, false},  {OUTCOME_EXPIRED, false},
                    {OUTCOME_NO_CONSENT, false}, {OUTCOME_ABORTED, false}, {OUTCOME_HELD, false}};
    for (uint32_t i = 0; i < array_count(outcomes); i++) {
        struct fixture *f = fixture_new();
        f->steps[0][0] = send_step(1);
        f->steps[0][0].send.if_not_sent = 2;
        f->steps[0][1] = wait_step(HOUR_MS, PLAN_END);
        f->steps[0][2] = (struct plan_step){.kind = STEP_EXIT};
        f->journeys[0].step_count = 3;
        happens(f, E_BEGIN, 0, START_MS);
        const struct instance *in = person_instance(&f->who, 0);
        journey_settled(&f->who, in->id, person_more(&f->who, in)->decision ^ 2, 0,
                        outcomes[i].outcome); /* another's */
        journey_settled(&f->who, in->id, person_more(&f->who, in)->decision, 1,
                        outcomes[i].outcome);
        assert_int_equal(person_instance(&f->who, 0)->state, INSTANCE_SENDING);
        journey_settled(&f->who, in->id, person_more(&f->who, in)->decision, 0,
                        outcomes[i].outcome);
        assert_int_equal(f->profile.instances.count, outcomes[i].was_sent);
        fixture_free(f);
    }
}

static void pasts_that_matter_are_kept(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    f->plan.journey_count = 2;
    f->steps[0][0] = f->steps[1][0] = (struct plan_step){.kind = STEP_EXIT};
    f->journeys[0].again = AGAIN_NEVER;
    happens(f, E_BEGIN, 0, START_MS);
    assert_int_equal(count_rows(f, RESULT_ENTERED), 1);
    f->entries[0] = 1; /* from here on the other journey, again and again */
    for (uint32_t i = 0; i < 3 * PROFILE_PASTS_MAX; i++)
        happens(f, E_BEGIN, 0, START_MS + 1 + i);
    assert_int_equal(f->profile.pasts.count, PROFILE_PASTS_MAX);
    f->entries[0] = 0;
    happens(f, E_BEGIN, 0, START_MS + DAY_MS);
    assert_int_equal(last_row(f, RESULT_REFUSED)->how, REFUSAL_AGAIN);
    fixture_free(f);
}

/* ---- choices ------------------------------------------------------------------------------------ */

/* Of candidates that are always open the first of those with the highest priority is taken; none: on. */
static void a_choice_takes_the_first_of_the_highest(void **state)
{
    (void)state;
    enum { MOST = 6 };
    uint32_t taken[MOST + 1] = {0};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t luck = seed * 7919;
        struct fixture *f = fixture_new();
        struct plan_candidate candidates[MOST] = {{0}};
        uint32_t count = (uint32_t)(next(&luck) % (MOST + 1)), best = MOST;
        for (uint32_t i = 0; i < count; i++) {
            candidates[i] = (struct plan_candidate){.name = 600 + i,
                                                    .priority = (int32_t)(next(&luck) % 5) - 2,
                                                    .target = (uint16_t)(1 + i)};
            if (best == MOST || candidates[i].priority > candidates[best].priority)
                best = i;
        }
        for (uint32_t i = 1; i <= MOST + 1; i++)
            f->steps[0][i] = wait_step(DAY_MS, PLAN_END);
        f->steps[0][0] = (struct plan_step){.kind = STEP_CHOOSE, .next = MOST + 1};
        f->steps[0][0].choose = (struct plan_choose){.count = count, .candidates = candidates};
        f->journeys[0].step_count = MOST + 2;
        happens(f, E_BEGIN, 0, START_MS);
        assert_int_equal(f->profile.instances.count, 1);
        assert_int_equal(person_instance(&f->who, 0)->step, 1 + best);
        assert_int_equal(count_rows(f, RESULT_ARM), best < MOST);
        if (best < MOST)
            assert_int_equal(last_row(f, RESULT_ARM)->number, 600 + best);
        taken[best]++;
        fixture_free(f);
    }
    for (uint32_t i = 0; i <= MOST; i++)
        assert_true(taken[i] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("waits equal a count of minutes, with resets, ends and frozen time",
             waits_equal_a_count_of_minutes),
        TEST("calendar days keep the hour when the clocks change", calendar_days_keep_the_hour),
        TEST("no time at all passes at once", no_time_at_all_passes_at_once),
        TEST("imported history moves nobody on, but ends what is over",
             imported_history_moves_nobody),
        TEST("entries equal a list of all lives there ever were", entries_equal_a_list_of_lives),
        TEST("without its key nobody enters", without_its_key_nobody_enters),
        TEST("a person in enough journeys enters nothing more", a_full_person_enters_nothing_more),
        TEST("ghosts take no place in their group", ghosts_take_no_place_in_their_group),
        TEST("a long row of steps is no loop", a_long_row_of_steps_is_no_loop),
        TEST("a goal counts once, and stays if it says so",
             a_goal_counts_once_and_stays_if_it_says_so),
        TEST("a goal that comes too late ends but does not count",
             a_goal_too_late_ends_but_does_not_count),
        TEST("the goal is asked before the exit", goal_comes_before_exit),
        TEST("arms are taken by weight, and for ever", arms_are_taken_by_weight_and_for_ever),
        TEST("what was not sent goes its own way", what_was_not_sent_goes_its_own_way),
        TEST("pasts that matter are kept", pasts_that_matter_are_kept),
        TEST("a choice takes the first of the highest", a_choice_takes_the_first_of_the_highest),
    };
    return cmocka_run_group_tests_name("journey", tests, NULL, NULL);
}
