/* turn.h - changes of programme and erasures take turns.
 *
 * A change reads the log from its beginning into a backfill, and needs that file until it is activated; an
 * erasure removes backfills and destroys keys of what they are made from. So neither begins while the other
 * is under way, and what was under way when the last run ended has the turn from the start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

enum turn {
    TURN_NOBODY,
    TURN_CHANGE,
    TURN_ERASURE,
};

/* Whose turn it is; TURN_NOBODY at first. */
struct turns {
    _Atomic int whose;
};

/* From now on it is that one's turn, if it is not the other's. It may have it already. */
static inline bool turn_take(struct turns *t, enum turn who)
{
    int nobody = TURN_NOBODY;
    return atomic_compare_exchange_strong(&t->whose, &nobody, (int)who) || nobody == (int)who;
}

/* It is nobody's, if it was that one's. */
static inline void turn_leave(struct turns *t, enum turn who)
{
    int mine = (int)who;
    (void)atomic_compare_exchange_strong(&t->whose, &mine, TURN_NOBODY);
}
