/* SPDX-License-Identifier: Apache-2.0 */
#include "model/money.h"

#include <stdio.h>

#define PLACES 6

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool money_parse(struct str text, int64_t *out)
{
    int64_t amount = 0;
    uint32_t places = 0;
    size_t i = 0;
    for (; i < text.len && is_digit(text.at[i]); i++) {
        amount = amount * 10 + (text.at[i] - '0');
        if (amount > MONEY_MAX / MONEY_ONE)
            return false;
    }
    if (i == 0)
        return false;
    if (i < text.len && text.at[i] == '.') {
        for (i++; i < text.len && is_digit(text.at[i]) && places < PLACES; i++, places++)
            amount = amount * 10 + (text.at[i] - '0');
        if (places == 0)
            return false;
    }
    if (i != text.len)
        return false;
    for (; places < PLACES; places++)
        amount *= 10;
    if (amount > MONEY_MAX)
        return false;
    *out = amount;
    return true;
}

struct str money_print(int64_t amount, char *out)
{
    must(amount >= 0);
    int length = snprintf(out, MONEY_BYTES, "%ld.%06ld", amount / MONEY_ONE, amount % MONEY_ONE);
    must(length > PLACES && length < MONEY_BYTES);
    for (uint32_t k = 0; k < PLACES - 2 && out[length - 1] == '0'; k++)
        length--;
    out[length] = '\0';
    return (struct str){out, (size_t)length};
}
