/* outcome.c - what became of an instance's sends, for outcome("step"), and what it has saved: kept beside entry.* where an
 * expression of the journey asks for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

void outcome_store(struct person *who, uint32_t place, uint16_t step, enum outcome outcome)
{
    const struct instance *in = person_instance(who, place);
    const struct plan_journey *j = &person_plan(who, in->plan)->journeys[in->journey_index];
    if (step >= j->step_count || j->steps[step].kind != STEP_SEND)
        return;
    uint32_t name = j->steps[step].send.told_as;
    if (name == NAME_NONE)
        return;
    struct blob entry = person_more(who, in)->entry;
    struct body rest = {blob_at(who->space, entry), entry.bytes};
    struct body_field field;
    struct buf *b = who->bytes;
    b->len = 0;
    while (body_next(&rest, &field))
        if (field.name != name)
            buf_add(b, field.value + field.value_bytes - field.whole_bytes, field.whole_bytes);
    body_put_text(b, name, outcome_term(outcome)->name);
    if (b->len > SPACE_OBJECT_MAX)
        return; /* an entry of that size has no room: it stays unknown */
    blob_set(who->space, &entry, b->at, (uint32_t)b->len);
    instance_set_entry(who->space, person_touch_instance(who, place), entry);
    person_changed_name(who, name);
    who->is_touched = true;
}

/* The field of `from`, unless it is there already: several steps may save under one name. */
static void keep_field(struct buf *b, struct body from, uint32_t name)
{
    struct body_field field;
    if (name != NAME_NONE && body_find(from, name, &field) &&
        !body_find(body_of(b), name, &(struct body_field){0}))
        buf_add(b, field.value + field.value_bytes - field.whole_bytes, field.whole_bytes);
}

void outcomes_keep(struct person *who, uint32_t plan, const struct plan_journey *j,
                   struct blob from, struct blob *entry)
{
    struct body old = {blob_at(who->space, from), from.bytes};
    struct buf *b = who->bytes;
    b->len = 0;
    buf_add(b, blob_at(who->space, *entry), entry->bytes);
    for (uint32_t i = 0; i < j->step_count; i++) {
        const struct plan_step *step = &j->steps[i];
        if (step->kind == STEP_SEND)
            keep_field(b, old, step->send.told_as);
        if (step->kind != STEP_CALL && step->kind != STEP_TASK)
            continue;
        keep_field(b, old, step->errand.told_as);
        const struct plan_errand *means = &person_plan(who, plan)->errands[step->errand.errand];
        for (uint32_t k = 0; k < means->save_count; k++)
            keep_field(b, old, means->saves[k].name);
    }
    if (b->len <= SPACE_OBJECT_MAX)
        blob_set(who->space, entry, b->at, (uint32_t)b->len);
}
