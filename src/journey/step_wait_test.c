/* When each kind of wait is over, against a model that goes from minute to minute and reads the clock on
 * the wall, in zones whose clocks do odd things; and what dates look like. */
#include "journey/journey_int.h"
#include "journey/moment.h"

#include "base/mem.h"
#include "expr/expr.h"
#include "profile/holds.h"
#include "profile/traits.h"
#include "test.h"
#include "when/zones_for_tests.h"

enum { E_OPEN = 2000, E_CLOSE, EVENTS_END, T_DATE };

#define ENDINGS_MAX  3
#define TIMEOUT_STEP (ENDINGS_MAX + 1)
#define MINUTES      (50 * 24 * 60) /* how far the model looks */

struct fixture {
    struct space space;
    struct profile profile;
    struct plan plan;
    struct plan_journey journey;
    struct plan_step steps[ENDINGS_MAX + 2];
    struct plan_ending endings[ENDINGS_MAX];
    struct plan_hold hold;
    struct plan_event events[EVENTS_END - E_OPEN];
    uint16_t event_index[EVENTS_END];
    const struct plan *plans[2];
    struct plans versions;
    struct zoneset *zones;
    struct names *names;
    struct results results;
    struct messages messages;
    struct arena scratch;
    struct arena code;
    struct buf bytes;
    struct person who;
};

static void cancel(struct person *who, uint64_t instance, enum outcome outcome)
{
    assert_true(who->profile->intents.count == 0 && instance != 0 && outcome != OUTCOME_NONE);
}

static struct plan_moment moment_of(enum moment_kind kind)
{
    return (struct plan_moment){.kind = (uint8_t)kind,
                                .zone = PLAN_NO_INDEX,
                                .weekdays = WEEKDAYS_ALL,
                                .clock_ms = MOMENT_NO_CLOCK};
}

/* A journey whose first step waits; the k-th ending leads to step k + 1, the timeout to TIMEOUT_STEP. */
static struct fixture *fixture_new(const char *rule)
{
    struct fixture *f = mem_new(sizeof(*f));
    space_init(&f->space);
    arena_init(&f->scratch, 4096);
    arena_init(&f->code, 4096);
    buf_init(&f->bytes);
    f->names = names_new();
    f->zones = one_zone(rule);
    memset(f->event_index, 0xff, sizeof(f->event_index));
    for (uint32_t i = 0; i < array_count(f->events); i++) {
        f->events[i] = (struct plan_event){.name = E_OPEN + i};
        f->event_index[E_OPEN + i] = (uint16_t)i;
    }
    f->events[0].holds_from = 1;
    f->events[1].holds_until = 1;
    f->hold = (struct plan_hold){.name = 90, .freezes = true};
    f->steps[0] = (struct plan_step){.kind = STEP_WAIT, .next = PLAN_END};
    f->steps[0].wait = (struct plan_wait){.for_ms = -1,
                                          .on_timeout = TIMEOUT_STEP,
                                          .engaged_message = PLAN_NO_INDEX,
                                          .endings = f->endings};
    for (uint32_t i = 0; i < ENDINGS_MAX; i++)
        f->endings[i] =
            (struct plan_ending){.target = (uint16_t)(i + 1), .moment = moment_of(MOMENT_NONE)};
    for (uint32_t i = 1; i < array_count(f->steps); i++)
        f->steps[i] = (struct plan_step){.kind = STEP_EXIT};
    f->journey = (struct plan_journey){.name = 80,
                                       .group = PLAN_NO_INDEX,
                                       .again = AGAIN_ALWAYS,
                                       .step_count = array_count(f->steps),
                                       .steps = f->steps};
    f->plan = (struct plan){.zones = f->zones,
                            .journeys = &f->journey,
                            .journey_count = 1,
                            .holds = &f->hold,
                            .hold_count = 1,
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
                             .cancel = cancel};
    return f;
}

static void fixture_free(struct fixture *f)
{
    space_fini(&f->space);
    arena_fini(&f->scratch);
    arena_fini(&f->code);
    buf_fini(&f->bytes);
    names_free(f->names);
    zoneset_free(f->zones);
    mem_free(f->results.rows);
    mem_free(f->messages.at);
    mem_free(f);
}

static void begin(struct fixture *f, int64_t at_ms)
{
    f->who.at_ms = f->who.now_ms = at_ms;
    struct instance *in = person_push_instance(&f->who);
    *in = (struct instance){.id = 7,
                            .journey = 80,
                            .plan = 1,
                            .state = INSTANCE_READY,
                            .entered_ms = at_ms,
                            .step_ms = at_ms,
                            .due_ms = FOREVER_MS};
    instance_run(&f->who, 0);
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

static void happens(struct fixture *f, uint32_t event, int64_t at_ms)
{
    pass(f, at_ms);
    struct record r = {.type = RECORD_EVENT,
                       .kind = EVENT_TRACK,
                       .name = event,
                       .at_ms = at_ms,
                       .arrival_ms = at_ms,
                       .event_ms = at_ms};
    f->who.event = &r;
    holds_event(&f->who, plan_event_find(&f->plan, event));
    journey_thaw(&f->who);
    journey_event(&f->who);
    f->who.event = NULL;
}

/* The step behind the wait and when it was reached; false if the wait is not over. */
static bool is_over(const struct fixture *f, uint32_t *step, int64_t *at_ms)
{
    for (uint32_t i = f->results.count; i-- > 0;) {
        const struct result *r = &f->results.rows[i];
        if (r->kind != RESULT_STEP || r->step == 0)
            continue;
        *step = r->step;
        *at_ms = r->at_ms;
        return true;
    }
    return false;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 17;
}

/* ---- the model ---------------------------------------------------------------------------------- */

struct model {
    const struct zone *zone;
    int64_t begin_ms;
    bool is_frozen[MINUTES]; /* by minute after begin_ms */
};

static int64_t wall_at(const struct model *m, int64_t at_ms)
{
    return at_ms + zone_offset_ms(m->zone, at_ms);
}

/* The first minute at which the wall shows wall_ms or later. */
static int64_t first_showing(const struct model *m, int64_t wall_ms)
{
    int64_t at_ms = wall_ms - 2 * DAY_MS;
    while (wall_at(m, at_ms) < wall_ms)
        at_ms += MINUTE_MS;
    return at_ms;
}

static bool has_day(uint8_t weekdays, int64_t day)
{
    int64_t weekday = floor_mod(day + 3, 7); /* 1 January 1970 was a Thursday */
    return weekdays >> weekday & 1;
}

static bool is_inside(const struct window *w, int64_t wall_ms)
{
    int64_t day = floor_div(wall_ms, DAY_MS), clock_ms = floor_mod(wall_ms, DAY_MS);
    if (w->from_ms < w->to_ms)
        return has_day(w->weekdays, day) && clock_ms >= w->from_ms && clock_ms < w->to_ms;
    return (has_day(w->weekdays, day) && clock_ms >= w->from_ms) ||
           (has_day(w->weekdays, day - 1) && clock_ms < w->to_ms);
}

static int64_t model_hours(const struct model *m, const struct plan_moment *x, int64_t at_ms)
{
    if (!x->has_window)
        return at_ms;
    at_ms = max_of(at_ms, m->begin_ms);
    while (!is_inside(&x->window, wall_at(m, at_ms)))
        at_ms += MINUTE_MS;
    return at_ms;
}

static int64_t model_clock_of_day(const struct model *m, const struct plan_moment *x, int64_t day)
{
    while (!has_day(x->weekdays, day))
        day++;
    return first_showing(m, day * DAY_MS + x->clock_ms);
}

static int64_t model_next_clock(const struct model *m, const struct plan_moment *x, int64_t at_ms)
{
    int64_t best_ms = FOREVER_MS, today = floor_div(wall_at(m, at_ms), DAY_MS);
    for (int64_t day = today - 2; day <= today + 9; day++) {
        if (!has_day(x->weekdays, day))
            continue;
        int64_t offered_ms = first_showing(m, day * DAY_MS + x->clock_ms);
        if (offered_ms >= at_ms)
            best_ms = min_of(best_ms, offered_ms);
    }
    return best_ms;
}

/* On the wall: so many days or months later. */
static int64_t wall_later(int64_t wall_ms, struct span span)
{
    int64_t day = floor_div(wall_ms, DAY_MS), clock_ms = floor_mod(wall_ms, DAY_MS);
    if (span.kind == SPAN_FIXED)
        return wall_ms + span.ms;
    if (span.unit != SPAN_MONTH)
        return wall_ms + span.count * (span.unit == SPAN_WEEK ? 7 : 1) * DAY_MS;
    struct date date = civil_date(day);
    int32_t months = date.year * 12 + date.month - 1 + span.count;
    struct date to = {months / 12, (uint8_t)(months % 12 + 1), date.day};
    while (!civil_is_date(to))
        to.day--;
    return civil_day(to) * DAY_MS + clock_ms;
}

/* When `minutes` that were not frozen have passed. */
static int64_t model_thawed(const struct model *m, int64_t minutes)
{
    int64_t t = 0;
    for (; minutes > 0 && t < MINUTES; t++)
        minutes -= !m->is_frozen[t];
    return minutes > 0 ? FOREVER_MS : m->begin_ms + t * MINUTE_MS;
}

static int64_t model_after(const struct model *m, const struct plan_moment *x)
{
    int64_t length_ms = x->span.ms;
    bool is_calendar = x->span.kind == SPAN_CALENDAR;
    if (is_calendar)
        length_ms = first_showing(m, wall_later(wall_at(m, m->begin_ms), x->span)) - m->begin_ms;
    int64_t at_ms = model_thawed(m, length_ms / MINUTE_MS);
    if (at_ms == FOREVER_MS)
        return FOREVER_MS;
    if (x->clock_ms == MOMENT_NO_CLOCK)
        return model_hours(m, x, at_ms);
    return is_calendar ? model_clock_of_day(m, x, floor_div(wall_at(m, at_ms), DAY_MS))
                       : model_next_clock(m, x, at_ms);
}

static int64_t model_date(const struct model *m, const struct plan_moment *x)
{
    int64_t at_ms;
    bool is_utc_day = !x->is_wall && floor_mod(x->date_ms, DAY_MS) == 0 && x->is_day;
    if (x->clock_ms != MOMENT_NO_CLOCK) {
        int64_t wall_ms = x->is_wall || is_utc_day ? x->date_ms : wall_at(m, x->date_ms);
        at_ms = model_clock_of_day(m, x, floor_div(wall_later(wall_ms, x->span), DAY_MS));
    } else if (x->is_day && x->is_wall) {
        at_ms = first_showing(m, wall_later(x->date_ms, x->span));
    } else {
        at_ms = x->is_wall ? first_showing(m, x->date_ms) : x->date_ms;
        if (x->span.kind == SPAN_FIXED)
            at_ms += x->span.ms;
        else
            at_ms = first_showing(m, wall_later(wall_at(m, at_ms), x->span));
    }
    if (at_ms < m->begin_ms) {
        if (x->past == MOMENT_STAY)
            return FOREVER_MS;
        at_ms = m->begin_ms;
    }
    return model_hours(m, x, at_ms);
}

static int64_t model_moment(const struct model *m, const struct plan_moment *x)
{
    if (x->kind == MOMENT_AFTER)
        return model_after(m, x);
    if (x->kind == MOMENT_DATE)
        return model_date(m, x);
    if (x->clock_ms != MOMENT_NO_CLOCK)
        return model_next_clock(m, x, m->begin_ms);
    return model_hours(m, x, m->begin_ms);
}

/* What is frozen, as far as the first `known` edges tell: they open and close by turns. */
static void model_freeze(struct model *m, const uint32_t *edges, uint32_t known)
{
    memset(m->is_frozen, 0, sizeof(m->is_frozen));
    for (uint32_t i = 0; i < known; i += 2) {
        uint32_t end = i + 1 < known ? edges[i + 1] : MINUTES;
        memset(m->is_frozen + edges[i], true, end - edges[i]);
    }
}

struct answer {
    int64_t at_ms;
    uint32_t step;
};

static struct answer model_wait(const struct model *m, const struct plan_wait *w)
{
    struct answer best = {FOREVER_MS, 0};
    for (uint32_t i = 0; i < w->ending_count; i++) {
        int64_t at_ms = model_moment(m, &w->endings[i].moment);
        if (at_ms < best.at_ms)
            best = (struct answer){at_ms, i + 1};
    }
    int64_t patience_ms = w->for_ms >= 0 ? w->for_ms : FOREVER_MS;
    if (w->at_most_ms)
        patience_ms = min_of(patience_ms, w->at_most_ms);
    if (patience_ms != FOREVER_MS)
        patience_ms = model_thawed(m, patience_ms / MINUTE_MS);
    if (patience_ms < best.at_ms)
        best = (struct answer){patience_ms, TIMEOUT_STEP};
    return best;
}

/* ---- random waits -------------------------------------------------------------------------------- */

static int64_t draw_ms(uint64_t *luck, int64_t minutes)
{
    return (int64_t)(next(luck) % (uint64_t)minutes) * MINUTE_MS;
}

/* A minute of 2026, mostly near a change of the clock. */
static int64_t draw_begin(uint64_t *luck, const struct zone *zone)
{
    const int64_t from_ms = INT64_C(1767225600000); /* 2026-01-01T00:00Z */
    int64_t at_ms = from_ms + draw_ms(luck, 365 * 24 * 60);
    if (next(luck) % 4 == 0)
        return at_ms;
    struct zone_stretch stretch = zone_stretch(zone, at_ms);
    if (stretch.until_ms == FOREVER_MS)
        return at_ms;
    return stretch.until_ms - 3 * DAY_MS + draw_ms(luck, 5 * 24 * 60);
}

static struct span draw_span(uint64_t *luck)
{
    switch (next(luck) % 4) {
    case 0: return span_of_calendar(1 + (int32_t)(next(luck) % 5), SPAN_DAY);
    case 1: return span_of_calendar(1, next(luck) % 2 ? SPAN_WEEK : SPAN_MONTH);
    case 2: return span_of_ms(draw_ms(luck, 4 * 24 * 60));
    default: return span_of_ms((int64_t)(next(luck) % 4) * DAY_MS);
    }
}

static uint8_t draw_weekdays(uint64_t *luck)
{
    uint8_t days = next(luck) % 2 ? WEEKDAYS_ALL : (uint8_t)(next(luck) % 128);
    return days ? days : WEEKDAYS_WORK;
}

static struct plan_moment draw_moment(uint64_t *luck, int64_t begin_ms)
{
    struct plan_moment m = moment_of((enum moment_kind)(MOMENT_AFTER + next(luck) % 3));
    uint64_t bend = next(luck) % 3 + (m.kind == MOMENT_NEXT);
    m.weekdays = draw_weekdays(luck);
    if (bend == 1 || bend == 3) {
        m.clock_ms = (int32_t)draw_ms(luck, 24 * 60);
        if (next(luck) % 2) /* the hours in which clocks are changed */
            m.clock_ms %= 4 * HOUR_MS;
    } else if (bend == 2) {
        m.has_window = true;
        m.window = (struct window){.from_ms = (int32_t)draw_ms(luck, 24 * 60),
                                   .to_ms = (int32_t)draw_ms(luck, 24 * 60),
                                   .weekdays = m.weekdays};
        if (m.window.from_ms == m.window.to_ms)
            m.window.to_ms = (m.window.to_ms + (int32_t)HOUR_MS) % (int32_t)DAY_MS;
    }
    if (m.kind == MOMENT_AFTER)
        m.span = draw_span(luck);
    if (m.kind == MOMENT_DATE) {
        m.span = draw_span(luck);
        if (next(luck) % 2) {
            m.span.count = -m.span.count;
            m.span.ms = -m.span.ms;
        }
        m.date_ms = begin_ms - 2 * DAY_MS + draw_ms(luck, 9 * 24 * 60);
        m.is_wall = next(luck) % 2;
        m.is_day = next(luck) % 2;
        if (m.is_day)
            m.date_ms -= floor_mod(m.date_ms, DAY_MS);
        m.past = next(luck) % 2 ? MOMENT_SKIP : MOMENT_STAY;
    }
    return m;
}

/* Up to three moments and a timeout: over in the minute that the model says, by the one that it says. */
static void waits_equal_the_clock_on_the_wall(void **state)
{
    (void)state;
    uint32_t kinds[4] = {0}, frozen = 0, never = 0, timeouts = 0;
    struct model *m = mem_new(sizeof(*m));
    for (uint64_t seed = 1; seed <= 6000; seed++) {
        uint64_t luck = seed * 977;
        struct fixture *f = fixture_new(odd_rules[next(&luck) % array_count(odd_rules)]);
        struct plan_wait *w = &f->steps[0].wait;
        m->zone = zoneset_zone(f->zones, 0);
        m->begin_ms = draw_begin(&luck, m->zone);
        w->ending_count = 1 + (uint32_t)(next(&luck) % ENDINGS_MAX);
        for (uint32_t i = 0; i < w->ending_count; i++)
            f->endings[i].moment = draw_moment(&luck, m->begin_ms);
        if (next(&luck) % 3 == 0)
            w->for_ms = draw_ms(&luck, 3 * 24 * 60);
        if (next(&luck) % 4 == 0)
            w->at_most_ms = MINUTE_MS + draw_ms(&luck, 5 * 24 * 60);

        /* Holds that follow one another, the last of which may stay open. */
        uint32_t edges[8], edge_count = next(&luck) % 2 ? (uint32_t)(next(&luck) % 5) : 0;
        uint32_t t = (uint32_t)(next(&luck) % 100);
        for (uint32_t i = 0; i < edge_count; i++)
            edges[i] = t += 1 + (uint32_t)(next(&luck) % (36 * 60));

        /* Nobody knows before the time which holds there will be: what a wait is over by is what it
         * comes to with those begun or ended so far, if that is before the next. */
        struct answer answer = {FOREVER_MS, 0};
        for (uint32_t known = 0; known <= edge_count; known++) {
            model_freeze(m, edges, known);
            answer = model_wait(m, w);
            if (known > 0)
                answer.at_ms = max_of(answer.at_ms, m->begin_ms + edges[known - 1] * MINUTE_MS);
            if (known < edge_count && answer.at_ms < m->begin_ms + edges[known] * MINUTE_MS)
                break;
        }
        int64_t over_ms = answer.at_ms;
        uint32_t by = answer.step;

        begin(f, m->begin_ms);
        for (uint32_t i = 0; i < edge_count; i++)
            happens(f, i % 2 ? E_CLOSE : E_OPEN, m->begin_ms + edges[i] * MINUTE_MS);
        pass(f, m->begin_ms + MINUTES * MINUTE_MS);
        uint32_t step = 0;
        int64_t at_ms = 0;
        bool is_done = is_over(f, &step, &at_ms);
        if (over_ms >= m->begin_ms + MINUTES * MINUTE_MS) {
            if (is_done)
                fail_msg("seed %lu: over by %u after %ld minutes, never expected", seed, step,
                         (at_ms - m->begin_ms) / MINUTE_MS);
            never++;
        } else if (!is_done || at_ms != over_ms || step != by) {
            fail_msg("seed %lu: over by %u after %ld minutes, not by %u after %ld", seed, step,
                     (at_ms - m->begin_ms) / MINUTE_MS, by, (over_ms - m->begin_ms) / MINUTE_MS);
        } else if (by == TIMEOUT_STEP) {
            timeouts++;
        } else {
            kinds[f->endings[by - 1].moment.kind]++;
        }
        frozen += edge_count > 0;
        fixture_free(f);
    }
    mem_free(m);
    assert_true(kinds[MOMENT_AFTER] > 300);
    assert_true(kinds[MOMENT_DATE] > 300);
    assert_true(kinds[MOMENT_NEXT] > 300);
    assert_true(timeouts > 300);
    assert_true(frozen > 1000);
    assert_true(never > 50);
}

/* ---- dates that come, move and go ---------------------------------------------------------------- */

static enum expr_found find_trait(void *self, const struct expr_path *path, struct expr_slot *out,
                                  struct fault *f)
{
    (void)self;
    (void)f;
    if (!str_is(path->parts[0], "renewal"))
        return EXPR_UNKNOWN;
    *out = (struct expr_slot){.slot = SLOT(SLOT_TRAIT, T_DATE), .parts = 1, .type = &expr_dyn};
    return EXPR_FOUND;
}

static void date_from_trait(struct fixture *f, struct plan_moment *m)
{
    struct expr_scope scope = {.path = find_trait};
    struct expr_options options = {.wanted = EXPR_WANT_ANY};
    struct fault fault = {0};
    if (expr_compile(&f->code, STR("renewal"), &scope, options, &m->value.code, &fault) != OK)
        fail_msg("%s", fault.text);
    m->value.wake = plan_wake_bit(T_DATE);
}

static void trait_becomes(struct fixture *f, const struct value *value, int64_t at_ms)
{
    pass(f, at_ms);
    traits_set(&f->who, T_DATE, value, at_ms);
    journey_changed(&f->who);
}

struct change {
    int64_t at_ms;
    struct value value;
};

/* A moment whose date stands in a trait that is set, moved, spoilt and taken away meanwhile: over by what
 * is known at the time. */
static void waits_follow_the_date(void **state)
{
    (void)state;
    uint32_t over = 0, ended = 0, never = 0, moved = 0;
    struct model *m = mem_new(sizeof(*m));
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        uint64_t luck = seed * 31337;
        struct fixture *f = fixture_new(odd_rules[next(&luck) % array_count(odd_rules)]);
        struct plan_moment *x = &f->endings[0].moment;
        m->zone = zoneset_zone(f->zones, 0);
        m->begin_ms = draw_begin(&luck, m->zone);
        do
            *x = draw_moment(&luck, m->begin_ms);
        while (x->kind != MOMENT_DATE);
        x->is_wall = x->is_day = false;
        x->missing = (uint8_t)(next(&luck) % 3);
        x->past = (uint8_t)(next(&luck) % 3);
        f->steps[0].wait.ending_count = 1;
        date_from_trait(f, x);

        struct change changes[6];
        uint32_t count = 1 + (uint32_t)(next(&luck) % array_count(changes));
        int64_t t_ms = m->begin_ms - DAY_MS;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t what = next(&luck) % 8;
            int64_t date_ms = m->begin_ms - DAY_MS + draw_ms(&luck, 12 * 24 * 60);
            changes[i].value = what == 0   ? (struct value){.type = VALUE_NULL}
                               : what == 1 ? value_text(STR("soon"))
                               : what == 2 ? value_int(date_ms / 1000)
                                           : value_int(date_ms);
            changes[i].at_ms = t_ms;
            t_ms = max_of(t_ms, m->begin_ms) + MINUTE_MS + draw_ms(&luck, 2 * 24 * 60);
        }

        enum { STANDS, GOES, ENDS } fate = STANDS;
        int64_t over_ms = FOREVER_MS;
        uint32_t known = 0;
        for (; known < count; known++) {
            struct plan_moment now = *x;
            bool is_date = changes[known].value.type == VALUE_INT;
            int64_t from_ms = max_of(m->begin_ms, changes[known].at_ms);
            enum moment_otherwise policy = (enum moment_otherwise)x->missing;
            if (is_date) {
                int64_t raw = changes[known].value.integer;
                now.date_ms = raw > INT64_C(100000000000) ? raw : raw * 1000;
                now.is_day = now.date_ms % DAY_MS == 0;
                now.past = MOMENT_STAY;
                over_ms = model_date(m, &now); /* FOREVER_MS: it is past */
                policy = (enum moment_otherwise)x->past;
            }
            fate = GOES;
            if (!is_date || over_ms == FOREVER_MS) {
                fate = policy == MOMENT_SKIP ? GOES : policy == MOMENT_EXIT ? ENDS : STANDS;
                over_ms = policy == MOMENT_SKIP ? model_hours(m, &now, m->begin_ms) : from_ms;
            }
            if (fate == STANDS)
                over_ms = FOREVER_MS;
            else
                over_ms = max_of(over_ms, from_ms);
            if (known + 1 == count || over_ms < changes[known + 1].at_ms)
                break;
        }
        moved += known > 0;

        trait_becomes(f, &changes[0].value, changes[0].at_ms);
        begin(f, m->begin_ms);
        for (uint32_t i = 1; i < count; i++)
            trait_becomes(f, &changes[i].value, changes[i].at_ms);
        pass(f, m->begin_ms + MINUTES * MINUTE_MS);
        uint32_t step = 0;
        int64_t at_ms = 0;
        bool is_done = is_over(f, &step, &at_ms);
        const struct result *last = &f->results.rows[f->results.count - 1];
        if (fate == STANDS || over_ms >= m->begin_ms + MINUTES * MINUTE_MS) {
            if (is_done || f->profile.instances.count != 1)
                fail_msg("seed %lu: over, which it never is", seed);
            never++;
        } else if (fate == ENDS) {
            if (is_done || last->kind != RESULT_ENDED || last->at_ms != over_ms)
                fail_msg("seed %lu: does not end after %ld minutes", seed,
                         (over_ms - m->begin_ms) / MINUTE_MS);
            ended++;
        } else {
            if (!is_done || at_ms != over_ms)
                fail_msg("seed %lu: over after %ld minutes, not %ld", seed,
                         (at_ms - m->begin_ms) / MINUTE_MS, (over_ms - m->begin_ms) / MINUTE_MS);
            over++;
        }
        fixture_free(f);
    }
    mem_free(m);
    assert_true(over > 500);
    assert_true(ended > 500);
    assert_true(never > 200);
    assert_true(moved > 500);
}

/* ---- what dates and lengths look like ------------------------------------------------------------ */

static struct moment_date read_text(const char *text)
{
    struct moment_date date = {0};
    struct value value = value_text(str_of(text));
    if (!moment_read(&value, &date))
        fail_msg("%s is no date", text);
    return date;
}

static void dates_are_read_in_every_form(void **state)
{
    (void)state;
    const int64_t noon_ms = ms_of("2026-06-10T12:00:00Z");
    static const char *const same[] = {"2026-06-10T12:00:00Z", "2026-06-10T14:00:00+02:00",
                                       "1781092800",           "1781092800000",
                                       " 2026-06-10 12:00Z ",  "1781092800.0"};
    for (size_t i = 0; i < array_count(same); i++) {
        struct moment_date date = read_text(same[i]);
        assert_int_equal(date.at_ms, noon_ms);
        assert_false(date.is_wall);
        assert_false(date.is_day);
    }
    const struct value numbers[] = {value_int(1781092800),
                                    value_int(1781092800000),
                                    value_double(1781092800.0),
                                    value_time(noon_ms),
                                    {.type = VALUE_UINT, .uinteger = 1781092800}};
    for (size_t i = 0; i < array_count(numbers); i++) {
        struct moment_date date;
        assert_true(moment_read(&numbers[i], &date));
        assert_int_equal(date.at_ms, noon_ms);
    }
    struct moment_date wall = read_text("2026-06-10T12:00");
    assert_true(wall.is_wall);
    assert_false(wall.is_day);
    assert_int_equal(wall.at_ms, noon_ms);
    struct moment_date day = read_text("2026-06-10");
    assert_true(day.is_wall);
    assert_true(day.is_day);
    assert_true(read_text("2026-06-10T00:00:00.000Z").is_day);
    assert_false(read_text("2026-06-10T00:00:00+01:00").is_day);
}

static void what_is_no_date_is_refused(void **state)
{
    (void)state;
    struct moment_date date;
    static const char *const texts[] = {"", " ", "soon", "2026-02-30", "nan", "inf", "1e300"};
    for (size_t i = 0; i < array_count(texts); i++) {
        struct value value = value_text(str_of(texts[i]));
        if (moment_read(&value, &date))
            fail_msg("\"%s\" was read as a date", texts[i]);
    }
    const struct value others[] = {value_none(),        {.type = VALUE_NULL},
                                   value_bool(true),    value_duration(5),
                                   value_double(1e300), {.type = VALUE_ERROR, .text = {"x", 1}}};
    for (size_t i = 0; i < array_count(others); i++)
        assert_false(moment_read(&others[i], &date));
}

static void lengths_are_durations_or_texts(void **state)
{
    (void)state;
    struct span span;
    struct value value = value_duration(5 * HOUR_MS);
    assert_true(moment_length(&value, &span));
    assert_true(span_equal(span, span_of_ms(5 * HOUR_MS)));
    value.sub_ns = 1; /* not a moment too early */
    assert_true(moment_length(&value, &span));
    assert_int_equal(span.ms, 5 * HOUR_MS + 1);
    value = value_duration(-5);
    assert_true(moment_length(&value, &span));
    assert_int_equal(span.ms, 0);
    value = value_text(STR(" 2 days "));
    assert_true(moment_length(&value, &span));
    assert_true(span_equal(span, span_of_calendar(2, SPAN_DAY)));
    value = value_int(5);
    assert_false(moment_length(&value, &span));
    value = value_text(STR("5"));
    assert_false(moment_length(&value, &span));
}

static void thirty_days_before_a_day_is_a_day(void **state)
{
    (void)state;
    struct zoneset *set = one_zone("GMT0BST,M3.5.0/1,M10.5.0");
    const struct zone *zone = zoneset_zone(set, 0);
    struct plan_moment m = moment_of(MOMENT_DATE);
    m.span = span_of_ms(-30 * DAY_MS);
    m.clock_ms = 9 * (int32_t)HOUR_MS;
    assert_int_equal(moment_of_date(&m, read_text("2026-04-10"), zone),
                     ms_of("2026-03-11T09:00:00Z"));
    m.clock_ms = MOMENT_NO_CLOCK;
    assert_int_equal(moment_of_date(&m, read_text("2026-04-10"), zone),
                     ms_of("2026-03-11T00:00:00Z"));
    /* Of a moment, however, they are 720 hours. */
    assert_int_equal(moment_of_date(&m, read_text("2026-04-10T12:00:00Z"), zone),
                     ms_of("2026-03-11T12:00:00Z"));
    zoneset_free(set);
}

/* ---- waits --------------------------------------------------------------------------------------- */

static void a_label_is_in_the_results(void **state)
{
    (void)state;
    struct fixture *f = fixture_new("UTC0");
    f->endings[0].label = 501;
    f->endings[0].moment = moment_of(MOMENT_AFTER);
    f->endings[0].moment.span = span_of_ms(HOUR_MS);
    f->endings[1] = f->endings[0];
    f->endings[1].label = 502;
    f->steps[0].wait.ending_count = 2;
    begin(f, DAY_MS);
    pass(f, 2 * DAY_MS);
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->results.count; i++) {
        const struct result *r = &f->results.rows[i];
        if (r->kind != RESULT_WAITED)
            continue;
        count++;
        assert_int_equal(r->number, 501); /* of the same instant, the first */
        assert_int_equal(r->step, 0);
        assert_int_equal(r->id, 7);
        assert_int_equal(r->at_ms, DAY_MS + HOUR_MS);
    }
    assert_int_equal(count, 1);
    fixture_free(f);
}

static void a_past_date_may_end_the_journey(void **state)
{
    (void)state;
    struct fixture *f = fixture_new("UTC0");
    f->endings[0].moment = moment_of(MOMENT_DATE);
    f->endings[0].moment.date_ms = 10 * DAY_MS;
    f->endings[0].moment.past = MOMENT_EXIT;
    f->steps[0].wait.ending_count = 1;
    begin(f, 10 * DAY_MS + 1);
    uint32_t step;
    int64_t at_ms;
    assert_false(is_over(f, &step, &at_ms));
    assert_int_equal(f->profile.instances.count, 0);
    const struct result *last = &f->results.rows[f->results.count - 1];
    assert_int_equal(last->kind, RESULT_ENDED);
    assert_int_equal(last->how, JOURNEY_EXITED);
    begin(f, 10 * DAY_MS); /* this very moment is not past */
    assert_true(is_over(f, &step, &at_ms));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("waits equal the clock on the wall, minute by minute, whatever it does",
             waits_equal_the_clock_on_the_wall),
        TEST("waits follow a date that is set, moved, spoilt and taken away",
             waits_follow_the_date),
        TEST("dates are read in every form in which they come", dates_are_read_in_every_form),
        TEST("what is no date is refused", what_is_no_date_is_refused),
        TEST("lengths are durations or texts", lengths_are_durations_or_texts),
        TEST("thirty days before a day is a day, also over a change of the clocks",
             thirty_days_before_a_day_is_a_day),
        TEST("the label of what ended a wait is in the results", a_label_is_in_the_results),
        TEST("a past date may end the journey", a_past_date_may_end_the_journey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
