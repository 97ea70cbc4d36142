/* segment_json.h - segments as JSON: which there are, who is in them, and why.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

#define MEMBERS_LIMIT_MAX   1000   /* in one answer */
#define MEMBERS_SCANNED_MAX 100000 /* people looked at for one answer */

/* The named segments of the newest programme, with how many are in each. */
void segments_json(struct engine *e, struct buf *out);

/* Who is in the segment (its name's number): people behind the profile `after`, at most `limit`; where
 * there may be more, "next" says behind whom to go on. */
void members_json(struct engine *e, uint32_t segment, uint64_t after, uint32_t limit,
                  struct buf *out);

/* Why the person is in the segment of that index, or is not. */
void segment_why_json(struct engine *e, uint64_t profile, uint16_t segment, struct buf *out);
