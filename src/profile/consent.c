/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/consent.h"
#include "base/canary.h"

#include "profile/traits.h"

struct str person_address(const struct person *who, enum channel channel)
{
    uint32_t trait = channel_trait(channel);
    if (trait == NAME_NONE)
        return STR("");
    struct value x = traits_get(who, trait, NULL);
    return x.type == VALUE_TEXT ? str_trim(x.text) : STR("");
}

static bool is_about_the_same(const struct consent *a, const struct consent *b)
{
    return a->channel == b->channel && a->purpose == b->purpose && a->topic == b->topic &&
           a->bar == b->bar && id128_equal(a->address, b->address);
}

/* Puts the statement into the list; true if it changed what holds. */
static bool keep(struct person *who, const struct consent *statement)
{
    for (uint32_t i = 0; i < who->profile->consents.count; i++) {
        const struct consent *old = person_consent(who, i);
        if (!is_about_the_same(old, statement))
            continue;
        bool is_newer = statement->at_ms > old->at_ms ||
                        (statement->at_ms == old->at_ms && !statement->is_given);
        if (!is_newer && !planted("consent-out-of-order"))
            return false;
        *person_touch_consent(who, i) = *statement;
        return true;
    }
    if (who->profile->consents.count == PROFILE_CONSENTS_MAX) {
        /* The oldest agreement goes: forgetting one never sends a message too many. */
        uint32_t oldest = UINT32_MAX;
        for (uint32_t i = 0; i < who->profile->consents.count; i++) {
            const struct consent *old = person_consent(who, i);
            if (old->is_given && old->bar == BAR_NONE &&
                (oldest == UINT32_MAX || old->at_ms < person_consent(who, oldest)->at_ms))
                oldest = i;
        }
        person_drop_consent(who, oldest == UINT32_MAX ? 0 : oldest);
    }
    struct consent *slot = person_push_consent(who);
    must(slot != NULL);
    *slot = *statement;
    return true;
}

/* The address is barred for whoever has it. */
static void suppress(struct person *who, const struct consent *statement)
{
    uint8_t how = statement->bar == BAR_BAD ? SUPPRESSED_BAD_ADDRESS : SUPPRESSED_STOPPED;
    person_result(
        who, (struct result){.kind = RESULT_SUPPRESSED, .how = how, .step = statement->channel});
    if (id128_is_set(statement->address))
        person_send(who, (struct stage_message){.kind = TO_ADDRESS_SUPPRESS,
                                                .how = how,
                                                .channel = statement->channel,
                                                .address = statement->address,
                                                .at_ms = statement->at_ms});
}

bool consent_note(struct person *who, struct consent statement)
{
    must(statement.channel > CHANNEL_NONE);
    must(statement.channel < CHANNEL_END);
    if (!keep(who, &statement))
        return false;
    person_changed_name(who, NAME_CONSENT_CHANGED);
    who->is_desk_due = true;
    if (statement.bar != BAR_NONE) {
        suppress(who, &statement);
        return true;
    }
    person_result(who, (struct result){.kind = RESULT_CONSENT,
                                       .how = statement.is_given,
                                       .step = statement.channel,
                                       .number = statement.topic});
    bool is_about_all = statement.purpose == NAME_MARKETING && statement.topic == NAME_NONE;
    if (is_about_all && id128_is_set(statement.address))
        person_send(who, (struct stage_message){
                             .kind = statement.is_given ? TO_ADDRESS_CLEAR : TO_ADDRESS_SUPPRESS,
                             .how = SUPPRESSED_UNSUBSCRIBED,
                             .channel = statement.channel,
                             .address = statement.address,
                             .at_ms = statement.at_ms,
                         });
    return true;
}

bool consent_is_given(const struct record *r)
{
    struct value status = record_get(r, NAME_STATUS, NULL);
    if (r->name != NAME_CONSENT_CHANGED)
        return false;
    if (status.type == VALUE_BOOL)
        return status.boolean;
    return status.type == VALUE_TEXT &&
           (str_is(status.text, "granted") || str_is(status.text, "subscribed"));
}

bool consent_stops(const struct record *r)
{
    struct value status = record_get(r, NAME_STATUS, NULL);
    if (r->name == NAME_UNSUBSCRIBED)
        return channel_trait(consent_channel(r)) == NAME_PHONE;
    return r->name == NAME_CONSENT_CHANGED && status.type == VALUE_TEXT &&
           (str_is(status.text, "stopped") || str_is(status.text, "blocked"));
}

enum channel consent_channel(const struct record *r)
{
    struct value channel = record_get(r, NAME_CHANNEL, NULL);
    enum channel number;
    return channel.type == VALUE_TEXT && channel_find(channel.text, &number) ? number
                                                                             : CHANNEL_EMAIL;
}

void consent_event(struct person *who)
{
    const struct record *r = who->event;
    struct value channel = record_get(r, NAME_CHANNEL, NULL);
    struct value purpose = record_get(r, NAME_PURPOSE, NULL);
    struct value topic = record_get(r, NAME_TOPIC, NULL);
    struct value address = record_get(r, NAME_ADDRESS, NULL);
    bool is_given = consent_is_given(r);
    enum channel number = CHANNEL_EMAIL;
    if (channel.type == VALUE_TEXT && !channel_find(channel.text, &number)) {
        person_result(who, (struct result){
                               .kind = RESULT_ERROR, .how = ERROR_CONSENT, .number = NAME_CHANNEL});
        return;
    }
    /* Only a server key may say yes for somebody; anybody may say no. */
    if (is_given && !(r->flags & RECORD_IS_SERVER)) {
        person_result(who, (struct result){.kind = RESULT_ERROR,
                                           .how = ERROR_CONSENT,
                                           .number = NAME_CONSENT_CHANGED});
        return;
    }
    uint32_t purpose_name = NAME_MARKETING, topic_name = NAME_NONE;
    if (purpose.type == VALUE_TEXT)
        purpose_name = names_find_below(who->names, purpose.text, who->names_end);
    if (topic.type == VALUE_TEXT)
        topic_name = names_find_below(who->names, topic.text, who->names_end);
    /* A topic or purpose that no programme knows: a yes to it means nothing, a no is taken for all. */
    bool is_unknown =
        purpose_name == NAME_NONE || (topic.type == VALUE_TEXT && topic_name == NAME_NONE);
    if (is_unknown && is_given)
        return;
    struct str text = address.type == VALUE_TEXT ? address.text : person_address(who, number);
    struct consent statement = {
        .channel = (uint8_t)number,
        .is_given = is_given,
        .purpose = purpose_name ? purpose_name : NAME_MARKETING,
        .topic = topic_name,
        .source = r->source,
        .address = text.len || channel_trait(number) == NAME_NONE
                       ? address_hash(who->secret, number, text, who->id)
                       : (struct id128){0},
        .at_ms = r->event_ms,
    };
    bool stops = consent_stops(r);
    if (stops) { /* to everything: a no to a topic or purpose is not what it says */
        statement.purpose = NAME_MARKETING;
        statement.topic = NAME_NONE;
    }
    consent_note(who, statement);
    if (stops) {
        statement.bar = BAR_STOPPED;
        consent_note(who, statement);
    }
}

enum consent_answer consent_look(const struct person *who, enum channel channel,
                                 struct id128 address, uint32_t purpose, uint32_t topic,
                                 const struct consent **decided)
{
    *decided = NULL;
    const struct consent *general = NULL, *specific = NULL, *stop = NULL;
    int64_t agreed_ms = INT64_MIN; /* to marketing: that lifts a stop */
    for (uint32_t i = 0; i < who->profile->consents.count; i++) {
        const struct consent *c = person_consent(who, i);
        if (c->channel != channel)
            continue;
        if (id128_is_set(c->address) && !id128_equal(c->address, address))
            continue;
        if (c->bar == BAR_BAD && !c->is_given) {
            *decided = c;
            return CONSENT_SUPPRESSED;
        }
        if (c->bar == BAR_STOPPED && (stop == NULL || c->at_ms > stop->at_ms))
            stop = c;
        if (c->bar != BAR_NONE)
            continue;
        if (c->purpose == NAME_MARKETING && c->topic == NAME_NONE && c->is_given)
            agreed_ms = max_of(agreed_ms, c->at_ms);
        if (c->purpose != purpose)
            continue;
        const struct consent **best = c->topic == NAME_NONE ? &general : &specific;
        if (c->topic != NAME_NONE && c->topic != topic)
            continue;
        if (*best == NULL || c->at_ms > (*best)->at_ms ||
            (c->at_ms == (*best)->at_ms && !c->is_given))
            *best = c;
    }
    if (stop != NULL && agreed_ms <= stop->at_ms) {
        *decided = stop;
        return CONSENT_STOPPED;
    }
    *decided = specific != NULL ? specific : general;
    if (specific == NULL && general == NULL)
        return CONSENT_NONE;
    if (specific == NULL)
        return general->is_given ? CONSENT_GIVEN : CONSENT_REFUSED;
    if (!specific->is_given)
        return CONSENT_REFUSED;
    if (general != NULL && !general->is_given && general->at_ms >= specific->at_ms) {
        *decided = general;
        return CONSENT_REFUSED;
    }
    return CONSENT_GIVEN;
}

enum consent_answer consent_ask(const struct person *who, enum channel channel, uint32_t purpose,
                                uint32_t topic)
{
    const struct consent *decided;
    struct str text = person_address(who, channel);
    struct id128 address = address_hash(who->secret, channel, text, who->id);
    return consent_look(who, channel, address, purpose, topic, &decided);
}

void consent_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->consents.count; i++)
        keep(who, person_consent(from, i));
    person_changed_name(who, NAME_CONSENT_CHANGED);
}
