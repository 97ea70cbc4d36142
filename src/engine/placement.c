/* placement.c - asks for a placement between two batches.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/engine_int.h"
#include "profile/ask.h"

/* The person, at a moment that is not before the last batch's, on the page. */
static struct person look(struct engine *e, uint64_t profile, struct body page, int64_t now_ms,
                          struct arena *arena, struct record *record)
{
    struct person who;
    must(profile != 0);
    engine_look(e, profile, &who);
    who.now_ms = who.at_ms = max_of(e->now_ms, now_ms);
    must(who.now_ms >= e->now_ms);
    *record = (struct record){.type = RECORD_EVENT,
                              .kind = EVENT_TRACK,
                              .schema = RECORD_SCHEMA,
                              .name = NAME_PAGE,
                              .at_ms = who.now_ms,
                              .event_ms = who.now_ms,
                              .arrival_ms = who.now_ms,
                              .clear = page};
    who.scratch = arena;
    who.event = record;
    return who;
}

const struct plan_placement *engine_decide(struct engine *e, uint64_t profile, uint32_t placement,
                                           struct body page, int64_t now_ms, struct arena *arena,
                                           struct placement_answer *out)
{
    const struct plan *plan = engine_plan(e);
    struct record record;
    *out = (struct placement_answer){.until_ms = FOREVER_MS};
    for (uint32_t i = 0; plan != NULL && i < plan->placement_count; i++) {
        const struct plan_placement *means = &plan->placements[i];
        if (means->name != placement)
            continue;
        if (profile != 0) {
            struct person who = look(e, profile, page, now_ms, arena, &record);
            placement_decide(&who, means, out);
        }
        return means;
    }
    return NULL;
}

struct value engine_offer_field(struct engine *e, uint64_t profile, const struct plan_expr *value,
                                struct body page, int64_t now_ms, struct arena *arena)
{
    struct record record;
    struct person who = look(e, profile, page, now_ms, arena, &record);
    return ask_value(&who, engine_plan(e), value, (struct blob){0});
}
