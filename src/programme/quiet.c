/* quiet.c - is there an hour in which a message may go to people whose zone is not known?
 *
 * Of them the strictest of the zones in which they may live counts: quiet hours hold while they do in
 * any of them. Zones far enough apart leave no hour at all, and nobody would notice: each message to
 * them waits until it expires.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "model/terms.h"
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
