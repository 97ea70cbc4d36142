/* monitors.h - what GET /metrics shows of monitors and ad audiences: the engine's thread writes it at most once a second (and
 * whenever one is raised or cleared), any thread reads it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

struct monitor_board;

struct monitor_board *monitor_board_new(void) mustuse;
void monitor_board_free(struct monitor_board *b);

#define BOARD_PAUSE_MS 1000

/* Writes what there is to say, if it is time. By the engine's thread. */
void monitor_board_post(struct monitor_board *b, const struct engine *e);

/* Was it not? Then it is to be asked again when BOARD_PAUSE_MS are over, even if nothing happens. The same thread. */
bool monitor_board_is_stale(const struct monitor_board *b);

/* Appends it. Any thread. */
void monitor_board_read(struct monitor_board *b, struct buf *out);
