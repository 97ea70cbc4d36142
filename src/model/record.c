/* SPDX-License-Identifier: Apache-2.0 */
#include "model/record.h"

#define WHOLE_MAX 9007199254740992.0 /* 2^53: above it doubles leave whole numbers out */

/* Is it a whole number as a computer writes it: 42 and -7, but neither 042 nor +42? */
static bool is_plain_int(struct str text, int64_t *out)
{
    size_t sign = str_starts(text, STR("-"));
    if (text.len == sign || text.at[sign] < '0' || text.at[sign] > '9' ||
        (text.at[sign] == '0' && text.len > 1))
        return false;
    return str_to_int(text, out);
}

uint64_t record_key(const struct record *r, uint32_t name)
{
    if (name == 0)
        return 0;
    struct value x = record_get(r, name, NULL);
    uint64_t key;
    int64_t whole;
    if (x.type == VALUE_TEXT && is_plain_int(x.text, &whole))
        x = value_int(whole);
    if (x.type == VALUE_DOUBLE && x.number >= -WHOLE_MAX && x.number <= WHOLE_MAX &&
        x.number == (double)(int64_t)x.number)
        x = value_int((int64_t)x.number);
    if (x.type == VALUE_TEXT)
        key = hash_str(x.text, 1);
    else if (x.type == VALUE_INT)
        key = hash_bytes(&x.integer, sizeof(x.integer), 2);
    else if (x.type == VALUE_DOUBLE)
        key = hash_bytes(&x.number, sizeof(x.number), 3);
    else
        return 0;
    return key ? key : 1;
}
