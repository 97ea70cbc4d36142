/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "cli/why_past.h"
#include "replay/forecast.h"
#include "when/zone.h"
#include "json/json_write.h"

/* The parts of the answer: what was noted while their records were applied again, how things stand, and what
 * comes if nothing happens. */
enum part { PAST, PENDING, AHEAD };

struct story {
    struct cli *cli;
    struct why_question question;
    struct witness witness;
    enum part part;
    int64_t kept_since_ms;     /* what was asked about is older; 0 = it is not */
    uint32_t lines;            /* of this part */
    const struct zone *zone;   /* of the line before */
    const struct plan *plan;   /* likewise */
    const struct names *names; /* the engine's */
    struct buf json;
    struct json_writer writer;
};

static enum term_style style_of(const struct note *note)
{
    switch ((enum note_kind)note->kind) {
    case NOTE_RULE: return TERM_YELLOW;
    case NOTE_CHANGE: return TERM_BOLD;
    case NOTE_OUTCOME:
        return str_find(note->text, STR(": sent"), 0) != SIZE_MAX ? TERM_GREEN : TERM_PLAIN;
    case NOTE_EVENT:
    case NOTE_ENTRY:
    case NOTE_RIVALS:
    case NOTE_TRY:
    case NOTE_SCHEDULE: break;
    }
    return TERM_PLAIN;
}

static void print_line(struct story *s, const struct note *note)
{
    static const char *const titles[] = {NULL, "how things stand", "what comes if nothing happens"};
    struct term *out = &s->cli->out;
    const struct zone *zone = note->zone != NULL ? note->zone : zone_of_utc();
    if (s->lines == 0 && titles[s->part] != NULL)
        term_print(out, TERM_BOLD, "  %s\n", titles[s->part]);
    if (zone != s->zone)
        term_print(out, TERM_DIM, "  times are those of %.*s\n", STR_ARG(why_zone_name(note)));
    if (note->plan != s->plan && note->plan != NULL)
        term_print(out, TERM_DIM, "  under programme %.12s\n", note->plan->hash);
    s->zone = zone;
    s->plan = note->plan;
    term_print(out, TERM_DIM, "  %.*s  ", STR_ARG(print_moment(&s->cli->arena, zone, note->at_ms)));
    term_print(out, style_of(note), "%.*s\n", STR_ARG(note->text));
}

static void note(void *self, const struct note *note)
{
    struct story *s = self;
    if (!why_wants(&s->question, s->names, note))
        return;
    if (s->cli->is_json)
        why_json(&s->writer, s->names, note);
    else
        print_line(s, note);
    s->lines++;
}

static void begin_part(struct story *s, enum part part)
{
    static const char *const keys[] = {"past", "pending", "ahead"};
    s->part = part;
    s->lines = 0;
    if (!s->cli->is_json)
        return;
    json_write_key(&s->writer, str_of(keys[part]));
    json_write_list(&s->writer);
}

static void end_part(struct story *s)
{
    if (s->cli->is_json)
        json_write_end(&s->writer);
}

static void tell_past(struct story *s, const struct told *past)
{
    const struct why_question *q = &s->question;
    const struct recovered *r = &past->recovered;
    for (uint32_t i = 0; i < past->count; i++)
        note(s, &past->notes[i]);
    if (r->differences > 0)
        cli_say(
            s->cli,
            "from batch %lu on another release decided otherwise; this is how the present one would "
            "decide: a re-evaluation",
            r->differs_from);
    if (!why_is_cut(q, r->kept_since_ms))
        return;
    char text[TIMESTAMP_BYTES];
    timestamp_print(r->kept_since_ms, text);
    if (!s->cli->is_json)
        term_print(&s->cli->out, TERM_DIM, "  what was before %s is beyond retention\n", text);
    s->kept_since_ms = r->kept_since_ms;
}

/* How things stand and what is to come; without the bounds of the story. */
static void tell_rest(struct story *s, struct engine *e)
{
    struct why_question *q = &s->question;
    q->since_ms = INT64_MIN;
    q->until_ms = FOREVER_MS;
    uint64_t profile = engine_find_person(e, q->id.len ? q->id : q->person);
    begin_part(s, PENDING);
    if (profile != 0)
        engine_explain(e, profile, &s->witness);
    end_part(s);
    begin_part(s, AHEAD);
    if (profile != 0 && cli_span_ms(s->cli, "ahead") > 0)
        (void)forecast(e, profile, cli_span_ms(s->cli, "ahead"), FORECAST_LINES_MAX, &s->witness);
    end_part(s);
}

static struct str text_of(const struct cli *c, const char *option)
{
    const char *text = cli_text(c, option);
    return text != NULL ? str_of(text) : STR("");
}

static void tell(struct story *s, const struct told *past)
{
    struct cli *c = s->cli;
    s->names = engine_names(past->recovered.engine);
    s->witness = (struct witness){s, note};
    buf_init(&s->json);
    json_write_init(&s->writer, &s->json, JSON_PRETTY);
    if (c->is_json)
        json_write_map(&s->writer);
    begin_part(s, PAST);
    tell_past(s, past);
    if (!c->is_json && s->lines == 0)
        term_text(&c->out, "  nothing happened to %s that matches\n", c->arguments[1]);
    end_part(s);
    tell_rest(s, past->recovered.engine);
    if (c->is_json) {
        char text[TIMESTAMP_BYTES];
        if (s->kept_since_ms != 0)
            json_write_key_text(&s->writer, "kept_since", timestamp_print(s->kept_since_ms, text));
        json_write_end(&s->writer);
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&s->json)));
    }
    buf_fini(&s->json);
}

int cmd_why(struct cli *c)
{
    struct directory d;
    struct told past;
    struct why_refusal refusal;
    struct fault f = {0};
    struct story s = {.cli = c,
                      .question = {.person = str_of(c->arguments[1]),
                                   .journey = text_of(c, "journey"),
                                   .message = text_of(c, "message"),
                                   .since = text_of(c, "since"),
                                   .until = text_of(c, "until"),
                                   .at = text_of(c, "at")}};
    enum status status = directory_open(os_disk_real(), c->arguments[0], &d, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    status = told_read(&d, &s.question, &c->arena, &past, &refusal, &f);
    int code = CLI_OK;
    if (status == OK)
        tell(&s, &past);
    else if (refusal.status == 400)
        code = cli_usage(c, "--%.*s", STR_ARG(refusal.text));
    else {
        if (refusal.status != 0)
            fault_set(&f, "%.*s", STR_ARG(refusal.text));
        code = cli_fail(c, status, &f);
    }
    told_fini(&past);
    return code;
}
