/* explain_entry.c - why somebody did not enter a journey, and what alone would have let them in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/ask.h"

/* "they are in checkout and welcome" and the like: who is in the way, of the journey or its group. */
static struct str those_in(struct person *who, const struct plan_journey *j, bool is_group)
{
    struct str list = STR("");
    for (uint32_t i = 0; i < who->profile->instances.count; i++) {
        const struct instance *in = person_instance(who, i);
        uint16_t other = plan_journey_find(who->plan, in->journey);
        bool counts = is_group
                          ? other != PLAN_NO_INDEX && who->plan->journeys[other].group == j->group
                          : in->journey == j->name;
        if (counts)
            list = arena_printf(who->scratch, "%.*s%s%.*s since %s", STR_ARG(list),
                                list.len ? ", " : "", STR_ARG(names_text(who->names, in->journey)),
                                person_moment(who, in->entered_ms));
    }
    return list;
}

/* A length of time in words: "3 days". */
static struct str length_of(struct person *who, int64_t ms)
{
    return ms >= 2 * DAY_MS    ? arena_printf(who->scratch, "%ld days", (long)(ms / DAY_MS))
           : ms >= 2 * HOUR_MS ? arena_printf(who->scratch, "%ld hours", (long)(ms / HOUR_MS))
           : ms >= 2 * MINUTE_MS
               ? arena_printf(who->scratch, "%ld minutes", (long)(ms / MINUTE_MS))
               : arena_printf(who->scratch, "%ld seconds", (long)(ms / SECOND_MS));
}

/* The condition of the entry that failed to evaluate, or the key that the event lacks. */
static struct str explain_error(struct person *who, const struct plan_journey *j)
{
    for (uint32_t i = 0; i < j->entry_count; i++) {
        if (!entry_is_about(who, &j->entries[i]))
            continue;
        struct asked asked = ask(who, who->plan, &j->entries[i].when, (struct blob){0});
        if (asked.is_error)
            return ask_explain(who, who->plan, &j->entries[i].when, (struct blob){0});
    }
    if (j->key != NAME_NONE && record_key(who->event, j->key) == 0)
        return arena_printf(who->scratch,
                            "the event has no \"%.*s\" that could be the key of the journey",
                            STR_ARG(names_text(who->names, j->key)));
    return STR("the condition fails");
}

/* The facts of a refusal. */
static struct str facts_of(struct person *who, const struct plan_journey *j, enum refusal why,
                           int64_t number)
{
    struct arena *scratch = who->scratch;
    switch (why) {
    case REFUSAL_AGAIN:
        return number == FOREVER_MS
                   ? STR("they have been in it, and it may be entered once")
                   : arena_printf(scratch,
                                  "they have been in it; it may be entered again from %s on",
                                  person_moment(who, number));
    case REFUSAL_AT_ONCE:
        return arena_printf(scratch, "%ld of %u that there may be at once: they are in %.*s",
                            (long)number, j->at_once_max, STR_ARG(those_in(who, j, false)));
    case REFUSAL_LATE:
        if (who->event == NULL)
            return STR("it came too late");
        return arena_printf(scratch, "the event came %.*s after it happened; %.*s are allowed",
                            STR_ARG(length_of(who, number)),
                            STR_ARG(length_of(who, entry_lateness(j, who->event))));
    case REFUSAL_CONSUMED:
        return STR("the event moved them on in the journey, where they are already");
    case REFUSAL_HISTORY: return STR("imported history begins no journey");
    case REFUSAL_LIMIT:
        return arena_printf(scratch, "they are in %ld journeys, and no more are followed",
                            (long)number);
    case REFUSAL_REQUIRE: {
        if (who->event == NULL)
            return STR("what the journey requires does not hold");
        struct blob entry = {0};
        entry_keep(who, j, &entry);
        struct str text = ask_explain(who, who->plan, &j->require, entry);
        blob_set(who->space, &entry, NULL, 0);
        return text;
    }
    case REFUSAL_ERROR:
        return who->event != NULL ? explain_error(who, j) : STR("the condition fails");
    case REFUSAL_LOOP:
        return STR("they were handed from journey to journey too often at one moment");
    case REFUSAL_WHEN: return STR("the condition of its entry is false");
    case REFUSAL_QUEUED: return STR("it waited for its turn, and what it was about is over");
    case REFUSAL_GROUP:
        return arena_printf(scratch, "its group takes %ld at once: they are in %.*s", (long)number,
                            STR_ARG(those_in(who, j, true)));
    case REFUSAL_NO_WAY: return STR("there is no such journey, or it cannot be entered by the API");
    case REFUSAL_DRAFT: return STR("the journey is a draft: nobody enters it");
    case REFUSAL_PAUSED: return STR("the journey is paused, and refuses who would enter meanwhile");
    case REFUSAL_DRAINING: return STR("the journey takes nobody in any more: it is being drained");
    case REFUSAL_STOPPED: return STR("the journey is stopped");
    case REFUSAL_FULL:
        return arena_printf(scratch, "it takes %ld people at once, and so many are in it",
                            (long)number);
    case REFUSAL_END: break;
    }
    return STR("");
}

/* What would have to be otherwise. */
static const char *cause_of(enum refusal why)
{
    switch (why) {
    case REFUSAL_AGAIN: return "their having been in it before";
    case REFUSAL_AT_ONCE: return "their being in it already";
    case REFUSAL_LATE: return "the lateness of the event";
    case REFUSAL_CONSUMED: return "their being in it already, where the event moved them on";
    case REFUSAL_HISTORY: return "the event's being imported history";
    case REFUSAL_LIMIT: return "the number of journeys that they are in";
    case REFUSAL_REQUIRE: return "what the journey requires";
    case REFUSAL_LOOP: return "the number of journeys that handed them on";
    case REFUSAL_WHEN: return "the condition of its entry";
    case REFUSAL_QUEUED: return "the wait for its turn";
    case REFUSAL_ERROR: return "what the event lacks";
    case REFUSAL_GROUP: return "the other journeys of its group";
    case REFUSAL_NO_WAY: return "the lack of a way for the API to enter it";
    case REFUSAL_DRAFT: return "its being a draft";
    case REFUSAL_PAUSED: return "its being paused";
    case REFUSAL_DRAINING: return "its being drained";
    case REFUSAL_STOPPED: return "its being stopped";
    case REFUSAL_FULL: return "the number of people who are in it";
    case REFUSAL_END: break;
    }
    return "";
}

/* The one change that would have let them in, or that it takes more: parts of the condition that are not
 * true, and objections. */
static void tell_change(struct person *who, const struct plan_journey *j, struct failing failing,
                        const struct objections *all)
{
    struct note about = {.kind = NOTE_CHANGE, .journey = j->name};
    struct str name = names_text(who->names, j->name);
    struct str list = failing.parts;
    for (uint32_t i = 0; i < all->count; i++)
        list = arena_printf(who->scratch, "%.*s%s%s", STR_ARG(list), list.len ? "; " : "",
                            cause_of(all->at[i].why));
    if (failing.count + all->count == 1)
        person_tell(who, &about, "%.*s: would have been entered but for %.*s", STR_ARG(name),
                    STR_ARG(list));
    else if (failing.count + all->count > 1)
        person_tell(who, &about, "%.*s: no single change would have let them in; in the way: %.*s",
                    STR_ARG(name), STR_ARG(list));
}

void explain_refusal(struct person *who, uint32_t journey, enum refusal why, int64_t number)
{
    uint16_t index = who->plan != NULL ? plan_journey_find(who->plan, journey) : PLAN_NO_INDEX;
    const struct note about = {.kind = NOTE_ENTRY, .journey = journey};
    if (who->witness == NULL)
        return;
    struct plan_journey nobody = {.name = journey};
    const struct plan_journey *j = index == PLAN_NO_INDEX ? &nobody : &who->plan->journeys[index];
    person_tell(who, &about, "entry into %.*s refused: %s: %.*s",
                STR_ARG(names_text(who->names, journey)), refusal_name(why),
                STR_ARG(facts_of(who, j, why, number)));
}

void explain_entry(struct person *who, const struct plan_journey *j, const struct plan_expr *when,
                   const struct objections *all)
{
    const struct note about = {.kind = NOTE_ENTRY, .journey = j->name};
    struct failing failing = {0, STR("")};
    if (who->witness == NULL)
        return;
    if (when != NULL) {
        failing = ask_failing(who, who->plan, when, (struct blob){0});
        person_tell(who, &about, "does not enter %.*s: %.*s",
                    STR_ARG(names_text(who->names, j->name)),
                    STR_ARG(ask_explain(who, who->plan, when, (struct blob){0})));
    }
    tell_change(who, j, failing, all);
}
