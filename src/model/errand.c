/* SPDX-License-Identifier: Apache-2.0 */
#include "model/errand.h"

#include <stdio.h>

static const struct {
    const char *text;
    uint8_t kinds; /* bit per enum errand_kind */
} endings[ERRAND_ENDINGS] = {
    [ERRAND_PENDING] = {"", 0},
    [ERRAND_ANSWERED] = {"answered", 1 << ERRAND_CALL},
    [ERRAND_DONE] = {"done", 1 << ERRAND_TASK},
    [ERRAND_FAILED] = {"failed", 1 << ERRAND_CALL | 1 << ERRAND_TASK},
    [ERRAND_DECLINED] = {"declined", 1 << ERRAND_TASK},
    [ERRAND_TIMED_OUT] = {"timed_out", 1 << ERRAND_CALL},
    [ERRAND_OVERDUE] = {"overdue", 1 << ERRAND_TASK},
    [ERRAND_HELD_OUT] = {"held_out", 1 << ERRAND_CALL | 1 << ERRAND_TASK},
    [ERRAND_WITHDRAWN] = {"withdrawn", 1 << ERRAND_CALL | 1 << ERRAND_TASK},
};

void errand_key_print(uint64_t profile, uint64_t decision, char out[ERRAND_KEY_BYTES])
{
    snprintf(out, ERRAND_KEY_BYTES, "%016llx-%016llx", (unsigned long long)profile,
             (unsigned long long)decision);
}

static bool hex_read(struct str text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        *out = *out << 4 | digit;
    }
    return text.len == 16;
}

bool errand_key_read(struct str key, uint64_t *profile, uint64_t *decision)
{
    return key.len == ERRAND_KEY_BYTES - 7 && key.at[16] == '-' &&
           hex_read(str_part(key, 0, 16), profile) && hex_read(str_part(key, 17, 16), decision) &&
           *profile != 0 && *decision != 0;
}

struct str errand_ending_text(enum errand_ending ending)
{
    must(ending < ERRAND_ENDINGS);
    return str_of(endings[ending].text);
}

bool errand_can_end(enum errand_kind kind, enum errand_ending ending)
{
    must(ending < ERRAND_ENDINGS);
    return endings[ending].kinds >> kind & 1;
}

uint16_t errand_way(const struct plan_step *step, enum errand_ending ending)
{
    uint16_t way = PLAN_NO_INDEX;
    if (ending == ERRAND_FAILED || ending == ERRAND_DECLINED || ending == ERRAND_WITHDRAWN)
        way = step->errand.if_failed;
    else if (ending == ERRAND_TIMED_OUT || ending == ERRAND_OVERDUE)
        way = step->errand.if_late;
    return way == PLAN_NO_INDEX ? step->next : way;
}
