/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/difference.h"

#include <stdio.h>

#define ROW_BYTES 140

void difference_rows(struct str block, int64_t now_ms, void *self,
                     void (*note)(void *self, const struct result *row))
{
    struct cursor c = cursor_of(block.at, block.len);
    struct result row;
    while (cursor_left(&c) > 0 && results_read(&c, now_ms, &row))
        note(self, &row);
}

static void row_tell(const struct result *row, bool is_there, const struct names *names,
                     char out[ROW_BYTES])
{
    struct str how = is_there ? result_how(row) : STR("");
    struct str journey = names_text(names, is_there ? row->journey : 0);
    struct str message = names_text(names, is_there ? row->message : 0);
    if (!is_there) {
        snprintf(out, ROW_BYTES, "nothing");
        return;
    }
    snprintf(out, ROW_BYTES, "\"%s%s%.*s%s%.*s%s%.*s\" (profile %lx, number %ld)",
             result_name(row->kind), how.len ? " " : "", STR_ARG(how), journey.len ? " " : "",
             (int)min_of(journey.len, 24u), journey.at, message.len ? "/" : "",
             (int)min_of(message.len, 24u), message.at, row->profile, row->number);
}

static bool is_same(const struct result *a, const struct result *b)
{
    return a->kind == b->kind && a->how == b->how && a->step == b->step &&
           a->journey == b->journey && a->message == b->message && a->profile == b->profile &&
           a->id == b->id && a->at_ms == b->at_ms && a->number == b->number;
}

void difference_tell(const struct difference *d, const struct names *names,
                     char out[DIFFERENCE_BYTES])
{
    struct cursor stored = cursor_of(d->stored.at, d->stored.len);
    struct cursor made = cursor_of(d->made.at, d->made.len);
    struct result a = {0}, b = {0};
    char was[ROW_BYTES], is[ROW_BYTES];
    uint32_t row = 0;
    bool has_a, has_b;
    do {
        has_a = cursor_left(&stored) > 0 && results_read(&stored, d->now_ms, &a);
        has_b = cursor_left(&made) > 0 && results_read(&made, d->now_ms, &b);
        row++;
    } while (has_a && has_b && is_same(&a, &b));
    row_tell(&a, has_a, names, was);
    row_tell(&b, has_b, names, is);
    snprintf(out, DIFFERENCE_BYTES, "row %u is %s in the log, %s here", row, was, is);
}
