/* SPDX-License-Identifier: Apache-2.0 */
#include "base/canary.h"
#include "decide/rule.h"

static const struct {
    uint8_t number;
    const char *name;
    struct answer (*ask)(const struct question *q);
} rules[] = {
#define RULE(number, symbol, name, doc) {number, #name, rule_##name##_ask},
#include "decide/rules.def"
#undef RULE
};

_Static_assert(array_count(rules) <= 32, "a bit for each in struct agreed");
_Static_assert(PLAN_CAPS_MAX <= 64, "a bit for each in struct agreed");

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
    return person_moment(q->who, at_ms);
}

bool rule_ask(uint32_t place, const struct question *q, uint8_t *number, struct answer *out)
{
    if (place >= array_count(rules))
        return false;
    *number = rules[place].number;
    *out = rules[place].ask(q);
    return true;
}

/* Two that say not before: what both ask for. */
static struct answer later_of(struct answer a, struct answer b)
{
    int64_t known_a_ms = a.at_ms == FOREVER_MS ? a.least_ms : a.at_ms;
    int64_t known_b_ms = b.at_ms == FOREVER_MS ? b.least_ms : b.at_ms;
    return (struct answer){.kind = NOT_BEFORE,
                           .at_ms = max_of(a.at_ms, b.at_ms),
                           .least_ms = max_of(known_a_ms, known_b_ms)};
}

void answer_join(struct answer *both, struct answer one)
{
    must(both->kind <= NOT_BEFORE);
    must(one.kind <= NOT_BEFORE);
    if (one.kind == ALLOW && both->kind == ALLOW)
        both->at_ms = min_of(both->at_ms, one.at_ms);
    else if (one.kind == NOT_BEFORE)
        *both = both->kind == ALLOW ? one : later_of(*both, one);
}

/* Adds what one rule says. */
static void weigh(const struct question *q, struct answers *all, uint8_t rule, struct answer one)
{
    bool is_graver = one.kind > all->gravest.kind;
    if (one.kind == ALLOW || one.kind == NOT_BEFORE)
        must(one.at_ms > q->at_ms);
    else
        must(one.outcome != OUTCOME_NONE); /* an end has a reason */
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

uint32_t rules_of_slots(void)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < array_count(rules); i++)
        if (rules[i].number == RULE_CAP || rules[i].number == RULE_CONSENT) /* people's own caps */
            bits |= 1u << i;
    return bits;
}

struct answers rules_ask(const struct question *q)
{
    struct answers all = {
        .gravest = ANSWER_ALLOW, .rule = RULE_NONE, .known_ms = q->at_ms, .until_ms = FOREVER_MS};
    must(q->at_ms >= q->who->now_ms); /* counts of the past are gone */
    must(q->channel < CHANNEL_END);
    for (size_t i = 0; i < array_count(rules); i++) {
        if (planted_in("off-", rules[i].name) || (q->agreed != NULL && q->agreed->rules >> i & 1))
            continue;
        struct answer one = rules[i].ask(q);
        if (q->agreed != NULL && answer_is_agreed(one))
            q->agreed->rules |= 1u << i;
        weigh(q, &all, rules[i].number, one);
    }
    if (q->put_off_ms > q->at_ms)
        weigh(q, &all, q->put_off_rule,
              (struct answer){.kind = NOT_BEFORE, .at_ms = q->put_off_ms});
    if (all.gravest.kind == ALLOW)
        all.gravest.at_ms = all.until_ms;
    return all;
}
