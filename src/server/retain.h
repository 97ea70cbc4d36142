/* retain.h - what is older than the programme's `keep:` is dropped while the server serves (replay/retention.h).
 *
 *     now and then:  segment as old as a step? ──► it is closed, an empty batch opens the next one
 *                    snapshot as old as a step? ──► another one
 *                    ──► retention_drop(), while nobody seals, erases or prepares a programme
 *
 * Done on the eraser's thread, between erasures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

struct server;

/* Does what is due, and returns after how many milliseconds it wants to be called again. `is_over(self)`: the
 * thread is to end. */
int64_t retain_work(struct server *s, bool (*is_over)(void *self), void *self);
