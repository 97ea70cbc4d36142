/* check.c - what works, but hardly as meant.
 *
 * Chains. A journey that sends three messages within a day, under a cap of two a day, is not wrong: the
 * third is deferred. It is wrong if the third may not wait that long. So each way through a journey is
 * walked with the least time that its waits take, and where message i + limit comes less than the
 * cap's window after message i, it must be allowed to wait for the rest of the window.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/check.h"

#include "model/state.h"
#include "profile/feature.h"
#include "programme/compile.h"
#include "when/span.h"
#include "when/zone.h"

#include <stdlib.h>

#define WAYS_MAX  256 /* through one journey; more are not walked */
#define SENDS_MAX 64  /* on one way */

static struct str span_words(int64_t ms, char *out)
{
    return span_print(span_of_ms(ms), out);
}

static struct str name_of(struct compile *c, uint32_t name)
{
    return names_text(c->names, name);
}

static bool obeys_caps(struct compile *c, const struct plan_message *message)
{
    enum lane lane = (enum lane)c->plan->categories[message->category].lane;
    return (lane_term(lane)->flags & LANE_CAPS) != 0;
}

/* ---- ways through a journey ------------------------------------------------------------------ */

struct chain_sent {
    const struct plan_send *send; /* of the step, or its follow-up */
    uint16_t step;
    int64_t at_ms; /* least time since entry */
};

struct walk {
    struct compile *c;
    uint32_t journey;
    struct chain_sent sends[SENDS_MAX];
    uint32_t send_count;
    uint32_t ways;
    bool *is_said; /* by step */
};

static int64_t message_valid_ms(const struct plan_send *send, const struct plan_message *message)
{
    return send->valid_for_ms ? send->valid_for_ms : message->valid_for_ms;
}

static bool cap_matches(const struct plan *plan, const struct plan_cap *cap, uint32_t journey,
                        const struct plan_send *send)
{
    const struct plan_message *message = &plan->messages[send->message];
    const struct plan_journey *of = &plan->journeys[journey];
    uint32_t channels = 0;
    for (uint32_t i = 0; i < send->channel_count; i++)
        channels |= send->channels[i] == PLAN_CHANNEL_PREFERRED ? message->channel_mask
                                                                : UINT32_C(1) << send->channels[i];
    if (cap->channels && (channels & ~cap->channels))
        return false; /* another channel may be free */
    if (cap->categories && !(cap->categories >> message->category & 1))
        return false;
    if (cap->groups && (of->group == PLAN_NO_INDEX || !(cap->groups >> of->group & 1)))
        return false;
    bool has_tag = cap->messages == NULL;
    for (uint32_t i = 0; i < cap->message_count && !has_tag; i++)
        has_tag = cap->messages[i] == message->name;
    return has_tag && (cap->journey == PLAN_NO_INDEX || cap->journey == journey);
}

/* Does the newest of the way's sends fit under the cap? */
static void chain_look(struct walk *w, const struct plan_cap *cap)
{
    struct compile *c = w->c;
    const struct chain_sent *newest = &w->sends[w->send_count - 1];
    const struct plan_message *message = &c->plan->messages[newest->send->message];
    if (w->is_said[newest->step] || !obeys_caps(c, message) ||
        !cap_matches(c->plan, cap, w->journey, newest->send))
        return;
    uint32_t limit = cap->kind == CAP_GAP ? 1 : cap->limit;
    uint32_t before = 0;
    int64_t first_ms = 0;
    for (uint32_t i = w->send_count - 1; i-- > 0 && before < limit;) {
        const struct plan_send *other = w->sends[i].send;
        if (!obeys_caps(c, &c->plan->messages[other->message]) ||
            !cap_matches(c->plan, cap, w->journey, other))
            continue;
        before++;
        first_ms = w->sends[i].at_ms;
    }
    int64_t wait_ms = cap->window_ms - (newest->at_ms - first_ms);
    if (before < limit || wait_ms <= message_valid_ms(newest->send, message))
        return;
    char text[3][SPAN_BYTES];
    w->is_said[newest->step] = true;
    findings_add(c->findings, FINDING_CROWDED, c->journey_infos[w->journey].places[newest->step],
                 "\"%.*s\" may have to wait %s for the cap \"%.*s\", but is only valid for %s",
                 STR_ARG(name_of(c, message->name)), span_words(wait_ms, text[0]).at,
                 STR_ARG(cap->text),
                 span_words(message_valid_ms(newest->send, message), text[1]).at);
    finding_advise(c->findings,
                   "it comes %s after the message that fills the cap: wait longer, send "
                   "less, or let it wait (valid_for)",
                   span_words(newest->at_ms - first_ms, text[2]).at);
}

/* A message of the way goes out: is there room for it, and later for its follow-up? */
static void walk_send(struct walk *w, const struct plan_send *send, uint16_t step, int64_t now_ms)
{
    if (w->send_count == SENDS_MAX)
        return;
    w->sends[w->send_count++] = (struct chain_sent){send, step, now_ms};
    for (uint32_t i = 0; i < w->c->plan->cap_count; i++)
        chain_look(w, &w->c->plan->caps[i]);
    if (send->follow_up) {
        uint32_t count = w->send_count;
        walk_send(w, &send->follow_up->send, step, now_ms + send->follow_up->after_ms);
        w->send_count = count; /* what comes next on the way may come before it, or without it */
    }
}

static void walk_from(struct walk *w, uint16_t at, int64_t now_ms, uint32_t depth);

/* How long it is until the moment at least, as far as the file says. */
static int64_t least_ms(const struct plan_moment *m)
{
    if (m->kind != MOMENT_AFTER || m->value.code)
        return 0;
    return span_add(m->span, zone_of_utc(), 0);
}

static void walk_arms(struct walk *w, const struct plan_arm *arms, uint32_t count, int64_t now_ms,
                      uint32_t depth)
{
    for (uint32_t i = 0; i < count && w->ways < WAYS_MAX; i++)
        walk_from(w, arms[i].target, now_ms, depth + 1);
}

/* Steps only lead forward, so a way ends; recursion is bounded by the nesting of branches, here by
 * depth, and by WAYS_MAX. */
static void walk_from(struct walk *w, uint16_t at, int64_t now_ms, uint32_t depth)
{
    struct compile *c = w->c;
    const struct plan_journey *journey = &c->plan->journeys[w->journey];
    uint32_t sends_before = w->send_count;
    while (at != PLAN_END && depth < PLAN_STEPS_MAX) {
        const struct plan_step *step = &journey->steps[at];
        uint16_t next = step->next;
        switch ((enum step_kind)step->kind) {
        case STEP_SEND: walk_send(w, &step->send, at, now_ms); break;
        case STEP_WAIT:
            for (uint32_t i = 0; i < step->wait.ending_count && w->ways < WAYS_MAX; i++)
                walk_from(w, step->wait.endings[i].target,
                          now_ms + least_ms(&step->wait.endings[i].moment), depth + 1);
            if (step->wait.on_timeout != PLAN_NO_INDEX)
                walk_from(w, step->wait.on_timeout, now_ms + max_of(step->wait.for_ms, INT64_C(0)),
                          depth + 1);
            if (step->wait.ending_count && !step->wait.until_count && !step->wait.until_if.code &&
                step->wait.for_ms < 0 && !step->wait.for_days) {
                next = PLAN_END; /* only its endings lead on, which have been gone */
                break;
            }
            if (step->wait.until_count || step->wait.until_if.code)
                break; /* may end at once */
            now_ms += step->wait.for_days ? (int64_t)step->wait.for_days * DAY_MS
                                          : max_of(step->wait.for_ms, INT64_C(0));
            break;
        case STEP_BRANCH:
            walk_arms(w, step->branch.arms, step->branch.arm_count, now_ms, depth);
            break;
        case STEP_SPLIT:
            walk_arms(w, step->split.arms, step->split.arm_count, now_ms, depth);
            next = PLAN_END;
            break;
        case STEP_CHOOSE:
            for (uint32_t i = 0; i < step->choose.count && w->ways < WAYS_MAX; i++)
                walk_from(w, step->choose.candidates[i].target, now_ms, depth + 1);
            break;
        case STEP_CALL:
        case STEP_TASK:
            if (step->errand.if_failed != PLAN_NO_INDEX)
                walk_from(w, step->errand.if_failed, now_ms, depth + 1);
            if (step->errand.if_late != PLAN_NO_INDEX)
                walk_from(w, step->errand.if_late,
                          now_ms + c->plan->errands[step->errand.errand].within_ms, depth + 1);
            break;
        case STEP_HANDOFF:
        case STEP_RUN:
        case STEP_MILESTONE:
        case STEP_STAGE:
        case STEP_AUDIENCE:
        case STEP_SET: break;
        case STEP_EXIT: next = PLAN_END; break;
        case STEP_GOAL: break;
        }
        at = next;
        if (w->ways >= WAYS_MAX)
            break;
    }
    w->ways++;
    w->send_count = sends_before;
}

/* ---- what can be reached --------------------------------------------------------------------- */

struct reach {
    const struct plan_journey *journey;
    bool *is_reached;
    uint16_t *todo;
    uint32_t todo_count;
};

static void reach_add(struct reach *r, uint16_t step)
{
    if (step == PLAN_END || r->is_reached[step])
        return;
    r->is_reached[step] = true;
    r->todo[r->todo_count++] = step;
}

static void reach_step(struct reach *r, const struct plan_step *step)
{
    switch ((enum step_kind)step->kind) {
    case STEP_SEND:
        reach_add(r, step->next);
        reach_add(r, step->send.if_not_sent);
        return;
    case STEP_WAIT:
        reach_add(r, step->next);
        reach_add(r, step->wait.on_timeout);
        for (uint32_t i = 0; i < step->wait.ending_count; i++)
            reach_add(r, step->wait.endings[i].target);
        return;
    case STEP_BRANCH:
        for (uint32_t i = 0; i < step->branch.arm_count; i++)
            reach_add(r, step->branch.arms[i].target);
        reach_add(r, step->next);
        return;
    case STEP_SPLIT:
        for (uint32_t i = 0; i < step->split.arm_count; i++)
            if (step->split.arms[i].weight)
                reach_add(r, step->split.arms[i].target);
        return;
    case STEP_CHOOSE:
        for (uint32_t i = 0; i < step->choose.count; i++)
            reach_add(r, step->choose.candidates[i].target);
        reach_add(r, step->next);
        return;
    case STEP_CALL:
    case STEP_TASK:
        reach_add(r, step->next);
        reach_add(r, step->errand.if_failed);
        reach_add(r, step->errand.if_late);
        return;
    case STEP_EXIT: return;
    case STEP_HANDOFF: /* where it is refused */
    case STEP_RUN:
    case STEP_MILESTONE:
    case STEP_STAGE:
    case STEP_AUDIENCE:
    case STEP_SET:
    case STEP_GOAL: reach_add(r, step->next); return;
    }
}

static void reach_look(struct compile *c, uint32_t index)
{
    const struct plan_journey *journey = &c->plan->journeys[index];
    struct reach r = {
        .journey = journey,
        .is_reached = arena_array(&c->scratch, bool, journey->step_count),
        .todo = arena_array(&c->scratch, uint16_t, journey->step_count),
    };
    if (journey->step_count)
        reach_add(&r, 0);
    for (uint32_t i = 0; i < journey->milestone_count; i++)
        reach_add(&r, journey->milestones[i].first);
    for (uint32_t i = 0; i < journey->reaction_count; i++)
        reach_add(&r, journey->reactions[i].first);
    while (r.todo_count)
        reach_step(&r, &journey->steps[r.todo[--r.todo_count]]);
    bool was_reached = true;
    for (uint32_t i = 0; i < journey->step_count; i++) {
        if (!r.is_reached[i] && was_reached)
            findings_add(c->findings, FINDING_UNREACHABLE_STEP, c->journey_infos[index].places[i],
                         "no way through the journey leads to the step \"%.*s\"",
                         STR_ARG(name_of(c, journey->steps[i].id)));
        was_reached = r.is_reached[i];
    }
}

/* ---- journeys -------------------------------------------------------------------------------- */

static struct place journey_place(struct compile *c, uint32_t index)
{
    const struct yaml_file *yaml = &c->journey_infos[index].file->yaml;
    return yaml_place(yaml, yaml_find_key(yaml->root, "journey"));
}

static void journey_look(struct compile *c, uint32_t index)
{
    const struct plan_journey *journey = &c->plan->journeys[index];
    struct str name = name_of(c, journey->name);
    if (journey->goal.event == NAME_NONE && journey->milestone_count == 0) {
        findings_add(c->findings, FINDING_NO_GOAL, journey_place(c, index),
                     "the journey \"%.*s\" has no goal", STR_ARG(name));
        finding_advise(c->findings, "say which event shows that it worked: goal: {event: ..., "
                                    "within: 7d}");
    }
    if (journey->owner.len == 0) {
        findings_add(c->findings, FINDING_NO_OWNER, journey_place(c, index),
                     "the journey \"%.*s\" has no owner", STR_ARG(name));
        finding_advise(c->findings, "say who answers for it: owner: lifecycle-team");
    }
    reach_look(c, index);
    struct walk walk = {
        .c = c,
        .journey = index,
        .is_said = arena_array(&c->scratch, bool, journey->step_count),
    };
    if (journey->step_count)
        walk_from(&walk, 0, 0, 0);
    for (uint32_t i = 0; i < journey->milestone_count; i++)
        walk_from(&walk, journey->milestones[i].first, 0, 0);
    for (uint32_t i = 0; i < journey->reaction_count; i++)
        walk_from(&walk, journey->reactions[i].first, 0, 0);
}

static bool is_same_precedence(const struct plan_journey *a, const struct plan_journey *b)
{
    bool is_asked = a->priority_by.code != NULL || b->priority_by.code != NULL;
    return a->group == b->group && a->priority == b->priority && !is_asked;
}

/* The trigger in words: a segment's events have names that no file says. */
static void trigger_print(struct compile *c, uint32_t name, bool is_date, struct buf *out)
{
    struct str text = name_of(c, name), entered = STR("$entered:"), left = STR("$left:");
    bool is_entered = str_starts(text, entered), is_left = str_starts(text, left);
    size_t prefix = is_entered ? entered.len : is_left ? left.len : 0;
    if (is_entered || is_left)
        buf_printf(out, "people who %s the segment ", is_entered ? "enter" : "leave");
    else if (is_date)
        buf_printf(out, "the date ");
    buf_printf(out, "\"%.*s\"", STR_ARG(str_part(text, prefix, text.len - prefix)));
}

static void same_trigger_add(struct compile *c, uint32_t one, uint32_t other, uint32_t name,
                             bool is_date)
{
    struct buf trigger;
    buf_init(&trigger);
    trigger_print(c, name, is_date, &trigger);
    findings_add(c->findings, FINDING_SAME_TRIGGER, journey_place(c, other),
                 "\"%.*s\" and \"%.*s\" both begin with %.*s, and neither takes precedence",
                 STR_ARG(name_of(c, c->plan->journeys[other].name)),
                 STR_ARG(name_of(c, c->plan->journeys[one].name)), STR_ARG(buf_str(&trigger)));
    finding_advise(c->findings, "give one a higher priority, or put them into groups");
    buf_fini(&trigger);
}

/* Two ways in that let the same people in at the same moment, though no event of theirs says so. */
static bool ways_are_same(const struct plan_way *a, const struct plan_way *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == WAY_BUSINESS)
        return a->event == b->event;
    return a->kind == WAY_DATE && a->trait == b->trait && a->clock_ms == b->clock_ms &&
           a->is_personal == b->is_personal && a->zone == b->zone &&
           a->offset.kind == b->offset.kind && a->offset.unit == b->offset.unit &&
           a->offset.count == b->offset.count && a->offset.ms == b->offset.ms;
}

static const struct plan_way *same_way(const struct plan_journey *a, const struct plan_journey *b)
{
    for (uint32_t i = 0; i < a->way_count; i++)
        for (uint32_t k = 0; k < b->way_count; k++)
            if (ways_are_same(&a->ways[i], &b->ways[k]))
                return &b->ways[k];
    return NULL;
}

static void ways_look(struct compile *c, uint32_t index)
{
    const struct plan_journey *journey = &c->plan->journeys[index];
    for (uint32_t i = 0; i < index && journey->way_count; i++) {
        const struct plan_journey *before = &c->plan->journeys[i];
        const struct plan_way *way =
            is_same_precedence(before, journey) ? same_way(before, journey) : NULL;
        if (!way)
            continue;
        bool is_date = way->kind == WAY_DATE;
        same_trigger_add(c, i, index, is_date ? way->trait : way->event, is_date);
        break;
    }
}

static void triggers_look(struct compile *c)
{
    const struct plan *plan = c->plan;
    for (uint32_t e = 0; e < plan->event_count; e++) {
        const struct plan_event *event = &plan->events[e];
        for (uint32_t k = 1; k < event->entry_count; k++) {
            for (uint32_t i = 0; i < k; i++) {
                if (!is_same_precedence(&plan->journeys[event->entries[i]],
                                        &plan->journeys[event->entries[k]]))
                    continue;
                same_trigger_add(c, event->entries[i], event->entries[k], event->name, false);
                i = k;
            }
        }
    }
    for (uint32_t i = 0; i < plan->journey_count; i++)
        ways_look(c, i);
}

/* ---- messages -------------------------------------------------------------------------------- */

static struct place message_place(struct compile *c, uint32_t index)
{
    return (struct place){c->message_infos[index].file->yaml.path, 0, 0};
}

/* Messages of different journeys, with nothing to say which goes first. */
static void ties_look(struct compile *c)
{
    const struct plan *plan = c->plan;
    uint16_t *journey_of = arena_array(&c->scratch, uint16_t, plan->message_count);
    for (uint32_t i = 0; i < plan->message_count; i++)
        journey_of[i] = PLAN_NO_INDEX;
    for (uint32_t j = 0; j < plan->journey_count; j++)
        for (uint32_t s = 0; s < plan->journeys[j].step_count; s++)
            if (plan->journeys[j].steps[s].kind == STEP_SEND)
                journey_of[plan->journeys[j].steps[s].send.message] = (uint16_t)j;
    for (uint32_t k = 1; k < plan->message_count; k++) {
        for (uint32_t i = 0; i < k; i++) {
            const struct plan_message *a = &plan->messages[i];
            const struct plan_message *b = &plan->messages[k];
            if (journey_of[i] == PLAN_NO_INDEX || journey_of[k] == PLAN_NO_INDEX ||
                journey_of[i] == journey_of[k] || !obeys_caps(c, a) || !obeys_caps(c, b) ||
                a->priority != b->priority ||
                !is_same_precedence(&plan->journeys[journey_of[i]], &plan->journeys[journey_of[k]]))
                continue;
            findings_add(c->findings, FINDING_PRIORITY_TIE, message_place(c, k),
                         "\"%.*s\" and \"%.*s\" have equal priorities, so the one that expires "
                         "sooner goes first",
                         STR_ARG(name_of(c, b->name)), STR_ARG(name_of(c, a->name)));
            finding_advise(c->findings, "give one a priority, or their journeys");
            break;
        }
    }
}

/* How long quiet hours may last that hold for every channel of the message. */
static int64_t quiet_ms(struct compile *c, const struct plan_message *message)
{
    int64_t longest_ms = 0;
    enum lane lane = (enum lane)c->plan->categories[message->category].lane;
    bool obeys = (lane_term(lane)->flags & LANE_WINDOWS) != 0;
    for (uint32_t i = 0; i < c->plan->window_count; i++) {
        const struct plan_window *window = &c->plan->windows[i];
        bool is_meant = window->categories ? window->categories >> message->category & 1 : obeys;
        if (!is_meant || (window->channels && (message->channel_mask & ~window->channels)))
            continue;
        if (window->calendar) /* of some days only */
            continue;
        int64_t minutes = (int64_t)window->until_minute - window->from_minute;
        if (minutes <= 0)
            minutes += 24 * 60;
        longest_ms = max_of(longest_ms, minutes * MINUTE_MS);
    }
    return longest_ms;
}

static void deadline_look(struct compile *c, uint32_t index)
{
    const struct plan_message *message = &c->plan->messages[index];
    struct str name = name_of(c, message->name);
    char text[2][SPAN_BYTES];
    int64_t quiet = quiet_ms(c, message);
    regulations_look(c, message, message_place(c, index), quiet);
    if (message->settle_ms >= message->valid_for_ms) {
        findings_add(c->findings, FINDING_UNDELIVERABLE, message_place(c, index),
                     "\"%.*s\" is valid for %s, and settles for %s before it may go", STR_ARG(name),
                     span_words(message->valid_for_ms, text[0]).at,
                     span_words(message->settle_ms, text[1]).at);
    } else if (quiet && message->valid_for_ms <= quiet) {
        findings_add(c->findings, FINDING_UNDELIVERABLE, message_place(c, index),
                     "\"%.*s\" is valid for %s, and quiet hours last %s: what is wanted when they "
                     "begin never goes",
                     STR_ARG(name), span_words(message->valid_for_ms, text[0]).at,
                     span_words(quiet, text[1]).at);
        finding_advise(c->findings, "let it wait longer (valid_for), or say so in its category");
    }
}

/* A send may give its message less time than the message has. */
static void send_deadlines_look(struct compile *c, uint32_t index)
{
    const struct plan_journey *journey = &c->plan->journeys[index];
    for (uint32_t i = 0; i < journey->step_count; i++) {
        const struct plan_step *step = &journey->steps[i];
        if (step->kind != STEP_SEND || step->send.valid_for_ms == 0)
            continue;
        const struct plan_message *message = &c->plan->messages[step->send.message];
        int64_t quiet = quiet_ms(c, message);
        int64_t valid_ms = step->send.valid_for_ms;
        char text[2][SPAN_BYTES];
        if (valid_ms > max_of(quiet, message->settle_ms))
            continue;
        bool is_quiet = valid_ms > message->settle_ms;
        findings_add(c->findings, FINDING_UNDELIVERABLE, c->journey_infos[index].places[i],
                     is_quiet
                         ? "\"%.*s\" is valid for %s here, and quiet hours last %s: what is "
                           "wanted when they begin never goes"
                         : "\"%.*s\" is valid for %s here, and settles for %s before it may go",
                     STR_ARG(name_of(c, message->name)), span_words(valid_ms, text[0]).at,
                     span_words(is_quiet ? quiet : message->settle_ms, text[1]).at);
        finding_advise(c->findings, "let it wait longer: valid_for of the send");
    }
}

static void message_look(struct compile *c, uint32_t index)
{
    const struct plan_message *message = &c->plan->messages[index];
    struct str name = name_of(c, message->name);
    if (!c->message_infos[index].is_sent)
        findings_add(c->findings, FINDING_UNUSED_MESSAGE, message_place(c, index),
                     "no journey sends \"%.*s\"", STR_ARG(name));
    for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++) {
        if (!(message->channel_mask >> channel & 1) || message->providers[channel] != PLAN_NO_INDEX)
            continue;
        struct str words = channel_name((enum channel)channel);
        findings_add(c->findings, FINDING_NO_PROVIDER, message_place(c, index),
                     "no provider carries %.*s, which \"%.*s\" has content for", STR_ARG(words),
                     STR_ARG(name));
        finding_advise(c->findings, "describe one in providers/NAME.yaml");
    }
    if (message->channel_mask)
        deadline_look(c, index);
    if (!c->has_caps && obeys_caps(c, message) && c->message_infos[index].is_sent) {
        findings_add(c->findings, FINDING_NO_CAP, message_place(c, index),
                     "no cap limits how often people get \"%.*s\" and the like", STR_ARG(name));
        finding_advise(c->findings, "caps: [{limit: 2, per: day}, {limit: 3, per: 7d}]");
        c->has_caps = true; /* once is enough */
    }
}

/* ---- categories ------------------------------------------------------------------------------ */

static bool sounds_like_offer(struct str name)
{
    return str_find(name, STR("offer"), 0) != SIZE_MAX ||
           str_find(name, STR("promo"), 0) != SIZE_MAX ||
           str_find(name, STR("discount"), 0) != SIZE_MAX;
}

static void categories_look(struct compile *c)
{
    const struct yaml_file *yaml = &c->settings->yaml;
    const struct yaml_node *map = shape_value(yaml->root, "", "categories");
    for (uint32_t i = 0; map && i < map->count; i++) {
        const struct plan_category *category = &c->plan->categories[i];
        struct place place = yaml_place(yaml, map->pairs[i].key);
        struct str name = map->pairs[i].key->text;
        bool is_offer = shape_bool(shape_value(map->pairs[i].value, "", "promotional"), false) ||
                        sounds_like_offer(name);
        bool is_used = false;
        for (uint32_t k = 0; k < c->plan->audience_count; k++)
            is_used |= c->plan->audiences[k].export.category == i;
        for (uint32_t k = 0; k < c->plan->errand_count; k++)
            is_used |= c->plan->errands[k].request.category == i;
        for (uint32_t k = 0; k < c->plan->message_count; k++)
            is_used |= c->plan->messages[k].category == i;
        if (is_offer && category->lane != LANE_MARKETING) {
            findings_add(c->findings, FINDING_OFFER_LANE, place,
                         "\"%.*s\" is an offer in the lane %.*s: it goes out without consent, caps "
                         "and quiet hours",
                         STR_ARG(name), STR_ARG(lane_term((enum lane)category->lane)->name));
            finding_advise(c->findings, "lane: marketing");
        }
        if (category->purpose == NAME_NONE) {
            findings_add(c->findings, FINDING_NO_PURPOSE, place,
                         "\"%.*s\" does not say for what purpose it uses people's data",
                         STR_ARG(name));
            finding_advise(c->findings, "purpose: service");
        }
        if (!is_used)
            findings_add(c->findings, FINDING_UNUSED_CATEGORY, place,
                         "no message is of the category \"%.*s\"", STR_ARG(name));
    }
}

/* How far back it looks among events; 0 = it does not. */
static int64_t asks_past(const struct plan_binding *b)
{
    static const int64_t days[] = {[SPAN_DAY] = 1, [SPAN_WEEK] = 7, [SPAN_MONTH] = 31};
    if (b->kind > BINDING_SINCE && !(b->kind >= BINDING_SUM && b->kind <= BINDING_LAST) &&
        b->kind != BINDING_SEQUENCE)
        return 0;
    if (b->window_count > 0)
        return b->window_count * days[b->window_unit] * DAY_MS;
    return b->window_ms > 0 ? b->window_ms : FOREVER_MS;
}

/* A question that is new is answered from the log: as far as it reaches back. */
static void keep_look(struct compile *c)
{
    char text[2][SPAN_BYTES];
    int64_t most_ms = 0, keep_ms = c->plan->keep_log_ms;
    uint32_t count = 0;
    bool is_endless = false;
    for (uint32_t i = 0; i < c->plan->binding_count; i++) {
        int64_t reach_ms = asks_past(&c->plan->bindings[i]);
        count += reach_ms > keep_ms;
        is_endless |= reach_ms == FOREVER_MS;
        most_ms = max_of(most_ms, reach_ms);
    }
    if (keep_ms == 0 || count == 0)
        return;
    const struct yaml_node *log =
        shape_value(shape_value(c->settings->yaml.root, "", "keep"), "", "log");
    findings_add(
        c->findings, FINDING_BEYOND_KEPT, yaml_place(&c->settings->yaml, log),
        "%u of the programme's questions about the past look further back (%s) than the log "
        "is kept (%s): one that is new begins with what is there",
        count, is_endless ? "to the beginning" : span_print(span_of_ms(most_ms), text[0]).at,
        span_print(span_of_ms(keep_ms), text[1]).at);
}

void build_check(struct compile *c)
{
    categories_look(c);
    for (uint32_t i = 0; i < c->plan->journey_count; i++) {
        journey_look(c, i);
        send_deadlines_look(c, i);
    }
    for (uint32_t i = 0; i < c->plan->message_count; i++)
        message_look(c, i);
    triggers_look(c);
    ties_look(c);
    slips_look(c);
    quiet_look(c);
    budgets_look(c);
    stages_check(c);
    keep_look(c);
}

/* ---- with data ------------------------------------------------------------------------------- */

void programme_check_events(const struct plan *plan, const struct names *names,
                            programme_event_seen *seen, void *context, struct findings *findings)
{
    for (uint32_t i = 0; i < plan->event_count; i++) {
        uint32_t name = plan->events[i].name;
        if (seen(context, name))
            continue;
        struct str text = names_text(names, name), near = STR("");
        for (uint32_t k = NAME_FIXED_END; k < names_count(names) && near.len == 0; k++)
            if (k != name && slip_is_near(text, names_text(names, k)) && seen(context, k))
                near = names_text(names, k);
        findings_add(findings, FINDING_EVENT_UNSEEN, (struct place){STR("programme.yaml"), 0, 0},
                     "the event \"%.*s\" has never come in", STR_ARG(text));
        if (near.len)
            finding_advise(findings, "\"%.*s\" has; did you mean that?", STR_ARG(near));
        else
            finding_advise(findings, "is it spelt as the source spells it?");
    }
}

/* ---- cost ------------------------------------------------------------------------------------ */

#define COST_TYPICAL_ITEMS  8 /* of a feature's items that people have who have any */
#define COST_TRAIT_BYTES    24
#define COST_TEXT_BYTES     24 /* of a text trait, on average */
#define COST_SENT_BYTES     48 /* one line of the ledger */
#define COST_INSTANCE_BYTES 96 /* one live instance without what it keeps */

static int cost_order(const void *a_, const void *b_)
{
    const struct programme_cost *a = a_;
    const struct programme_cost *b = b_;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return str_order(a->what, b->what);
}

/* The most that caps let through while a message matters; 0 = no cap says. */
static uint32_t ledger_count(const struct plan *plan)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < plan->cap_count; i++) {
        const struct plan_cap *cap = &plan->caps[i];
        bool is_whole =
            !cap->channels && !cap->categories && !cap->groups && cap->journey == PLAN_NO_INDEX;
        if (cap->kind == CAP_GAP || !is_whole || cap->window_ms <= 0)
            continue;
        uint64_t windows = (uint64_t)(plan->ledger_ms / cap->window_ms) + 1;
        uint64_t count = windows * cap->limit;
        most = most ? min_of(most, count) : count;
    }
    return (uint32_t)min_of(most, UINT64_C(1000));
}

/* What the feature takes of a person who has `items` of its items, each with `body` bytes of properties. */
static uint64_t feature_bytes(const struct plan_feature *f, uint32_t items, uint32_t body)
{
    uint64_t bytes = sizeof(struct history);
    if (f->kind == FEATURE_TALLY)
        return bytes + sizeof(struct history_tally);
    if (f->kind == FEATURE_MARK)
        return bytes;
    bool has_number = f->property != NAME_NONE || f->value != NULL;
    uint64_t item = sizeof(int64_t) * (1u + has_number);
    if (f->kept_count)
        item += sizeof(struct blob) + body;
    return bytes + sizeof(struct history_items) + items * item;
}

static struct programme_cost feature_cost(const struct plan_feature *f, struct arena *arena)
{
    uint32_t typical = min_of((uint32_t)f->keep, (uint32_t)COST_TYPICAL_ITEMS);
    uint32_t body = min_of(f->kept_count * COST_TEXT_BYTES, (uint32_t)FEATURE_BODY_BYTES_MAX);
    return (struct programme_cost){arena_copy(arena, f->text), f->keep,
                                   feature_bytes(f, f->keep, FEATURE_BODY_BYTES_MAX),
                                   feature_bytes(f, typical, body)};
}

static struct programme_cost journey_cost(const struct plan_journey *journey,
                                          const struct names *names, struct arena *arena)
{
    uint64_t one = COST_INSTANCE_BYTES + journey->kept_count * (COST_TRAIT_BYTES + COST_TEXT_BYTES);
    struct str what = arena_printf(arena, "%u live in the journey \"%.*s\"", journey->at_once_max,
                                   STR_ARG(names_text(names, journey->name)));
    return (struct programme_cost){what, journey->at_once_max, journey->at_once_max * one, one};
}

const struct programme_cost *programme_cost(const struct plan *plan, const struct names *names,
                                            struct arena *arena, uint32_t *count,
                                            struct programme_cost *total)
{
    uint32_t most = plan->feature_count + plan->journey_count + 2;
    struct programme_cost *costs = arena_array(arena, struct programme_cost, most);
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->feature_count; i++)
        costs[n++] = feature_cost(&plan->features[i], arena);
    for (uint32_t i = 0; i < plan->journey_count; i++) {
        costs[n++] = journey_cost(&plan->journeys[i], names, arena);
    }
    uint32_t trait_bytes = 0;
    for (uint32_t i = 0; i < plan->trait_count; i++)
        trait_bytes +=
            COST_TRAIT_BYTES + (plan->traits[i].type == VALUE_TEXT ? COST_TEXT_BYTES : 0);
    costs[n++] =
        (struct programme_cost){arena_printf(arena, "%u declared traits", plan->trait_count),
                                plan->trait_count, trait_bytes, trait_bytes};
    uint32_t sent = ledger_count(plan);
    if (sent)
        costs[n++] = (struct programme_cost){arena_printf(arena, "up to %u sent messages", sent),
                                             sent, (uint64_t)sent * COST_SENT_BYTES,
                                             (uint64_t)min_of(sent, (uint32_t)COST_TYPICAL_ITEMS) *
                                                 COST_SENT_BYTES};
    must(n <= most);
    qsort(costs, n, sizeof(*costs), cost_order);
    *total = (struct programme_cost){.what = STR("all")};
    for (uint32_t i = 0; i < n; i++) {
        total->bytes += costs[i].bytes;
        total->typical_bytes += costs[i].typical_bytes;
    }
    *count = n;
    return costs;
}
