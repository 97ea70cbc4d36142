/* placement_json.h - what a placement shows somebody now, as JSON: the same for POST /v1/decide and for
 * scenario tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

/* `profile` 0: nobody whom we know. `page` is what is known of the page. With explains, why the others stand
 * back. False: the programme has no such placement. */
bool placement_json(struct engine *e, uint64_t profile, uint32_t placement, struct body page,
                    int64_t now_ms, bool explains, struct buf *out);
