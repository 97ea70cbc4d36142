/* segment.h - who would be in a segment, or was: by applying the log again.
 *
 * A segment that nobody has saved yet asks about a past that nothing keeps. So the log is applied from
 * its beginning, with what the segment asks kept from the first batch on beside what the programmes of
 * the log keep, and the segment is asked at the end: exact, however new it is.
 *
 * Where it asks for how long something has been so (has_been(), in_segment() with a time), everybody is
 * asked for that again and again on the way, from so long before the end on: a hundred times in the
 * shortest of those times, at most a thousand times in all. What was not so for less than that between
 * two looks is not seen, and what began between two counts from the later one; whoever answers says so,
 * with step_ms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "audience/audience.h"
#include "base/map.h"
#include "programme/programme.h"
#include "replay/recover.h"

/* A state with a plan beside it. */
struct segment_view {
    struct recovered recovered;
    struct plan plan; /* the candidate, whose features go by the names they are kept under */
    int64_t at_ms;    /* the moment as of which is asked */

    int64_t step_ms;      /* between two looks; 0 = nothing asks for how long */
    int64_t look_ms;      /* the next one */
    int64_t last_look_ms; /* none comes behind it */
    uint32_t lasting_count;
    uint16_t *lasting;     /* segments that are asked for how long: indices, ascending */
    struct map_u64 *since; /* of each: profile -> since when, less first_ms, plus one */
    int64_t first_ms;
};

/* The folder of the directory's newest programme (as of the recovered state) with the text of one more
 * file; `path` NULL: none. The caller ends *out with programme_folder_fini(). */
enum status segment_folder(const struct directory *d, const struct engine *engine, const char *path,
                           struct str text, struct programme_folder *out, struct fault *f) mustuse;

/* The same of a stored programme by its hash. */
enum status segment_folder_of(const struct directory *d, const char *programme, const char *path,
                              struct str text, struct programme_folder *out,
                              struct fault *f) mustuse;

/* Applies the log up to until_ms (0: its end, which is at end_ms) with `plan`, compiled in a table of
 * names that begins with the log's, kept beside, to ask for that segment. The caller ends *out with
 * segment_view_fini(), also on failure. */
enum status segment_view(const struct directory *d, const struct plan *plan, uint16_t segment,
                         int64_t end_ms, int64_t until_ms, struct segment_view *out,
                         struct fault *f) mustuse;
void segment_view_fini(struct segment_view *view);

/* Would the person be in the segment of that index? *is_error: the condition failed. */
bool segment_view_ask(struct segment_view *view, uint64_t profile, uint16_t segment,
                      bool *is_error);

/* Who was in the segment at the moment, by the log's result blocks: calls `note` with each living
 * profile and since when. FIX_INPUT where no programme that was active then had the segment. */
enum status segment_past(const struct directory *d, uint32_t segment, int64_t at_ms, void *self,
                         void (*note)(void *self, uint64_t profile, int64_t since_ms),
                         struct fault *f) mustuse;
