/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/holds.h"

static uint64_t key_of(const struct person *who, const struct plan_hold *h)
{
    if (h->key == NAME_NONE)
        return 0;
    struct value x = record_get(who->event, h->key, NULL);
    uint64_t key;
    if (x.type == VALUE_TEXT)
        key = hash_str(x.text, 1);
    else if (x.type == VALUE_INT)
        key = hash_bytes(&x.integer, sizeof(x.integer), 2);
    else
        return 0;
    return key ? key : 1;
}

static uint32_t find_open(const struct person *who, uint32_t name, uint64_t key)
{
    for (uint32_t i = 0; i < who->profile->holds.count; i++) {
        const struct hold *h = person_hold(who, i);
        if (h->is_open && h->name == name && h->key == key)
            return i;
    }
    return UINT32_MAX;
}

static void note_change(struct person *who, const struct plan_hold *h, bool is_started)
{
    person_result(who, (struct result){.kind = RESULT_HOLD, .how = is_started, .number = h->name});
    who->is_desk_due = true;
    who->is_touched = true;
    person_note(who, "hold %.*s %s", STR_ARG(names_text(who->names, h->name)),
                is_started ? "starts" : "is lifted");
}

void holds_event(struct person *who, const struct plan_event *means)
{
    for (uint32_t i = 0; i < who->plan->hold_count; i++) {
        const struct plan_hold *h = &who->plan->holds[i];
        uint64_t key;
        if (means->holds_until >> i & 1) {
            key = key_of(who, h);
            uint32_t place = find_open(who, h->name, key);
            if (place != UINT32_MAX) {
                struct hold *open = person_touch_hold(who, place);
                open->is_open = false;
                open->until_ms = min_of(open->until_ms,
                                        max_of(open->from_ms, who->event->event_ms) + h->linger_ms);
                if (open->until_ms <= who->at_ms)
                    note_change(who, h, false);
                who->is_desk_due = true;
                who->is_touched = true;
            }
        }
        if (means->holds_from >> i & 1) {
            key = key_of(who, h);
            if (find_open(who, h->name, key) != UINT32_MAX)
                continue;
            if (who->profile->holds.count == PROFILE_HOLDS_MAX)
                continue;
            struct hold *fresh = person_push_hold(who);
            must(fresh != NULL);
            *fresh = (struct hold){
                .name = h->name,
                .is_open = true,
                .key = key,
                .from_ms = who->event->event_ms,
                .until_ms = h->at_most_ms ? who->event->event_ms + h->at_most_ms : FOREVER_MS,
            };
            note_change(who, h, true);
        }
    }
}

static const struct plan_hold *plan_hold_of(const struct person *who, uint32_t name,
                                            uint16_t *index)
{
    for (uint32_t i = 0; i < who->plan->hold_count; i++) {
        if (who->plan->holds[i].name == name) {
            *index = (uint16_t)i;
            return &who->plan->holds[i];
        }
    }
    return NULL;
}

static bool is_in_force(const struct hold *h, int64_t at_ms)
{
    return h->from_ms <= at_ms && at_ms < h->until_ms;
}

uint16_t holds_ask(const struct person *who, uint16_t category, enum lane lane, int64_t at_ms,
                   int64_t *until_ms)
{
    uint16_t found = PLAN_NO_INDEX;
    int64_t latest_ms = INT64_MIN;
    *until_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->holds.count; i++) {
        const struct hold *h = person_hold(who, i);
        uint16_t index;
        const struct plan_hold *means = plan_hold_of(who, h->name, &index);
        if (means == NULL || !is_in_force(h, at_ms))
            continue;
        bool is_meant = means->categories ? means->categories >> category & 1
                                          : (lane_term(lane)->flags & LANE_HOLDS) != 0;
        if (!is_meant)
            continue;
        /* An open hold may lift at any event: its end proves nothing. */
        int64_t end_ms = h->is_open ? FOREVER_MS : h->until_ms;
        bool is_worse = found == PLAN_NO_INDEX || end_ms > latest_ms || means->drops;
        if (is_worse) {
            found = index;
            latest_ms = max_of(latest_ms, end_ms);
        }
        if (means->drops)
            break;
    }
    if (found != PLAN_NO_INDEX)
        *until_ms = latest_ms;
    return found;
}

int64_t holds_frozen(const struct person *who, int64_t from_ms, int64_t to_ms, bool *is_open)
{
    int64_t sum_ms = 0;
    int64_t done_ms = from_ms; /* what lies before is counted */
    *is_open = false;
    if (who->profile->holds.count == 0 || who->plan == NULL)
        return 0;
    /* The union, by repeatedly taking the interval that begins first after what is done. */
    for (;;) {
        const struct hold *next = NULL;
        for (uint32_t i = 0; i < who->profile->holds.count; i++) {
            const struct hold *h = person_hold(who, i);
            uint16_t index;
            const struct plan_hold *means = plan_hold_of(who, h->name, &index);
            if (means == NULL || !means->freezes || h->until_ms <= done_ms || h->from_ms >= to_ms)
                continue;
            if (next == NULL || h->from_ms < next->from_ms)
                next = h;
            if (h->is_open && is_in_force(h, to_ms))
                *is_open = true;
        }
        if (next == NULL)
            return sum_ms;
        int64_t start_ms = max_of(done_ms, next->from_ms);
        int64_t end_ms = min_of(to_ms, next->until_ms);
        if (end_ms > start_ms)
            sum_ms += end_ms - start_ms;
        if (end_ms <= done_ms || end_ms == to_ms)
            return sum_ms;
        done_ms = end_ms;
    }
}

int64_t holds_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->holds.count; i++) {
        const struct hold *h = person_hold(who, i);
        if (h->until_ms > who->at_ms)
            next_ms = min_of(next_ms, h->until_ms);
    }
    return next_ms;
}

static bool is_needed(const struct person *who, const struct hold *h)
{
    if (h->until_ms > who->at_ms)
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
        uint16_t index;
        const struct plan_hold *means = plan_hold_of(who, h->name, &index);
        if (h->until_ms == who->at_ms && means != NULL) {
            person_touch_hold(who, i)->is_open = false;
            note_change(who, means, false);
        }
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
        if (h->is_open && find_open(who, h->name, h->key) != UINT32_MAX)
            continue;
        if (who->profile->holds.count == PROFILE_HOLDS_MAX)
            return;
        struct hold *fresh = person_push_hold(who);
        must(fresh != NULL);
        *fresh = *h;
        who->is_desk_due = true;
    }
}
