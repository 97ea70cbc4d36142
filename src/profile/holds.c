/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/holds.h"
#include "base/canary.h"

/* The pair that a close closes: the oldest that is open with this key. */
static uint32_t find_open(const struct person *who, uint32_t name, uint64_t key)
{
    for (uint32_t i = 0; i < who->profile->holds.count; i++) {
        const struct hold *h = person_hold(who, i);
        if (h->is_open && h->name == name && (h->key == key || planted("hold-any-key")))
            return i;
    }
    return UINT32_MAX;
}

static void note_change(struct person *who, uint32_t name, bool is_started)
{
    person_result(who, (struct result){.kind = RESULT_HOLD, .how = is_started, .number = name});
    who->is_desk_due = true;
    who->is_touched = true;
    person_note(who, "hold %.*s %s", STR_ARG(names_text(who->names, name)),
                is_started ? "starts" : "is lifted");
}

static void lift(struct person *who, uint32_t place)
{
    struct hold *h = person_touch_hold(who, place);
    h->is_open = false;
    h->is_lifted = true;
    note_change(who, h->name, false);
}

/* A place for one more. Of those that are over the oldest is forgotten first: a wait that it froze may
 * then end early, but nobody is written to under a hold. */
static struct hold *add_hold(struct person *who)
{
    if (who->profile->holds.count == PROFILE_HOLDS_MAX) {
        uint32_t oldest = UINT32_MAX;
        for (uint32_t i = 0; i < PROFILE_HOLDS_MAX; i++) {
            const struct hold *h = person_hold(who, i);
            if (h->is_lifted &&
                (oldest == UINT32_MAX || h->until_ms < person_hold(who, oldest)->until_ms))
                oldest = i;
        }
        if (oldest == UINT32_MAX)
            return NULL; /* enough are in force already */
        person_drop_hold(who, oldest);
    }
    struct hold *fresh = person_push_hold(who);
    must(fresh != NULL);
    return fresh;
}

static void close_hold(struct person *who, const struct plan_hold *h)
{
    uint32_t place = find_open(who, h->name, record_key(who->event, h->key));
    if (place == UINT32_MAX)
        return;
    struct hold *open = person_touch_hold(who, place);
    int64_t closed_ms = max_of(open->from_ms, who->event->event_ms);
    open->is_open = false;
    open->until_ms =
        min_of(open->until_ms, closed_ms + (planted("hold-no-linger") ? 0 : h->linger_ms));
    who->is_desk_due = true;
    who->is_touched = true;
    if (open->until_ms <= who->at_ms)
        lift(who, place);
}

static void open_hold(struct person *who, const struct plan_hold *h)
{
    uint64_t key = record_key(who->event, h->key);
    /* With a key it is one pair, however often it is said; without one, pairs are counted. */
    if (key != 0 && find_open(who, h->name, key) != UINT32_MAX)
        return;
    int64_t from_ms = who->event->event_ms;
    if (h->at_most_ms && from_ms + h->at_most_ms <= who->at_ms)
        return; /* told of it when it was over */
    struct hold *fresh = add_hold(who);
    if (fresh == NULL)
        return;
    *fresh = (struct hold){
        .name = h->name,
        .is_open = true,
        .key = key,
        .from_ms = from_ms,
        .until_ms = h->at_most_ms ? from_ms + h->at_most_ms : FOREVER_MS,
    };
    note_change(who, h->name, true);
}

void holds_event(struct person *who, const struct plan_event *means)
{
    for (uint32_t i = 0; i < who->plan->hold_count; i++) {
        if (means->holds_until >> i & 1)
            close_hold(who, &who->plan->holds[i]);
        if (means->holds_from >> i & 1)
            open_hold(who, &who->plan->holds[i]);
    }
}

static uint16_t index_of(const struct person *who, uint32_t name)
{
    for (uint32_t i = 0; i < who->plan->hold_count; i++)
        if (who->plan->holds[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

static bool is_in_force(const struct hold *h, int64_t at_ms)
{
    return h->from_ms <= at_ms && at_ms < h->until_ms - (planted("hold-lifts-early") ? HOUR_MS : 0);
}

void holds_complaint(struct person *who, int64_t at_ms)
{
    int64_t rests_ms =
        who->plan != NULL && who->plan->complaint_ms ? who->plan->complaint_ms : COMPLAINT_RESTS_MS;
    struct hold *fresh = at_ms + rests_ms > who->at_ms ? add_hold(who) : NULL;
    if (fresh == NULL)
        return;
    *fresh = (struct hold){
        .name = NAME_MESSAGE_COMPLAINED, .from_ms = at_ms, .until_ms = at_ms + rests_ms};
    note_change(who, NAME_MESSAGE_COMPLAINED, true);
}

uint16_t holds_next(const struct person *who, uint16_t category, enum lane lane, int64_t at_ms,
                    uint32_t *place)
{
    bool obeys = (lane_term(lane)->flags & LANE_HOLDS) != 0;
    while (*place < who->profile->holds.count) {
        const struct hold *h = person_hold(who, (*place)++);
        bool is_complaint = h->name == NAME_MESSAGE_COMPLAINED;
        uint16_t index = is_complaint ? HOLD_COMPLAINT : index_of(who, h->name);
        if (index == PLAN_NO_INDEX || !is_in_force(h, at_ms))
            continue;
        const struct plan_hold *means = is_complaint ? NULL : &who->plan->holds[index];
        bool is_meant = is_complaint ? obeys || who->plan->complaint_categories >> category & 1
                        : means->categories ? means->categories >> category & 1
                                            : obeys;
        if (is_meant)
            return index;
    }
    return PLAN_NO_INDEX;
}

uint16_t holds_ask(const struct person *who, uint16_t category, enum lane lane, int64_t at_ms,
                   int64_t *until_ms)
{
    uint16_t found = PLAN_NO_INDEX, index;
    int64_t latest_ms = INT64_MIN;
    uint32_t place = 0;
    *until_ms = FOREVER_MS;
    while ((index = holds_next(who, category, lane, at_ms, &place)) != PLAN_NO_INDEX) {
        const struct hold *h = person_hold(who, place - 1);
        bool drops = index != HOLD_COMPLAINT && who->plan->holds[index].drops;
        /* An open hold may lift at any event: its end proves nothing. */
        int64_t end_ms = h->is_open ? FOREVER_MS : h->until_ms;
        if (found == PLAN_NO_INDEX || end_ms > latest_ms || drops)
            found = index;
        latest_ms = max_of(latest_ms, end_ms);
        if (drops)
            break;
    }
    if (found != PLAN_NO_INDEX)
        *until_ms = latest_ms;
    return found;
}

/* A stretch in which the wait stands still. */
struct frozen {
    int64_t from_ms, until_ms;
    bool is_open;
    bool is_any;
};

static void frozen_take(struct frozen *next, int64_t from_ms, int64_t until_ms, bool is_open,
                        int64_t done_ms)
{
    if (until_ms <= done_ms)
        return;
    from_ms = max_of(from_ms, done_ms);
    if (!next->is_any || from_ms < next->from_ms || (from_ms == next->from_ms && next->is_open))
        *next = (struct frozen){from_ms, until_ms, is_open, true};
}

/* The stretch that covers done_ms, or the next that begins after it; of several one whose end is known. */
static struct frozen next_frozen(const struct person *who, uint32_t journey, int64_t done_ms)
{
    struct frozen next = {0};
    for (uint32_t i = 0; i < who->profile->holds.count; i++) {
        const struct hold *h = person_hold(who, i);
        uint16_t index = index_of(who, h->name);
        if (index != PLAN_NO_INDEX && who->plan->holds[index].freezes)
            frozen_take(&next, h->from_ms, h->until_ms, h->is_open, done_ms);
    }
    const struct journey_control *control = controls_find(who->controls, journey);
    for (uint32_t i = 0; control != NULL && i < control->pause_count; i++) {
        const struct pause *p = &control->pauses[i];
        frozen_take(&next, p->from_ms, p->until_ms, p->until_ms == FOREVER_MS, done_ms);
    }
    return next;
}

int64_t holds_thawed(const struct person *who, uint32_t journey, int64_t from_ms, int64_t length_ms)
{
    int64_t done_ms = from_ms, left_ms = length_ms;
    if (length_ms <= 0 || length_ms == FOREVER_MS)
        return length_ms == FOREVER_MS ? FOREVER_MS : from_ms;
    while (who->plan != NULL) {
        struct frozen next = next_frozen(who, journey, done_ms);
        if (!next.is_any || next.from_ms - done_ms >= left_ms)
            break;
        left_ms -= next.from_ms - done_ms;
        if (next.is_open)
            return FOREVER_MS;
        done_ms = next.until_ms;
    }
    return done_ms + left_ms;
}

int64_t holds_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->holds.count; i++) {
        const struct hold *h = person_hold(who, i);
        if (!h->is_lifted)
            next_ms = min_of(next_ms, h->until_ms);
    }
    return next_ms;
}

/* Does a wait still need to know how long it was frozen? */
static bool is_needed(const struct person *who, const struct hold *h)
{
    if (!h->is_lifted)
        return true;
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        if (in->state == INSTANCE_WAITING && in->step_ms < h->until_ms)
            return true;
    }
    return false;
}

void holds_timer(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->holds.count;) {
        const struct hold *h = person_hold(who, i);
        if (!h->is_lifted && h->until_ms <= who->at_ms)
            lift(who, i);
        if (is_needed(who, person_hold(who, i)))
            i++;
        else
            person_drop_hold(who, i);
    }
}

void holds_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->holds.count; i++) {
        const struct hold *h = person_hold(from, i);
        if (h->is_open && h->key != 0 && find_open(who, h->name, h->key) != UINT32_MAX)
            continue;
        struct hold *fresh = add_hold(who);
        if (fresh == NULL)
            return;
        *fresh = *h;
        who->is_desk_due = true;
    }
}
