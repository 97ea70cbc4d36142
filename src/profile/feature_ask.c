/* feature_ask.c - what a call of an expression says about the past, and until when.
 *
 * A window is [from_ms, now]: what slides has from_ms = now - w + 1 and loses an item at t + w; a
 * calendar one begins where the day, week or month of the person's zone does and loses all at its end.
 * Nothing comes into a window by time alone, so an answer holds until the oldest item that it rests on
 * leaves, or what made it uncertain does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "profile/ask_int.h"

#include <stdlib.h>

#include "profile/feature.h"

#define CONDITION_COST_MAX 2000 /* of one condition on one item */

/* ---- windows ------------------------------------------------------------------------------------ */

struct reach {
    int64_t from_ms;  /* first moment inside */
    int64_t slide_ms; /* > 0: an item leaves so long after it happened */
    int64_t until_ms; /* a calendar window's end; else FOREVER_MS */
};

static struct reach reach_of(struct asker *a, const struct plan_binding *b)
{
    if (b->window_count) {
        struct span span = span_of_calendar(b->window_count, (enum span_unit)b->window_unit);
        struct span_window w = span_window(span, person_zone(a->who), a->at_ms);
        return (struct reach){.from_ms = w.from_ms, .until_ms = w.until_ms};
    }
    int64_t window_ms = b->window_unit_ms ? a->window_ms : b->window_ms;
    if (window_ms)
        return (struct reach){a->at_ms - window_ms + 1, window_ms, FOREVER_MS};
    return (struct reach){INT64_MIN, 0, FOREVER_MS};
}

/* When something that happened at t, inside, is no longer inside. */
static int64_t leaves_ms(const struct reach *reach, int64_t t)
{
    return reach->slide_ms ? t + reach->slide_ms : reach->until_ms;
}

/* ---- items -------------------------------------------------------------------------------------- */

/* The items of a feature, and the part of them that a question is about. */
struct range {
    const int64_t *times;
    const int64_t *numbers;
    const struct blob *bodies;
    uint32_t from, to;
    int64_t forgot_ms;
};

/* First item not before t. */
static uint32_t place_of(const int64_t *times, uint32_t count, int64_t t)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (times[middle] < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const void *list_at(const struct space *s, const struct vec *list)
{
    return list->count ? space_at(s, list->ref) : NULL;
}

static struct range range_of(const struct person *who, const struct plan_feature *f,
                             const struct reach *reach)
{
    struct range r = {.forgot_ms = INT64_MIN};
    const struct history *h = features_find(who, f->name);
    if (h == NULL || h->more == 0 || h->kind == FEATURE_TALLY)
        return r;
    const struct history_items *items = space_at(who->space, h->more);
    r.times = list_at(who->space, &items->times);
    r.numbers = list_at(who->space, &items->numbers);
    r.bodies = list_at(who->space, &items->bodies);
    r.to = items->times.count;
    r.from = place_of(r.times, r.to, reach->from_ms);
    r.forgot_ms = items->forgot_ms;
    return r;
}

/* Does item i meet the conditions that read what is now? */
static bool meets(struct asker *a, const struct plan_binding *b, const struct range *r, uint32_t i,
                  struct arena *scratch, int64_t *until_ms)
{
    if (b->condition_count == 0)
        return true;
    struct body before = a->item;
    struct expr_result result = {.value = value_bool(true)};
    a->item = r->bodies ? (struct body){blob_at(a->who->space, r->bodies[i]), r->bodies[i].bytes}
                        : (struct body){NULL, 0};
    struct expr_host host = ask_host(a);
    host.cost_max = CONDITION_COST_MAX;
    for (uint32_t k = 0; k < b->condition_count && expr_is_true(&result); k++) {
        expr_run(b->conditions[k], &host, scratch, &result);
        *until_ms = min_of(*until_ms, result.until_ms);
    }
    a->item = before;
    return expr_is_true(&result);
}

static struct value value_of(struct asker *a, const struct plan_binding *b, const struct range *r,
                             uint32_t i, struct arena *scratch, int64_t *until_ms)
{
    struct body before = a->item;
    struct expr_result result = {.value = value_none()};
    a->item = r->bodies ? (struct body){blob_at(a->who->space, r->bodies[i]), r->bodies[i].bytes}
                        : (struct body){NULL, 0};
    struct expr_host host = ask_host(a);
    host.cost_max = CONDITION_COST_MAX;
    expr_run(b->value, &host, scratch, &result);
    *until_ms = min_of(*until_ms, result.until_ms);
    a->item = before;
    return result.value;
}

/* ---- answers ------------------------------------------------------------------------------------ */

static struct value failed(struct str why)
{
    return (struct value){.type = VALUE_ERROR, .text = why};
}

static struct value saturated(void)
{
    return failed(STR("more of them happened than are remembered"));
}

/* Items in the window had to make room: what they would have said is unknown until they leave. */
static bool is_saturated(const struct range *r, const struct reach *reach)
{
    return r->forgot_ms != INT64_MIN && r->forgot_ms >= reach->from_ms;
}

/* The latest item that counts: its time, or INT64_MIN; *is_unknown: it may have been forgotten. */
static int64_t latest_of(struct asker *a, const struct plan_binding *b, const struct reach *reach,
                         struct arena *scratch, int64_t *until_ms, bool *is_unknown)
{
    const struct plan_feature *f = &a->plan->features[b->feature];
    *is_unknown = false;
    if (b->condition_count == 0) {
        const struct history *h = features_find(a->who, f->name);
        return h != NULL && h->last_ms >= reach->from_ms ? h->last_ms : INT64_MIN;
    }
    struct range r = range_of(a->who, f, reach);
    for (uint32_t i = r.to; i-- > r.from;)
        if (meets(a, b, &r, i, scratch, until_ms))
            return r.times[i];
    *is_unknown = is_saturated(&r, reach);
    if (*is_unknown)
        *until_ms = min_of(*until_ms, leaves_ms(reach, r.forgot_ms));
    return INT64_MIN;
}

static void ask_did(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                    struct value *out, int64_t *until_ms)
{
    struct reach reach = reach_of(a, b);
    bool is_unknown;
    int64_t last_ms = latest_of(a, b, &reach, scratch, until_ms, &is_unknown);
    *out = is_unknown ? saturated() : value_bool(last_ms != INT64_MIN);
    if (last_ms != INT64_MIN)
        *until_ms = min_of(*until_ms, leaves_ms(&reach, last_ms));
}

static void ask_idle(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                     struct value *out, int64_t *until_ms)
{
    struct reach reach = reach_of(a, b);
    bool is_unknown;
    int64_t last_ms = latest_of(a, b, &reach, scratch, until_ms, &is_unknown);
    last_ms = max_of(last_ms, a->who->profile->first_seen_ms);
    *out = is_unknown ? saturated() : value_bool(last_ms < reach.from_ms);
    if (last_ms >= reach.from_ms)
        *until_ms = min_of(*until_ms, leaves_ms(&reach, last_ms));
}

static void ask_since(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                      struct value *out, int64_t *until_ms)
{
    struct reach reach = {INT64_MIN, 0, FOREVER_MS};
    bool is_unknown;
    int64_t last_ms = latest_of(a, b, &reach, scratch, until_ms, &is_unknown);
    *out = is_unknown ? saturated() : value_time(max_of(last_ms, a->who->profile->first_seen_ms));
}

static void ask_count(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                      struct value *out, int64_t *until_ms)
{
    const struct plan_feature *f = &a->plan->features[b->feature];
    struct reach reach = reach_of(a, b);
    if (f->kind == FEATURE_MARK) {
        const struct history *h = features_find(a->who, f->name);
        *out = value_int(h ? h->total : 0);
        return;
    }
    struct range r = range_of(a->who, f, &reach);
    int64_t count = 0;
    for (uint32_t i = r.to; i-- > r.from && b->condition_count;) {
        if (!meets(a, b, &r, i, scratch, until_ms))
            continue;
        count++;
        *until_ms = min_of(*until_ms, leaves_ms(&reach, r.times[i]));
    }
    if (b->condition_count == 0) {
        count = r.to - r.from;
        if (count)
            *until_ms = min_of(*until_ms, leaves_ms(&reach, r.times[r.from]));
    }
    *out = value_int(count);
}

/* A sum under way. */
struct adding {
    __int128 sum;
    int64_t least, most;
    uint32_t count;
    bool has_too_large;
};

static struct value added(const struct adding *x, enum binding_kind kind)
{
    if (x->has_too_large || x->sum > INT64_MAX || x->sum < -INT64_MAX)
        return failed(STR("the numbers are too large"));
    if (kind == BINDING_SUM)
        return value_double((double)x->sum / 1e6);
    if (x->count == 0)
        return value_none();
    if (kind == BINDING_AVERAGE)
        return value_double((double)x->sum / x->count / 1e6);
    return value_double((double)(kind == BINDING_LEAST ? x->least : x->most) / 1e6);
}

static void ask_sum(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                    struct value *out, int64_t *until_ms)
{
    const struct plan_feature *f = &a->plan->features[b->feature];
    struct adding x = {.least = INT64_MAX, .most = INT64_MIN};
    if (f->kind == FEATURE_TALLY) {
        const struct history *h = features_find(a->who, f->name);
        if (h != NULL) {
            const struct history_tally *tally = space_at(a->who->space, h->more);
            x = (struct adding){history_sum(tally), tally->least, tally->most, tally->count,
                                tally->has_too_large};
        }
        *out = added(&x, (enum binding_kind)b->kind);
        return;
    }
    struct reach reach = reach_of(a, b);
    struct range r = range_of(a->who, f, &reach);
    if (is_saturated(&r, &reach)) {
        *out = saturated();
        *until_ms = min_of(*until_ms, leaves_ms(&reach, r.forgot_ms));
        return;
    }
    for (uint32_t i = r.from; i < r.to; i++) {
        int64_t number = HISTORY_NO_NUMBER;
        if (!meets(a, b, &r, i, scratch, until_ms))
            continue;
        if (b->value != NULL) {
            struct value v = value_of(a, b, &r, i, scratch, until_ms);
            feature_number(&v, &number);
        } else if (r.numbers) {
            number = r.numbers[i];
        }
        if (number == HISTORY_NO_NUMBER)
            continue;
        *until_ms = min_of(*until_ms, leaves_ms(&reach, r.times[i]));
        if (number == HISTORY_TOO_LARGE) {
            x.has_too_large = true;
            continue;
        }
        x.sum += number;
        x.least = min_of(x.least, number);
        x.most = max_of(x.most, number);
        x.count++;
    }
    *out = added(&x, (enum binding_kind)b->kind);
}

static int hash_order(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;
    return *a < *b ? -1 : *a > *b;
}

static void ask_distinct(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                         struct value *out, int64_t *until_ms)
{
    const struct plan_feature *f = &a->plan->features[b->feature];
    struct reach reach = reach_of(a, b);
    struct range r = range_of(a->who, f, &reach);
    if (is_saturated(&r, &reach)) {
        *out = saturated();
        *until_ms = min_of(*until_ms, leaves_ms(&reach, r.forgot_ms));
        return;
    }
    uint32_t count = r.to - r.from;
    if (count)
        *until_ms = min_of(*until_ms, leaves_ms(&reach, r.times[r.from]));
    if (f->kind != FEATURE_VALUES) { /* which ones count depends on what is now */
        uint64_t *hashes = arena_array(scratch, uint64_t, count + 1);
        uint32_t seen = 0;
        for (uint32_t i = r.from; i < r.to; i++) {
            if (!meets(a, b, &r, i, scratch, until_ms))
                continue;
            struct value v = value_of(a, b, &r, i, scratch, until_ms);
            seen += feature_value_hash(&v, a->who->bytes, &hashes[seen]);
        }
        qsort(hashes, seen, sizeof(*hashes), hash_order);
        count = 0;
        for (uint32_t i = 0; i < seen; i++)
            count += i == 0 || hashes[i] != hashes[i - 1];
    }
    *out = value_int(count);
}

/* A property of the first or the last item that counts. */
static void ask_item(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                     struct value *out, int64_t *until_ms)
{
    const struct plan_feature *f = &a->plan->features[b->feature];
    struct reach reach = reach_of(a, b);
    struct range r = range_of(a->who, f, &reach);
    bool is_first = b->kind == BINDING_FIRST;
    uint32_t count = r.to - r.from, found = UINT32_MAX;
    for (uint32_t k = 0; k < count && found == UINT32_MAX; k++) {
        uint32_t i = is_first ? r.from + k : r.to - 1 - k;
        if (meets(a, b, &r, i, scratch, until_ms))
            found = i;
    }
    bool is_unknown =
        f->kind == FEATURE_ITEMS && is_saturated(&r, &reach) && (is_first || found == UINT32_MAX);
    if (is_unknown) {
        *out = saturated();
        *until_ms = min_of(*until_ms, leaves_ms(&reach, r.forgot_ms));
        return;
    }
    *out = value_none();
    if (found == UINT32_MAX)
        return;
    *until_ms = min_of(*until_ms, leaves_ms(&reach, r.times[found]));
    if (r.bodies) {
        struct body body = {blob_at(a->who->space, r.bodies[found]), r.bodies[found].bytes};
        *out = body_get(body, b->name, scratch);
        if (b->as_number)
            feature_read_number(out);
    }
}

/* ---- sequences ---------------------------------------------------------------------------------- */

/* Does any of the features have an item in [from_ms, to_ms)? */
static bool has_between(const struct range *ranges, uint32_t count, int64_t from_ms, int64_t to_ms)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = place_of(ranges[i].times, ranges[i].to, from_ms);
        if (place < ranges[i].to && ranges[i].times[place] < to_ms)
            return true;
    }
    return false;
}

/* The items of a step inside the window, of which only those stay that meet the step's conditions. */
static struct range step_range(struct asker *a, uint16_t feature, uint32_t asks,
                               const struct reach *reach, struct arena *scratch, int64_t *until_ms)
{
    struct range r = range_of(a->who, &a->plan->features[feature], reach);
    const struct plan_binding *step = asks ? &a->plan->bindings[asks - 1] : NULL;
    if (step == NULL || step->condition_count == 0 || r.from == r.to)
        return r;
    int64_t *times = arena_array(scratch, int64_t, r.to - r.from);
    uint32_t count = 0;
    for (uint32_t i = r.from; i < r.to; i++)
        if (meets(a, step, &r, i, scratch, until_ms))
            times[count++] = r.times[i];
    return (struct range){.times = times, .to = count, .forgot_ms = r.forgot_ms};
}

static bool is_of_same_event(const struct plan_feature *x, const struct plan_feature *y)
{
    return x->is_prefix == y->is_prefix &&
           (x->is_prefix ? str_equal(x->prefix, y->prefix) : x->event == y->event);
}

/* The steps behind the first one, each as early as it can be: when the last one was; INT64_MIN if they
 * did not all come in time. A step that is the same as the one before is another item of it; one of the
 * same event with other conditions is later. */
static int64_t chain_end(const struct plan *plan, const struct plan_sequence *q,
                         const struct range *steps, uint32_t first)
{
    int64_t at_ms = steps[0].times[first], end_ms = at_ms + q->within_ms;
    uint32_t place = first;
    for (uint32_t i = 1; i < q->step_count; i++) {
        bool is_same =
            q->steps[i] == q->steps[i - 1] && q->step_asks[i] == 0 && q->step_asks[i - 1] == 0;
        bool is_later = !is_same && is_of_same_event(&plan->features[q->steps[i]],
                                                     &plan->features[q->steps[i - 1]]);
        place = is_same ? place + 1 : place_of(steps[i].times, steps[i].to, at_ms + is_later);
        if (place >= steps[i].to || steps[i].times[place] >= end_ms)
            return INT64_MIN;
        at_ms = steps[i].times[place];
    }
    return at_ms;
}

static void ask_sequence(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                         struct value *out, int64_t *until_ms)
{
    const struct plan_sequence *q = b->sequence;
    const struct reach all = {INT64_MIN, 0, FOREVER_MS};
    struct range steps[PLAN_SEQUENCE_MAX], without[PLAN_SEQUENCE_MAX];
    struct reach reach = reach_of(a, b);
    int64_t unsure_ms = INT64_MIN; /* up to there, what is behind the first step may be forgotten */
    for (uint32_t i = 0; i < q->step_count; i++) {
        steps[i] =
            step_range(a, q->steps[i], q->step_asks[i], i ? &all : &reach, scratch, until_ms);
        if (i > 0)
            unsure_ms = max_of(unsure_ms, steps[i].forgot_ms);
    }
    for (uint32_t i = 0; i < q->without_count; i++) {
        without[i] = step_range(a, q->without[i], q->without_asks[i], &all, scratch, until_ms);
        unsure_ms = max_of(unsure_ms, without[i].forgot_ms);
    }
    bool is_unknown = is_saturated(&steps[0], &reach);
    if (is_unknown)
        *until_ms = min_of(*until_ms, leaves_ms(&reach, steps[0].forgot_ms));
    *out = value_bool(false);
    for (uint32_t i = steps[0].to; i-- > steps[0].from;) {
        int64_t at_ms = steps[0].times[i], end_ms = at_ms + q->within_ms;
        if (at_ms <= unsure_ms) {
            is_unknown = true;
            *until_ms = min_of(*until_ms, leaves_ms(&reach, at_ms));
            continue;
        }
        if (q->step_count > 1) {
            int64_t last_ms = chain_end(a->plan, q, steps, i);
            if (last_ms == INT64_MIN || has_between(without, q->without_count, at_ms, last_ms + 1))
                continue;
        } else {
            if (has_between(without, q->without_count, at_ms, end_ms))
                continue;
            if (end_ms > a->at_ms) { /* there is time left */
                *until_ms = min_of(*until_ms, end_ms);
                continue;
            }
        }
        *out = value_bool(true);
        *until_ms = min_of(*until_ms, leaves_ms(&reach, at_ms));
        return;
    }
    if (is_unknown)
        *out = saturated();
}

/* ---- all of them -------------------------------------------------------------------------------- */

/* Was there no room for what the call asks about? */
static bool is_lost(const struct asker *a, const struct plan_binding *b)
{
    if (!(a->who->profile->known & PROFILE_LOST_HISTORY))
        return false;
    if (b->kind != BINDING_SEQUENCE)
        return features_find(a->who, a->plan->features[b->feature].name) == NULL;
    for (uint32_t i = 0; i < b->sequence->step_count; i++)
        if (features_find(a->who, a->plan->features[b->sequence->steps[i]].name) == NULL)
            return true;
    for (uint32_t i = 0; i < b->sequence->without_count; i++)
        if (features_find(a->who, a->plan->features[b->sequence->without[i]].name) == NULL)
            return true;
    return false;
}

/* The window that a trait says, of at most the declared maximum; false with the error. */
static bool window_of(const struct plan_binding *b, const struct value *arguments, uint32_t count,
                      int64_t *window_ms, struct value *error)
{
    if (count != 1 || arguments[0].type != VALUE_INT || arguments[0].integer <= 0) {
        *error = failed(STR("the trait says no window: it is not above 0"));
        return false;
    }
    *window_ms = arguments[0].integer >= b->window_ms / b->window_unit_ms
                     ? b->window_ms
                     : arguments[0].integer * b->window_unit_ms;
    return true;
}

static void answer(struct asker *a, const struct plan_binding *b, struct arena *scratch,
                   struct value *out, int64_t *until_ms)
{
    switch ((enum binding_kind)b->kind) {
    case BINDING_DID: ask_did(a, b, scratch, out, until_ms); return;
    case BINDING_COUNT: ask_count(a, b, scratch, out, until_ms); return;
    case BINDING_IDLE: ask_idle(a, b, scratch, out, until_ms); return;
    case BINDING_SINCE: ask_since(a, b, scratch, out, until_ms); return;
    case BINDING_SUM:
    case BINDING_LEAST:
    case BINDING_MOST:
    case BINDING_AVERAGE: ask_sum(a, b, scratch, out, until_ms); return;
    case BINDING_DISTINCT: ask_distinct(a, b, scratch, out, until_ms); return;
    case BINDING_FIRST:
    case BINDING_LAST: ask_item(a, b, scratch, out, until_ms); return;
    case BINDING_SEQUENCE: ask_sequence(a, b, scratch, out, until_ms); return;
    case BINDING_SENT:
    case BINDING_ENGAGED:
    case BINDING_CLICKED:
    case BINDING_IN_JOURNEY:
    case BINDING_CONSENT:
    case BINDING_BUCKET:
    case BINDING_IN_SEGMENT:
    case BINDING_IN_STAGE:
    case BINDING_OUTCOME:
    case BINDING_IN_CALENDAR:
    case BINDING_IN_HOURS:
    case BINDING_STEP: break;
    }
    must(!"a call about the past");
}

void feature_ask(struct asker *a, const struct plan_binding *b, const struct value *arguments,
                 uint32_t count, struct arena *scratch, struct value *out, int64_t *until_ms)
{
    if (unlikely(is_lost(a, b))) {
        *out = saturated();
        return;
    }
    if (b->window_unit_ms == 0) {
        answer(a, b, scratch, out, until_ms);
        return;
    }
    int64_t before_ms = a->window_ms; /* a condition of another call may ask this one */
    if (!window_of(b, arguments, count, &a->window_ms, out))
        return;
    answer(a, b, scratch, out, until_ms);
    a->window_ms = before_ms;
}
