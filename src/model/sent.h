/* sent.h - what a line of the ledger has of a message, apart from what makes it count in a cap: whose it was, where it
 * went, what the provider reported. An event that caps count has none of it.
 *
 * It stands in an object of its own, which is there as long as any of it is set. Whoever copies a line does not copy
 * that object; dropping one ends it (person_drop_sent).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/state.h"

/* A moment in six bytes: within 4,400 years of 1970, and nearest to it otherwise. */
struct brief_ms {
    uint16_t low;
    uint16_t middle;
    int16_t high;
};

#define BRIEF_MS_MAX ((INT64_C(1) << 47) - 1)

static inline struct brief_ms brief_of(int64_t ms)
{
    ms = max_of(min_of(ms, BRIEF_MS_MAX), -BRIEF_MS_MAX);
    return (struct brief_ms){(uint16_t)ms, (uint16_t)(ms >> 16), (int16_t)(ms >> 32)};
}

static inline int64_t brief_ms(struct brief_ms x)
{
    return (int64_t)x.high * (INT64_C(1) << 32) + ((int64_t)x.middle << 16) + x.low;
}

struct sent_more {
    uint64_t instance;
    uint64_t together; /* the set of `all_of` that it is of; 0 = none */
    struct id128
        address; /* keyed hash of where it went; a bounce that comes later means this one */
    uint32_t content_key; /* names */
    uint32_t group;
    uint32_t journey;
    struct brief_ms accepted;  /* 0 = it was not */
    struct brief_ms delivered; /* 0 = not reported */
};

_Static_assert(sizeof(struct sent_more) <= 56, "docs/BENCH.md says what a person weighs");

/* What a line without such an object has. */
extern const struct sent_more sent_no_more;

/* Good until it is changed, or the line dropped. */
static inline const struct sent_more *sent_more(const struct space *s, const struct sent *line)
{
    return line->more ? space_at(s, line->more) : &sent_no_more;
}

/* Sets all of it. */
void sent_set_more(struct space *s, struct sent *line, const struct sent_more *more);

/* Drops the line at place i of the ledger. */
void sent_drop(struct space *s, struct vec *ledger, uint32_t i);

/* Drops all lines and gives the memory back. */
void sent_clear(struct space *s, struct vec *ledger);
