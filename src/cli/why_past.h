/* why_past.h - what happened to a person: the log applied again, once where that can be.
 *
 * The log has facts and what came of them, not why: which rule refused with which numbers, who competed. So
 * the past is told by the engine, which decides again; and since pools, budgets and listings are everybody's, it
 * applies what everybody did. How much of the log that is depends on where it begins:
 *
 *     the person's first trace (the log's index by person) ──► the newest snapshot before it, or --since
 *         ──► applied to the log's end, noting what happens to whom the words mean there
 *         ──► who that is in the end, and whether it was told of them from early enough
 *             yes: that was it      no, or --at was before the end: once more, knowing both
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "api/why_json.h"
#include "replay/recover.h"

struct told {
    struct recovered recovered; /* the state at the end of what is told */
    struct note *notes;         /* all that were noted, in order; not only those asked for */
    uint32_t count, room;
    uint32_t passes; /* how often a state was read */
    struct arena texts;
};

/* Finds out whom and what is asked about (why_resolve(), at the log's end), and their past up to q->at_ms, as
 * far back as q->since_ms at least. FIX_INPUT: refused; *refusal says how, if its status is set, else the fault.
 * *q keeps copies in the arena. The caller ends *out with told_fini(), also on failure. */
enum status told_read(const struct directory *d, struct why_question *q, struct arena *arena,
                      struct told *out, struct why_refusal *refusal, struct fault *f) mustuse;
void told_fini(struct told *p);
