/* why_json.h - what is asked of "why?", and its answer as JSON: for `wend why` and GET /v1/why alike.
 *
 *     {"at": "2026-03-02T12:00:00.000Z", "at_ms": 1772452800000, "local": "2026-03-02 07:00:00",
 *      "zone": "America/New_York", "kind": "rule", "journey": "welcome", "message": "hello",
 *      "rule": "cap", "channel": "email", "until": "2026-03-03T05:00:00.000Z",
 *      "programme": "3f2a9c01...", "text": "message hello: held back on email ..."}
 *
 * Times in the text are those of `zone`, the person's own (the programme's, until theirs is known), as is
 * `local`; `at` and `until` are UTC. What a line is not about, it lacks; `until` is null where the time is not
 * known. Kinds: event, entry, rule, change, rivals, try, outcome, schedule.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "profile/person.h"
#include "json/json_write.h"

/* What is asked. Texts are the caller's; moments may lack an offset: then they are of the person's clock. */
struct why_question {
    struct str person;           /* a user id, an anonymous id or an address */
    struct str journey, message; /* empty: whichever */
    struct str since, until;     /* lines of these moments and between them; empty: no bound */
    struct str at;               /* as of this moment instead of now; empty: now */

    /* What why_resolve() makes of it. */
    uint64_t profile;
    struct str id; /* the person's user id, else an anonymous one; empty: neither was ever told */
    int64_t since_ms, until_ms, at_ms; /* INT64_MIN, FOREVER_MS, FOREVER_MS where nothing is said */
    int64_t first_ms;                  /* nothing happened to them before */
};

struct why_refusal {
    uint16_t status; /* of HTTP: 400 or 404 */
    const char *code;
    struct str text;
};

/* Looks up who and what is meant, in the state as it is now; *q keeps copies in the arena. False: nobody, no
 * such journey or message in any programme of the directory (with the nearest name), or a moment that is
 * none: *out says which. Between batches. */
bool why_resolve(struct engine *e, struct why_question *q, struct arena *arena,
                 struct why_refusal *out) mustuse;

/* Is part of what is asked for before the oldest state that is kept (0: everything is)? */
bool why_is_cut(const struct why_question *q, int64_t kept_since_ms);

/* Is the line one of those asked for? `names` know the note's. */
bool why_wants(const struct why_question *q, const struct names *names, const struct note *note);

/* The name of the note's zone: "Europe/London"; "UTC" before there is a programme. */
struct str why_zone_name(const struct note *note);

/* Writes the line as the next item of a list. Requires names that know the note's. */
void why_json(struct json_writer *w, const struct names *names, const struct note *note);

/* Writes the list of what is pending and scheduled, of the journey and message asked for (NULL: of all). */
void why_json_pending(struct json_writer *w, struct engine *e, uint64_t profile,
                      const struct why_question *q);

/* Writes the earliest of what is scheduled for the person as a line, or null: with times alone, what would
 * fire next if nothing happened. */
void why_json_next(struct json_writer *w, struct engine *e, uint64_t profile);
