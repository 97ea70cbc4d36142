/* terms.h - the closed sets of the trade as enums: lanes, channels, outcomes, ends. Each comes from a
 * .def list, which also gives the names that people read and write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

enum lane {
#define LANE(symbol, name, attempts, hours, flags) LANE_##symbol,
#include "model/lanes.def"
#undef LANE
    LANE_END,
};

enum lane_flag {
    LANE_CONSENT = 1 << 0,
    LANE_HOLDS = 1 << 1,
    LANE_WINDOWS = 1 << 2,
    LANE_HOLDOUT = 1 << 3,
    LANE_EXITS = 1 << 4,
    LANE_CAPS = 1 << 5,
    LANE_SETTLE = 1 << 6,
    LANE_TRIES_STOPPED = 1 << 7,
    LANE_MUST_CONTACT = 1 << 8,
    LANE_RATIONED = 1 << 9,
    LANE_NEEDS_DEADLINE = 1 << 10,
    LANE_NEEDS_WAY_OUT = 1 << 11,
    LANE_SUPERSEDES = 1 << 12,
};

enum attempts {
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
};

enum channel {
    CHANNEL_NONE = 0,
#define CHANNEL(symbol, name, trait) CHANNEL_##symbol,
#include "model/channels.def"
#undef CHANNEL
    CHANNEL_END,
};

enum outcome {
    OUTCOME_NONE = 0,
#define OUTCOME(symbol, name, class, doc) OUTCOME_##symbol,
#include "model/outcomes.def"
#undef OUTCOME
    OUTCOME_END,
};

enum outcome_class {
    OUTCOME_WAITING,
    OUTCOME_OUT,
    OUTCOME_NOT_ALLOWED,
    OUTCOME_NOT_WANTED,
    OUTCOME_TOO_LATE,
    OUTCOME_CONTROL,
};

enum journey_end {
    JOURNEY_RUNNING = 0,
#define END(symbol, name, by_design, doc) JOURNEY_##symbol,
#include "model/ends.def"
#undef END
    JOURNEY_END_END,
};

struct lane_term {
    struct str name;
    enum attempts attempts;
    int64_t deadline_ms; /* how long an intent may wait when nothing else says so */
    uint32_t flags;      /* enum lane_flag */
};

struct outcome_term {
    struct str name;
    enum outcome_class class;
    struct str doc;
};

struct end_term {
    struct str name;
    bool is_by_design;
    struct str doc;
};

const struct lane_term *lane_term(enum lane lane);
const struct outcome_term *outcome_term(enum outcome outcome);
const struct end_term *end_term(enum journey_end end);
struct str channel_name(enum channel channel);

/* The name of the trait (model/names.h) that holds a person's address; NAME_NONE = none needed. */
uint32_t channel_trait(enum channel channel);

/* The name under which an event without ids carries the address on the channel that it finds a person
 * by; NAME_NONE = there is none. */
uint32_t channel_find_name(enum channel channel);

/* By name; false if there is no such. */
bool lane_find(struct str name, enum lane *out);
bool channel_find(struct str name, enum channel *out);
bool outcome_find(struct str name, enum outcome *out);
bool end_find(struct str name, enum journey_end *out);
