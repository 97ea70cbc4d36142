/* instance.h - what few instances have, or have for a while: a key, a caller, arms of splits, a decision that it waits
 * for, a moment at which to ask again, fields of the entering event.
 *
 * It stands in an object of its own, which is there as long as any of it is set; an instance that has nothing of the
 * kind is half as large. Whoever copies an instance does not copy that object, and whoever drops one ends it
 * (instance_forget).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/state.h"

struct instance_more {
    uint64_t key;      /* hash of the key's value; 0 = none */
    uint64_t caller;   /* the instance whose run step began it; 0 = none */
    uint64_t splits;   /* bit per split of the journey that it took an arm of */
    uint64_t decision; /* of the send that it waits for; 0 = none */
    int64_t wait_ms;   /* when the wait step began, if not at step_ms; 0 = at step_ms */
    int64_t
        ask_ms; /* when a condition it waits for, or `require`, must be asked again; FOREVER_MS = never */
    struct blob entry; /* fields of the entering event: entry.* */
};

/* What an instance without such an object has. */
extern const struct instance_more instance_no_more;

/* Good until it is changed, or the instance ends. */
static inline const struct instance_more *instance_more(const struct space *s,
                                                        const struct instance *in)
{
    return in->more ? space_at(s, in->more) : &instance_no_more;
}

/* Sets all of it. What `entry` was is the caller's to free. */
void instance_set_more(struct space *s, struct instance *in, const struct instance_more *more);

void instance_set_decision(struct space *s, struct instance *in, uint64_t decision);
void instance_set_entry(struct space *s, struct instance *in, struct blob entry);
void instance_set_splits(struct space *s, struct instance *in, uint64_t splits);

void instance_set_ask_slow(struct space *s, struct instance *in, int64_t ask_ms);

static inline void instance_set_ask(struct space *s, struct instance *in, int64_t ask_ms)
{
    if (instance_more(s, in)->ask_ms != ask_ms)
        instance_set_ask_slow(s, in, ask_ms);
}

/* Asked again at ask_ms, unless it is before. */
static inline void instance_ask_by(struct space *s, struct instance *in, int64_t ask_ms)
{
    if (ask_ms < instance_more(s, in)->ask_ms)
        instance_set_ask_slow(s, in, ask_ms);
}

/* When the wait step that it stands at began, resets aside. */
static inline int64_t instance_wait_ms(const struct space *s, const struct instance *in)
{
    int64_t wait_ms = instance_more(s, in)->wait_ms;
    return wait_ms ? wait_ms : in->step_ms;
}

/* The step, or the wait if it is one, begins at that moment, and nothing is to be asked. */
void instance_begin_step(struct space *s, struct instance *in, int64_t at_ms);

/* The wait's time counts from another moment; when it began stays. */
void instance_reset_wait(struct space *s, struct instance *in, int64_t step_ms);

/* Ends what is apart, the entry's fields too. For an instance that is to go. */
void instance_forget(struct space *s, struct instance *in);
