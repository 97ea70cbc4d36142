/* export.h - everything that is held about a person, as JSON that machines read: what `wend person` prints,
 * and their events from the log.
 *
 *     {"person": {...}, "events": [{"batch": 7, "record": {...}}, ...]}
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "replay/erase.h"

/* Appends it. `who` has what means the person; `person` is what person_json() wrote. */
enum status export_person(const struct directory *d, const struct erasure *who, struct str person,
                          struct buf *out, struct fault *f) mustuse;

/* Appends what was done: the proof, as JSON. */
void erasure_json(const struct erasure *x, struct buf *out);
