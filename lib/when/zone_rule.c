/* How a zone goes on for ever: the POSIX TZ text.
 *
 *     GMT0BST,M3.5.0/1,M10.5.0
 *     \__/\_/ \______/ \_____/
 *      |   |     |        `---- until the last Sunday of October, 02:00 by the summer clock
 *      |   |     `------------- from the last Sunday of March, 01:00 by the standard clock
 *      |   `------------------- summer's name (its offset, if none is given, is an hour more)
 *      `----------------------- standard's name, and how far UTC is *ahead* of it
 *
 * Names matter to nobody here; they are read over. A text with a summer but no dates is refused:
 * POSIX leaves to the implementation what it means. A year's two moments may come in either order
 * (southern summers end before they begin) and, with hours up to 167, lie in a neighbouring year.
 * So the changes of five years are laid out in order of time, those that change nothing are left
 * out, and the stretch around an instant is read off. This is slow, and rarely asked: the table of
 * a zone holds what the rule says until 2109.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/zone_int.h"

/* --- Reading the text ------------------------------------------------------------------------- */

struct reading {
    const char *at;
    const char *end;
};

static bool is_at_end(const struct reading *r)
{
    return r->at == r->end;
}

static bool take(struct reading *r, char c)
{
    if (is_at_end(r) || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* One to three digits, at most `most`. */
static bool take_number(struct reading *r, uint32_t most, uint32_t *out)
{
    const char *from = r->at;
    uint32_t number = 0;

    while (!is_at_end(r) && is_digit(*r->at) && r->at - from < 3)
        number = number * 10 + (uint32_t)(*r->at++ - '0');
    if (r->at == from || number > most)
        return false;
    *out = number;
    return true;
}

/* "BST" or "<+0330>": three characters or more. */
static bool take_name(struct reading *r)
{
    const char *from = r->at;

    if (take(r, '<')) {
        while (!is_at_end(r) &&
               (is_letter(*r->at) || is_digit(*r->at) || *r->at == '+' || *r->at == '-'))
            r->at++;
        return take(r, '>') && r->at - from >= 5;
    }
    while (!is_at_end(r) && is_letter(*r->at))
        r->at++;
    return r->at - from >= 3;
}

/* "[+-]hh[:mm[:ss]]" with at most `hours_max` hours, in milliseconds. */
static bool take_time(struct reading *r, uint32_t hours_max, int32_t *out_ms)
{
    uint32_t hours;
    uint32_t minutes = 0;
    uint32_t seconds = 0;
    bool is_negative = take(r, '-');

    if (!is_negative)
        take(r, '+');
    if (!take_number(r, hours_max, &hours))
        return false;
    if (take(r, ':')) {
        if (!take_number(r, 59, &minutes))
            return false;
        if (take(r, ':') && !take_number(r, 59, &seconds))
            return false;
    }
    int64_t ms = hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS;
    *out_ms = (int32_t)(is_negative ? -ms : ms);
    return true;
}

/* "M3.5.0", "J60" or "59", then perhaps "/time". */
static bool take_day(struct reading *r, struct rule_day *out)
{
    uint32_t day = 0;
    uint32_t month = 0;
    uint32_t week = 0;
    uint32_t sunday_based = 0;

    *out = (struct rule_day){.kind = RULE_DAY_COUNTED, .time_ms = (int32_t)(2 * HOUR_MS)};
    if (take(r, 'M')) {
        if (!take_number(r, 12, &month) || !take(r, '.') || !take_number(r, 5, &week) ||
            !take(r, '.') || !take_number(r, 6, &sunday_based))
            return false;
        if (month < 1 || week < 1)
            return false;
        out->kind = RULE_DAY_WEEKDAY;
        out->month = (uint8_t)month;
        out->week = (uint8_t)week;
        out->weekday = (uint8_t)((sunday_based + 6) % 7);
    } else if (take(r, 'J')) {
        if (!take_number(r, 365, &day) || day < 1)
            return false;
        out->kind = RULE_DAY_JULIAN;
    } else if (!take_number(r, 365, &day)) {
        return false;
    }
    out->day = (uint16_t)day;
    return !take(r, '/') || take_time(r, 167, &out->time_ms);
}

static bool take_rule(struct reading *r, struct zone_rule *out)
{
    int32_t behind_ms; /* POSIX counts west of Greenwich as positive */

    if (!take_name(r) || !take_time(r, 24, &behind_ms))
        return false;
    *out = (struct zone_rule){.standard_ms = -behind_ms, .summer_ms = -behind_ms};
    if (is_at_end(r))
        return true;

    if (!take_name(r))
        return false;
    out->summer_ms = out->standard_ms + (int32_t)HOUR_MS;
    if (!is_at_end(r) && *r->at != ',') {
        if (!take_time(r, 24, &behind_ms))
            return false;
        out->summer_ms = -behind_ms;
    }
    bool is_whole = take(r, ',') && take_day(r, &out->summer_from) && take(r, ',') &&
                    take_day(r, &out->summer_to) && is_at_end(r);
    if (is_whole && !zone_rule_changes(out)) /* a summer that changes nothing is none */
        *out = (struct zone_rule){.standard_ms = out->standard_ms, .summer_ms = out->standard_ms};
    return is_whole;
}

enum status zone_rule_parse(struct str text, struct zone_rule *out, struct fault *f)
{
    struct reading r = {text.at, text.at + text.len};
    struct zone_rule rule;

    if (!take_rule(&r, &rule)) {
        fault_set(f,
                  "\"%.*s\" is no rule for a zone; it should be like \"GMT0BST,M3.5.0/1,M10.5.0\"",
                  STR_ARG(str_part(text, 0, 64)));
        return FIX_INPUT;
    }
    *out = rule;
    return OK;
}

/* --- Laying out years ------------------------------------------------------------------------- */

#define YEARS_AROUND \
    2 /* before and after the one asked about: enough for two moments in one week */
#define LAID_OUT_MAX ((2 * YEARS_AROUND + 1) * 2)

/* The moment of `day` in `year`, as the wall shows it. */
static int64_t wall_of(const struct rule_day *day, int32_t year)
{
    int64_t first = civil_day((struct date){year, 1, 1});
    int64_t number = 0;

    switch (day->kind) {
    case RULE_DAY_JULIAN:
        number = first + day->day - 1 + (day->day >= 60 && civil_is_leap(year));
        break;
    case RULE_DAY_COUNTED: number = first + day->day; break;
    case RULE_DAY_WEEKDAY: {
        int64_t month_first = civil_day((struct date){year, day->month, 1});
        int64_t month_end = month_first + civil_month_days(year, day->month);
        number = month_first + floor_mod((int64_t)day->weekday - civil_weekday(month_first), 7);
        number += (day->week - 1) * 7;
        if (number >= month_end)
            number -= 7;
        break;
    }
    }
    return number * DAY_MS + day->time_ms;
}

/* Puts a change among those in order of time; of equal times the one put later comes later. */
static void lay_out(struct zone_change *changes, uint32_t *count, struct zone_change change)
{
    uint32_t at = (*count)++;

    must(at < LAID_OUT_MAX);
    for (; at > 0 && changes[at - 1].at_ms > change.at_ms; at--)
        changes[at] = changes[at - 1];
    changes[at] = change;
}

/* Leaves out what is undone at the same instant, and what changes nothing. */
static uint32_t leave_out(struct zone_change *changes, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        bool is_undone = i + 1 < count && changes[i + 1].at_ms == changes[i].at_ms;
        bool is_nothing = kept > 0 && changes[kept - 1].offset_ms == changes[i].offset_ms;
        if (!is_undone && !is_nothing)
            changes[kept++] = changes[i];
    }
    return kept;
}

struct zone_stretch zone_rule_stretch(const struct zone_rule *rule, int64_t at_ms)
{
    struct zone_stretch out = {INT64_MIN, FOREVER_MS, rule->standard_ms};
    struct zone_change changes[LAID_OUT_MAX];
    uint32_t count = 0;

    must(at_ms >= -2 * ZONE_EDGE_MS);
    must(at_ms <= 2 * ZONE_EDGE_MS);
    if (!zone_rule_changes(rule))
        return out;

    int32_t year = civil_date(floor_div(at_ms + rule->standard_ms, DAY_MS)).year;
    for (int32_t y = year - YEARS_AROUND; y <= year + YEARS_AROUND; y++) {
        struct zone_change from = {
            wall_of(&rule->summer_from, y) - rule->standard_ms,
            rule->summer_ms,
        };
        struct zone_change to = {wall_of(&rule->summer_to, y) - rule->summer_ms, rule->standard_ms};
        lay_out(changes, &count, from);
        lay_out(changes, &count, to);
    }
    count = leave_out(changes, count);

    must(changes[0].at_ms <= at_ms);
    uint32_t i = 0;
    while (i + 1 < count && changes[i + 1].at_ms <= at_ms)
        i++;
    out.from_ms = changes[i].at_ms;
    out.offset_ms = changes[i].offset_ms;
    /* Where the years laid out hold no further change, the ones after them may. */
    int64_t laid_out_until_day = civil_day((struct date){year + YEARS_AROUND + 1, 1, 1}) - 10;
    out.until_ms = i + 1 < count ? changes[i + 1].at_ms : laid_out_until_day * DAY_MS;
    must(out.until_ms > at_ms);
    return out;
}

/* --- Bytes ------------------------------------------------------------------------------------ *
 *
 *     standard offset   zigzag varint, seconds
 *     summer            zigzag varint, seconds more than standard; 0: no more follows
 *     from, to          twice: byte kind; varint day, or bytes month, week, weekday; zigzag varint
 *                       seconds after midnight */

static void write_day(const struct rule_day *day, struct buf *out)
{
    buf_add_byte(out, (uint8_t)day->kind);
    if (day->kind == RULE_DAY_WEEKDAY) {
        buf_add_byte(out, day->month);
        buf_add_byte(out, day->week);
        buf_add_byte(out, day->weekday);
    } else {
        buf_add_varint(out, day->day);
    }
    buf_add_zigzag(out, day->time_ms / SECOND_MS);
}

void zone_rule_write(const struct zone_rule *rule, struct buf *out)
{
    buf_add_zigzag(out, rule->standard_ms / SECOND_MS);
    buf_add_zigzag(out, (rule->summer_ms - rule->standard_ms) / SECOND_MS);
    if (!zone_rule_changes(rule))
        return;
    write_day(&rule->summer_from, out);
    write_day(&rule->summer_to, out);
}

static bool is_within(int64_t x, int64_t least, int64_t most)
{
    return x >= least && x <= most;
}

static bool read_day(struct cursor *c, struct rule_day *out)
{
    uint8_t kind = cursor_byte(c);

    *out = (struct rule_day){0};
    if (kind == RULE_DAY_WEEKDAY) {
        out->month = cursor_byte(c);
        out->week = cursor_byte(c);
        out->weekday = cursor_byte(c);
        if (!is_within(out->month, 1, 12) || !is_within(out->week, 1, 5) || out->weekday > 6)
            return false;
    } else {
        uint64_t day = cursor_varint(c);
        if (kind > RULE_DAY_WEEKDAY || day > 365 || (kind == RULE_DAY_JULIAN && day < 1))
            return false;
        out->day = (uint16_t)day;
    }
    int64_t time_s = cursor_zigzag(c);
    if (!is_within(time_s, -168 * 3600, 168 * 3600))
        return false;
    out->kind = (enum rule_day_kind)kind;
    out->time_ms = (int32_t)(time_s * SECOND_MS);
    return !c->is_bad;
}

bool zone_rule_read(struct cursor *c, struct zone_rule *out)
{
    int64_t standard_s = cursor_zigzag(c);
    int64_t more_s = cursor_zigzag(c);

    *out = (struct zone_rule){0};
    if (c->is_bad || !is_within(standard_s, -ZONE_OFFSET_MAX_S, ZONE_OFFSET_MAX_S) ||
        !is_within(more_s, -2 * ZONE_OFFSET_MAX_S, 2 * ZONE_OFFSET_MAX_S) ||
        !is_within(standard_s + more_s, -ZONE_OFFSET_MAX_S, ZONE_OFFSET_MAX_S))
        return false;
    out->standard_ms = (int32_t)(standard_s * SECOND_MS);
    out->summer_ms = (int32_t)((standard_s + more_s) * SECOND_MS);
    return more_s == 0 || (read_day(c, &out->summer_from) && read_day(c, &out->summer_to));
}
