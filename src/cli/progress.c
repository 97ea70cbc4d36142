/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/buf.h"
#include "cli/cli.h"

#define DRAW_EVERY_MS 100
#define BAR_COLUMNS   24

void progress_begin(struct progress *p, struct cli *c, const char *label, const char *unit,
                    uint64_t total, int64_t now_ms)
{
    *p = (struct progress){
        .term = c->err.is_terminal && !c->is_quiet ? &c->err : NULL,
        .label = label,
        .unit = unit,
        .total = total,
        .started_ms = now_ms,
    };
}

/* BAR_COLUMNS columns, filled in eighths. */
static void add_bar(struct buf *line, uint64_t done, uint64_t total)
{
    static const char *const eighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    uint64_t filled = (uint64_t)((unsigned __int128)min_of(done, total) * BAR_COLUMNS * 8 / total);
    for (uint64_t column = 0; column < BAR_COLUMNS; column++) {
        uint64_t part = filled > column * 8 ? min_of(filled - column * 8, (uint64_t)8) : 0;
        buf_add_str(line, part == 8 ? STR("█") : str_of(eighths[part]));
    }
}

static void add_time_left(struct buf *line, int64_t ms)
{
    int64_t seconds = (ms + 999) / 1000;
    if (seconds < 100)
        buf_printf(line, "   %lld s left", (long long)seconds);
    else if (seconds < 100 * 60)
        buf_printf(line, "   %lld min left", (long long)(seconds + 59) / 60);
    else
        buf_printf(line, "   %lld h left", (long long)(seconds + 3599) / 3600);
}

/* What fits into the terminal's width; the bytes of a character are not cut apart. */
static struct str clip(struct str line, uint32_t columns)
{
    while (line.len > 0 && term_width(line) > columns) {
        line.len--;
        while (line.len > 0 && ((uint8_t)line.at[line.len] & 0xc0) == 0x80)
            line.len--;
    }
    return line;
}

static void draw(struct progress *p, uint64_t done, int64_t now_ms)
{
    struct buf line;
    char number[TERM_NUMBER_BYTES];
    int64_t spent_ms = max_of(now_ms - p->started_ms, (int64_t)1);
    buf_init(&line);
    buf_printf(&line, "%s  ", p->label);
    if (p->total > 0) {
        add_bar(&line, done, p->total);
        buf_printf(&line, " %3u %%   ",
                   (unsigned)((unsigned __int128)min_of(done, p->total) * 100 / p->total));
    }
    buf_printf(&line, "%s", term_number((int64_t)done, number));
    if (p->total > 0)
        buf_printf(&line, " of %s", term_number((int64_t)p->total, number));
    buf_printf(&line, " %s", p->unit);
    if (done > 0 && spent_ms >= 1000) {
        uint64_t rate = (uint64_t)((unsigned __int128)done * 1000 / (uint64_t)spent_ms);
        buf_printf(&line, "   %s/s", term_number((int64_t)rate, number));
        if (done < p->total)
            add_time_left(
                &line, (int64_t)((unsigned __int128)(p->total - done) * (uint64_t)spent_ms / done));
    }
    struct str shown = clip(buf_str(&line), p->term->columns - 1);
    term_text(p->term, "\r\033[K%.*s", STR_ARG(shown));
    fflush(p->term->file);
    buf_fini(&line);
}

void progress_update(struct progress *p, uint64_t done, int64_t now_ms)
{
    if (p->term == NULL || (p->drawn_ms != 0 && now_ms - p->drawn_ms < DRAW_EVERY_MS))
        return;
    p->drawn_ms = now_ms;
    draw(p, done, now_ms);
}

void progress_end(struct progress *p)
{
    if (p->term == NULL)
        return;
    term_text(p->term, "\r\033[K");
    fflush(p->term->file);
    p->term = NULL;
}
