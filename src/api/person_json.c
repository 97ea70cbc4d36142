/* SPDX-License-Identifier: Apache-2.0 */
#include "api/person_json.h"

#include <stdio.h>

#include "api/why_json.h"
#include "model/errand.h"
#include "profile/choices.h"
#include "profile/traits.h"
#include "when/civil.h"
#include "json/json_write.h"

static void write_moment(struct json_writer *w, const char *key, int64_t at_ms)
{
    char text[TIMESTAMP_BYTES];
    bool is_never = at_ms == FOREVER_MS;
    json_write_key_text(w, key, is_never ? STR("never") : timestamp_print(at_ms, text));
}

/* The same of a moment that is not known, or that only an event brings: null then. */
static void write_expected(struct json_writer *w, const char *key, int64_t at_ms)
{
    if (at_ms == FOREVER_MS)
        json_write_key_null(w, key);
    else
        write_moment(w, key, at_ms);
}

static void write_traits(struct person *who, struct json_writer *w)
{
    uint32_t place = 0;
    struct body_field field;
    int64_t at_ms;
    json_write_key(w, STR("traits"));
    json_write_map(w);
    while (traits_next(who, &place, &field, &at_ms)) {
        json_write_key(w, names_text(who->names, field.name));
        json_write_value(w, body_value(&field, who->scratch));
    }
    json_write_end(w);
}

/* When journeys begin by the person's clock, and what is being collected for them. */
static void write_appointments(struct person *who, struct json_writer *w)
{
    static const char *const kinds[] = {"", "schedule", "date", "collection"};
    json_write_key(w, STR("appointments"));
    json_write_list(w);
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        const struct appointment *x = person_appointment(who, i);
        if (x->at_ms == FOREVER_MS)
            continue;
        json_write_map(w);
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "by", str_of(kinds[x->kind]));
        write_moment(w, "at", x->at_ms);
        if (x->kind == APPOINTMENT_COLLECT)
            json_write_key_int(w, "collected", x->count);
        json_write_end(w);
    }
    json_write_end(w);
}

/* What their journeys ask of services and people. */
static void write_errands(struct person *who, struct json_writer *w)
{
    static const char *const states[] = {"waits",     "queued",     "taken back",
                                         "under way", "taken back", "open"};
    json_write_key(w, STR("errands"));
    json_write_list(w);
    for (uint32_t i = 0; i < who->profile->errands.count; i++) {
        const struct errand *x = person_errand(who, i);
        char key[ERRAND_KEY_BYTES];
        errand_key_print(x->key_profile, x->decision, key);
        json_write_map(w);
        json_write_key_text(w, x->kind == ERRAND_TASK ? "task" : "call", str_of(key));
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "step", names_text(who->names, x->name));
        json_write_key_text(w, "state", str_of(states[x->state]));
        write_moment(w, "since", x->began_ms);
        write_moment(w, "until", x->deadline_ms);
        json_write_end(w);
    }
    json_write_end(w);
}

/* Who would have them in which ad audience, and what its provider knows. */
static void write_audiences(struct person *who, struct json_writer *w)
{
    static const char *const until[] = {"", "journey", "stage", "ever"};
    static const char *const known[] = {"out", "in", "in doubt"};
    json_write_key(w, STR("audiences"));
    json_write_list(w);
    for (uint32_t i = 0; i < who->profile->wishes.count; i++) {
        const struct wish *x = person_wish(who, i);
        json_write_map(w);
        json_write_key_text(w, "audience", names_text(who->names, x->audience));
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "for", str_of(until[x->until]));
        write_moment(w, "since", x->at_ms);
        json_write_key_bool(w, "is_let_in", x->is_in);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("listings"));
    json_write_list(w);
    for (uint32_t i = 0; i < who->profile->listings.count; i++) {
        const struct listing *x = person_listing(who, i);
        json_write_map(w);
        json_write_key_text(w, "audience", names_text(who->names, x->audience));
        json_write_key_text(w, "provider_has_them", str_of(known[x->known]));
        write_moment(w, "since", x->since_ms);
        if (x->state != LISTING_IDLE)
            json_write_key_text(w, "is_told", str_of(x->adds ? "add" : "remove"));
        else if (x->failures > 0)
            write_moment(w, "next_try", x->again_ms);
        json_write_end(w);
    }
    json_write_end(w);
}

static void write_state(struct person *who, struct json_writer *w)
{
    const struct profile *p = who->profile;
    json_write_key(w, STR("consents"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->consents.count; i++) {
        const struct consent *x = person_consent(who, i);
        json_write_map(w);
        json_write_key_text(w, "channel", channel_name((enum channel)x->channel));
        json_write_key_text(w, "purpose", names_text(who->names, x->purpose));
        json_write_key_text(w, "topic", names_text(who->names, x->topic));
        json_write_key_text(w, "says",
                            x->bar == BAR_BAD       ? STR("bad address")
                            : x->bar == BAR_STOPPED ? STR("stopped")
                            : x->is_given           ? STR("granted")
                                                    : STR("denied"));
        json_write_key_text(w, "source", names_text(who->names, x->source));
        write_moment(w, "at", x->at_ms);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("choices"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->choices.count; i++) {
        const struct choice *x = person_choice(who, i);
        json_write_map(w);
        json_write_key_text(w, "chose", choice_words(who, x));
        json_write_key_text(w, "source", names_text(who->names, x->source));
        write_moment(w, "at", x->at_ms);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("journeys"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->instances.count; i++) {
        const struct instance *x = person_instance(who, i);
        const struct plan *plan = person_plan(who, x->plan);
        const struct plan_journey *j = &plan->journeys[x->journey_index];
        json_write_map(w);
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "step",
                            x->step == PLAN_END ? STR("")
                                                : names_text(who->names, j->steps[x->step].id));
        write_moment(w, "entered", x->entered_ms);
        write_expected(w, "next", min_of(x->due_ms, person_more(who, x)->ask_ms));
        json_write_key_bool(w, "is_held_out", x->flags & INSTANCE_IS_GHOST);
        json_write_end(w);
    }
    json_write_end(w);
    struct standing standing = profile_standing(who->space, p);
    if (standing.stage != NAME_NONE) {
        json_write_key_text(w, "stage", names_text(who->names, standing.stage));
        write_moment(w, "stage_since", standing.since_ms);
    }
    json_write_key(w, STR("segments"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->memberships.count; i++) {
        const struct membership *x = person_membership(who, i);
        struct str name = names_text(who->names, x->segment);
        if (!(x->flags & MEMBERSHIP_IS_IN) || str_starts(name, STR("$")))
            continue;
        json_write_map(w);
        json_write_key_text(w, "segment", name);
        write_moment(w, "since", x->since_ms);
        write_moment(w, "until", x->ask_ms);
        json_write_key_bool(w, "is_by_hand", x->flags & MEMBERSHIP_WAS_ADDED);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("past_journeys"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->pasts.count; i++) {
        const struct past *x = person_past(who, i);
        json_write_map(w);
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "ended", end_term((enum journey_end)x->end)->name);
        write_moment(w, "entered_at", x->entered_ms);
        write_moment(w, "ended_at", x->ended_ms);
        json_write_end(w);
    }
    json_write_end(w);
    static const char *const states[] = {"",        "settling", "deferred", "queued", "revoking",
                                         "granted", "in_doubt", "planned",  "watched"};
    json_write_key(w, STR("pending"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->intents.count; i++) {
        const struct intent *x = person_intent(who, i);
        json_write_map(w);
        json_write_key_text(w, "message", names_text(who->names, x->message));
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "state", str_of(states[x->state]));
        write_expected(w, "not_before",
                       x->state == INTENT_SETTLING || x->state == INTENT_PLANNED
                           ? x->settle_ms
                           : x->not_before_ms);
        write_moment(w, "deadline", x->deadline_ms);
        if (x->attempt > 0)
            json_write_key_int(w, "attempt", x->attempt);
        if (x->tries > 0) { /* tries of it that failed for now */
            json_write_key_int(w, "tries", x->tries);
            json_write_key_int(w, "last_code", x->code);
        }
        if (x->again_ms != 0)
            write_moment(w, "next_try", x->again_ms);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("messages"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->ledger.count; i++) {
        const struct sent *x = person_sent(who, i);
        json_write_map(w);
        json_write_key_text(w, "message", names_text(who->names, x->message));
        json_write_key_text(w, "journey",
                            names_text(who->names, person_sent_more(who, x)->journey));
        json_write_key_text(w, "channel", channel_name((enum channel)x->channel));
        write_moment(w, "at", x->at_ms);
        json_write_key_text(w, "state",
                            x->state == SENT_RESERVED  ? STR("on its way")
                            : x->state == SENT_GHOST   ? STR("held out")
                            : x->state == SENT_TOUCH   ? STR("an event that caps count")
                            : x->flags & SENT_ACCEPTED ? STR("sent")
                                                       : STR("attempting"));
        json_write_key_bool(w, "is_opened", x->flags & SENT_OPENED);
        json_write_key_bool(w, "is_clicked", x->flags & SENT_CLICKED);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("holds"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->holds.count; i++) {
        const struct hold *x = person_hold(who, i);
        json_write_map(w);
        json_write_key_text(w, "hold", names_text(who->names, x->name));
        json_write_key_bool(w, "is_open", x->is_open);
        write_moment(w, "from", x->from_ms);
        write_moment(w, "until", x->until_ms);
        json_write_end(w);
    }
    json_write_end(w);
    write_audiences(who, w);
    write_errands(who, w);
    write_appointments(who, w);
}

void person_json(struct engine *e, uint64_t profile, struct buf *out)
{
    struct person who;
    struct json_writer w;
    char number[32];
    engine_look(e, profile, &who);
    snprintf(number, sizeof(number), "%lx", who.id);
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "profile", str_of(number));
    write_moment(&w, "first_seen", who.profile->first_seen_ms);
    write_moment(&w, "last_seen", who.profile->last_seen_ms);
    write_moment(&w, "as_of", engine_now(e));
    write_traits(&who, &w);
    write_state(&who, &w);
    json_write_key(&w, STR("scheduled"));
    why_json_pending(&w, e, profile, NULL);
    json_write_key(&w, STR("next"));
    why_json_next(&w, e, profile);
    json_write_end(&w);
}
