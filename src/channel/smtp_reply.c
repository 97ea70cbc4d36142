/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/smtp_reply.h"

/* --- reading ---------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes a number of one to three digits off the front; false if there is none. */
static bool take_number(struct str *text, uint32_t *out)
{
    size_t i = 0;
    uint32_t x = 0;
    while (i < text->len && i < 3 && is_digit(text->at[i]))
        x = x * 10 + (uint32_t)(text->at[i++] - '0');
    if (i == 0 || (i < text->len && is_digit(text->at[i])))
        return false;
    *text = str_part(*text, i, SIZE_MAX);
    *out = x;
    return true;
}

static bool take_dot(struct str *text)
{
    if (text->len == 0 || text->at[0] != '.')
        return false;
    *text = str_part(*text, 1, SIZE_MAX);
    return true;
}

/* Takes "5.1.1" off the front of the words, if it is there and agrees with the code's first digit.
 * Subjects beyond 9 and details beyond 255 exist in the wild (5.7.509); they keep their class and
 * subject, and 255 for the detail. */
static void take_enhanced(struct smtp_reply *r, struct str *words)
{
    struct str rest = *words;
    uint32_t class, subject, detail;
    if (rest.len > 0 && rest.at[0] == '#')
        rest = str_part(rest, 1, SIZE_MAX);
    if (!take_number(&rest, &class) || !take_dot(&rest) || !take_number(&rest, &subject) ||
        !take_dot(&rest) || !take_number(&rest, &detail))
        return;
    if (rest.len > 0 && rest.at[0] != ' ' && rest.at[0] != ':' && rest.at[0] != ';')
        return;
    if ((int32_t) class != r->code / 100 || subject > 9)
        return;
    if (r->enhanced[0] == 0) {
        r->enhanced[0] = (uint8_t) class;
        r->enhanced[1] = (uint8_t)subject;
        r->enhanced[2] = (uint8_t)min_of(detail, 255u);
    }
    *words = str_trim(rest);
}

/* Bytes of the well-formed UTF-8 sequence at `at`; 0 if there is none. */
static size_t sequence_bytes(struct str text, size_t at)
{
    for (size_t bytes = 1; bytes <= 4 && at + bytes <= text.len; bytes++)
        if (str_is_utf8(str_part(text, at, bytes)))
            return bytes;
    return 0;
}

static void add_words(struct smtp_reply *r, struct str words)
{
    if (words.len > 0 && r->text_bytes > 0 && r->text_bytes < sizeof(r->text) - 1)
        r->text[r->text_bytes++] = ' ';
    for (size_t i = 0; i < words.len;) {
        uint8_t c = (uint8_t)words.at[i];
        size_t bytes = sequence_bytes(words, i);
        bool is_shown = bytes > 0 && c >= ' ' && c != 0x7f;
        bytes = max_of(bytes, (size_t)1);
        if (r->text_bytes + bytes > sizeof(r->text) - 1)
            break;
        if (is_shown)
            memcpy(&r->text[r->text_bytes], &words.at[i], bytes);
        else
            r->text[r->text_bytes] = ' ';
        r->text_bytes += is_shown ? bytes : 1;
        i += bytes;
    }
    r->text[r->text_bytes] = '\0';
}

void smtp_reply_line(struct smtp_reply *r, struct str line)
{
    line = str_trim(line);
    if (line.len < 3 || !is_digit(line.at[0]) || !is_digit(line.at[1]) || !is_digit(line.at[2]))
        return;
    if (line.len > 3 && line.at[3] != ' ' && line.at[3] != '-')
        return;
    int32_t code = (line.at[0] - '0') * 100 + (line.at[1] - '0') * 10 + (line.at[2] - '0');
    if (code < 200 || code > 599)
        return;
    if (r->is_complete || code != r->code)
        *r = (struct smtp_reply){.code = code};
    struct str words = str_trim(str_part(line, 4, SIZE_MAX));
    take_enhanced(r, &words);
    add_words(r, words);
    r->is_complete = line.len == 3 || line.at[3] == ' ';
}

/* --- meaning ---------------------------------------------------------------------------------- */

struct row {
    const char *reply;
    const char *enhanced;
    const char *words;
    enum transmission_outcome outcome;
};

static const struct row rows[] = {
#define SMTP_CODE(reply, enhanced, words, outcome, why) \
    {reply, enhanced, words, TRANSMISSION_##outcome},
#include "channel/smtp_codes.def"
#undef SMTP_CODE
};

static bool reply_matches(const char *pattern, int32_t code)
{
    if (pattern[0] == '\0')
        return true;
    int32_t digits[3] = {code / 100, code / 10 % 10, code % 10};
    for (int i = 0; i < 3; i++)
        if (pattern[i] != 'x' && pattern[i] - '0' != digits[i])
            return false;
    return true;
}

static bool enhanced_matches(const char *pattern, const uint8_t enhanced[3])
{
    if (pattern[0] == '\0')
        return true;
    if (pattern[0] == '-')
        return enhanced[0] == 0;
    if (enhanced[0] == 0)
        return false;
    for (int i = 0; i < 3; i++) {
        if (*pattern == '*') {
            pattern++;
        } else {
            uint32_t number = 0;
            while (is_digit(*pattern))
                number = number * 10 + (uint32_t)(*pattern++ - '0');
            if (number != enhanced[i])
                return false;
        }
        if (*pattern == '.')
            pattern++;
    }
    return true;
}

/* Is the word at `at` one by itself where it is short ("rbl" is in "marble")? */
static bool is_whole(struct str text, size_t at, size_t len)
{
    if (len > 3)
        return true;
    char before = at > 0 ? text.at[at - 1] : ' ';
    char after = at + len < text.len ? text.at[at + len] : ' ';
    return !(before >= 'a' && before <= 'z') && !(after >= 'a' && after <= 'z');
}

static bool words_match(const char *pattern, struct str text)
{
    struct str rest = str_of(pattern);
    if (rest.len == 0)
        return true;
    while (rest.len > 0) {
        size_t end = str_find(rest, STR("|"), 0);
        struct str word = str_part(rest, 0, end);
        for (size_t at = str_find(text, word, 0); at != SIZE_MAX; at = str_find(text, word, at + 1))
            if (is_whole(text, at, word.len))
                return true;
        rest = end == SIZE_MAX ? STR("") : str_part(rest, end + 1, SIZE_MAX);
    }
    return false;
}

/* The words in small letters without what stands in <...>. */
static struct str plain_words(const struct smtp_reply *r, char *out)
{
    size_t len = 0;
    bool is_inside = false;
    for (size_t i = 0; i < r->text_bytes; i++) {
        char c = r->text[i];
        if (c == '<')
            is_inside = true;
        if (!is_inside)
            out[len++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        if (c == '>')
            is_inside = false;
    }
    return (struct str){out, len};
}

static enum transmission_outcome first_match(const struct smtp_reply *r)
{
    char lower[SMTP_REPLY_TEXT_BYTES];
    struct str words = plain_words(r, lower);
    for (size_t i = 0; i < array_count(rows); i++)
        if (reply_matches(rows[i].reply, r->code) &&
            enhanced_matches(rows[i].enhanced, r->enhanced) && words_match(rows[i].words, words))
            return rows[i].outcome;
    must(!"smtp_codes.def ends with rows for all of 4xx and 5xx");
    return TRANSMISSION_BAD_MESSAGE;
}

enum transmission_outcome smtp_classify(const struct smtp_reply *r, enum smtp_stage stage)
{
    must(r->is_complete);
    if (r->code < 400)
        return stage == SMTP_DOT && r->code < 300 ? TRANSMISSION_ACCEPTED
                                                  : TRANSMISSION_UNREACHABLE;

    enum transmission_outcome outcome = first_match(r);
    switch (stage) {
    case SMTP_CONNECT:
    case SMTP_AUTH:
        /* Nothing was said about any message yet: it is our access, and messages are kept. */
        if (!transmission_is_retriable(outcome))
            return TRANSMISSION_NO_ACCESS;
        return outcome == TRANSMISSION_SOFT ? TRANSMISSION_UNREACHABLE : outcome;
    case SMTP_MAIL:
        /* The sender, or the size announced with it. */
        return outcome == TRANSMISSION_BAD_ADDRESS ? TRANSMISSION_POLICY : outcome;
    case SMTP_RCPT:
    case SMTP_DATA:
    case SMTP_DOT: break;
    }
    return outcome;
}
