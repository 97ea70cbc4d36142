/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/choices.h"
#include "base/canary.h"

#include "when/civil.h"
#include "when/span.h"

static bool is_about_the_same(const struct choice *a, const struct choice *b)
{
    return a->kind == b->kind && a->channel == b->channel && a->topic == b->topic;
}

/* Does it ask for anything at all? */
static bool is_in_force(const struct choice *x, int64_t at_ms)
{
    return x->is_on && (x->kind != CHOICE_SNOOZE || x->until_ms > at_ms);
}

/* How many a day, in millionths: to tell which of two caps is the stricter. */
static int64_t rate_of(const struct choice *x)
{
    return (int64_t)x->limit * INT64_C(1000000) / max_of(x->until_ms / HOUR_MS, INT64_C(1));
}

/* Is `a` at least as strict as `b`? */
static bool is_as_strict(const struct choice *a, const struct choice *b)
{
    if (!b->is_on)
        return true;
    if (!a->is_on)
        return false;
    switch ((enum choice_kind)a->kind) {
    case CHOICE_NO_CONTACT:
    case CHOICE_TOPIC_OFF: return true;
    case CHOICE_SNOOZE: return a->until_ms >= b->until_ms;
    case CHOICE_LIMIT: return rate_of(a) <= rate_of(b);
    }
    return false;
}

static struct choice *find(struct person *who, const struct choice *x)
{
    for (uint32_t i = 0; i < who->profile->choices.count; i++)
        if (is_about_the_same(person_choice(who, i), x))
            return person_touch_choice(who, i);
    return NULL;
}

/* A place for one more: of those that ask for nothing any more, else of a snooze, one goes. What asks for nothing
 * itself takes no snooze's. */
static struct choice *add(struct person *who, bool asks)
{
    const struct rare *list = &who->profile->choices;
    if (list->count == PROFILE_CHOICES_MAX) {
        uint32_t place = UINT32_MAX;
        for (uint32_t i = 0; i < list->count; i++) {
            const struct choice *x = person_choice(who, i);
            bool is_over = !is_in_force(x, who->at_ms);
            if (is_over || (asks && place == UINT32_MAX && x->kind == CHOICE_SNOOZE))
                place = i;
            if (is_over)
                break;
        }
        if (place == UINT32_MAX)
            return NULL;
        person_drop_choice(who, place);
    }
    struct choice *fresh = person_push_choice(who);
    must(fresh != NULL);
    return fresh;
}

/* Puts it among the others; true if it changed what holds. */
static bool keep(struct person *who, const struct choice *x)
{
    struct choice *old = find(who, x);
    if (old == NULL) {
        old = add(who, x->is_on);
        if (old == NULL)
            return false;
    } else if ((x->at_ms < old->at_ms && !planted("choice-out-of-order")) ||
               (x->at_ms == old->at_ms && !is_as_strict(x, old) &&
                !planted("choice-not-the-stricter"))) {
        return false;
    }
    *old = *x;
    return true;
}

static void refuse(struct person *who, uint32_t property)
{
    person_result(who,
                  (struct result){.kind = RESULT_ERROR, .how = ERROR_CONSENT, .number = property});
}

/* How long what was sent matters to an own cap. A day or week of the calendar may be an hour longer than it
 * says. */
static int64_t window_of(const struct choice *x)
{
    return x->until_ms + (x->per == CAP_SLIDING ? 0 : HOUR_MS);
}

/* Since when is it known for sure what went out to them? */
static int64_t known_since(const struct person *who, const struct choice *old)
{
    int64_t since_ms = who->now_ms - CHOICE_BACK_MS;
    if (old != NULL && old->is_on)
        since_ms = min_of(since_ms, max_of(old->since_ms, who->now_ms - window_of(old)));
    return since_ms;
}

/* Only a server's key may ask for more than was asked for before. */
static bool is_refused(const struct person *who, const struct choice *x, const struct choice *old)
{
    bool loosens = old != NULL && is_in_force(old, who->at_ms) && !is_as_strict(x, old);
    return loosens && !x->is_servers;
}

static void state(struct person *who, struct choice x)
{
    const struct choice *old = find(who, &x);
    x.is_servers = (who->event->flags & RECORD_IS_SERVER) != 0;
    if (is_refused(who, &x, old)) {
        refuse(who, NAME_PREFERENCES_CHANGED);
        return;
    }
    if (old == NULL && !x.is_on && !x.is_servers)
        return; /* there is nothing to lift; a server's word is remembered, for what comes late or by a merge */
    x.source = who->event->source;
    x.at_ms = who->event->event_ms;
    if (x.kind == CHOICE_LIMIT)
        x.since_ms = known_since(who, old);
    if (!keep(who, &x))
        return;
    person_changed_name(who, NAME_CONSENT_CHANGED);
    who->is_desk_due = true;
    person_result(who, (struct result){.kind = RESULT_CHOICE,
                                       .how = x.kind,
                                       .step = x.channel,
                                       .id = x.is_on,
                                       .number = x.topic});
    person_note(who, "they chose: %.*s", STR_ARG(choice_words(who, &x)));
}

/* A date is the first moment of that day on their wall. */
static bool read_moment(struct person *who, const struct value *x, int64_t *out)
{
    struct timestamp said;
    if (x->type == VALUE_TIME) {
        *out = x->integer;
        return true;
    }
    if (x->type == VALUE_INT)
        return timestamp_from_number((double)x->integer, out);
    if (x->type == VALUE_DOUBLE)
        return timestamp_from_number(x->number, out);
    if (x->type != VALUE_TEXT ||
        timestamp_parse(str_trim(x->text), TIMESTAMP_LOOSE, &said, NULL) != OK)
        return false;
    *out = said.has_offset ? said.at_ms : zone_utc(person_zone(who), said.at_ms);
    return true;
}

/* at_most and per into *x. */
static bool read_limit(const struct value *most, const struct value *per, struct choice *x)
{
    struct span span;
    if (most->type == VALUE_TEXT && str_is(most->text, "any"))
        return true; /* is_on stays false */
    int64_t count = most->type == VALUE_INT      ? most->integer
                    : most->type == VALUE_DOUBLE ? (int64_t)most->number
                                                 : -1;
    if (count < 0 || count > 1000 || per->type != VALUE_TEXT ||
        span_parse(str_trim(per->text), &span, NULL) != OK)
        return false;
    x->is_on = true;
    x->limit = (uint16_t)count;
    if (span.kind == SPAN_FIXED) {
        x->per = CAP_SLIDING;
        x->until_ms = span.ms;
    } else if (span.unit == SPAN_WEEK && span.count == 1) {
        x->per = CAP_WEEK;
        x->until_ms = 7 * DAY_MS;
    } else if (span.unit == SPAN_DAY && span.count == 1) {
        x->per = CAP_DAY;
        x->until_ms = DAY_MS;
    } else {
        return false;
    }
    return x->until_ms > 0 && x->until_ms <= CHOICE_WINDOW_MAX_MS;
}

void choices_event(struct person *who)
{
    const struct record *r = who->event;
    struct value topic = record_get(r, NAME_TOPIC, NULL);
    struct value status = record_get(r, NAME_STATUS, NULL);
    struct value channel = record_get(r, NAME_CHANNEL, NULL);
    struct value no_contact = record_get(r, NAME_DO_NOT_CONTACT, NULL);
    struct value snooze = record_get(r, NAME_SNOOZE_UNTIL, who->scratch);
    struct value most = record_get(r, NAME_AT_MOST, NULL);
    struct value per = record_get(r, NAME_PER, NULL);
    struct choice about = {0};
    enum channel number = CHANNEL_NONE;
    if (channel.type == VALUE_TEXT && !channel_find(channel.text, &number)) {
        refuse(who, NAME_CHANNEL);
        return;
    }
    about.channel = (uint8_t)number;
    if (topic.type == VALUE_TEXT)
        about.topic = names_find_below(who->names, topic.text, who->names_end);
    if (topic.type == VALUE_TEXT && about.topic == NAME_NONE) {
        refuse(who, NAME_TOPIC); /* no programme ever had messages on it */
        return;
    }
    if (no_contact.type == VALUE_BOOL)
        state(who, (struct choice){.kind = CHOICE_NO_CONTACT, .is_on = no_contact.boolean});
    else if (no_contact.type != VALUE_NONE)
        refuse(who, NAME_DO_NOT_CONTACT);
    if (status.type == VALUE_TEXT && about.topic != NAME_NONE &&
        (str_is(status.text, "off") || str_is(status.text, "on")))
        state(who, (struct choice){.kind = CHOICE_TOPIC_OFF,
                                   .topic = about.topic,
                                   .is_on = str_is(status.text, "off")});
    else if (status.type != VALUE_NONE)
        refuse(who, NAME_STATUS);
    if (snooze.type != VALUE_NONE) {
        struct choice x = about;
        x.kind = CHOICE_SNOOZE;
        x.is_on = true;
        if (read_moment(who, &snooze, &x.until_ms))
            state(who, x);
        else
            refuse(who, NAME_SNOOZE_UNTIL);
    }
    if (most.type != VALUE_NONE) {
        struct choice x = {.kind = CHOICE_LIMIT, .channel = about.channel};
        if (read_limit(&most, &per, &x))
            state(who, x);
        else
            refuse(who, NAME_AT_MOST);
    }
}

bool choices_no_contact(const struct person *who)
{
    for (uint32_t i = 0; i < who->profile->choices.count; i++) {
        const struct choice *x = person_choice(who, i);
        if (x->kind == CHOICE_NO_CONTACT && x->is_on && !planted("contacted-anyway"))
            return true;
    }
    return false;
}

bool choices_topic_is_off(const struct person *who, uint32_t topic)
{
    for (uint32_t i = 0; topic != NAME_NONE && i < who->profile->choices.count; i++) {
        const struct choice *x = person_choice(who, i);
        if (x->kind == CHOICE_TOPIC_OFF && x->topic == topic && x->is_on &&
            !planted("topic-stays-on"))
            return true;
    }
    return false;
}

int64_t choices_snoozed_until(const struct person *who, enum channel channel, uint32_t topic,
                              int64_t at_ms)
{
    int64_t until_ms = INT64_MIN;
    for (uint32_t i = 0; i < who->profile->choices.count; i++) {
        const struct choice *x = person_choice(who, i);
        if (x->kind != CHOICE_SNOOZE || !is_in_force(x, at_ms) ||
            (x->channel != CHANNEL_NONE && x->channel != channel) ||
            (x->topic != NAME_NONE && x->topic != topic))
            continue;
        until_ms = max_of(until_ms, x->until_ms + planted("snooze-late"));
    }
    return until_ms;
}

uint32_t choices_caps(const struct person *who, enum channel channel, struct plan_cap *caps,
                      uint32_t room)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < who->profile->choices.count && count < room; i++) {
        const struct choice *x = person_choice(who, i);
        if (x->kind != CHOICE_LIMIT || !x->is_on ||
            (x->channel != CHANNEL_NONE && x->channel != channel))
            continue;
        caps[count++] = (struct plan_cap){
            .kind = x->per,
            .limit = x->limit + planted("own-cap-one-more"),
            .window_ms = x->until_ms,
            .since_ms = x->since_ms,
            .channels = x->channel != CHANNEL_NONE ? UINT32_C(1) << x->channel : 0,
            .journey = PLAN_NO_INDEX,
            .text = choice_words(who, x),
        };
    }
    return count;
}

int64_t choices_ledger_ms(const struct person *who)
{
    int64_t longest_ms = 0;
    for (uint32_t i = 0; i < who->profile->choices.count; i++) {
        const struct choice *x = person_choice(who, i);
        if (x->kind == CHOICE_LIMIT && x->is_on)
            longest_ms = max_of(longest_ms, window_of(x));
    }
    return longest_ms;
}

/* Of both statements about the same thing the later holds, unless it asks for more and no server said so: else
 * somebody else's browser could lift what a person chose, by turning out to be theirs. */
void choices_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->choices.count; i++) {
        const struct choice *x = person_choice(from, i);
        struct choice *mine = find(who, x);
        bool is_older = mine != NULL && x->at_ms < mine->at_ms;
        if (is_older && is_refused(who, mine, x)) {
            *mine = *x;
            who->is_desk_due = true;
        } else if (!is_older && !is_refused(who, x, mine) && keep(who, x)) {
            who->is_desk_due = true;
        }
    }
}

struct str choice_words(const struct person *who, const struct choice *x)
{
    struct str where =
        x->channel != CHANNEL_NONE ? channel_name((enum channel)x->channel) : STR("all channels");
    struct str topic = names_text(who->names, x->topic);
    char span[SPAN_BYTES], moment[TIMESTAMP_BYTES];
    switch ((enum choice_kind)x->kind) {
    case CHOICE_NO_CONTACT:
        return x->is_on ? STR("not to be contacted") : STR("to be contacted again");
    case CHOICE_TOPIC_OFF:
        return arena_printf(who->scratch, "the topic %.*s is %s", STR_ARG(topic),
                            x->is_on ? "off" : "on");
    case CHOICE_SNOOZE:
        return arena_printf(who->scratch, "nothing%s%.*s before %s on %.*s",
                            topic.len ? " on " : "", STR_ARG(topic),
                            timestamp_print(x->until_ms, moment).at, STR_ARG(where));
    case CHOICE_LIMIT: break;
    }
    if (!x->is_on)
        return arena_printf(who->scratch, "any number on %.*s", STR_ARG(where));
    return arena_printf(who->scratch, "their own %u per %s on %.*s", x->limit,
                        x->per == CAP_DAY    ? "day"
                        : x->per == CAP_WEEK ? "week"
                                             : span_print(span_of_ms(x->until_ms), span).at,
                        STR_ARG(where));
}
