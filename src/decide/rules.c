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

/* Adds what one rule says. */
static void weigh(const struct question *q, struct answers *all, uint8_t rule, struct answer one)
{
    bool is_graver = one.kind > all->gravest.kind;
    if (one.kind == ALLOW || one.kind == NOT_BEFORE)
        must(one.at_ms > q->at_ms);
    if (one.kind == ALLOW) {
        all->until_ms = min_of(all->until_ms, one.at_ms);
        return;
    }
    if (one.kind == NOT_BEFORE) {
        is_graver |= all->gravest.kind == NOT_BEFORE && one.at_ms > all->gravest.at_ms;
        all->known_ms = max_of(all->known_ms, one.at_ms != FOREVER_MS ? one.at_ms : one.least_ms);
    }
    if (is_graver) {
        all->gravest = one;
        all->rule = rule;
    }
}

struct answers rules_ask(const struct question *q)
{
    struct answers all = {
        .gravest = ANSWER_ALLOW, .rule = RULE_NONE, .known_ms = q->at_ms, .until_ms = FOREVER_MS};
    for (size_t i = 0; i < array_count(rules); i++)
        weigh(q, &all, rules[i].number, rules[i].ask(q));
    if (q->put_off_ms > q->at_ms)
        weigh(q, &all, q->put_off_rule,
              (struct answer){.kind = NOT_BEFORE, .at_ms = q->put_off_ms});
    if (all.gravest.kind == ALLOW)
        all.gravest.at_ms = all.until_ms;
    return all;
}
