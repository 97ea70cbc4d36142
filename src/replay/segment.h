/* segment.h - who would be in a segment, or was: by applying the log again.
 *
 * A segment that nobody has saved yet asks about a past that nothing keeps. So the log is applied from
 * its beginning, with what the segment asks kept from the first batch on beside what the programmes of
 * the log keep, and the segment is asked at the end: exact, however new it is. Its condition is asked as
 * of that moment; for how long something has been so is known only of segments that the log's own
 * programmes had (has_been() and in_segment() with a time say so).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "audience/audience.h"
#include "programme/programme.h"
#include "replay/recover.h"

/* A state with a plan beside it. */
struct segment_view {
    struct recovered recovered;
    struct plan plan; /* the candidate, whose features go by the names they are kept under */
    int64_t at_ms;    /* the moment as of which is asked */
};

/* The folder of the directory's newest programme (as of the recovered state) with the text of one more
 * file; `path` NULL: none. The caller ends *out with programme_folder_fini(). */
enum status segment_folder(const struct directory *d, const struct engine *engine, const char *path,
                           struct str text, struct programme_folder *out, struct fault *f) mustuse;

/* Applies the log up to until_ms (0: its end) with `plan`, compiled in a table of names that begins with
 * the log's, kept beside. The caller ends *out with segment_view_fini(), also on failure. */
enum status segment_view(const struct directory *d, const struct plan *plan, int64_t until_ms,
                         struct segment_view *out, struct fault *f) mustuse;
void segment_view_fini(struct segment_view *view);

/* Would the person be in the segment of that index? *is_error: the condition failed. */
bool segment_view_ask(struct segment_view *view, uint64_t profile, uint16_t segment,
                      bool *is_error);

/* Does the segment, or one that it reads, ask for how long something has been so? */
bool segment_asks_duration(const struct plan *plan, uint16_t segment);

/* Who was in the segment at the moment, by the log's result blocks: calls `note` with each living
 * profile and since when. FIX_INPUT where no programme that was active then had the segment. */
enum status segment_past(const struct directory *d, uint32_t segment, int64_t at_ms, void *self,
                         void (*note)(void *self, uint64_t profile, int64_t since_ms),
                         struct fault *f) mustuse;
