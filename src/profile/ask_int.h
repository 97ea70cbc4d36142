/* ask_int.h - between ask.c and feature_ask.c: one expression being asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/ask.h"

struct asker {
    struct person *who;
    const struct plan *plan;
    struct blob entry;
    int64_t at_ms;
    struct body item;  /* while a condition on a past event is asked: its kept properties */
    int64_t window_ms; /* while a call is answered whose window a trait says: that window */
};

struct expr_host ask_host(struct asker *a);

/* The zone's offset at that moment, for expr_host; false: no such zone. */
bool ask_zone(const struct plan *plan, struct str zone, int64_t at_ms, int64_t *offset_ms,
              int64_t *from_ms, int64_t *until_ms);

/* Answers a call about the past: *out, and *until_ms lowered to when time alone may change it.
 * `arguments` are those of the call that are not constant: the number that says the window, if one does. */
void feature_ask(struct asker *a, const struct plan_binding *b, const struct value *arguments,
                 uint32_t count, struct arena *scratch, struct value *out, int64_t *until_ms);
