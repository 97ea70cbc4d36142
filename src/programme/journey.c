/* journey.c - journeys/NAME.yaml: who enters, what happens, when it is over.
 *
 * Steps are nested in the file and flat in the plan. Each step knows the next; a way that has no next
 * step yet is an *open end*, kept in a list until the step that follows is made:
 *
 *     - send: a                     0 send a       next 1
 *     - branch:                     1 branch       arms[0] 2, next (else) 4
 *         - if: x                   2 send b       next 3  ─┐
 *           do: [send b, wait]      3 wait         next 5  ─┤ open until "send d" is made
 *         - else:                                           │
 *           do: [send c]            4 send c       next 5  ─┘
 *     - send: d                     5 send d       next PLAN_END
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "base/hash.h"
#include "base/mem.h"
#include "when/span.h"

#define LAST_NONE PLAN_NO_INDEX       /* nothing was sent on the way here */
#define LAST_MANY (PLAN_NO_INDEX - 1) /* which message was sent depends on the way */

struct open_ends {
    uint16_t **at;
    uint32_t count;
    uint32_t room;
};

struct builder {
    struct compile *c;
    struct compile_file *file;
    const struct yaml_file *yaml;
    struct plan_journey *journey;
    struct compile_journey *info;
    struct plan_step *steps; /* PLAN_STEPS_MAX of them, so that addresses stay */
    const struct yaml_node **nodes;
    uint32_t count;
    bool is_full;
    struct plan_listen *entries; /* of the journey, with room for entry_room */
    uint32_t entry_room;
    struct plan_way *ways;    /* PLAN_WAYS_MAX */
    uint32_t condition_count; /* entries by a condition */
    uint32_t *given_ids;      /* names given by `id:` */
    uint32_t given_count;
};

static struct scope_target target_of(struct builder *b, uint32_t flags, enum expr_wanted wanted)
{
    return (struct scope_target){.flags = flags, .wanted = wanted, .kept = &b->info->kept};
}

/* ---- open ends ------------------------------------------------------------------------------- */

static void end_open(struct builder *b, struct open_ends *ends, uint16_t *at)
{
    if (ends->count == ends->room) {
        uint32_t room = ends->room ? ends->room * 2 : 8;
        uint16_t **grown = arena_array(&b->c->scratch, uint16_t *, room);
        if (ends->count)
            memcpy(grown, ends->at, ends->count * sizeof(*grown));
        ends->at = grown;
        ends->room = room;
    }
    ends->at[ends->count++] = at;
}

static void ends_join(struct builder *b, struct open_ends *ends, const struct open_ends *others)
{
    for (uint32_t i = 0; i < others->count; i++)
        end_open(b, ends, others->at[i]);
}

static void ends_close(struct open_ends *ends, uint16_t target)
{
    for (uint32_t i = 0; i < ends->count; i++)
        *ends->at[i] = target;
    ends->count = 0;
}

/* ---- names of steps -------------------------------------------------------------------------- */

static const char *step_kind_name(enum step_kind kind)
{
    switch (kind) {
    case STEP_SEND: return "send";
    case STEP_WAIT: return "wait";
    case STEP_BRANCH: return "branch";
    case STEP_SPLIT: return "split";
    case STEP_SET: return "set";
    case STEP_EXIT: return "exit";
    case STEP_GOAL: return "goal";
    }
    must(!"a kind of step");
    return "";
}

static bool id_is_taken(const struct builder *b, uint32_t name)
{
    for (uint32_t i = 0; i < b->given_count; i++)
        if (b->given_ids[i] == name)
            return true;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->steps[i].id == name)
            return true;
    return false;
}

/* "cart-reminder" for a send, a split's own name, "wait-2" for the second wait; where that is taken,
 * the next number that is free. */
static uint32_t id_make(struct builder *b, const struct plan_step *step, struct str own)
{
    struct compile *c = b->c;
    uint32_t nth = 1;
    for (uint32_t i = 0; i < b->count && !own.len; i++)
        nth += b->steps[i].kind == step->kind && &b->steps[i] != step;
    struct str stem = own.len ? own : str_of(step_kind_name((enum step_kind)step->kind));
    for (;; nth++) {
        struct str text =
            own.len && nth == 1 ? own : arena_printf(&c->scratch, "%.*s-%u", STR_ARG(stem), nth);
        uint32_t name = build_name(c, text);
        if (name == NAME_NONE || !id_is_taken(b, name))
            return name;
    }
}

static void id_given(struct builder *b, const struct yaml_node *node, uint32_t name)
{
    for (uint32_t i = 0; i < b->given_count; i++) {
        if (b->given_ids[i] != name)
            continue;
        findings_add(b->c->findings, FINDING_NAME_TWICE, yaml_place(b->yaml, node),
                     "there are two steps \"%.*s\"", STR_ARG(node->text));
        return;
    }
    b->given_ids[b->given_count++] = name;
}

/* Collects all `id:` before any is made, so that a made one never takes a given one's. Recursion is
 * bounded by YAML_DEPTH_MAX. */
static void ids_collect(struct builder *b, const struct yaml_node *list)
{
    static const char *const lists[] = {"if_not_sent", "do", "on_timeout", "branch", "arms"};
    for (uint32_t i = 0; list && list->type == YAML_LIST && i < list->count; i++) {
        const struct yaml_node *item = list->items[i];
        const struct yaml_node *id = shape_value(item, "", "id");
        if (id && id->type == YAML_TEXT && b->given_count < PLAN_STEPS_MAX)
            id_given(b, id, build_name(b->c, id->text));
        for (size_t k = 0; k < array_count(lists); k++)
            ids_collect(b, shape_value(item, "", lists[k]));
        ids_collect(b, shape_value(shape_value(item, "", "wait"), "", "on_timeout"));
        ids_collect(b, shape_value(shape_value(item, "", "wait"), "", "any"));
        ids_collect(b, shape_value(shape_value(item, "", "split"), "", "arms"));
    }
}

/* ---- events and conditions ------------------------------------------------------------------- */

struct listens {
    struct plan_listen *list;
    uint32_t count;
    struct plan_expr condition; /* the first `if` among them, unless it is kept in the list */
    uint32_t condition_count;
};

/* Segments entered, or left. A wait asks whether the person is in it now; an exit is told of the change. */
static void listen_segments(struct builder *b, const struct yaml_node *names, bool is_left,
                            struct listens *out, bool is_exit)
{
    struct compile *c = b->c;
    for (uint32_t i = 0; i < shape_count(names); i++) {
        const struct yaml_node *node = shape_item(names, i);
        uint32_t event = segment_event(c, b->yaml, node, is_left);
        struct plan_expr when = {.text = STR("")};
        if (event == NAME_NONE)
            continue;
        if (is_exit) {
            b->journey->event_wake |= build_event_hear(c, event, yaml_place(b->yaml, node));
            out->list[out->count++] = (struct plan_listen){.event = event, .when = when};
            continue;
        }
        struct str text = arena_printf(&c->scratch, "%sin_segment(\"%.*s\")", is_left ? "!" : "",
                                       STR_ARG(node->text));
        scope_compile_part(c, b->yaml, node, text, 0, target_of(b, SCOPE_ENTRY, EXPR_WANT_BOOL),
                           &when);
        out->list[out->count++] = (struct plan_listen){.event = NAME_NONE, .when = when};
    }
}

/* One item: an event (or several names, each of which becomes a listen of its own), or a condition. */
static void listen_add(struct builder *b, const struct yaml_node *item, struct listens *out,
                       bool keeps_conditions)
{
    struct compile *c = b->c;
    const char *member = shape_member(item, shape_union_get("LISTEN"));
    if (!member)
        return;
    struct plan_expr when;
    bool is_left = strcmp(member, "segment_left") == 0;
    if (is_left || strcmp(member, "segment") == 0) {
        listen_segments(b, shape_value(item, "", member), is_left, out, keeps_conditions);
        return;
    }
    if (strcmp(member, "event") != 0) {
        const struct yaml_node *node = shape_value(item, "", member);
        uint32_t flags = SCOPE_ENTRY | (strcmp(member, "unless") == 0 ? SCOPE_NOT : 0u);
        scope_compile(c, b->yaml, node, target_of(b, flags, EXPR_WANT_BOOL), &when);
        out->condition_count++;
        if (keeps_conditions || out->condition_count > 1)
            out->list[out->count++] = (struct plan_listen){.event = NAME_NONE, .when = when};
        else
            out->condition = when;
        return;
    }
    scope_compile_when(c, b->yaml, item->type == YAML_MAP ? item : NULL,
                       target_of(b, SCOPE_EVENT | SCOPE_ENTRY | SCOPE_ONCE, EXPR_WANT_BOOL), &when);
    const struct yaml_node *events = shape_value(item, "event", "event");
    for (uint32_t i = 0; i < shape_count(events); i++) {
        const struct yaml_node *event = shape_item(events, i);
        if (event->is_bad || event->type != YAML_TEXT)
            continue;
        uint32_t name = build_name(c, event->text);
        if (name == NAME_NONE)
            continue;
        b->journey->event_wake |= build_event_hear(c, name, yaml_place(b->yaml, event));
        out->list[out->count++] = (struct plan_listen){.event = name, .when = when};
    }
}

static struct listens listens_of(struct builder *b, const struct yaml_node *node,
                                 bool keeps_conditions)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < shape_count(node); i++) {
        const struct yaml_node *item = shape_item(node, i);
        uint32_t events = shape_count(shape_value(item, "event", "event"));
        most += 1 + events + shape_count(shape_value(item, "", "segment")) +
                shape_count(shape_value(item, "", "segment_left"));
    }
    struct listens out = {.list = arena_array(b->c->arena, struct plan_listen, most)};
    for (uint32_t i = 0; i < shape_count(node); i++)
        listen_add(b, shape_item(node, i), &out, keeps_conditions);
    must(out.count <= most);
    return out;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void steps_compile(struct builder *b, const struct yaml_node *list, struct open_ends *ends,
                          uint16_t *last_message);

/* A list inside a step: begins at *start, and its open ends join those of the step. */
static void inner_compile(struct builder *b, const struct yaml_node *list, uint16_t *start,
                          struct open_ends *ends, uint16_t *last_message)
{
    struct open_ends inner = {0};
    end_open(b, &inner, start);
    steps_compile(b, list, &inner, last_message);
    ends_join(b, ends, &inner);
}

static uint16_t last_of_two(uint16_t a, uint16_t b)
{
    return a == b ? a : LAST_MANY;
}

/* The channels of a send: as written, or all that the message has content for. */
static void send_channels(struct builder *b, const struct yaml_node *node, struct plan_send *send)
{
    struct compile *c = b->c;
    const struct plan_message *message = &c->messages[send->message];
    bool is_known = !c->message_infos[send->message].has_bad;
    const struct yaml_node *list =
        shape_value(shape_value(node, "", "channels"), "first_of", "first_of");
    if (!list) {
        for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++)
            if (message->channel_mask >> channel & 1 && send->channel_count < PLAN_CHANNELS_MAX)
                send->channels[send->channel_count++] = (uint8_t)channel;
        return;
    }
    for (uint32_t i = 0; i < shape_count(list); i++) {
        const struct yaml_node *item = shape_item(list, i);
        enum channel channel;
        if (item->is_bad || item->type != YAML_TEXT || !channel_find(item->text, &channel))
            continue;
        bool is_twice = false;
        for (uint32_t k = 0; k < send->channel_count; k++)
            is_twice |= send->channels[k] == channel;
        if (is_twice) {
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                         "the channel %.*s stands here twice", STR_ARG(item->text));
        } else if (is_known && !(message->channel_mask >> channel & 1)) {
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                         "the message \"%.*s\" has nothing to say on %.*s",
                         STR_ARG(names_text(c->names, message->name)), STR_ARG(item->text));
        } else if (send->channel_count < PLAN_CHANNELS_MAX) {
            send->channels[send->channel_count++] = (uint8_t)channel;
        }
    }
}

static void send_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                         struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    struct plan_send *send = &step->send;
    const struct yaml_node *not_sent = shape_value(node, "", "if_not_sent");
    send->if_not_sent = PLAN_NO_INDEX;
    uint16_t message = build_message_index(c, b->yaml, shape_value(node, "", "send"));
    if (message == PLAN_NO_INDEX) {
        *last_message = LAST_MANY; /* said already; no other finding shall follow from it */
        return;
    }
    send->message = message;
    send->goes_on = shape_bool(shape_value(node, "", "go_on"), false);
    send->valid_for_ms = shape_span_ms(shape_value(node, "", "valid_for"), 0);
    send_channels(b, node, send);
    c->message_infos[message].is_sent = true;
    for (uint32_t i = 0; i < c->message_infos[message].entry_reads.count; i++)
        name_set_add(c, &b->info->kept, c->message_infos[message].entry_reads.names[i]);
    uint16_t before = *last_message;
    *last_message = message;
    if (!not_sent)
        return;
    if (send->goes_on) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, not_sent),
                     "\"go_on\" does not wait for what \"if_not_sent\" asks");
        return;
    }
    uint16_t inner_last = before;
    if (shape_count(not_sent))
        inner_compile(b, not_sent, &send->if_not_sent, ends, &inner_last);
}

/* A condition or event is what a wait is for; a moment beside it is a timeout. */
struct wait_parts {
    bool has_happening; /* until, any, unless */
    bool has_moment;    /* for, date, at, ... */
    bool has_date;
    bool is_open; /* the length is not written out: at_most says something */
};

/* Keys of a wait that need others. */
static void wait_look(struct builder *b, const struct yaml_node *node,
                      const struct wait_parts *parts)
{
    struct compile *c = b->c;
    if (!parts->has_happening && !parts->has_moment && !node->is_bad) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, node),
                     "the wait has no end");
        finding_advise(c->findings,
                       "say for how long (for: 2d), for which moment (date, at, on) or "
                       "for what (until: ...)");
    }
    if (node->type != YAML_MAP)
        return;
    const struct {
        const char *key;
        bool is_fine;
        const char *sentence;
    } rules[] = {
        {"reset_by", yaml_find_key(node, "for") && !parts->has_date,
         "\"reset_by\" means nothing without \"for\""},
        {"refresh_entry", yaml_find_key(node, "reset_by"),
         "\"refresh_entry\" means nothing without \"reset_by\""},
        {"at_most", yaml_find_key(node, "reset_by") || parts->is_open,
         "\"at_most\" means nothing without \"reset_by\": \"for\" says how long"},
        {"on_timeout", parts->has_moment || yaml_find_key(node, "at_most"),
         "\"on_timeout\" means nothing without \"for\""},
        {"on_timeout", parts->has_happening || (parts->has_date && yaml_find_key(node, "for")),
         "\"on_timeout\" means nothing without \"until\": the time always runs out"},
        {"any", !yaml_find_key(node, "until"),
         "\"until\" and \"any\" say the same; move it into the list of \"any\""},
        {"any", !parts->has_date, "move \"date\" into the list of \"any\", with a label"},
    };
    for (size_t i = 0; i < array_count(rules); i++) {
        const struct yaml_node *key = yaml_find_key(node, rules[i].key);
        if (key && !rules[i].is_fine)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, key), "%s",
                         rules[i].sentence);
    }
}

/* Does the map tell of a moment, rightly or wrongly? */
static bool names_moment(const struct yaml_node *map)
{
    static const char *const keys[] = {"for", "date", "at", "from", "to", "between", "on"};
    for (size_t i = 0; i < array_count(keys); i++)
        if (map->type == YAML_MAP && yaml_find_key(map, keys[i]))
            return true;
    return false;
}

/* What of an item of `any` ends the wait: exactly one thing. */
static void any_look(struct builder *b, const struct yaml_node *item,
                     const struct plan_ending *ending, bool has_happening)
{
    struct compile *c = b->c;
    if (has_happening && ending->moment.kind != MOMENT_NONE) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                     "one way ends by something that happens or by a moment, not by both");
        finding_advise(c->findings, "make two items of it");
    } else if (!has_happening && !names_moment(item) && !item->is_bad) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, item),
                     "the way says nothing that ends the wait");
        finding_advise(c->findings, "it can have: event, if, for, date, at, from and to, on");
    }
}

/* Of what may happen, one thing; `when` and `unless` are things of their own but beside an event. */
static void happenings_look(struct builder *b, const struct yaml_node *item)
{
    static const char *const keys[] = {"event", "if", "segment", "segment_left", "when", "unless"};
    const char *first = NULL;
    bool is_event = yaml_find_key(item, "event") != NULL;
    for (size_t i = 0; i < array_count(keys); i++) {
        const struct yaml_node *key = yaml_find_key(item, keys[i]);
        if (!key || (is_event && i >= 4))
            continue;
        if (first)
            findings_add(b->c->findings, FINDING_CONFLICT, yaml_place(b->yaml, key),
                         "\"%s\" and \"%s\" are two ways; make two items of them", first, keys[i]);
        else
            first = keys[i];
    }
}

static void any_compile(struct builder *b, const struct yaml_node *item, struct plan_ending *ending)
{
    struct compile *c = b->c;
    const struct yaml_node *label = shape_value(item, "", "label");
    bool has_happening = shape_member(item, shape_union_get("LISTEN")) != NULL;
    struct listens listens = {0};
    if (has_happening)
        listens = listens_of(b, item, false);
    happenings_look(b, item);
    ending->label = label ? build_name(c, label->text) : NAME_NONE;
    ending->listens = listens.list;
    ending->listen_count = listens.count;
    ending->condition = listens.condition;
    ending->target = PLAN_END;
    moment_compile(c, b->yaml, item, target_of(b, SCOPE_ENTRY, EXPR_WANT_ANY), MOMENT_OF_ALL,
                   &ending->moment);
    any_look(b, item, ending, has_happening);
}

/* The labelled ways, each with its own steps. */
static void any_list_compile(struct builder *b, const struct yaml_node *list,
                             struct plan_ending *endings, struct open_ends *ends,
                             uint16_t *last_message)
{
    uint16_t before = *last_message;
    for (uint32_t i = 0; i < shape_count(list); i++) {
        const struct yaml_node *item = shape_item(list, i);
        uint16_t last = before;
        if (item->is_bad)
            continue;
        any_compile(b, item, &endings[i]);
        for (uint32_t k = 0; k < i; k++)
            if (endings[k].label == endings[i].label && endings[i].label != NAME_NONE)
                findings_add(b->c->findings, FINDING_NAME_TWICE,
                             yaml_place(b->yaml, shape_value(item, "", "label")),
                             "the wait has two ways \"%.*s\"",
                             STR_ARG(names_text(b->c->names, endings[i].label)));
        inner_compile(b, shape_value(item, "", "do"), &endings[i].target, ends, &last);
        *last_message = last_of_two(*last_message, last);
    }
}

static void engaged_compile(struct builder *b, const struct yaml_node *engaged, uint16_t message,
                            struct plan_wait *wait)
{
    struct compile *c = b->c;
    if (engaged && message == LAST_NONE) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, engaged),
                     "\"unless: engaged\" needs a message that was sent before the wait");
    } else if (engaged && message == LAST_MANY) {
        if (!c->findings->error_count)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, engaged),
                         "\"unless: engaged\": which message was sent last depends on the way "
                         "here");
    } else if (engaged) {
        wait->engaged_message = message;
        int64_t span = max_of(wait->for_ms, (int64_t)wait->for_days * DAY_MS);
        if (wait->for_ms < 0 && !wait->for_days)
            span = LEDGER_EVER_MS;
        c->ledger_ms = max_of(c->ledger_ms, span + c->messages[message].valid_for_ms);
    }
}

/* The moments of the wait itself: a plain `for` is its time, everything else an ending. Those that are
 * timeouts lead to on_timeout, which is set when its steps are there. */
struct wait_moments {
    struct plan_ending *date;   /* NULL: there is none */
    struct plan_ending *length; /* `for` that is not plain */
};

static struct wait_moments moments_compile(struct builder *b, const struct yaml_node *node,
                                           struct plan_wait *wait, struct plan_ending *endings)
{
    struct wait_moments out = {0};
    struct scope_target target = target_of(b, SCOPE_ENTRY, EXPR_WANT_ANY);
    struct plan_moment moment;
    bool has_date = node->type == YAML_MAP && yaml_find_key(node, "date");
    if (has_date) {
        out.date = &endings[wait->ending_count++];
        moment_compile(b->c, b->yaml, node, target, MOMENT_OF_DATE, &out.date->moment);
        out.date->target = PLAN_END;
        moment_compile(b->c, b->yaml, node, target, MOMENT_OF_FOR, &moment);
        if (moment.value.code)
            findings_add(b->c->findings, FINDING_CONFLICT,
                         yaml_place(b->yaml, shape_value(node, "for", "for")),
                         "beside \"date\", \"for\" is a timeout and must be written out");
    } else {
        moment_compile(b->c, b->yaml, node, target, MOMENT_OF_ALL, &moment);
    }
    if (moment_is_plain(&moment)) {
        if (moment.span.kind == SPAN_FIXED)
            wait->for_ms = moment.span.ms;
        else
            wait->for_days = (uint32_t)moment.span.count * (moment.span.unit == SPAN_WEEK ? 7 : 1);
    } else if (moment.kind != MOMENT_NONE) {
        out.length = &endings[wait->ending_count++];
        *out.length = (struct plan_ending){.target = PLAN_END, .moment = moment};
    }
    return out;
}

static void wait_compile(struct builder *b, const struct yaml_node *step_node,
                         struct plan_step *step, struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    struct plan_wait *wait = &step->wait;
    wait->on_timeout = PLAN_NO_INDEX;
    wait->engaged_message = PLAN_NO_INDEX;
    wait->until_if.text = STR("");
    wait->for_ms = -1;
    const struct yaml_node *node = shape_value(step_node, "", "wait");
    if (!node) {
        const struct yaml_node *empty = yaml_find_key(step_node, "wait");
        if (empty && !yaml_find(step_node, "wait")->is_bad)
            wait_look(b, yaml_find(step_node, "wait"), &(struct wait_parts){0});
        return;
    }
    const struct yaml_node *until = shape_value(node, "for", "until");
    const struct yaml_node *any = shape_value(node, "for", "any");
    const struct yaml_node *timeout = shape_value(node, "for", "on_timeout");
    const struct yaml_node *engaged = shape_value(node, "for", "unless");
    struct listens listens = listens_of(b, until, false);
    wait->until = listens.list;
    wait->until_count = listens.count;
    wait->until_if = listens.condition;
    const struct yaml_node *lists[] = {until, any};
    for (size_t i = 0; i < array_count(lists); i++)
        if (lists[i] && lists[i]->type == YAML_LIST && lists[i]->count == 0)
            findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, lists[i]),
                         "the list is empty, so that nothing would ever end the wait");
    const struct yaml_node *reset = shape_value(node, "for", "reset_by");
    if (reset) {
        wait->reset_by = build_name(c, reset->text);
        b->journey->event_wake |= build_event_hear(c, wait->reset_by, yaml_place(b->yaml, reset));
    }
    wait->refreshes_entry = shape_bool(shape_value(node, "for", "refresh_entry"), false);
    wait->at_most_ms = shape_span_ms(shape_value(node, "for", "at_most"), 0);

    uint32_t any_count = shape_count(any);
    struct plan_ending *endings = arena_array(c->arena, struct plan_ending, any_count + 2);
    memset(endings, 0, (any_count + 2) * sizeof(*endings));
    wait->endings = endings;
    wait->ending_count = any_count;
    struct wait_moments moments = moments_compile(b, node, wait, endings);
    bool has_plain = wait->for_ms >= 0 || wait->for_days;
    bool is_map = node->type == YAML_MAP;
    wait_look(b, node,
              &(struct wait_parts){
                  .has_happening =
                      until || any || engaged ||
                      (is_map && (yaml_find_key(node, "until") || yaml_find_key(node, "any"))),
                  .has_moment = has_plain || moments.length || names_moment(node),
                  .has_date = moments.date != NULL,
                  .is_open = !has_plain,
              });
    engaged_compile(b, engaged, *last_message, wait);

    any_list_compile(b, any, endings, ends, last_message);
    if (shape_count(timeout)) {
        uint16_t inner_last = *last_message;
        inner_compile(b, timeout, &wait->on_timeout, ends, &inner_last);
        *last_message = last_of_two(*last_message, inner_last);
    }
    bool is_date_timeout = until || engaged;
    bool is_length_timeout = is_date_timeout || any || moments.date;
    if (moments.date) {
        moments.date->target = wait->on_timeout;
        if (!is_date_timeout || wait->on_timeout == PLAN_NO_INDEX)
            end_open(b, ends, &moments.date->target);
    }
    if (moments.length) {
        moments.length->target = wait->on_timeout;
        if (!is_length_timeout || wait->on_timeout == PLAN_NO_INDEX)
            end_open(b, ends, &moments.length->target);
    }
}

static void branch_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                           struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    const struct yaml_node *list = shape_value(node, "", "branch");
    uint32_t count = shape_count(list);
    struct plan_arm *arms = arena_array(c->arena, struct plan_arm, count);
    const struct yaml_node *otherwise = NULL;
    uint16_t before = *last_message;
    bool is_first = true;
    step->branch.arms = arms;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        const char *member = shape_member(item, shape_union_get("ARM"));
        if (!member)
            continue;
        if (otherwise) {
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                         "nothing comes after \"else\"");
            break;
        }
        uint16_t last = before;
        if (strcmp(member, "else") == 0) {
            otherwise = item;
            inner_compile(b, shape_value(item, "", "do"), &step->next, ends, &last);
        } else {
            struct plan_arm *arm = &arms[step->branch.arm_count++];
            uint32_t flags = SCOPE_ENTRY | SCOPE_ONCE;
            if (strcmp(member, "unless") == 0)
                flags |= SCOPE_NOT;
            arm->target = PLAN_END;
            scope_compile(c, b->yaml, shape_value(item, "", member),
                          target_of(b, flags, EXPR_WANT_BOOL), &arm->when);
            inner_compile(b, shape_value(item, "", "do"), &arm->target, ends, &last);
        }
        *last_message = is_first ? last : last_of_two(*last_message, last);
        is_first = false;
    }
    if (!otherwise) {
        end_open(b, ends, &step->next);
        *last_message = is_first ? before : last_of_two(*last_message, before);
    }
    if (list && step->branch.arm_count == 0 && !list->is_bad && list->count == 0)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, list),
                     "the branch has no ways");
}

static void split_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                          struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    const struct yaml_node *split = shape_value(node, "", "split");
    const struct yaml_node *name = shape_value(split, "", "name");
    const struct yaml_node *salt = shape_value(split, "", "salt");
    const struct yaml_node *list = shape_value(split, "", "arms");
    uint32_t count = shape_count(list);
    struct plan_arm *arms = arena_array(c->arena, struct plan_arm, count);
    uint16_t before = *last_message;
    bool is_first = true;
    uint64_t total = 0;
    step->split.name = name ? build_name(c, name->text) : NAME_NONE;
    step->split.salt =
        hash_str(salt ? arena_printf(&c->scratch, "split:%.*s", STR_ARG(salt->text))
                      : arena_printf(&c->scratch, "split:%.*s:%.*s", STR_ARG(b->file->name),
                                     STR_ARG(shape_text(name, STR("")))),
                 0);
    step->split.arms = arms;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        const struct yaml_node *arm_name = shape_value(item, "", "arm");
        struct plan_arm *arm = &arms[step->split.arm_count++];
        arm->when.text = STR("");
        arm->target = PLAN_END;
        arm->name = arm_name ? build_name(c, arm_name->text) : NAME_NONE;
        arm->weight = (uint32_t)shape_int(shape_value(item, "", "weight"), 1);
        total += arm->weight;
        for (uint32_t k = 0; k < i && arm_name; k++)
            if (arms[k].name == arm->name)
                findings_add(c->findings, FINDING_NAME_TWICE, yaml_place(b->yaml, arm_name),
                             "the split has two arms \"%.*s\"", STR_ARG(arm_name->text));
        uint16_t last = before;
        inner_compile(b, shape_value(item, "", "do"), &arm->target, ends, &last);
        *last_message = is_first ? last : last_of_two(*last_message, last);
        is_first = false;
    }
    step->split.weight_total = (uint32_t)min_of(total, (uint64_t)UINT32_MAX);
    if (list && !list->is_bad && count < 2)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, list),
                     "a split needs two arms or more");
    else if (list && !list->is_bad && (total == 0 || total > UINT32_MAX))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, list),
                     "the arms' weights are %s", total ? "too large together" : "all 0");
}

static enum expr_wanted wanted_of(const struct plan_trait *trait)
{
    switch (trait->type) {
    case VALUE_TEXT: return EXPR_WANT_TEXT;
    case VALUE_INT: return EXPR_WANT_INT;
    case VALUE_DOUBLE: return EXPR_WANT_NUMBER;
    case VALUE_BOOL: return EXPR_WANT_BOOL;
    case VALUE_TIME: return EXPR_WANT_TIME;
    default: return EXPR_WANT_ANY;
    }
}

static void set_compile(struct builder *b, const struct yaml_pair *pair, struct plan_step *step)
{
    struct compile *c = b->c;
    uint32_t name = names_find(c->names, pair->key->text);
    const struct plan_trait *trait = name ? plan_trait_find(c->plan, name) : NULL;
    step->set.to.text = STR("");
    if (!trait) {
        struct str *known = arena_array(&c->scratch, struct str, c->plan->trait_count);
        for (uint32_t i = 0; i < c->plan->trait_count; i++)
            known[i] = names_text(c->names, c->plan->traits[i].name);
        build_unknown(c, b->yaml, pair->key, "trait", known, c->plan->trait_count);
        return;
    }
    step->set.trait = name;
    scope_compile(c, b->yaml, pair->value, target_of(b, SCOPE_ENTRY | SCOPE_ONCE, wanted_of(trait)),
                  &step->set.to);
}

/* A new step behind all open ends; NULL (and a finding, once) where the journey has too many. */
static struct plan_step *step_new(struct builder *b, const struct yaml_node *node,
                                  enum step_kind kind, struct open_ends *ends)
{
    if (b->count == PLAN_STEPS_MAX) {
        if (!b->is_full)
            findings_add(b->c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, node),
                         "a journey has at most %d steps", PLAN_STEPS_MAX);
        b->is_full = true;
        return NULL;
    }
    struct plan_step *step = &b->steps[b->count];
    b->nodes[b->count] = node;
    ends_close(ends, (uint16_t)b->count++);
    *step = (struct plan_step){.kind = (uint8_t)kind, .next = PLAN_END, .line = node->line};
    return step;
}

static void step_name(struct builder *b, const struct yaml_node *node, struct plan_step *step)
{
    const struct yaml_node *id = shape_value(node, "", "id");
    struct str own = STR("");
    if (step->kind == STEP_SEND)
        own = shape_text(shape_value(node, "", "send"), STR(""));
    else if (step->kind == STEP_SPLIT)
        own = shape_text(shape_value(shape_value(node, "", "split"), "", "name"), STR(""));
    step->id = id ? build_name(b->c, id->text) : id_make(b, step, own);
}

static bool goal_stays(const struct builder *b)
{
    return b->journey->goal.stays;
}

static void step_compile(struct builder *b, const struct yaml_node *node, const char *member,
                         struct open_ends *ends, uint16_t *last_message)
{
    static const struct {
        const char *key;
        enum step_kind kind;
    } kinds[] = {
        {"send", STEP_SEND}, {"wait", STEP_WAIT}, {"branch", STEP_BRANCH}, {"split", STEP_SPLIT},
        {"set", STEP_SET},   {"exit", STEP_EXIT}, {"goal", STEP_GOAL},
    };
    enum step_kind kind = STEP_EXIT;
    for (size_t i = 0; i < array_count(kinds); i++)
        if (strcmp(kinds[i].key, member) == 0)
            kind = kinds[i].kind;
    if (kind == STEP_SET) {
        const struct yaml_node *map = shape_value(node, "", "set");
        for (uint32_t i = 0; map && map->type == YAML_MAP && i < map->count; i++) {
            struct plan_step *step = step_new(b, node, kind, ends);
            if (!step)
                return;
            if (i == 0)
                step_name(b, node, step);
            else
                step->id = id_make(b, step, STR(""));
            set_compile(b, &map->pairs[i], step);
            end_open(b, ends, &step->next);
        }
        return;
    }
    struct plan_step *step = step_new(b, node, kind, ends);
    if (!step)
        return;
    step_name(b, node, step);
    switch (kind) {
    case STEP_SEND:
        send_compile(b, node, step, ends, last_message);
        end_open(b, ends, &step->next);
        return;
    case STEP_WAIT:
        wait_compile(b, node, step, ends, last_message);
        end_open(b, ends, &step->next);
        return;
    case STEP_BRANCH: branch_compile(b, node, step, ends, last_message); return;
    case STEP_SPLIT: split_compile(b, node, step, ends, last_message); return;
    case STEP_EXIT: return;
    case STEP_GOAL:
        if (goal_stays(b))
            end_open(b, ends, &step->next);
        return;
    case STEP_SET: return;
    }
}

/* Recursion is bounded by YAML_DEPTH_MAX. */
static void steps_compile(struct builder *b, const struct yaml_node *list, struct open_ends *ends,
                          uint16_t *last_message)
{
    for (uint32_t i = 0; i < shape_count(list) && !b->is_full; i++) {
        const struct yaml_node *node = shape_item(list, i);
        const char *member = shape_member(node, shape_union_get("STEP"));
        if (member)
            step_compile(b, node, member, ends, last_message);
    }
}

/* ---- the rest of a journey ------------------------------------------------------------------- */

static void goal_compile(struct builder *b, const struct yaml_node *node)
{
    struct compile *c = b->c;
    struct plan_goal *goal = &b->journey->goal;
    goal->when.text = STR("");
    const struct yaml_node *event = shape_value(node, "event", "event");
    const struct yaml_node *entered = shape_value(node, "event", "segment");
    const struct yaml_node *left = shape_value(node, "event", "segment_left");
    if (!node || node->is_bad)
        return;
    if ((event != NULL) + (entered != NULL) + (left != NULL) != 1) {
        if (node->type == YAML_MAP && !yaml_find_key(node, "event") && !entered && !left)
            findings_add(
                c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, node),
                "the goal does not say what shows that the journey worked: event or segment");
        else if (event || entered || left)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, node),
                         "the goal is one event or one segment");
        return;
    }
    if (!event)
        goal->event = segment_event(c, b->yaml, entered ? entered : left, left != NULL);
    else
        goal->event = build_name(c, event->text);
    event = event ? event : entered ? entered : left;
    if (goal->event == NAME_NONE)
        return;
    b->journey->event_wake |= build_event_hear(c, goal->event, yaml_place(b->yaml, event));
    scope_compile_when(c, b->yaml, node->type == YAML_MAP ? node : NULL,
                       target_of(b, SCOPE_EVENT | SCOPE_ENTRY | SCOPE_ONCE, EXPR_WANT_BOOL),
                       &goal->when);
    goal->within_ms = shape_span_ms(shape_value(node, "event", "within"), 0);
    goal->stays = str_is(shape_text(shape_value(node, "event", "then"), STR("end")), "stay");
}

static void entry_add(struct builder *b, struct plan_listen listen)
{
    struct plan_journey *journey = b->journey;
    if (journey->entry_count == b->entry_room) {
        uint32_t room = b->entry_room ? b->entry_room * 2 : 4;
        struct plan_listen *grown = arena_array(b->c->arena, struct plan_listen, room);
        if (journey->entry_count)
            memcpy(grown, b->entries, journey->entry_count * sizeof(*grown));
        journey->entries = b->entries = grown;
        b->entry_room = room;
    }
    b->entries[journey->entry_count++] = listen;
}

/* The journey is one of those that the event may enter. */
static void entry_note(struct builder *b, struct compile_event *event)
{
    if (event->entry_count && event->entries[event->entry_count - 1] == b->file->index)
        return;
    if (event->entry_count == event->entry_room) {
        uint32_t room = event->entry_room ? event->entry_room * 2 : 4;
        uint16_t *grown = arena_array(b->c->arena, uint16_t, room);
        if (event->entry_count)
            memcpy(grown, event->entries, event->entry_count * sizeof(*grown));
        event->entries = grown;
        event->entry_room = room;
    }
    event->entries[event->entry_count++] = b->file->index;
}

/* existing: skip | enter | {pace: 5000/h} */
static bool takes_existing(struct builder *b, const struct yaml_node *enter, struct plan_pace *pace)
{
    struct compile *c = b->c;
    const struct yaml_node *node = shape_value(enter, "event", "existing");
    const struct yaml_node *text = shape_value(node, "then", "pace");
    *pace = (struct plan_pace){0};
    if (!node)
        return false;
    if (!yaml_find_key(enter, "segment") && !yaml_find_key(enter, "if"))
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, node),
                     "\"existing\" means nothing without \"segment\" or \"if\"");
    if (text && node->type == YAML_MAP && !pace_parse(text->text, pace))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, text),
                     "\"pace\" wants a number in a time, 5000/h, not \"%.*s\"",
                     STR_ARG(str_part(text->text, 0, 60)));
    return !str_is(shape_text(shape_value(node, "then", "then"), STR("enter")), "skip");
}

static void existing_add(struct builder *b, const struct yaml_node *enter, uint32_t segment,
                         uint32_t event, struct plan_expr people)
{
    struct plan_journey *journey = b->journey;
    struct plan_pace pace;
    if (event == NAME_NONE || !takes_existing(b, enter, &pace))
        return;
    if (pace.count != 0) {
        way_add_existing(b->c, b->yaml, enter, b->file->index, b->ways, &journey->way_count, event,
                         people, pace);
        return;
    }
    struct plan_existing *grown =
        arena_array(b->c->arena, struct plan_existing, journey->existing_count + 1);
    if (journey->existing_count)
        memcpy(grown, journey->existing, journey->existing_count * sizeof(*grown));
    grown[journey->existing_count++] = (struct plan_existing){segment, event};
    journey->existing = grown;
    b->c->plan->has_existing = true;
}

static void entry_segment(struct builder *b, const struct yaml_node *node, uint32_t event,
                          const struct plan_expr *when)
{
    if (event == NAME_NONE)
        return;
    struct compile_event *heard = build_event(b->c, event, yaml_place(b->yaml, node));
    heard->is_ours = true;
    entry_note(b, heard);
    entry_add(b, (struct plan_listen){.event = event, .when = *when});
}

/* Segments that are entered or left, and a condition that turns true, which is a segment of its own. */
static void entries_of_segments(struct builder *b, const struct yaml_node *enter,
                                const struct plan_expr *when)
{
    static const char *const keys[] = {"segment", "segment_left"};
    struct compile *c = b->c;
    if (enter->type != YAML_MAP)
        return;
    if (!yaml_find_key(enter, "segment") && !yaml_find_key(enter, "if"))
        (void)takes_existing(b, enter, &(struct plan_pace){0});
    for (size_t k = 0; k < array_count(keys); k++) {
        const struct yaml_node *names = shape_value(enter, "event", keys[k]);
        for (uint32_t i = 0; i < shape_count(names); i++) {
            const struct yaml_node *node = shape_item(names, i);
            uint32_t event = segment_event(c, b->yaml, node, k == 1);
            entry_segment(b, node, event, when);
            struct plan_expr people = {.text = STR("")};
            struct str text =
                arena_printf(&c->scratch, "in_segment(\"%.*s\")", STR_ARG(node->text));
            if (k == 0 && event != NAME_NONE &&
                scope_compile_part(c, b->yaml, node, text, 0,
                                   (struct scope_target){.wanted = EXPR_WANT_BOOL}, &people))
                existing_add(b, enter, names_find(c->names, node->text), event, people);
        }
    }
    const struct yaml_node *condition = shape_value(enter, "event", "if");
    if (!condition)
        return;
    struct str own = arena_printf(&c->scratch, "$enter:%.*s", STR_ARG(b->file->name));
    if (b->condition_count++ > 0)
        own = arena_printf(&c->scratch, "%.*s:%u", STR_ARG(own), b->condition_count);
    uint32_t name = build_name(c, own);
    if (name == NAME_NONE ||
        !segment_of_condition(c, b->yaml, condition, condition->text, 0, SEGMENT_ENTRY, name))
        return;
    build_segment(c, name)->is.entered = name;
    entry_segment(b, condition, name, when);
    existing_add(b, enter, name, name, build_segment(c, name)->is.when);
}

/* The ways in of one node: `enter` itself, or an item of enter.any. */
static void entries_compile(struct builder *b, const struct yaml_node *enter)
{
    struct compile *c = b->c;
    const struct yaml_node *events = shape_value(enter, "event", "event");
    struct scope_target target = target_of(b, SCOPE_EVENT | SCOPE_ONCE, EXPR_WANT_BOOL);
    struct plan_expr when;
    target.kept = NULL;
    scope_compile_when(c, b->yaml, enter->type == YAML_MAP ? enter : NULL, target, &when);
    uint32_t way_first = b->journey->way_count;
    const struct plan_way *collects =
        ways_compile(c, b->yaml, enter, b->file->index, b->ways, &b->journey->way_count);
    uint32_t own_first = b->journey->entry_count;
    for (uint32_t i = 0; i < shape_count(events); i++) {
        const struct yaml_node *node = shape_item(events, i);
        if (node->is_bad || node->type != YAML_TEXT)
            continue;
        uint32_t name = build_name(c, node->text);
        if (name == NAME_NONE)
            continue;
        bool is_twice = false;
        for (uint32_t k = own_first; k < b->journey->entry_count; k++)
            is_twice |= b->entries[k].event == name;
        if (is_twice) {
            findings_add(c->findings, FINDING_NAME_TWICE, yaml_place(b->yaml, node),
                         "the event \"%.*s\" stands here twice", STR_ARG(node->text));
            continue;
        }
        entry_note(b, build_event(c, name, yaml_place(b->yaml, node)));
        entry_add(b, (struct plan_listen){.event = name, .when = when, .way = collects});
    }
    entries_of_segments(b, enter, &when);
    for (uint32_t i = way_first; i < b->journey->way_count; i++)
        if (b->ways[i].kind != WAY_EVENT)
            entry_add(b, (struct plan_listen){
                             .event = b->ways[i].event, .when = when, .way = &b->ways[i]});
}

/* The ways move to where the plan is, and the entries that name them with them. */
static void ways_keep(struct builder *b)
{
    struct plan_journey *journey = b->journey;
    struct plan_way *ways = arena_array(b->c->arena, struct plan_way, journey->way_count);
    for (uint32_t i = 0; i < journey->way_count; i++)
        ways[i] = b->ways[i];
    for (uint32_t i = 0; i < journey->entry_count; i++)
        if (b->entries[i].way)
            b->entries[i].way = &ways[b->entries[i].way - b->ways];
    journey->ways = ways;
}

/* Has `enter` no key that could enter anybody? */
static bool says_no_way(const struct yaml_node *enter)
{
    static const char *const others[] = {"when",         "unless",  "key",  "again",   "at_once",
                                         "max_lateness", "collect", "pace", "existing"};
    if (enter->type != YAML_MAP || enter->is_bad)
        return false;
    for (uint32_t i = 0; i < enter->count; i++) {
        bool is_other = false;
        for (size_t k = 0; k < array_count(others); k++)
            is_other |= str_is(enter->pairs[i].key->text, others[k]);
        if (!is_other)
            return false;
    }
    return true;
}

static void enter_compile(struct builder *b, const struct yaml_node *enter)
{
    struct compile *c = b->c;
    struct plan_journey *journey = b->journey;
    journey->again = AGAIN_ALWAYS;
    journey->again_of_end = true;
    journey->at_once_max = 1;
    if (!enter)
        return;
    b->ways = arena_array(&c->scratch, struct plan_way, PLAN_WAYS_MAX);
    entries_compile(b, enter);
    const struct yaml_node *any =
        enter->type == YAML_MAP ? shape_value(enter, "event", "any") : NULL;
    for (uint32_t i = 0; i < shape_count(any); i++)
        entries_compile(b, shape_item(any, i));
    if (any && any->type == YAML_LIST && shape_count(any) == 0)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, any),
                     "the list is empty, so that nothing enters the journey");
    ways_keep(b);
    if (says_no_way(enter)) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, enter),
                     "nothing enters the journey");
        finding_advise(c->findings,
                       "say what does: event, segment, if, schedule, date, business_event, api");
    }
    const struct yaml_node *key = shape_value(enter, "event", "key");
    if (key) {
        struct str path = str_trim(key->text);
        if (str_starts(path, STR("event.")))
            path = str_part(path, 6, path.len);
        bool is_path =
            path.len > 0 && !str_starts(path, STR("entry.")) && !str_starts(path, STR("traits."));
        for (size_t i = 0; i < path.len; i++)
            is_path &= strchr("()[]+\"' ,", path.at[i]) == NULL;
        if (is_path)
            journey->key = build_name(c, path);
        else
            findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, key),
                         "the key is a property of the event, such as event.cart_id");
    }
    const struct yaml_node *again = shape_value(enter, "event", "again");
    struct str after = shape_text(shape_value(again, "after", "after"), STR("always"));
    if (str_is(after, "never"))
        journey->again = AGAIN_NEVER;
    else if (!str_is(after, "always"))
        journey->again = AGAIN_AFTER;
    journey->again_ms = shape_span_ms(shape_value(again, "after", "after"), 0);
    journey->again_of_end =
        !str_is(shape_text(shape_value(again, "after", "of"), STR("end")), "start");
    const struct yaml_node *per = shape_value(again, "after", "per");
    journey->again_per_key = str_is(shape_text(per, STR("person")), "key");
    const struct yaml_node *at_once = shape_value(enter, "event", "at_once");
    const struct yaml_node *once_per = shape_value(at_once, "max", "per");
    journey->at_once_max = (uint32_t)shape_int(shape_value(at_once, "max", "max"), 1);
    journey->at_once_per_key = once_per ? str_is(once_per->text, "key") : journey->key != NAME_NONE;
    const struct yaml_node *then = shape_value(at_once, "max", "then");
    if (str_is(shape_text(then, STR("ignore")), "restart"))
        journey->at_once_then = AT_ONCE_RESTART;
    if (then && str_is(then->text, "queue"))
        findings_add(c->findings, FINDING_NOT_YET, yaml_place(b->yaml, then),
                     "\"then: queue\" is not supported yet by this release");
    const struct yaml_node *needs_key[] = {journey->again_per_key ? per : NULL,
                                           journey->at_once_per_key ? once_per : NULL};
    for (size_t i = 0; i < array_count(needs_key); i++)
        if (needs_key[i] && journey->key == NAME_NONE && !key)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, needs_key[i]),
                         "\"per: key\" needs a \"key\" in enter");
    journey->max_lateness_ms = shape_span_ms(shape_value(enter, "event", "max_lateness"), 0);
}

/* The group it names itself, or that lists it. */
static uint16_t group_of(struct builder *b)
{
    struct compile *c = b->c;
    const struct yaml_node *own = shape_value(b->yaml->root, "", "group");
    uint16_t group = build_group_index(c, b->yaml, own);
    for (uint32_t i = 0; i < c->plan->group_count; i++) {
        for (uint32_t k = 0; k < c->groups[i].journey_count; k++) {
            if (c->groups[i].journeys[k] != b->journey->name || b->journey->name == NAME_NONE)
                continue;
            if (group != PLAN_NO_INDEX && group != i)
                findings_add(c->findings, FINDING_CONFLICT,
                             yaml_place(&c->settings->yaml, c->groups[i].nodes[k]),
                             "the journey \"%.*s\" is in two groups, \"%.*s\" and \"%.*s\"",
                             STR_ARG(b->file->name),
                             STR_ARG(names_text(c->names, c->plan->groups[group].name)),
                             STR_ARG(names_text(c->names, c->plan->groups[i].name)));
            group = (uint16_t)i;
        }
    }
    return group;
}

static uint64_t definition_hash(const struct yaml_node *root)
{
    static const char *const words[] = {"owner", "description", NULL};
    struct buf text;
    buf_init(&text);
    yaml_normal(root, words, &text);
    uint64_t hash = hash_str(buf_str(&text), 0);
    buf_fini(&text);
    return hash;
}

static void kept_store(struct builder *b)
{
    const struct name_set *kept = &b->info->kept;
    uint32_t *names = arena_array(b->c->arena, uint32_t, kept->count);
    if (kept->count)
        memcpy(names, kept->names, kept->count * sizeof(*names));
    b->journey->kept = names;
    b->journey->kept_count = kept->count;
}

static void steps_store(struct builder *b)
{
    struct compile *c = b->c;
    struct plan_step *steps = arena_array(c->arena, struct plan_step, b->count);
    if (b->count)
        memcpy(steps, b->steps, b->count * sizeof(*steps));
    b->journey->steps = steps;
    b->journey->step_count = b->count;
    b->info->places = arena_array(&c->scratch, struct place, b->count);
    for (uint32_t i = 0; i < b->count; i++)
        b->info->places[i] = yaml_place(b->yaml, b->nodes[i]);
}

static void journey_compile(struct compile *c, struct compile_file *file)
{
    const struct yaml_node *root = file->yaml.root;
    struct builder b = {
        .c = c,
        .file = file,
        .yaml = &file->yaml,
        .journey = &c->journeys[file->index],
        .info = &c->journey_infos[file->index],
        .steps = mem_new(PLAN_STEPS_MAX * sizeof(struct plan_step)),
        .nodes = arena_array(&c->scratch, const struct yaml_node *, PLAN_STEPS_MAX),
        .given_ids = arena_array(&c->scratch, uint32_t, PLAN_STEPS_MAX),
    };
    struct plan_journey *journey = b.journey;
    b.info->file = file;
    journey->name = file->name_id;
    journey->owner = arena_copy(c->arena, shape_text(shape_value(root, "", "owner"), STR("")));
    journey->group = group_of(&b);
    journey->priority = (int32_t)shape_int(shape_value(root, "", "priority"), 0);
    journey->hash = definition_hash(root);
    struct str holdout_text;
    journey->holdout = build_holdout(c, shape_value(root, "", "holdout"), "journey-holdout",
                                     file->name, &journey->salt, &holdout_text);
    enter_compile(&b, shape_value(root, "", "enter"));
    goal_compile(&b, shape_value(root, "", "goal"));
    const struct yaml_node *exits = shape_value(root, "", "exits");
    struct listens listens = listens_of(&b, exits, true);
    journey->exits = listens.list;
    journey->exit_count = listens.count;
    scope_compile(c, b.yaml, shape_value(root, "", "require"),
                  target_of(&b, SCOPE_ENTRY, EXPR_WANT_BOOL), &journey->require);

    const struct yaml_node *steps = shape_value(root, "", "steps");
    struct open_ends ends = {0};
    uint16_t last_message = LAST_NONE;
    ids_collect(&b, steps);
    steps_compile(&b, steps, &ends, &last_message);
    ends_close(&ends, PLAN_END);
    if (steps && !steps->is_bad && steps->type == YAML_LIST && steps->count == 0)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b.yaml, steps),
                     "the journey has no steps");
    kept_store(&b);
    steps_store(&b);
    mem_free(b.steps);
}

void journeys_compile(struct compile *c)
{
    for (uint32_t i = 0; i < c->file_count; i++) {
        struct compile_file *file = &c->files[i];
        if (file->kind == FILE_JOURNEY && file->index != PLAN_NO_INDEX && file->yaml.root &&
            file->yaml.root->type == YAML_MAP)
            journey_compile(c, file);
    }
}
