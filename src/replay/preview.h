/* preview.h - how many people would be in a segment that nobody has saved yet, and some of them.
 *
 * For `wend segment size` and POST /v1/segments/preview alike: the newest programme with one segment more is
 * compiled, and the log applied again with it (segment.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "replay/segment.h"

#define PREVIEW_SEGMENT    "wend-candidate"
#define PREVIEW_SAMPLE_MAX 1000

/* A sample of people that is the same for the same people. */
struct preview_sample {
    struct arena *arena; /* of the texts */
    struct str *ids;     /* room for `most` */
    uint32_t count, most;
};

/* Offers the next of those who are in; `nth` counts them from 0. */
void preview_offer(struct preview_sample *sample, struct person *who, uint64_t nth);

/* The user id, else an anonymous one; "(no id)". Good as long as the person. */
struct str preview_id(struct person *who);

/* The segment's file with that condition: text for segment_folder(). */
void preview_file(struct str when, struct buf *out);

struct preview {
    uint64_t people, of, errors;
    struct str how; /* what the answer is worth, in words; the sample's arena */
    struct preview_sample sample;
};

/* Counts those for whom the segment of that index holds in the view. Requires out->sample. */
void preview_count(struct segment_view *view, uint16_t index, struct preview *out);

/* Does it all, in a state of its own: `programme` is the hash of the newest one. Requires out->sample. FIX_INPUT: the
 * condition is wrong, as `findings` say, or there is no such programme (the fault). TRY_AGAIN: the log got names
 * meanwhile that the condition has, too. */
enum status preview_make(const struct directory *d, struct str programme, struct str when,
                         struct preview *out, struct findings *findings, struct fault *f) mustuse;

/* As JSON: people, of, errors, how, sample. */
void preview_json(const struct preview *p, struct buf *out);
