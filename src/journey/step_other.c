/* step_other.c - the steps that lead into another journey.
 *
 *     handoff     this instance ends `handed_off`, one of the other journey begins: one or the other,
 *                 never both, never none. What that journey says of entries holds; if it refuses, this
 *                 instance goes on.
 *     run         one of the other journey begins, and this one goes on when that is over, however it
 *                 ends. What ends this one meanwhile ends that one too.
 *
 * The other journey begins with an event that has what it is given, and `from`: this journey's name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/ask.h"

/* What the other journey begins with; its body is good until the batch ends. */
static struct record record_of(struct step *s, enum event_kind kind, uint32_t name)
{
    const struct plan_other *other = &s->means->other;
    struct person *who = s->who;
    struct buf bytes;
    bool has_from = false;
    buf_init(&bytes);
    for (uint32_t i = 0; i < other->given_count; i++) {
        const struct plan_given *given = &other->given[i];
        struct value value = ask_value(who, s->plan, &given->value, step_more(s)->entry);
        has_from |= given->name == NAME_FROM;
        if (value.type == VALUE_ERROR)
            person_result(who, (struct result){.kind = RESULT_ERROR,
                                               .how = ERROR_STEP,
                                               .step = s->at->step,
                                               .journey = s->at->journey,
                                               .version = s->at->plan,
                                               .id = s->at->id});
        else if (value.type != VALUE_NONE)
            (void)body_put(&bytes, given->name, &value);
    }
    if (!has_from)
        body_put_text(&bytes, NAME_FROM, names_text(who->names, s->at->journey));
    struct str kept = arena_copy(who->scratch, buf_str(&bytes));
    buf_fini(&bytes);
    return (struct record){
        .type = RECORD_EVENT,
        .kind = (uint8_t)kind,
        .schema = RECORD_SCHEMA,
        .name = name,
        .at_ms = who->at_ms,
        .event_ms = who->at_ms,
        .arrival_ms = who->at_ms,
        .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len},
    };
}

enum step_answer step_handoff_run(struct step *s)
{
    struct record event = record_of(s, EVENT_HANDOFF, NAME_HANDOFF);
    if (entry_hand_over(s->who, s->place, s->means->other.journey, &event))
        return STEP_GONE;
    return STEP_GO;
}

enum step_answer step_run_run(struct step *s)
{
    struct record event = record_of(s, EVENT_RUN, NAME_RUN);
    s->at->state = INSTANCE_AWAY;
    return entry_run(s->who, s->place, s->means->other.index, &event) ? STEP_STAYS : STEP_GO;
}
