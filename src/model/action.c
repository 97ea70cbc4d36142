/* SPDX-License-Identifier: Apache-2.0 */
#include "model/action.h"

#include <stdio.h>

void attempt_id_print(uint64_t profile, uint64_t decision, uint32_t attempt,
                      char out[ATTEMPT_ID_BYTES])
{
    int len = snprintf(out, ATTEMPT_ID_BYTES, "%lx-%016lx-%x", profile, decision, attempt);
    must(len > 0 && len < ATTEMPT_ID_BYTES);
}

static bool take_hex(struct str *text, uint64_t *out)
{
    uint64_t sum = 0;
    size_t i = 0;
    for (; i < text->len && text->at[i] != '-'; i++) {
        char c = text->at[i];
        uint64_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint64_t)(c - 'a' + 10);
        else
            return false;
        if (sum >> 60)
            return false;
        sum = sum << 4 | digit;
    }
    if (i == 0)
        return false;
    *text = str_part(*text, i < text->len ? i + 1 : i, SIZE_MAX);
    *out = sum;
    return true;
}

bool attempt_id_parse(struct str text, uint64_t *profile, uint64_t *decision, uint32_t *attempt)
{
    uint64_t k = 0;
    if (!take_hex(&text, profile) || !take_hex(&text, decision) || !take_hex(&text, &k))
        return false;
    if (text.len != 0 || k == 0 || k > UINT32_MAX)
        return false;
    *attempt = (uint32_t)k;
    return true;
}
