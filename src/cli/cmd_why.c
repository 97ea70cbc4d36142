/* SPDX-License-Identifier: Apache-2.0 */
#include "api/why_json.h"
#include "cli/common.h"
#include "model/identifier.h"
#include "when/zone.h"
#include "json/json_write.h"

/* The story of one person: every line that was noted while their records were applied again. */
struct story {
    struct cli *cli;
    const uint8_t *secret;
    const char *id;
    uint64_t profile;
    struct witness witness;
    const struct zone *zone;
    bool has_zone; /* it is the person's */
    const char *journey;
    const char *message;
    int64_t from_ms;
    uint32_t lines;
    const struct names *names; /* the engine's */
    struct buf json;
    struct json_writer writer;
};

static bool is_name(const struct story *s, uint32_t name, const char *wanted)
{
    return wanted == NULL || (name != NAME_NONE && str_is(names_text(s->names, name), wanted));
}

static void note(void *self, const struct note *note)
{
    struct story *s = self;
    struct str line = note->text;
    if (!is_name(s, note->journey, s->journey) || !is_name(s, note->message, s->message) ||
        note->at_ms < s->from_ms)
        return;
    s->lines++;
    if (s->cli->is_json) {
        why_json(&s->writer, s->names, note);
        return;
    }
    struct str when =
        print_moment(&s->cli->arena, s->zone != NULL ? s->zone : zone_of_utc(), note->at_ms);
    enum term_style style = str_find(line, STR(": rule "), 0) != SIZE_MAX  ? TERM_YELLOW
                            : str_find(line, STR(": sent"), 0) != SIZE_MAX ? TERM_GREEN
                                                                           : TERM_PLAIN;
    term_print(&s->cli->out, TERM_DIM, "  %.*s  ", STR_ARG(when));
    term_print(&s->cli->out, style, "%.*s\n", STR_ARG(line));
}

static void before(void *self, struct engine *e, const struct batch *b)
{
    struct story *s = self;
    const struct plans *plans = engine_plans(e);
    s->names = engine_names(e);
    if (b->number == 1) {
        struct str id = str_of(s->id);
        engine_watch_for(e, identifier_hash(IDENTIFIER_USER, id, s->secret),
                         identifier_hash(IDENTIFIER_ANONYMOUS, id, s->secret), &s->witness);
    }
    /* Times are those of the person's zone; of the programme's, until they are known. */
    uint64_t profile = s->has_zone ? 0 : engine_find_person(e, str_of(s->id));
    if (profile != 0 && plans->newest) {
        struct person who;
        engine_look(e, profile, &who);
        s->zone = person_zone(&who);
        s->has_zone = true;
    } else if (!s->has_zone && plans->newest) {
        s->zone = zoneset_zone(plans->at[plans->newest]->zones, plans->at[plans->newest]->zone);
    }
}

/* Who is asked for by an address: it is known only now, at the end, whom it finds. The story is that
 * person's from the beginning, so it is told again, by their id. */
static bool is_known_by_address(struct story *s, struct engine *e)
{
    struct str id = str_of(s->id);
    if (engine_find(e, identifier_hash(IDENTIFIER_USER, id, s->secret)) != 0 ||
        engine_find(e, identifier_hash(IDENTIFIER_ANONYMOUS, id, s->secret)) != 0)
        return false;
    uint64_t profile = engine_find_person(e, id);
    struct str known = profile ? engine_person_id(e, profile) : STR("");
    if (known.len == 0)
        return false;
    engine_watch(e, 0, NULL);
    s->id = arena_copy(&s->cli->arena, known).at;
    s->has_zone = false;
    return true;
}

/* Refuses a journey or message that no programme of the directory ever had; else OK. `is_message`: which
 * of the two. */
static int check_name(struct story *s, struct engine *e, const char *name, bool is_message)
{
    const struct plans *plans = engine_plans(e);
    const struct plan *newest = plans->newest ? plans->at[plans->newest] : NULL;
    uint32_t number = name != NULL ? names_find(s->names, str_of(name)) : NAME_NONE;
    const char *kind = is_message ? "message" : "journey";
    struct fault f = {0};
    bool is_known = name == NULL;
    for (uint32_t i = 1; i < plans->count && number != NAME_NONE && !is_known; i++)
        is_known = (is_message ? plan_message_find(plans->at[i], number)
                               : plan_journey_find(plans->at[i], number)) != PLAN_NO_INDEX;
    if (is_known)
        return CLI_OK;
    uint32_t count = newest == NULL ? 0
                     : is_message   ? newest->message_count
                                    : newest->journey_count;
    struct str *known = arena_array(&s->cli->arena, struct str, count + 1);
    for (uint32_t i = 0; i < count; i++)
        known[i] =
            names_text(s->names, is_message ? newest->messages[i].name : newest->journeys[i].name);
    struct str near = str_nearest(str_of(name), known, count);
    if (near.len)
        fault_set(&f, "there is no %s \"%s\"; did you mean \"%.*s\"?", kind, name, STR_ARG(near));
    else
        fault_set(&f, "there is no %s \"%s\"", kind, name);
    return cli_fail(s->cli, FIX_INPUT, &f);
}

int cmd_why(struct cli *c)
{
    struct directory d;
    struct recovered r;
    struct fault f = {0};
    struct story s = {.cli = c,
                      .id = c->arguments[1],
                      .journey = cli_text(c, "journey"),
                      .message = cli_text(c, "message"),
                      .from_ms = INT64_MIN};
    int64_t until_ms = 0;
    if (cli_text(c, "at") != NULL && !read_moment(c, cli_text(c, "at"), &until_ms))
        return cli_usage(c, "--at wants a moment such as 2026-03-02T12:00, not \"%s\"",
                         cli_text(c, "at"));
    if (cli_text(c, "since") != NULL && !read_moment(c, cli_text(c, "since"), &s.from_ms))
        return cli_usage(c, "--since wants a moment such as 2026-03-02T12:00, not \"%s\"",
                         cli_text(c, "since"));
    enum status status = directory_open(os_disk_real(), c->arguments[0], &d, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    s.secret = d.secret;
    s.witness = (struct witness){&s, note};
    buf_init(&s.json);
    json_write_init(&s.writer, &s.json, JSON_PRETTY);
    json_write_list(&s.writer);
    struct recover_options options = {
        .from_beginning = true, .until_ms = until_ms, .self = &s, .before = before};
    status = recover(&d, &options, &r, &f);
    if (status == OK && is_known_by_address(&s, r.engine)) {
        recovered_fini(&r);
        status = recover(&d, &options, &r, &f);
    }
    int code = CLI_OK;
    if (status == OK) {
        engine_watch(r.engine, 0, NULL);
        s.profile = engine_find_person(r.engine, str_of(s.id));
        if (s.profile == 0) {
            fault_set(&f, "nobody is known as \"%s\" (no user id, no anonymous id, no address)",
                      s.id);
            code = cli_fail(c, FIX_INPUT, &f);
        } else if (s.lines == 0) {
            code = check_name(&s, r.engine, s.journey, false);
            if (code == CLI_OK)
                code = check_name(&s, r.engine, s.message, true);
        }
        if (code == CLI_OK) {
            struct person who;
            engine_look(r.engine, s.profile, &who);
            if (!c->is_json && who.profile->intents.count)
                term_print(&c->out, TERM_BOLD, "  pending as of %.*s\n",
                           STR_ARG(print_moment(&c->arena, s.zone ? s.zone : zone_of_utc(),
                                                engine_now(r.engine))));
            s.from_ms = INT64_MIN;
            engine_explain(r.engine, s.profile, &s.witness);
            if (!c->is_json && s.lines == 0)
                term_text(&c->out, "  nothing happened to %s that matches\n", s.id);
        }
        json_write_end(&s.writer);
        if (c->is_json && code == CLI_OK)
            term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&s.json)));
    }
    buf_fini(&s.json);
    recovered_fini(&r);
    return status == OK ? code : cli_fail(c, status, &f);
}
