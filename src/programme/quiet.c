/* quiet.c - is there an hour in which a message may go to people whose zone is not known?
 *
 * Of them the strictest of the zones in which they may live counts: quiet hours hold while they do in
 * any of them. Zones far enough apart leave no hour at all, and nobody would notice: each message to
 * them waits until it expires.
 *
 * And is there one in every place of which the law, or a rule of the programme's own, says hours? Quiet hours
 * and those together may leave none on any channel of a message, or none before it expires. Of a place whose
 * rules go by a clock of their own, people are taken to live by that clock; else by the programme's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "model/terms.h"
#include "when/span.h"
#include "when/window.h"
#include "when/zone.h"

#define WINTER_MS INT64_C(1768176000000) /* 2026-01-12, a Monday */
#define SUMMER_MS INT64_C(1783900800000) /* 2026-07-13, too */
#define STEPS_MAX 4000

static bool is_meant(const struct compile *c, const struct plan_message *message,
                     const struct plan_window *window)
{
    enum lane lane = (enum lane)c->plan->categories[message->category].lane;
    bool obeys = (lane_term(lane)->flags & LANE_WINDOWS) != 0;
    return (window->categories ? (window->categories >> message->category & 1) != 0 : obeys) &&
           !(window->channels && (message->channel_mask & ~window->channels)) &&
           window->calendar == 0; /* of some days only: there are others */
}

/* Is it quiet all week from there on? */
static bool is_quiet_for_ever(const struct compile *c, const struct plan_message *message,
                              const struct zone *const *zones, size_t count, int64_t from_ms)
{
    int64_t at_ms = from_ms;
    for (uint32_t step = 0; step < STEPS_MAX && at_ms < from_ms + 8 * DAY_MS; step++) {
        int64_t quiet_until_ms = at_ms;
        for (uint32_t i = 0; i < c->plan->window_count; i++) {
            const struct plan_window *w = &c->plan->windows[i];
            struct window window = {
                .from_ms = (int32_t)(w->from_minute * MINUTE_MS),
                .to_ms = (int32_t)(w->until_minute * MINUTE_MS),
                .weekdays = w->weekdays ? w->weekdays : 0x7f,
            };
            if (!is_meant(c, message, w))
                continue;
            struct window_answer quiet = window_ask_any(&window, zones, count, at_ms);
            if (quiet.is_inside)
                quiet_until_ms = max_of(quiet_until_ms, quiet.until_ms);
        }
        if (quiet_until_ms == at_ms)
            return false;
        at_ms = quiet_until_ms;
    }
    return true;
}

void quiet_look(struct compile *c)
{
    const struct zone *zones[PLAN_UNKNOWN_ZONES_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < c->plan->unknown_zone_count; i++)
        zones[count++] = zoneset_zone(c->plan->zones, c->plan->unknown_zones[i]);
    if (count == 0)
        zones[count++] = zoneset_zone(c->plan->zones, c->plan->zone);
    const struct yaml_node *root = c->settings ? c->settings->yaml.root : NULL;
    const char *key = count > 1 ? "unknown_timezone" : "quiet_hours";
    const struct yaml_node *list = root && root->type == YAML_MAP ? yaml_find_key(root, key) : NULL;
    if (list == NULL)
        return; /* the standard ones leave hours in any single zone */
    for (uint32_t i = 0; i < c->plan->message_count; i++) {
        const struct plan_message *message = &c->plan->messages[i];
        if (message->channel_mask == 0 || message->category == PLAN_NO_INDEX ||
            !(is_quiet_for_ever(c, message, zones, count, WINTER_MS) ||
              is_quiet_for_ever(c, message, zones, count, SUMMER_MS)))
            continue;
        findings_add(c->findings, FINDING_NO_HOUR, yaml_place(&c->settings->yaml, list),
                     count > 1
                         ? "it is quiet at every hour in one of the zones: \"%.*s\" never goes "
                           "to people whose own zone is not known"
                         : "it is quiet at every hour: \"%.*s\" never goes to anybody",
                     STR_ARG(names_text(c->names, message->name)));
        finding_advise(c->findings, count > 1 ? "name fewer zones, or make quiet hours shorter"
                                              : "make quiet hours shorter");
        return; /* once is enough */
    }
}

/* ---- with regulations ---------------------------------------------------------------------------- */

#define PLACES_MAX 64

/* Does a rule for `of` hold for people in `place`: there, in its whole country, or everywhere? */
static bool holds_in(struct str of, struct str place)
{
    return str_is(of, "*") || str_equal(of, place) ||
           (of.len == 2 && place.len > 2 && str_starts(place, of));
}

static bool has_hours(const struct compile *c, const struct plan_regulation *row,
                      const struct plan_message *message, struct str place, int64_t day)
{
    enum lane lane = (enum lane)c->plan->categories[message->category].lane;
    bool is_meant =
        row->categories ? row->categories >> message->category & 1 : (row->lanes >> lane & 1) != 0;
    if (row->kind != REGULATION_HOURS || !is_meant || day < row->from_day || day > row->until_day)
        return false;
    for (uint32_t i = 0; i < row->place_count; i++)
        if (holds_in(row->places[i], place))
            return true;
    return false;
}

/* Until when what is so at a moment stays so. */
struct stretch {
    int64_t quiet_ms; /* the moment itself: nothing is quiet */
    int64_t free_ms;  /* before then nothing begins to be */
};

static void add_answer(struct stretch *s, struct window_answer answer)
{
    if (answer.is_inside)
        s->quiet_ms = max_of(s->quiet_ms, answer.until_ms);
    else
        s->free_ms = min_of(s->free_ms, answer.until_ms);
}

/* Rules hold from some day on: none begins or ends before the next one. */
static int64_t next_day(const struct zone *zone, int64_t at_ms)
{
    return zone_day_start(zone, zone_day_start(zone, at_ms) + 36 * HOUR_MS);
}

/* What is quiet on the channel in the place at that moment. *by is a rule that says so. */
static struct stretch stretch_of(const struct compile *c, const struct plan_message *message,
                                 struct str place, enum channel channel, const struct zone *zone,
                                 int64_t at_ms, const struct plan_regulation **by)
{
    struct stretch out = {.quiet_ms = at_ms, .free_ms = next_day(zone, at_ms)};
    int64_t day = zone_day(zone, at_ms);
    for (uint32_t i = 0; i < c->plan->window_count; i++) {
        const struct plan_window *w = &c->plan->windows[i];
        struct window window = {
            .from_ms = (int32_t)(w->from_minute * MINUTE_MS),
            .to_ms = (int32_t)(w->until_minute * MINUTE_MS),
            .weekdays = w->weekdays ? w->weekdays : 0x7f,
        };
        struct plan_message one = *message;
        one.channel_mask = 1u << channel;
        if (!is_meant(c, &one, w))
            continue;
        add_answer(&out, window_ask(&window, zone, at_ms));
    }
    for (uint32_t i = 0; i < c->plan->regulation_count; i++) {
        const struct plan_regulation *row = &c->plan->regulations[i];
        if ((row->channels && !(row->channels >> channel & 1)) ||
            !has_hours(c, row, message, place, day))
            continue;
        const struct zone *clock =
            row->zone == PLAN_NO_INDEX ? zone : zoneset_zone(c->plan->zones, row->zone);
        struct window_answer quiet = window_ask(&row->quiet, clock, at_ms);
        add_answer(&out, quiet);
        if (quiet.is_inside)
            *by = row;
    }
    return out;
}

/* The longest time in a week from there on that is quiet without a break; FOREVER_MS: all of it. */
static int64_t longest_quiet(const struct compile *c, const struct plan_message *message,
                             struct str place, enum channel channel, const struct zone *zone,
                             int64_t from_ms, const struct plan_regulation **by)
{
    int64_t longest_ms = 0, begin_ms = from_ms, at_ms = from_ms;
    for (uint32_t step = 0; step < STEPS_MAX && at_ms < from_ms + 15 * DAY_MS; step++) {
        struct stretch now = stretch_of(c, message, place, channel, zone, at_ms, by);
        if (now.quiet_ms > at_ms) {
            at_ms = now.quiet_ms;
            continue;
        }
        longest_ms = max_of(longest_ms, at_ms - begin_ms);
        at_ms = now.free_ms;
        begin_ms = at_ms;
    }
    return at_ms - begin_ms >= 8 * DAY_MS ? FOREVER_MS : longest_ms;
}

/* On the clock by which people of the place live. */
static const struct zone *zone_of_place(const struct compile *c, struct str place)
{
    for (uint32_t i = 0; i < c->plan->regulation_count; i++) {
        const struct plan_regulation *row = &c->plan->regulations[i];
        if (row->kind == REGULATION_HOURS && row->zone != PLAN_NO_INDEX &&
            str_equal(row->places[0], place))
            return zoneset_zone(c->plan->zones, row->zone);
    }
    return zoneset_zone(c->plan->zones, c->plan->zone);
}

/* Of the message's channels the one on which it is quiet for the shortest: the desk may take any. */
static int64_t quiet_in(const struct compile *c, const struct plan_message *message,
                        struct str place, const struct plan_regulation **by)
{
    const struct zone *zone = zone_of_place(c, place);
    int64_t least_ms = FOREVER_MS;
    bool is_anywhere_free = false;
    for (uint32_t channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++) {
        const struct plan_regulation *said = NULL;
        if (!(message->channel_mask >> channel & 1))
            continue;
        int64_t winter_ms =
            longest_quiet(c, message, place, (enum channel)channel, zone, WINTER_MS, &said);
        int64_t summer_ms =
            longest_quiet(c, message, place, (enum channel)channel, zone, SUMMER_MS, &said);
        is_anywhere_free |= said == NULL;
        least_ms = min_of(least_ms, max_of(winter_ms, summer_ms));
        if (said != NULL)
            *by = said;
    }
    if (is_anywhere_free) /* a channel of which no rule speaks: what quiet hours do there is said elsewhere */
        *by = NULL;
    return least_ms;
}

static void place_look(struct compile *c, const struct plan_message *message, struct place at,
                       struct str place)
{
    const struct plan_regulation *by = NULL;
    int64_t quiet_ms = quiet_in(c, message, place, &by);
    char text[2][SPAN_BYTES];
    if (by == NULL || (quiet_ms != FOREVER_MS && message->valid_for_ms > quiet_ms))
        return;
    struct str name = names_text(c->names, message->name);
    bool is_everywhere = str_is(place, "*");
    struct str where = is_everywhere ? STR("people") : place;
    if (quiet_ms == FOREVER_MS)
        findings_add(c->findings, FINDING_UNDELIVERABLE, at,
                     "quiet hours and \"%.*s\" leave no hour in which \"%.*s\" may go to %s%.*s",
                     STR_ARG(by->text), STR_ARG(name), is_everywhere ? "" : "people in ",
                     STR_ARG(where));
    else
        findings_add(c->findings, FINDING_UNDELIVERABLE, at,
                     "\"%.*s\" is valid for %s; for %s%.*s quiet hours and \"%.*s\" last %s "
                     "together: what is wanted when they begin never goes",
                     STR_ARG(name), span_print(span_of_ms(message->valid_for_ms), text[0]).at,
                     is_everywhere ? "" : "people in ", STR_ARG(where), STR_ARG(by->text),
                     span_print(span_of_ms(quiet_ms), text[1]).at);
    finding_advise(c->findings, quiet_ms == FOREVER_MS
                                    ? "shorten one of them, or give the message another channel"
                                    : "let it wait longer (valid_for), or say so in its category");
}

void regulations_look(struct compile *c, const struct plan_message *message, struct place at,
                      int64_t quiet_ms)
{
    struct str seen[PLACES_MAX];
    uint32_t count = 0;
    if (message->channel_mask == 0 || message->category >= c->plan->category_count ||
        (quiet_ms && message->valid_for_ms <= quiet_ms))
        return; /* said already */
    for (uint32_t i = 0; i < c->plan->regulation_count; i++) {
        const struct plan_regulation *row = &c->plan->regulations[i];
        for (uint32_t k = 0; row->kind == REGULATION_HOURS && k < row->place_count; k++) {
            bool is_known = false;
            for (uint32_t s = 0; s < count; s++)
                is_known |= str_equal(seen[s], row->places[k]);
            if (is_known || count == PLACES_MAX)
                continue;
            seen[count++] = row->places[k];
            uint32_t before = c->findings->count;
            place_look(c, message, at, row->places[k]);
            if (c->findings->count > before)
                return; /* once is enough */
        }
    }
}
