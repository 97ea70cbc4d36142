/* journey_wait.c - the step `wait`, in all its forms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

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
    moment_compile(c, b->yaml, item, builder_target(b, SCOPE_ENTRY, EXPR_WANT_ANY), MOMENT_OF_ALL,
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
        if (!c->findings->error_count) {
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, engaged),
                         "\"unless: engaged\": which message was sent last depends on the way "
                         "here");
            finding_advise(c->findings, "name them: until: {if: 'engaged(\"one\", \"7d\") || "
                                        "engaged(\"other\", \"7d\")'}");
        }
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
    struct scope_target target = builder_target(b, SCOPE_ENTRY, EXPR_WANT_ANY);
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

/* after: delivered(x), sent(x) */
static void after_compile(struct builder *b, const struct yaml_node *node, struct plan_wait *wait)
{
    struct compile *c = b->c;
    const struct yaml_node *after = shape_value(node, "for", "after");
    if (!after)
        return;
    struct str text = str_trim(after->text);
    bool is_delivered = str_starts(text, STR("delivered("));
    size_t from = is_delivered ? 10 : 5;
    if ((!is_delivered && !str_starts(text, STR("sent("))) || text.len <= from ||
        text.at[text.len - 1] != ')') {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, after),
                     "\"after\" wants delivered(MESSAGE) or sent(MESSAGE), not \"%.*s\"",
                     STR_ARG(str_part(text, 0, 60)));
        return;
    }
    struct str name = str_trim(str_part(text, from, text.len - from - 1));
    uint32_t message = NAME_NONE;
    struct str *known = arena_array(&c->scratch, struct str, b->count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->count; i++) { /* what was sent before the wait */
        if (b->steps[i].kind != STEP_SEND)
            continue;
        uint32_t own = c->messages[b->steps[i].send.message].name;
        known[count++] = names_text(c->names, own);
        if (str_equal(known[count - 1], name))
            message = own;
    }
    if (message == NAME_NONE) {
        findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(b->yaml, after),
                     "the journey sends no message \"%.*s\" before this wait", STR_ARG(name));
        struct str near = str_nearest(name, known, count);
        if (near.len)
            finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
        return;
    }
    if (!shape_value(node, "for", "for"))
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, after),
                     "\"after\" says what \"for\" counts from, and there is none");
    wait->after_message = message;
    wait->is_after_delivered = is_delivered;
    c->ledger_ms = max_of(c->ledger_ms, LEDGER_LEAST_MS + max_of(wait->for_ms, INT64_C(0)));
}

void wait_compile(struct builder *b, const struct yaml_node *step_node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message)
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
    after_compile(b, node, wait);
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
        uint32_t guard_count = b->guard_count;
        if (wait->engaged_message != PLAN_NO_INDEX)
            guards_add_message(b, c->messages[wait->engaged_message].name);
        inner_compile(b, timeout, &wait->on_timeout, ends, &inner_last);
        b->guard_count = guard_count;
        *last_message = last_of_two(*last_message, inner_last);
    }
    bool is_date_timeout = until || engaged;
    bool is_length_timeout = is_date_timeout || any || moments.date;
    if (moments.date) {
        moments.date->target = wait->on_timeout;
        if (!is_date_timeout || wait->on_timeout == PLAN_NO_INDEX)
            ends_open(b, ends, &moments.date->target);
    }
    if (moments.length) {
        moments.length->target = wait->on_timeout;
        if (!is_length_timeout || wait->on_timeout == PLAN_NO_INDEX)
            ends_open(b, ends, &moments.length->target);
    }
}
