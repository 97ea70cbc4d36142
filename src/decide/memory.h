/* memory.h - what rules have found out about the person in this settle, for the next rival that asks.
 *
 * In one settle ten messages may be asked about, each at now and at the instants at which it might go, which
 * are much the same ones: midnight, the end of quiet hours. The address, the person's day and week and the
 * programme's windows do not change meanwhile: no trait does, and it is one programme. So each is found once.
 * (What does change is the ledger: caps count it anew each time.)
 *
 *     desk_settle()   struct memory on its stack -> who->memory, which is NULL everywhere else
 *     rules           memory_...(q): from there if it is known, else found and put there
 *
 * Days and windows are direct-mapped by the instant: what another one pushes out is found again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/rule.h"
#include "when/window.h"

#define MEMORY_DAYS    8u
#define MEMORY_WINDOWS 16u

struct memory_address {
    struct id128 hash;
    bool is_there; /* else none is known */
    bool is_mail;  /* it looks like an e-mail address */
};

/* The bounds of a day and a week on the person's clock. */
struct memory_day {
    int64_t at_ms; /* the instant that they are around */
    int64_t day_start_ms, day_end_ms;
    int64_t week_start_ms, week_end_ms;
};

struct memory_window {
    int64_t at_ms;
    const struct plan_window *window; /* NULL = the place is free */
    struct window_answer answer;
};

struct memory {
    uint32_t known;      /* bit per channel whose address is known */
    uint32_t known_days; /* bit per place in days */
    struct memory_address addresses[CHANNEL_END];
    struct memory_day days[MEMORY_DAYS];
    struct memory_window windows[MEMORY_WINDOWS];
};

void memory_init(struct memory *m);

/* The person's address on the question's channel. `room` is for where nothing is kept. */
const struct memory_address *memory_address(const struct question *q, struct memory_address *room);

/* The day and the week around q->at_ms. */
const struct memory_day *memory_day(const struct question *q, struct memory_day *room);

/* What is kept of the window at q->at_ms, or NULL; and keeping it. */
const struct window_answer *memory_window(const struct question *q, const struct plan_window *w);
void memory_keep_window(const struct question *q, const struct plan_window *w,
                        struct window_answer answer);
