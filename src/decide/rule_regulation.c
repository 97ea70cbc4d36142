/* rule_regulation.c - contact hours and blackouts of the person's jurisdiction (regulation.h), with the
 * days from which and until which they hold.
 *
 *     HOURS      quiet from one time to another, on the person's wall or that of a zone. Who has told no
 *                zone may live in any that the programme names for that: quiet while it is in any
 *     BLACKOUT   the days of a calendar, or while a condition over the person is true; one that fails is
 *
 * Each row that is in the way says so; all of them must allow.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/regulation.h"
#include "profile/ask.h"
#include "profile/clock.h"

/* Is the row's time of day or calendar in the way, and until when is that so? */
static struct window_answer ask_clock(const struct question *q, const struct plan_regulation *row)
{
    if (row->kind == REGULATION_BLACKOUT)
        return clock_on_calendar(q->who, &q->plan->calendars[row->calendar - 1], q->at_ms);
    if (row->zone != PLAN_NO_INDEX)
        return window_ask(&row->quiet, zoneset_zone(q->plan->zones, row->zone), q->at_ms);
    return clock_quiet(q->who, &row->quiet, q->at_ms);
}

static struct window_answer ask_condition(const struct question *q,
                                          const struct plan_regulation *row)
{
    struct asked asked = ask_at(q->who, q->plan, &row->condition, (struct blob){0}, q->at_ms);
    return (struct window_answer){
        asked.is_true || (asked.is_error && !planted("regulation-fails-open")), asked.until_ms};
}

static struct answer ask_row(const struct question *q, const struct plan_regulation *row)
{
    const struct zone *zone = person_zone(q->who);
    int64_t day = zone_day(zone, q->at_ms);
    if (day > row->until_day - planted("regulation-until"))
        return ANSWER_ALLOW;
    if (day < row->from_day + planted("regulation-from"))
        return (struct answer){.kind = ALLOW, .at_ms = zone_day_begin(zone, row->from_day)};
    struct window_answer now =
        row->condition.code != NULL ? ask_condition(q, row) : ask_clock(q, row);
    if (now.is_inside && row->condition.code != NULL && row->calendar) {
        struct window_answer days = ask_clock(q, row); /* both of them */
        now = (struct window_answer){days.is_inside, min_of(now.until_ms, days.until_ms)};
    }
    if (!now.is_inside)
        return (struct answer){.kind = ALLOW, .at_ms = now.until_ms};
    int64_t until_ms = now.until_ms;
    if (row->until_day != INT64_MAX)
        until_ms = min_of(until_ms, zone_day_begin(zone, row->until_day + 1));
    if (until_ms == FOREVER_MS)
        say(q, "%.*s, until something changes", STR_ARG(row->text));
    else
        say(q, "%.*s, until %s", STR_ARG(row->text), moment(q, until_ms));
    blame(q, "the regulation %.*s%s%.*s", STR_ARG(row->name),
          str_is(row->places[0], "*") ? "" : " of ",
          STR_ARG(str_is(row->places[0], "*") ? STR("") : row->places[0]));
    must(until_ms > q->at_ms);
    return (struct answer){.kind = NOT_BEFORE, .at_ms = until_ms};
}

struct answer rule_regulation_ask(const struct question *q)
{
    struct answer answer = ANSWER_ALLOW;
    for (uint32_t i = 0; i < q->plan->regulation_count; i++) {
        const struct plan_regulation *row = &q->plan->regulations[i];
        if (row->kind != REGULATION_CONSENT && regulation_concerns(q, row))
            answer_join(&answer, ask_row(q, row));
    }
    return answer;
}
