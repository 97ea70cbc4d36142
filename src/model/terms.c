/* SPDX-License-Identifier: Apache-2.0 */
#include "model/terms.h"

#include "model/names.h"

// clang-format off
static const struct lane_term lanes[] = {
#define LANE(symbol, text, how, hours, lane_flags) \
    {{text, sizeof(text) - 1}, how, (hours) ? (hours) * HOUR_MS : 10 * MINUTE_MS, lane_flags},
#include "model/lanes.def"
#undef LANE
};

static const struct outcome_term outcomes[] = {
    {{"", 0}, OUTCOME_WAITING, {"", 0}},
#define OUTCOME(symbol, text, kind, words) \
    {{text, sizeof(text) - 1}, OUTCOME_##kind, {words, sizeof(words) - 1}},
#include "model/outcomes.def"
#undef OUTCOME
};

static const struct end_term ends[] = {
    {{"running", 7}, true, {"is under way", 12}},
#define END(symbol, text, by_design, words) \
    {{text, sizeof(text) - 1}, by_design, {words, sizeof(words) - 1}},
#include "model/ends.def"
#undef END
};

static const struct {
    struct str name;
    uint32_t trait;
} channels[] = {
    {{"", 0}, NAME_NONE},
#define CHANNEL(symbol, text, trait) {{text, sizeof(text) - 1}, NAME_##trait},
#include "model/channels.def"
#undef CHANNEL
};
// clang-format on

const struct lane_term *lane_term(enum lane lane)
{
    must((size_t)lane < array_count(lanes));
    return &lanes[lane];
}

const struct outcome_term *outcome_term(enum outcome outcome)
{
    must((size_t)outcome < array_count(outcomes));
    return &outcomes[outcome];
}

const struct end_term *end_term(enum journey_end end)
{
    must((size_t)end < array_count(ends));
    return &ends[end];
}

struct str channel_name(enum channel channel)
{
    must((size_t)channel < array_count(channels));
    return channels[channel].name;
}

uint32_t channel_trait(enum channel channel)
{
    must((size_t)channel < array_count(channels));
    return channels[channel].trait;
}

uint32_t channel_find_name(enum channel channel)
{
    switch (channel_trait(channel)) {
    case NAME_EMAIL: return NAME_FIND_EMAIL;
    case NAME_PHONE: return NAME_FIND_PHONE;
    case NAME_PUSH_TOKEN: return NAME_FIND_PUSH_TOKEN;
    default: return NAME_NONE;
    }
}

bool lane_find(struct str name, enum lane *out)
{
    for (size_t i = 0; i < array_count(lanes); i++)
        if (str_equal(name, lanes[i].name)) {
            *out = (enum lane)i;
            return true;
        }
    return false;
}

bool channel_find(struct str name, enum channel *out)
{
    for (size_t i = 1; i < array_count(channels); i++)
        if (str_equal(name, channels[i].name)) {
            *out = (enum channel)i;
            return true;
        }
    return false;
}

bool outcome_find(struct str name, enum outcome *out)
{
    for (size_t i = 1; i < array_count(outcomes); i++)
        if (str_equal(name, outcomes[i].name)) {
            *out = (enum outcome)i;
            return true;
        }
    return false;
}

bool end_find(struct str name, enum journey_end *out)
{
    for (size_t i = 1; i < array_count(ends); i++)
        if (str_equal(name, ends[i].name)) {
            *out = (enum journey_end)i;
            return true;
        }
    return false;
}
