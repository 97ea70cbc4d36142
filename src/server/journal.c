/* SPDX-License-Identifier: Apache-2.0 */
#include "server/journal.h"

#include <stdarg.h>

#include "os/clock.h"
#include "when/civil.h"
#include "json/json_write.h"

#define LINE_BYTES 1024

void journal_init(struct journal *j, FILE *file, bool is_json, bool is_quiet)
{
    *j = (struct journal){.file = file, .is_json = is_json, .is_quiet = is_quiet};
    os_mutex_init(&j->lock);
}

void journal_fini(struct journal *j)
{
    os_mutex_fini(&j->lock);
}

static void write_text(struct buf *out, struct str at, const char *level, char *text)
{
    for (char *c = text; *c != 0; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    buf_printf(out, "%.10s %.8s %-7s  %s", at.at, at.at + 11, level, text);
}

static void write_json(struct buf *out, struct str at, const char *level, const char *event,
                       const char *text)
{
    struct json_writer w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_map(&w);
    json_write_key_text(&w, "at", at);
    json_write_key_text(&w, "level", str_of(level));
    json_write_key_text(&w, "event", str_of(event));
    json_write_key_text(&w, "text", str_of(text));
    json_write_end(&w);
}

void journal_say(struct journal *j, enum journal_level level, const char *event, const char *format,
                 ...)
{
    static const char *const levels[] = {"info", "warning", "error"};
    if (level == JOURNAL_INFO && j->is_quiet)
        return;
    char text[LINE_BYTES], at[TIMESTAMP_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);

    struct buf line;
    buf_init(&line);
    struct str when = timestamp_print(os_clock_utc_ms(), at);
    if (j->is_json)
        write_json(&line, when, levels[level], event, text);
    else
        write_text(&line, when, levels[level], text);
    buf_add_byte(&line, '\n');
    os_mutex_lock(&j->lock);
    fwrite(line.at, 1, line.len, j->file);
    fflush(j->file);
    os_mutex_unlock(&j->lock);
    buf_fini(&line);
}
