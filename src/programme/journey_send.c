/* journey_send.c - the step `send`: channels, what happens where one is of no use, the follow-up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

#include "when/span.h"

#define FALLBACK_WITHIN_MS HOUR_MS

/* ---- what engagement cancels ---------------------------------------------------------------------- */

void guards_add_message(struct builder *b, uint32_t message)
{
    for (uint32_t i = 0; i < b->guard_count; i++)
        if (b->guards[i] == message)
            return;
    if (b->guard_count < GUARDS_MAX)
        b->guards[b->guard_count++] = message;
}

void guards_add(struct builder *b, const struct plan_expr *condition)
{
    if (condition->code == NULL)
        return;
    struct expr_reads reads = expr_reads(condition->code);
    for (uint32_t i = 0; i < reads.binding_count; i++) {
        const struct plan_binding *binding = &b->c->bindings[reads.bindings[i]];
        if (binding->kind == BINDING_ENGAGED || binding->kind == BINDING_CLICKED)
            guards_add_message(b, binding->name);
    }
}

static void guards_store(struct builder *b, struct plan_send *send)
{
    uint32_t *names = arena_array(b->c->arena, uint32_t, b->guard_count);
    if (b->guard_count)
        memcpy(names, b->guards, b->guard_count * sizeof(*names));
    send->engaged = names;
    send->engaged_count = b->guard_count;
}

/* ---- channels ------------------------------------------------------------------------------------- */

static void channel_add(struct builder *b, const struct yaml_node *item, struct plan_send *send)
{
    struct compile *c = b->c;
    const struct plan_message *message = &c->messages[send->message];
    bool is_known = !c->message_infos[send->message].has_bad;
    enum channel channel = CHANNEL_NONE;
    if (item->is_bad || item->type != YAML_TEXT)
        return;
    bool is_preferred = str_is(item->text, "preferred");
    if (!is_preferred && !channel_find(item->text, &channel))
        return;
    uint8_t code = is_preferred ? PLAN_CHANNEL_PREFERRED : (uint8_t)channel;
    bool is_twice = false;
    for (uint32_t k = 0; k < send->channel_count; k++)
        is_twice |= send->channels[k] == code;
    if (is_twice) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                     "the channel %.*s stands here twice", STR_ARG(item->text));
    } else if (is_known && !is_preferred && !(message->channel_mask >> channel & 1)) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                     "the message \"%.*s\" has nothing to say on %.*s",
                     STR_ARG(names_text(c->names, message->name)), STR_ARG(item->text));
    } else if (send->channel_count < PLAN_CHANNELS_MAX) {
        send->channels[send->channel_count++] = code;
    }
}

/* All that the message has content for, where nothing is written. */
static void channels_default(struct builder *b, struct plan_send *send)
{
    const struct plan_message *message = &b->c->messages[send->message];
    for (int channel = CHANNEL_NONE + 1; channel < CHANNEL_END; channel++)
        if (message->channel_mask >> channel & 1 && send->channel_count < PLAN_CHANNELS_MAX)
            send->channels[send->channel_count++] = (uint8_t)channel;
}

static void channels_compile(struct builder *b, const struct yaml_node *node,
                             struct plan_send *send)
{
    struct compile *c = b->c;
    const struct yaml_node *channels = shape_value(node, "", "channels");
    const struct yaml_node *first_of = shape_value(channels, "first_of", "first_of");
    const struct yaml_node *all_of = shape_value(channels, "first_of", "all_of");
    const struct yaml_node *list = first_of ? first_of : all_of;
    if (first_of && all_of)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, all_of),
                     "\"first_of\" and \"all_of\" are two ways; a send has one");
    send->is_all = all_of != NULL && !first_of;
    if (!list)
        channels_default(b, send);
    for (uint32_t i = 0; i < shape_count(list); i++)
        channel_add(b, shape_item(list, i), send);
    bool has_other = false;
    for (uint32_t i = 0; i < send->channel_count; i++)
        has_other |= send->channels[i] != PLAN_CHANNEL_PREFERRED;
    if (send->channel_count > 0 && !has_other) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, list),
                     "who prefers no channel, or one that the message lacks, would get nothing");
        finding_advise(c->findings, "name a channel behind it: [preferred, email]");
    }
    const struct yaml_node *within = shape_value(node, "", "fallback_within");
    if (within && send->channel_count < 2 && list)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, within),
                     "\"fallback_within\" means nothing where there is no other channel");
    else if (within && send->is_all)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, within),
                     "\"all_of\" goes out on every channel: there is none to fall back to");
}

/* ---- the step ------------------------------------------------------------------------------------- */

static void message_note(struct builder *b, const struct yaml_node *node, uint16_t message)
{
    struct compile *c = b->c;
    c->message_infos[message].is_sent = true;
    for (uint32_t i = 0; i < c->message_infos[message].entry_reads.count; i++)
        name_set_add(c, &b->info->kept, c->message_infos[message].entry_reads.names[i]);
    for (uint32_t i = 0; i < c->message_infos[message].entry_reads.count; i++)
        saved_told(c, b->yaml, node, c->message_infos[message].entry_reads.names[i]);
}

static void voucher_compile(struct builder *b, const struct yaml_node *node, struct plan_send *send)
{
    struct compile *c = b->c;
    const struct yaml_node *voucher = shape_value(node, "", "voucher");
    const struct yaml_node *pool = shape_value(voucher, "pool", "pool");
    struct str empty = shape_text(shape_value(voucher, "pool", "if_empty"), STR("skip"));
    const struct plan_message *message = &c->messages[send->message];
    bool is_shown = false;
    if (!voucher)
        return;
    send->voucher = build_voucher(c, b->yaml, pool);
    send->voucher_empty = str_is(empty, "wait")           ? VOUCHER_WAIT
                          : str_is(empty, "send_without") ? VOUCHER_WITHOUT
                                                          : VOUCHER_SKIP;
    for (uint32_t i = 0; i < message->field_count; i++)
        is_shown |= message->fields[i] == SLOT(SLOT_META, META_VOUCHER);
    if (!is_shown && !c->message_infos[send->message].has_bad) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, voucher),
                     "the message \"%.*s\" does not show the code",
                     STR_ARG(names_text(c->names, message->name)));
        finding_advise(c->findings, "write {{ voucher.code }} where it shall stand");
    }
    if (send->is_all)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, voucher),
                     "\"all_of\" would give the person a code for each channel");
}

static void provider_choose(struct builder *b, const struct yaml_node *node, struct plan_send *send)
{
    struct compile *c = b->c;
    const struct yaml_node *provider = shape_value(node, "", "provider");
    send->provider = build_provider(c, b->yaml, provider);
    if (send->provider == PLAN_NO_INDEX)
        return;
    uint8_t channel = c->providers[send->provider].channel;
    if (str_is(c->providers[send->provider].kind, "http")) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, provider),
                     "\"%.*s\" answers calls; it carries no messages", STR_ARG(provider->text));
        return;
    }
    for (uint32_t i = 0; i < send->channel_count; i++)
        if (send->channels[i] == channel || send->channels[i] == PLAN_CHANNEL_PREFERRED)
            return;
    findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, provider),
                 "\"%.*s\" carries %.*s, on which this is not sent", STR_ARG(provider->text),
                 STR_ARG(channel_name((enum channel)channel)));
}

/* best_time: {within: 24h, otherwise: '10:00'} */
static void best_time_compile(struct builder *b, const struct yaml_node *node,
                              struct plan_send *send)
{
    struct compile *c = b->c;
    const struct yaml_node *best = shape_value(node, "", "best_time");
    const struct yaml_node *within = shape_value(best, "within", "within");
    const struct yaml_node *otherwise = shape_value(best, "within", "otherwise");
    const struct plan_message *message = &c->messages[send->message];
    send->best_otherwise_ms = MOMENT_NO_CLOCK;
    if (!best || best->is_bad)
        return;
    if (otherwise && !otherwise->is_bad &&
        (clock_parse(otherwise->text, &send->best_otherwise_ms, NULL) != OK ||
         send->best_otherwise_ms == DAY_MS))
        send->best_otherwise_ms = 0; /* 24:00 is the next day's 0:00 */
    send->best_within_ms = shape_span_ms(within, DAY_MS);
    c->plan->has_best_times = true;
    if (send->best_within_ms < HOUR_MS || send->best_within_ms > 7 * DAY_MS) {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, within ? within : best),
                     "the best hour is looked for within 1h to 7d");
        return;
    }
    if (message->category >= c->plan->category_count)
        return;
    int64_t valid_ms = send->valid_for_ms ? send->valid_for_ms : message->valid_for_ms;
    const struct lane_term *lane =
        lane_term((enum lane)c->plan->categories[message->category].lane);
    if (!(lane->flags & LANE_WINDOWS))
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, best),
                     "messages of the lane %.*s do not wait for a better hour",
                     STR_ARG(lane->name));
    else if (valid_ms < HOUR_MS)
        findings_add(c->findings, FINDING_UNDELIVERABLE, yaml_place(b->yaml, best),
                     "\"%.*s\" may wait for less than an hour: there is no better one to choose",
                     STR_ARG(names_text(c->names, message->name)));
}

static void follow_up_compile(struct builder *b, const struct yaml_node *node,
                              struct plan_send *first)
{
    struct compile *c = b->c;
    const struct yaml_node *channel = shape_value(node, "", "channel");
    const struct yaml_node *after = shape_value(node, "", "after");
    uint16_t message = build_message_index(c, b->yaml, shape_value(node, "", "send"));
    if (message == PLAN_NO_INDEX)
        return;
    struct plan_follow_up *follow = arena_array(c->arena, struct plan_follow_up, 1);
    *follow = (struct plan_follow_up){
        .send = {.message = message,
                 .goes_on = true,
                 .if_not_sent = PLAN_NO_INDEX,
                 .voucher = PLAN_NO_INDEX,
                 .provider = PLAN_NO_INDEX,
                 .valid_for_ms = shape_span_ms(shape_value(node, "", "valid_for"), 0),
                 .fallback_within_ms = FALLBACK_WITHIN_MS},
        .after_ms = shape_span_ms(after, 0),
        .is_sooner = shape_value(node, "", "sooner_if") != NULL,
    };
    if (channel && channel->type == YAML_TEXT)
        channel_add(b, channel, &follow->send);
    for (uint32_t i = 0; channel && channel->type == YAML_LIST && i < channel->count; i++)
        channel_add(b, channel->items[i], &follow->send);
    if (!channel)
        channels_default(b, &follow->send);
    if (after && !after->is_bad && follow->after_ms <= 0)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, after),
                     "a follow-up comes some time after the first");
    if (message == first->message)
        findings_add(c->findings, FINDING_CONFLICT,
                     yaml_place(b->yaml, shape_value(node, "", "send")),
                     "a follow-up is another message than the one that it follows");
    const struct plan_message *one = &c->messages[first->message];
    const struct plan_message *two = &c->messages[message];
    if (message != first->message && one->content_key == two->content_key)
        findings_add(c->findings, FINDING_CONFLICT,
                     yaml_place(b->yaml, shape_value(node, "", "send")),
                     "the follow-up has the content_key of the first, so that it would always end "
                     "as a duplicate");
    message_note(b, node, message);
    guards_store(b, &follow->send);
    /* Engagement is looked back at as long as it may cancel. */
    c->ledger_ms = max_of(c->ledger_ms, follow->after_ms + one->valid_for_ms);
    first->follow_up = follow;
}

/* The one message of an alternative, or PLAN_NO_INDEX. */
static uint16_t instead_message(struct builder *b, const struct yaml_node *item,
                                const struct yaml_node **step)
{
    struct compile *c = b->c;
    const struct yaml_node *steps = shape_value(item, "", "do");
    static const char *const keys[] = {"go_on",          "if_not_sent",     "follow_up", "instead",
                                       "if_unreachable", "fallback_within", "id"};
    *step = shape_count(steps) == 1 ? shape_item(steps, 0) : NULL;
    const char *member = *step ? shape_member(*step, shape_union_get("STEP")) : NULL;
    if (!member || strcmp(member, "send") != 0) {
        if (!item->is_bad && !(*step && (*step)->is_bad))
            findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, item),
                         "instead of a message another message goes: do: [{send: NAME}]");
        return PLAN_NO_INDEX;
    }
    for (size_t i = 0; i < array_count(keys); i++) {
        const struct yaml_node *key = yaml_find_key(*step, keys[i]);
        if (key)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, key),
                         "what goes instead takes the place of the first: \"%s\" is said there",
                         keys[i]);
    }
    return build_message_index(c, b->yaml, shape_value(*step, "", "send"));
}

static void insteads_compile(struct builder *b, const struct yaml_node *list,
                             struct plan_send *send)
{
    struct compile *c = b->c;
    uint32_t count = min_of(shape_count(list), (uint32_t)PLAN_INSTEADS_MAX);
    if (count < shape_count(list))
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, list),
                     "a send has at most %d messages that may go instead", PLAN_INSTEADS_MAX);
    struct plan_instead *insteads = arena_array(c->arena, struct plan_instead, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        const struct yaml_node *step;
        const char *member = shape_member(item, shape_union_get("INSTEAD"));
        if (!member)
            continue;
        struct plan_instead *one = &insteads[send->instead_count];
        uint32_t flags = SCOPE_ENTRY | (strcmp(member, "unless") == 0 ? SCOPE_NOT : 0u);
        *one =
            (struct plan_instead){.send = {.if_not_sent = PLAN_NO_INDEX, .voucher = PLAN_NO_INDEX}};
        scope_compile(c, b->yaml, shape_value(item, "", member),
                      builder_target(b, flags, EXPR_WANT_BOOL), &one->when);
        uint16_t message = instead_message(b, item, &step);
        if (message == PLAN_NO_INDEX)
            continue;
        if (message == send->message)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                         "instead of a message another one goes, not itself");
        one->send.message = message;
        one->send.goes_on = send->goes_on;
        one->send.valid_for_ms = shape_span_ms(shape_value(step, "", "valid_for"), 0);
        one->send.fallback_within_ms = send->fallback_within_ms;
        one->send.wait_address_ms = send->wait_address_ms;
        channels_compile(b, step, &one->send);
        if (send->is_all || one->send.is_all)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                         "\"all_of\" is several messages: none takes the place of another");
        voucher_compile(b, step, &one->send);
        best_time_compile(b, step, &one->send);
        message_note(b, step, message);
        guards_store(b, &one->send);
        send->instead_count++;
    }
    send->insteads = insteads;
}

/* Some lanes may not end in silence. */
static void look_for_way_out(struct builder *b, const struct yaml_node *node,
                             const struct plan_message *message, bool has_one)
{
    struct compile *c = b->c;
    if (has_one || message->category >= c->plan->category_count)
        return;
    const struct lane_term *lane =
        lane_term((enum lane)c->plan->categories[message->category].lane);
    if (!(lane->flags & LANE_NEEDS_WAY_OUT))
        return;
    findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, node),
                 "\"%.*s\" is of the lane %.*s: say what happens if it is not sent",
                 STR_ARG(names_text(c->names, message->name)), STR_ARG(lane->name));
    finding_advise(c->findings, "if_not_sent: [{send: letter}]");
}

void send_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    struct plan_send *send = &step->send;
    const struct yaml_node *not_sent = shape_value(node, "", "if_not_sent");
    const struct yaml_node *follow_up = shape_value(node, "", "follow_up");
    send->if_not_sent = send->voucher = send->provider = PLAN_NO_INDEX;
    uint16_t message = build_message_index(c, b->yaml, shape_value(node, "", "send"));
    if (message == PLAN_NO_INDEX) {
        *last_message = LAST_MANY; /* said already; no other finding shall follow from it */
        return;
    }
    send->message = message;
    send->goes_on = shape_bool(shape_value(node, "", "go_on"), false) || b->is_aside;
    send->valid_for_ms = shape_span_ms(shape_value(node, "", "valid_for"), 0);
    send->fallback_within_ms =
        shape_span_ms(shape_value(node, "", "fallback_within"), FALLBACK_WITHIN_MS);
    send->wait_address_ms =
        shape_span_ms(shape_value(shape_value(node, "", "if_unreachable"), "wait", "wait"), 0);
    channels_compile(b, node, send);
    message_note(b, node, message);
    guards_store(b, send);
    voucher_compile(b, node, send);
    best_time_compile(b, node, send);
    provider_choose(b, node, send);
    if (follow_up)
        follow_up_compile(b, follow_up, send);
    insteads_compile(b, shape_value(node, "", "instead"), send);
    uint16_t before = *last_message;
    *last_message = message;
    look_for_way_out(b, node, &c->messages[message], not_sent != NULL);
    if (!not_sent)
        return;
    if (send->goes_on) {
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, not_sent),
                     b->is_aside ? "a reaction that stays waits for nothing, not for what "
                                   "\"if_not_sent\" asks"
                                 : "\"go_on\" does not wait for what \"if_not_sent\" asks");
        return;
    }
    uint16_t inner_last = before;
    if (shape_count(not_sent))
        inner_compile(b, not_sent, &send->if_not_sent, ends, &inner_last);
}

/* ---- outcome() ------------------------------------------------------------------------------------ */

void outcomes_compile(struct builder *b)
{
    struct compile *c = b->c;
    for (const struct compile_told *told = c->told; told != NULL; told = told->next) {
        struct str *known = arena_array(&c->scratch, struct str, b->count + 1);
        uint32_t count = 0;
        bool is_found = false;
        if (told->file != b->yaml || told->is_saved)
            continue;
        for (uint32_t i = 0; i < b->count; i++) {
            struct plan_step *step = &b->steps[i];
            struct str id = names_text(c->names, step->id);
            bool is_errand = step->kind == STEP_CALL || step->kind == STEP_TASK;
            if (step->kind != STEP_SEND && !is_errand)
                continue;
            known[count++] = id;
            if (!str_equal(id, told->step))
                continue;
            *(is_errand ? &step->errand.told_as : &step->send.told_as) = told->name;
            is_found = true;
        }
        if (is_found)
            continue;
        struct str near = str_nearest(told->step, known, count);
        findings_add(c->findings, FINDING_UNKNOWN_NAME, told->place,
                     "outcome(): the journey has no send, call or task with the id \"%.*s\"",
                     STR_ARG(told->step));
        if (near.len)
            finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
    }
}
