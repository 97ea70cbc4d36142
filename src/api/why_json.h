/* why_json.h - a line of the answer to "why?" as JSON: what `wend why --json` prints and GET /v1/why
 * answers.
 *
 *     {"at": "2026-03-02T12:00:00.000Z", "at_ms": 1772452800000, "journey": "welcome",
 *      "message": "hello", "text": "message hello: sent"}
 *
 * A line that is about no journey, or no message, lacks that key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "profile/person.h"
#include "json/json_write.h"

/* Writes the line as the next item of a list. Requires names that know the note's. */
void why_json(struct json_writer *w, const struct names *names, const struct note *note);
