/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdlib.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int str_order(struct str a, struct str b)
{
    size_t shared = min_of(a.len, b.len);
    int order = shared ? memcmp(a.at, b.at, shared) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool str_equal_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

struct str str_trim(struct str a)
{
    while (a.len && is_space(a.at[0])) {
        a.at++;
        a.len--;
    }
    while (a.len && is_space(a.at[a.len - 1]))
        a.len--;
    return a;
}

size_t str_find(struct str a, struct str needle, size_t from)
{
    if (from > a.len || needle.len > a.len - from)
        return SIZE_MAX;
    if (needle.len == 0)
        return from;
    const char *hit = memmem(a.at + from, a.len - from, needle.at, needle.len);
    return hit ? (size_t)(hit - a.at) : SIZE_MAX;
}

bool str_to_int(struct str a, int64_t *out)
{
    size_t i = 0;
    bool is_negative = false;
    int64_t sum = 0;
    if (a.len && (a.at[0] == '-' || a.at[0] == '+'))
        is_negative = a.at[i++] == '-';
    if (i == a.len)
        return false;
    for (; i < a.len; i++) {
        if (a.at[i] < '0' || a.at[i] > '9')
            return false;
        int digit = a.at[i] - '0';
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
            __builtin_add_overflow(sum, (int64_t)(is_negative ? -digit : digit), &sum))
            return false;
    }
    *out = sum;
    return true;
}

bool str_to_double(struct str a, double *out)
{
    char text[320];
    for (size_t i = 0; i < a.len; i++) {
        char c = a.at[i];
        bool is_fine =
            (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
        if (!is_fine)
            return false;
    }
    if (a.len == 0 || !str_to_z(a, text, sizeof(text)))
        return false;
    char *end = NULL;
    double number = strtod(text, &end);
    if (*end != '\0')
        return false;
    *out = number;
    return true;
}

bool str_is_utf8(struct str a)
{
    const unsigned char *s = (const unsigned char *)a.at;
    size_t i = 0;
    while (i < a.len) {
        unsigned char c = s[i];
        size_t more;
        unsigned char low = 0x80, high = 0xbf;
        if (c < 0x80) {
            i++;
            continue;
        }
        if (c >= 0xc2 && c <= 0xdf)
            more = 1;
        else if (c >= 0xe0 && c <= 0xef)
            more = 2;
        else if (c >= 0xf0 && c <= 0xf4)
            more = 3;
        else
            return false;
        if (c == 0xe0)
            low = 0xa0; /* overlong */
        if (c == 0xed)
            high = 0x9f; /* surrogates */
        if (c == 0xf0)
            low = 0x90; /* overlong */
        if (c == 0xf4)
            high = 0x8f; /* beyond U+10FFFF */
        if (a.len - i <= more)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if (s[i + k] < low || s[i + k] > high)
                return false;
            low = 0x80;
            high = 0xbf;
        }
        i += more + 1;
    }
    return true;
}

bool str_to_z(struct str a, char *out, size_t out_bytes)
{
    must(out_bytes > 0);
    out[0] = '\0';
    if (a.len >= out_bytes || (a.len && memchr(a.at, 0, a.len)))
        return false;
    if (a.len)
        memcpy(out, a.at, a.len);
    out[a.len] = '\0';
    return true;
}

uint32_t str_distance(struct str a, struct str b, uint32_t most)
{
    if (a.len > 64 || b.len > 64)
        return most + 1;
    uint32_t rows[3][65];
    uint32_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        above[j] = (uint32_t)j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = lower(a.at[i - 1]), y = lower(b.at[j - 1]);
            uint32_t best = above[j - 1] + (x != y);
            best = min_of(best, above[j] + 1);
            best = min_of(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && x == lower(b.at[j - 2]) && y == lower(a.at[i - 2]))
                best = min_of(best, before[j - 2] + 1);
            row[j] = best;
        }
        uint32_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.len] > most ? most + 1 : above[b.len];
}

struct str str_nearest(struct str wanted, const struct str *names, size_t count)
{
    uint32_t most = min_of((uint32_t)(wanted.len + 2) / 3, 3u);
    struct str best = {NULL, 0};
    uint32_t best_edits = most + 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t edits = str_distance(wanted, names[i], most);
        if (edits < best_edits) {
            best_edits = edits;
            best = names[i];
        }
    }
    return best;
}
