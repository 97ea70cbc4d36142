/* journey_send.c - the step `send`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

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

void send_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
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
