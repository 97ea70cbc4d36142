/* recur_words.c - what comes again and again, as people say it.
 *
 *     every day at 09:00            every weekday        every mon, wed and fri at 18:30
 *     every 2 weeks on tuesday      every month          every month on the 1st and 15th
 *     every month on the last day   every month on the second tuesday
 *     every year on 24 december     every 15 minutes     every hour
 *
 * The words become a rule of RFC 5545, so that there is one machine for both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/recur.h"

#include "when/span.h"

#include <stdarg.h>
#include <stdio.h>

#define TOKENS_MAX  40
#define TOKEN_BYTES 16
#define RULE_BYTES  256

struct words {
    char at[TOKENS_MAX][TOKEN_BYTES];
    uint32_t count;
    uint32_t next;
    char rule[RULE_BYTES];
    size_t len;
};

static const char *const day_codes[] = {"MO", "TU", "WE", "TH", "FR", "SA", "SU"};

static bool add(struct words *w, const char *format, ...) printf_like(2, 3);
static bool add(struct words *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(w->rule + w->len, RULE_BYTES - w->len, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= RULE_BYTES - w->len)
        return false;
    w->len += (size_t)len;
    return true;
}

/* Cuts the text at spaces and commas, in small letters. */
static bool cut(struct words *w, struct str text)
{
    size_t len = 0;
    for (size_t i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.at[i] : ' ';
        if (c == ' ' || c == ',' || c == '\t' || c == '\n') {
            if (len > 0) {
                w->at[w->count][len] = 0;
                w->count++;
            }
            len = 0;
            continue;
        }
        if (w->count == TOKENS_MAX || len + 1 == TOKEN_BYTES)
            return false;
        w->at[w->count][len++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return true;
}

static struct str peek(const struct words *w)
{
    return w->next < w->count ? str_of(w->at[w->next]) : STR("");
}

static bool take(struct words *w, const char *word)
{
    if (!str_is(peek(w), word))
        return false;
    w->next++;
    return true;
}

static bool is_number(struct str s, int64_t *out)
{
    return str_to_int(s, out) && *out >= 1 && *out <= RECUR_INTERVAL_MAX;
}

/* "1st", "2nd", "15th", "first", "last": 1, 2, 15, 1, -1; 0 if it is none. */
static int ordinal(struct str s)
{
    static const char *const names[] = {"first", "second", "third", "fourth", "fifth"};
    static const char *const ends[] = {"st", "nd", "rd", "th"};
    int64_t number;
    if (str_is(s, "last"))
        return -1;
    for (int i = 0; i < 5; i++)
        if (str_is(s, names[i]))
            return i + 1;
    for (int i = 0; i < 4; i++)
        if (s.len > 2 && str_ends(s, str_of(ends[i])) &&
            is_number(str_part(s, 0, s.len - 2), &number) && number <= 31)
            return (int)number;
    return 0;
}

/* 1..12 for "december" and "dec"; 0 if it is none. */
static int month_of(struct str s)
{
    static const char *const names[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};
    for (int i = 0; i < 12; i++)
        if (s.len >= 3 && str_starts(str_of(names[i]), s))
            return i + 1;
    return 0;
}

/* All weekdays that follow, with "and" between them. */
static uint8_t take_weekdays(struct words *w)
{
    uint8_t all = WEEKDAYS_NONE, some;
    for (;;) {
        uint32_t before = w->next;
        if (all != WEEKDAYS_NONE)
            (void)take(w, "and");
        if (weekdays_parse(peek(w), &some, NULL) != OK) {
            w->next = before;
            return all;
        }
        all |= some;
        w->next++;
    }
}

static bool add_weekdays(struct words *w, const char *key, int nth, uint8_t weekdays)
{
    bool is_fine = add(w, ";%s=", key);
    const char *comma = "";
    for (int i = 0; i < 7 && is_fine; i++) {
        if (!weekdays_has(weekdays, (enum weekday)i))
            continue;
        is_fine =
            nth ? add(w, "%s%d%s", comma, nth, day_codes[i]) : add(w, "%s%s", comma, day_codes[i]);
        comma = ",";
    }
    return is_fine;
}

/* on the 1st and 15th; on the last day; on the second tuesday */
static bool month_days(struct words *w)
{
    char days[RULE_BYTES] = "";
    size_t len = 0;
    if (!take(w, "on"))
        return add(w, ";BYMONTHDAY=1");
    do {
        (void)take(w, "the");
        int nth = ordinal(peek(w));
        if (nth == 0)
            return false;
        w->next++;
        uint8_t weekdays = take_weekdays(w);
        if (weekdays != WEEKDAYS_NONE)
            return len == 0 && nth <= 5 && add_weekdays(w, "BYDAY", nth, weekdays);
        (void)take(w, "day");
        int more = snprintf(days + len, sizeof(days) - len, "%s%d", len ? "," : "", nth);
        len += (size_t)more;
    } while (take(w, "and") || (w->next < w->count && !str_is(peek(w), "at")));
    return add(w, ";BYMONTHDAY=%s", days);
}

/* on 24 december; on december 24th */
static bool year_day(struct words *w)
{
    int64_t day = 0;
    int month = 0;
    if (!take(w, "on"))
        return false;
    for (int i = 0; i < 2; i++) {
        (void)take(w, "the");
        struct str word = peek(w);
        if (month_of(word) && month == 0)
            month = month_of(word);
        else if (ordinal(word) > 0 && day == 0)
            day = ordinal(word);
        else if (day != 0 || !is_number(word, &day))
            return false;
        w->next++;
        (void)take(w, "of");
    }
    return month != 0 && day >= 1 && day <= civil_month_days(2000, (uint32_t)month) &&
           add(w, ";BYMONTH=%d;BYMONTHDAY=%d", month, (int)day);
}

static bool read_unit(struct words *w)
{
    static const struct {
        const char *one;
        const char *many;
        const char *alone;
        const char *code;
    } units[] = {
        {"minute", "minutes", "minutely", "MINUTELY"},
        {"hour", "hours", "hourly", "HOURLY"},
        {"day", "days", "daily", "DAILY"},
        {"week", "weeks", "weekly", "WEEKLY"},
        {"month", "months", "monthly", "MONTHLY"},
        {"year", "years", "yearly", "YEARLY"},
    };
    int64_t interval = 1;
    bool has_every = take(w, "every");
    if (has_every && take(w, "other"))
        interval = 2;
    else if (has_every && is_number(peek(w), &interval))
        w->next++;
    for (size_t i = 0; i < array_count(units); i++) {
        bool is_it =
            has_every ? take(w, units[i].one) || take(w, units[i].many) : take(w, units[i].alone);
        if (!is_it)
            continue;
        if (!add(w, "FREQ=%s;INTERVAL=%d", units[i].code, (int)interval))
            return false;
        if (i == 3) {
            uint8_t weekdays = take(w, "on") ? take_weekdays(w) : (uint8_t)1;
            return weekdays != WEEKDAYS_NONE && add_weekdays(w, "BYDAY", 0, weekdays);
        }
        if (i == 4)
            return month_days(w);
        return i == 5 ? year_day(w) : true;
    }
    if (!has_every)
        return false;
    uint8_t weekdays = take_weekdays(w);
    return weekdays != WEEKDAYS_NONE && add(w, "FREQ=WEEKLY;INTERVAL=%d", (int)interval) &&
           add_weekdays(w, "BYDAY", 0, weekdays);
}

enum status recur_words_parse(struct str text, struct recur *out, int32_t *clock_ms,
                              struct fault *f)
{
    struct words w = {0};
    int32_t clock = -1;
    bool is_fine = cut(&w, text) && read_unit(&w);
    if (is_fine && take(&w, "at")) {
        is_fine = clock_parse(peek(&w), &clock, NULL) == OK && clock < DAY_MS;
        w.next++;
    }
    if (!is_fine || w.next != w.count) {
        const char *near = w.next < w.count ? w.at[w.next] : "its end";
        fault_set(f,
                  "\"%.*s\" is not understood at %s; write such as every monday at 09:00, every 2 "
                  "weeks on tue, every month on the last day",
                  STR_ARG(str_part(text, 0, 80)), near);
        return FIX_INPUT;
    }
    enum status status = recur_parse((struct str){w.rule, w.len}, out, f);
    if (status == OK)
        *clock_ms = clock;
    return status;
}
