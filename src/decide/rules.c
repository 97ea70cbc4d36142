/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/rule.h"

#include <stdio.h>

static const struct {
    uint8_t number;
    const char *name;
    struct answer (*ask)(const struct question *q);
} rules[] = {
#define RULE(number, symbol, name, doc) {number, #name, rule_##name##_ask},
#include "decide/rules.def"
#undef RULE
};

const char *rule_name(uint32_t number)
{
    for (size_t i = 0; i < array_count(rules); i++)
        if (rules[i].number == number)
            return rules[i].name;
    switch (number) {
    case RULE_HOLDOUT: return "holdout";
    case RULE_COMPETITION: return "competition";
    case RULE_POOL: return "pool";
    case RULE_ADDRESS: return "address";
    }
    return "";
}

const char *moment(const struct question *q, int64_t at_ms)
{
    const size_t bytes = 64;
    char *text = arena_alloc(q->who->scratch, bytes);
    struct local l = zone_local(person_zone(q->who), at_ms);
    snprintf(text, bytes, "%04d-%02d-%02d %02d:%02d:%02d", (int)l.year, l.month, l.day, l.hour,
             l.minute, l.second);
    return text;
}

bool rule_ask(uint32_t place, const struct question *q, uint8_t *number, struct answer *out)
{
    if (place >= array_count(rules))
        return false;
    *number = rules[place].number;
    *out = rules[place].ask(q);
    return true;
}

struct answer rules_ask(struct question *q, uint8_t *rule, int64_t *known_ms)
{
    struct answer gravest = ANSWER_ALLOW;
    *rule = RULE_NONE;
    *known_ms = q->at_ms;
    for (size_t i = 0; i < array_count(rules); i++) {
        struct answer one = rules[i].ask(q);
        switch ((enum answer_kind)one.kind) {
        case ALLOW:
            must(one.at_ms > q->at_ms);
            if (gravest.kind == ALLOW)
                gravest.at_ms = min_of(gravest.at_ms, one.at_ms);
            break;
        case NOT_BEFORE:
            must(one.at_ms > q->at_ms);
            if (one.at_ms != FOREVER_MS)
                *known_ms = max_of(*known_ms, one.at_ms);
            if (gravest.kind < NOT_BEFORE ||
                (gravest.kind == NOT_BEFORE && one.at_ms > gravest.at_ms)) {
                gravest = one;
                *rule = rules[i].number;
            }
            break;
        case NEVER_HERE:
            if (gravest.kind < NEVER_HERE) {
                gravest = one;
                *rule = rules[i].number;
            }
            break;
        case NEVER:
            if (gravest.kind < NEVER) {
                gravest = one;
                *rule = rules[i].number;
            }
            break;
        }
    }
    return gravest;
}
