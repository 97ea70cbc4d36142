/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "profile/traits.h"
#include "when/civil.h"
#include "when/zone.h"
#include "json/json_write.h"

static struct str utc(struct cli *c, int64_t at_ms)
{
    char text[TIMESTAMP_BYTES];
    if (at_ms == FOREVER_MS)
        return STR("never");
    return arena_copy(&c->arena, timestamp_print(at_ms, text));
}

static void write_traits(struct person *who, struct json_writer *w)
{
    uint32_t place = 0;
    struct body_field field;
    int64_t at_ms;
    json_write_key(w, STR("traits"));
    json_write_map(w);
    while (traits_next(who, &place, &field, &at_ms)) {
        json_write_key(w, names_text(who->names, field.name));
        json_write_value(w, body_value(&field, who->scratch));
    }
    json_write_end(w);
}

static void write_state(struct cli *c, struct person *who, struct json_writer *w)
{
    const struct profile *p = who->profile;
    json_write_key(w, STR("consents"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->consents.count; i++) {
        const struct consent *x = person_consent(who, i);
        json_write_map(w);
        json_write_key_text(w, "channel", channel_name((enum channel)x->channel));
        json_write_key_text(w, "purpose", names_text(who->names, x->purpose));
        json_write_key_text(w, "topic", names_text(who->names, x->topic));
        json_write_key_text(w, "says",
                            x->is_suppression ? STR("bad address")
                            : x->is_given     ? STR("granted")
                                              : STR("denied"));
        json_write_key_text(w, "source", names_text(who->names, x->source));
        json_write_key_text(w, "at", utc(c, x->at_ms));
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("journeys"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->instances.count; i++) {
        const struct instance *x = person_instance(who, i);
        const struct plan *plan = person_plan(who, x->plan);
        const struct plan_journey *j = &plan->journeys[x->journey_index];
        json_write_map(w);
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "step",
                            x->step == PLAN_END ? STR("")
                                                : names_text(who->names, j->steps[x->step].id));
        json_write_key_text(w, "entered", utc(c, x->entered_ms));
        json_write_key_text(w, "next", utc(c, min_of(x->due_ms, x->ask_ms)));
        json_write_key_bool(w, "is_held_out", x->flags & INSTANCE_IS_GHOST);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("past_journeys"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->pasts.count; i++) {
        const struct past *x = person_past(who, i);
        json_write_map(w);
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "ended", end_term((enum journey_end)x->end)->name);
        json_write_key_text(w, "entered_at", utc(c, x->entered_ms));
        json_write_key_text(w, "ended_at", utc(c, x->ended_ms));
        json_write_end(w);
    }
    json_write_end(w);
    static const char *const states[] = {"",         "settling", "deferred", "queued",
                                         "revoking", "granted",  "in_doubt"};
    json_write_key(w, STR("pending"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->intents.count; i++) {
        const struct intent *x = person_intent(who, i);
        json_write_map(w);
        json_write_key_text(w, "message", names_text(who->names, x->message));
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "state", str_of(states[x->state]));
        json_write_key_text(w, "not_before", utc(c, x->not_before_ms));
        json_write_key_text(w, "deadline", utc(c, x->deadline_ms));
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("messages"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->ledger.count; i++) {
        const struct sent *x = person_sent(who, i);
        json_write_map(w);
        json_write_key_text(w, "message", names_text(who->names, x->message));
        json_write_key_text(w, "journey", names_text(who->names, x->journey));
        json_write_key_text(w, "channel", channel_name((enum channel)x->channel));
        json_write_key_text(w, "at", utc(c, x->at_ms));
        json_write_key_text(w, "state",
                            x->state == SENT_RESERVED  ? STR("on its way")
                            : x->state == SENT_GHOST   ? STR("held out")
                            : x->flags & SENT_ACCEPTED ? STR("sent")
                                                       : STR("attempting"));
        json_write_key_bool(w, "is_opened", x->flags & SENT_OPENED);
        json_write_key_bool(w, "is_clicked", x->flags & SENT_CLICKED);
        json_write_end(w);
    }
    json_write_end(w);
    json_write_key(w, STR("holds"));
    json_write_list(w);
    for (uint32_t i = 0; i < p->holds.count; i++) {
        const struct hold *x = person_hold(who, i);
        json_write_map(w);
        json_write_key_text(w, "hold", names_text(who->names, x->name));
        json_write_key_bool(w, "is_open", x->is_open);
        json_write_key_text(w, "from", utc(c, x->from_ms));
        json_write_key_text(w, "until", utc(c, x->until_ms));
        json_write_end(w);
    }
    json_write_end(w);
}

int cmd_person(struct cli *c)
{
    struct directory d;
    struct recovered r;
    struct fault f = {0};
    enum status status = directory_open(os_disk_real(), c->arguments[0], &d, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    struct recover_options options = {0};
    status = recover(&d, &options, &r, &f);
    int code = CLI_OK;
    if (status == OK) {
        uint64_t profile = find_person(r.engine, d.secret, c->arguments[1]);
        if (profile == 0) {
            fault_set(&f, "nobody is known as \"%s\" (neither as user id nor as anonymous id)",
                      c->arguments[1]);
            code = cli_fail(c, FIX_INPUT, &f);
        } else {
            struct person who;
            struct buf out;
            struct json_writer w;
            char number[32];
            engine_look(r.engine, profile, &who);
            snprintf(number, sizeof(number), "%lx", who.id);
            buf_init(&out);
            json_write_init(&w, &out, JSON_PRETTY);
            json_write_map(&w);
            json_write_key_text(&w, "profile", str_of(number));
            json_write_key_text(&w, "first_seen", utc(c, who.profile->first_seen_ms));
            json_write_key_text(&w, "last_seen", utc(c, who.profile->last_seen_ms));
            json_write_key_text(&w, "as_of", utc(c, engine_now(r.engine)));
            write_traits(&who, &w);
            write_state(c, &who, &w);
            json_write_end(&w);
            term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
            buf_fini(&out);
        }
    }
    recovered_fini(&r);
    return status == OK ? code : cli_fail(c, status, &f);
}
