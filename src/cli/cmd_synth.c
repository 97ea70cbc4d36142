/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "os/clock.h"
#include "replay/synth.h"
#include "when/civil.h"
#include "json/json_write.h"

/* The event as the tracking API would be sent it, on one line. */
static void print_event(const struct synth_event *e, struct buf *out)
{
    struct json_writer w;
    char at[TIMESTAMP_BYTES];
    out->len = 0;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_map(&w);
    json_write_key_text(&w, "type",
                        e->kind == EVENT_IDENTIFY ? STR("identify")
                        : e->kind == EVENT_PAGE   ? STR("page")
                                                  : STR("track"));
    if (e->kind == EVENT_TRACK)
        json_write_key_text(&w, "event", e->name);
    if (!e->is_anonymous)
        json_write_key_text(&w, "userId", e->user_id);
    json_write_key_text(&w, "anonymousId", e->anonymous_id);
    json_write_key_text(&w, "messageId", e->message_id);
    json_write_key_text(&w, "timestamp", timestamp_print(e->at_ms, at));
    json_write_key(&w, e->kind == EVENT_IDENTIFY ? STR("traits") : STR("properties"));
    json_write_map(&w);
    for (uint32_t i = 0; i < e->field_count; i++) {
        json_write_key(&w, e->fields[i].path);
        json_write_value(&w, e->fields[i].value);
    }
    json_write_end(&w);
    json_write_end(&w);
    buf_add_byte(out, '\n');
}

int cmd_synth(struct cli *c)
{
    int64_t days = cli_int(c, "days");
    int64_t start_ms;
    if (cli_text(c, "start") == NULL)
        start_ms = os_clock_utc_ms() - days * DAY_MS;
    else if (!read_moment(c, cli_text(c, "start"), &start_ms))
        return cli_usage(c, "--start wants a date such as 2026-03-02, not \"%s\"",
                         cli_text(c, "start"));
    struct synth_options options = {.seed = (uint64_t)cli_int(c, "seed"),
                                    .people = (uint32_t)cli_int(c, "people"),
                                    .start_ms = start_ms,
                                    .end_ms = start_ms + days * DAY_MS};
    struct synth *s = synth_new(&options);
    struct buf line;
    struct synth_event e;
    buf_init(&line);
    while (synth_next_ms(s) != FOREVER_MS) {
        synth_next(s, &e);
        print_event(&e, &line);
        fwrite(line.at, 1, line.len, c->out.file);
    }
    buf_fini(&line);
    synth_free(s);
    if (fflush(c->out.file) != 0 || ferror(c->out.file)) {
        struct fault f = {0};
        fault_set(&f, "standard output cannot be written");
        return cli_fail(c, GIVE_UP, &f);
    }
    return CLI_OK;
}
