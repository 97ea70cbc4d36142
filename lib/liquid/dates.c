/* Dates: which moment a value means, and strftime's letters for it.
 *
 * Read are instants; numbers (seconds, or finer if they are larger); "now" and "today", which the run
 * hands in; RFC 3339 with its usual freedoms; and what people write, as long as it cannot be taken for
 * something else:
 *
 *     March 14, 2016     14 Mar 2016 5:30pm     Mon, 14 Mar 2016 05:30:00 +0100     2016/03/14
 *
 * A text without an offset is what the clock on the recipient's wall shows. What is written is always
 * that clock. Names of months and days are English; for another language, map the number.
 *
 * Written are the letters of Ruby's strftime with its flags: `-` no padding, `0` zeros, `_` spaces,
 * `^` large letters, `#` the other case, `:` a colon in %z, and a width. Unknown letters stay as they
 * are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

#include <inttypes.h>
#include <stdio.h>

#include "when/zone.h"

#define WIDTH_MAX 64

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

/* --- reading --------------------------------------------------------------------------------- */

/* What has been found so far; -1 = not yet. */
struct reading {
    struct str text;
    size_t at;
    int year, month, day;
    int clock_ms; /* since midnight */
    int offset_ms;
    bool has_offset;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char peek(const struct reading *in, size_t ahead)
{
    return in->at + ahead < in->text.len ? in->text.at[in->at + ahead] : '\0';
}

/* The digits from here on as a number (at most 9 of them), their count in *digits. */
static int take_number(struct reading *in, int *digits)
{
    int number = 0;
    *digits = 0;
    while (is_digit(peek(in, 0)) && *digits < 9) {
        number = number * 10 + (peek(in, 0) - '0');
        in->at++;
        ++*digits;
    }
    return number;
}

/* The index of the name that `word` is, or begins with at least three letters; -1 if none. */
static int name_index(struct str word, const char *const *names, int count)
{
    for (int i = 0; word.len >= 3 && i < count; i++)
        if (str_equal_nocase(word, str_part(str_of(names[i]), 0, word.len)))
            return i;
    return -1;
}

/* :MM[:SS[.fff]] [am|pm] behind `hour`. */
static bool take_clock(struct reading *in, int hour)
{
    int digits, parts[2] = {0, 0}, ms = 0;
    for (int i = 0; i < 2 && peek(in, 0) == ':'; i++) {
        in->at++;
        parts[i] = take_number(in, &digits);
        if (digits != 2 || parts[i] > 59)
            return false;
    }
    if (peek(in, 0) == '.' && is_digit(peek(in, 1))) {
        in->at++;
        for (int scale = 100; is_digit(peek(in, 0)); in->at++, scale /= 10)
            ms += (peek(in, 0) - '0') * scale;
    }
    size_t space = peek(in, 0) == ' ';
    char half = (char)(peek(in, space) | 0x20);
    if ((half == 'a' || half == 'p') && (peek(in, space + 1) | 0x20) == 'm' &&
        !is_letter(peek(in, space + 2))) {
        if (hour < 1 || hour > 12)
            return false;
        hour = hour % 12 + (half == 'p' ? 12 : 0);
        in->at += space + 2;
    }
    if (hour > 23 || in->clock_ms >= 0)
        return false;
    in->clock_ms = ((hour * 60 + parts[0]) * 60 + parts[1]) * 1000 + ms;
    return true;
}

/* year/month/day behind `year`. */
static bool take_slashes(struct reading *in, int year)
{
    int digits;
    in->at++;
    in->year = year;
    in->month = take_number(in, &digits);
    if (digits == 0 || peek(in, 0) != '/')
        return false;
    in->at++;
    in->day = take_number(in, &digits);
    return digits > 0 && digits <= 2;
}

static bool read_number(struct reading *in)
{
    int digits;
    int number = take_number(in, &digits);
    if (digits <= 2 && peek(in, 0) == ':')
        return take_clock(in, number);
    if (digits == 4 && peek(in, 0) == '/' && in->year < 0 && in->month < 0 && in->day < 0)
        return take_slashes(in, number);
    if (digits == 4 && in->year < 0) {
        in->year = number;
        return true;
    }
    char half = (char)(peek(in, 0) | 0x20);
    if (digits <= 2 && (half == 'a' || half == 'p') && (peek(in, 1) | 0x20) == 'm')
        return take_clock(in, number);
    if (digits > 2 || in->day >= 0)
        return false;
    in->day = number;
    static const char *const endings[] = {"st", "nd", "rd", "th"};
    for (size_t i = 0; i < array_count(endings); i++)
        if (str_equal_nocase(str_part(in->text, in->at, 2), str_of(endings[i])) &&
            !is_letter(peek(in, 2))) {
            in->at += 2;
            break;
        }
    return true;
}

static bool read_word(struct reading *in)
{
    size_t from = in->at;
    while (is_letter(peek(in, 0)))
        in->at++;
    struct str word = str_part(in->text, from, in->at - from);
    int month = name_index(word, months, 12);
    if (month >= 0 && in->month < 0) {
        in->month = month + 1;
        return true;
    }
    if (name_index(word, weekdays, 7) >= 0 || str_equal_nocase(word, STR("at")) ||
        str_equal_nocase(word, STR("of")))
        return true;
    if (str_equal_nocase(word, STR("z")) || str_equal_nocase(word, STR("utc")) ||
        str_equal_nocase(word, STR("gmt"))) {
        in->has_offset = true;
        return true;
    }
    return str_equal_nocase(word, STR("t")) && is_digit(peek(in, 0));
}

static bool read_offset(struct reading *in)
{
    size_t from = in->at++;
    while (is_digit(peek(in, 0)) || peek(in, 0) == ':')
        in->at++;
    int32_t offset_ms;
    if (in->has_offset || !offset_parse(str_part(in->text, from, in->at - from), &offset_ms))
        return false;
    in->has_offset = true;
    in->offset_ms = offset_ms;
    return true;
}

static bool read_written(struct render *r, struct str text, int64_t *at_ms)
{
    struct reading in = {.text = text, .year = -1, .month = -1, .day = -1, .clock_ms = -1};
    while (in.at < text.len) {
        char c = peek(&in, 0);
        bool is_fine = true;
        if (is_digit(c))
            is_fine = read_number(&in);
        else if (is_letter(c))
            is_fine = read_word(&in);
        else if ((c == '+' || c == '-') && in.clock_ms >= 0)
            is_fine = read_offset(&in);
        else if (text_is_space(c) || c == ',' || c == '.')
            in.at++;
        else
            is_fine = false;
        if (!is_fine)
            return false;
    }
    if (in.year < 0 || in.month < 1 || in.month > 12 || in.day < 1 || in.day > 31)
        return false;
    struct date date = {.year = in.year, .month = (uint8_t)in.month, .day = (uint8_t)in.day};
    if (!civil_is_date(date))
        return false;
    int64_t wall_ms = civil_day(date) * DAY_MS + max_of(in.clock_ms, 0);
    *at_ms = in.has_offset ? wall_ms - in.offset_ms : zone_utc(r->zone, wall_ms);
    return true;
}

static bool time_of_text(struct render *r, struct str text, int64_t *at_ms)
{
    text = str_trim(text);
    struct timestamp stamp;
    int64_t number;
    if (str_equal_nocase(text, STR("now")) || str_equal_nocase(text, STR("today"))) {
        *at_ms = r->run->now_ms;
        return true;
    }
    if (text.len && is_digit(text.at[0]) && str_to_int(text, &number))
        return timestamp_from_number((double)number, at_ms);
    if (timestamp_parse(text, TIMESTAMP_LOOSE, &stamp, NULL) != OK)
        return read_written(r, text, at_ms);
    *at_ms = stamp.has_offset ? stamp.at_ms : zone_utc(r->zone, stamp.at_ms);
    return true;
}

bool liquid_to_time(struct render *r, struct value x, int64_t *at_ms)
{
    switch ((enum value_type)x.type) {
    case VALUE_TIME:
        *at_ms = max_of(min_of(x.integer, TIMESTAMP_MAX_MS), TIMESTAMP_MIN_MS);
        return true;
    case VALUE_INT: return timestamp_from_number((double)x.integer, at_ms);
    case VALUE_DOUBLE: return timestamp_from_number(x.number, at_ms);
    case VALUE_TEXT: return time_of_text(r, x.text, at_ms);
    case VALUE_NONE:
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_UINT:
    case VALUE_BYTES:
    case VALUE_DURATION:
    case VALUE_LIST:
    case VALUE_MAP:
    case VALUE_TYPE:
    case VALUE_ERROR: break;
    }
    return false;
}

/* --- writing --------------------------------------------------------------------------------- */

struct directive {
    char padding; /* '-', '0', '_', or NUL = the letter's own */
    bool is_large;
    bool is_swapped;
    uint32_t colons;
    uint32_t width; /* 0 = the letter's own */
};

struct moment {
    int64_t at_ms;
    struct local local;
    uint32_t day_of_year; /* 1..366 */
};

static void add_padded(struct build *b, const struct directive *d, struct str text, char padding,
                       uint32_t width)
{
    if (d->padding)
        padding = d->padding == '_' ? ' ' : d->padding;
    if (d->width)
        width = d->width;
    bool has_sign = padding == '0' && text.len && text.at[0] == '-';
    if (has_sign)
        build_add_byte(b, '-');
    if (padding != '-')
        for (size_t len = text.len; len < width; len++)
            build_add_byte(b, padding);
    build_add(b, str_part(text, has_sign, text.len));
}

static void add_number(struct build *b, const struct directive *d, int64_t number, char padding,
                       uint32_t width)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, number);
    add_padded(b, d, (struct str){text, (size_t)len}, padding, width);
}

/* A name; `swapped` is the case that # turns it into. */
static void add_name(struct build *b, const struct directive *d, struct str name,
                     enum letter_case swapped)
{
    char text[16];
    must(name.len < sizeof(text));
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if ((d->is_large || (d->is_swapped && swapped == LETTERS_UP)) && c >= 'a' && c <= 'z')
            c = (char)(c - 32);
        else if (d->is_swapped && swapped == LETTERS_DOWN && c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        text[i] = c;
    }
    add_padded(b, d, (struct str){text, name.len}, ' ', 0);
}

/* +hhmm, with colons +hh:mm or +hh:mm:ss; a width counts zeros behind the sign. */
static void add_offset(struct build *b, const struct directive *d, int32_t offset_ms)
{
    int seconds = (offset_ms < 0 ? -offset_ms : offset_ms) / 1000;
    int hour = seconds / 3600, minute = seconds / 60 % 60;
    char text[24];
    if (d->colons >= 2)
        snprintf(text, sizeof(text), "%02d:%02d:%02d", hour, minute, seconds % 60);
    else
        snprintf(text, sizeof(text), "%02d%s%02d", hour, d->colons ? ":" : "", minute);
    build_add_byte(b, offset_ms < 0 ? '-' : '+');
    for (size_t len = strlen(text) + 1; len < d->width; len++)
        build_add_byte(b, '0');
    build_add(b, str_of(text));
}

/* Milliseconds as so many digits (3 or 9 unless a width says otherwise), cut, not rounded. */
static void add_fraction(struct build *b, const struct directive *d, uint32_t ms, uint32_t digits)
{
    char text[WIDTH_MAX + 1];
    digits = d->width ? d->width : digits;
    for (uint32_t i = 0, scale = 100; i < digits; i++, scale /= 10)
        text[i] = scale ? (char)('0' + ms / scale % 10) : '0';
    build_add(b, (struct str){text, digits});
}

/* Week of the year 00..53; weeks begin on `first`, days before the first such day are week 0. */
static int week_of_year(const struct moment *m, enum weekday first)
{
    int since_first = (m->local.weekday - (int)first + 7) % 7;
    return ((int)m->day_of_year + 6 - since_first) / 7;
}

static bool add_directive(struct build *b, const struct directive *d, char letter,
                          const struct moment *m)
{
    const struct local *l = &m->local;
    int hour12 = l->hour % 12 ? l->hour % 12 : 12;
    struct iso_week iso =
        civil_iso_week(civil_day((struct date){.year = l->year, .month = l->month, .day = l->day}));
    struct str month = str_of(months[l->month - 1]);
    struct str weekday = str_of(weekdays[l->weekday]);
    switch (letter) {
    case 'a': add_name(b, d, str_part(weekday, 0, 3), LETTERS_UP); return true;
    case 'A': add_name(b, d, weekday, LETTERS_UP); return true;
    case 'b':
    case 'h': add_name(b, d, str_part(month, 0, 3), LETTERS_UP); return true;
    case 'B': add_name(b, d, month, LETTERS_UP); return true;
    case 'C': add_number(b, d, l->year / 100, '0', 2); return true;
    case 'd': add_number(b, d, l->day, '0', 2); return true;
    case 'e': add_number(b, d, l->day, ' ', 2); return true;
    case 'g': add_number(b, d, iso.year % 100, '0', 2); return true;
    case 'G': add_number(b, d, iso.year, '0', 4); return true;
    case 'H': add_number(b, d, l->hour, '0', 2); return true;
    case 'I': add_number(b, d, hour12, '0', 2); return true;
    case 'j': add_number(b, d, m->day_of_year, '0', 3); return true;
    case 'k': add_number(b, d, l->hour, ' ', 2); return true;
    case 'l': add_number(b, d, hour12, ' ', 2); return true;
    case 'L': add_fraction(b, d, l->ms, 3); return true;
    case 'm': add_number(b, d, l->month, '0', 2); return true;
    case 'M': add_number(b, d, l->minute, '0', 2); return true;
    case 'n': build_add_byte(b, '\n'); return true;
    case 'N': add_fraction(b, d, l->ms, 9); return true;
    case 'p': add_name(b, d, l->hour < 12 ? STR("AM") : STR("PM"), LETTERS_DOWN); return true;
    case 'P': add_name(b, d, l->hour < 12 ? STR("am") : STR("pm"), LETTERS_UP); return true;
    case 's':
        add_number(b, d, m->at_ms / SECOND_MS - (m->at_ms % SECOND_MS < 0), '0', 1);
        return true;
    case 'S': add_number(b, d, l->second, '0', 2); return true;
    case 't': build_add_byte(b, '\t'); return true;
    case 'u': add_number(b, d, l->weekday + 1, '0', 1); return true;
    case 'U': add_number(b, d, week_of_year(m, SUNDAY), '0', 2); return true;
    case 'V': add_number(b, d, iso.week, '0', 2); return true;
    case 'w': add_number(b, d, (l->weekday + 1) % 7, '0', 1); return true;
    case 'W': add_number(b, d, week_of_year(m, MONDAY), '0', 2); return true;
    case 'y': add_number(b, d, l->year % 100, '0', 2); return true;
    case 'Y': add_number(b, d, l->year, '0', l->year < 0 ? 5 : 4); return true;
    case 'z': add_offset(b, d, l->offset_ms); return true;
    case 'Z':
        /* A zone's letters are not unique and not ours; its offset says as much. */
        if (l->offset_ms == 0)
            add_name(b, d, STR("UTC"), LETTERS_DOWN);
        else
            add_offset(b, &(struct directive){.colons = 1}, l->offset_ms);
        return true;
    case '%': build_add_byte(b, '%'); return true;
    }
    return false;
}

/* Letters that stand for several. */
static struct str composed(char letter)
{
    switch (letter) {
    case 'c': return STR("%a %b %e %H:%M:%S %Y");
    case 'D': return STR("%m/%d/%y");
    case 'F': return STR("%Y-%m-%d");
    case 'r': return STR("%I:%M:%S %p");
    case 'R': return STR("%H:%M");
    case 'T':
    case 'X': return STR("%H:%M:%S");
    case 'v': return STR("%e-%^b-%Y");
    case 'x': return STR("%m/%d/%y");
    case '+': return STR("%a %b %e %H:%M:%S %Z %Y");
    }
    return (struct str){0};
}

/* Reads flags, width and colons behind a %; `at` ends on the letter. */
static struct directive read_directive(struct str format, size_t *at)
{
    struct directive d = {0};
    for (; *at < format.len; ++*at) {
        char c = format.at[*at];
        if (c == '-' || c == '_' || (c == '0' && !d.width))
            d.padding = c;
        else if (c == '^')
            d.is_large = true;
        else if (c == '#')
            d.is_swapped = true;
        else if (c == ':')
            d.colons++;
        else if (is_digit(c))
            d.width = min_of(d.width * 10 + (uint32_t)(c - '0'), (uint32_t)WIDTH_MAX);
        else
            break;
    }
    return d;
}

/* What a composed letter stands for is written by a second call; none stands for another one. */
static void add_format(struct build *b, const struct moment *m, struct str format, bool is_composed)
{
    size_t at = 0;
    while (at < format.len && !b->is_bad) {
        size_t percent = min_of(str_find(format, STR("%"), at), format.len);
        build_add(b, str_part(format, at, percent - at));
        if (percent == format.len)
            return;
        at = percent + 1;
        struct directive d = read_directive(format, &at);
        char letter = at < format.len ? format.at[at] : '\0';
        struct str parts = letter && !is_composed ? composed(letter) : (struct str){0};
        if (parts.len) {
            struct build inner = liquid_build(b->r);
            struct value text;
            add_format(&inner, m, parts, true);
            if (!build_done(&inner, &text)) {
                b->is_bad = true;
                return;
            }
            add_padded(b, &d, text.text, ' ', 0);
            at++;
        } else if (letter && add_directive(b, &d, letter, m)) {
            at++;
        } else {
            build_add(b, str_part(format, percent, at - percent));
        }
    }
}

bool liquid_add_date(struct build *b, int64_t at_ms, struct str format)
{
    struct moment m = {.at_ms = at_ms, .local = zone_local(b->r->zone, at_ms)};
    m.day_of_year = civil_day_of_year(
        (struct date){.year = m.local.year, .month = m.local.month, .day = m.local.day});
    add_format(b, &m, format, false);
    return !b->is_bad && liquid_step(b->r, format.len / 8);
}

bool filter_date(struct call *c)
{
    struct str format;
    int64_t at_ms;
    c->result = c->input;
    if (!liquid_to_text(c->r, c->args[0], &format))
        return false;
    if (format.len == 0 || !liquid_to_time(c->r, c->input, &at_ms))
        return true;
    struct build b = liquid_build(c->r);
    return liquid_add_date(&b, at_ms, format) && build_done(&b, &c->result);
}
