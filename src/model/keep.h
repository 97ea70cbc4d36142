/* keep.h - an attempt of which two releases say different things, as a record says it: RECORD_RELEASE, kind
 * RELEASE_KEPT or RELEASE_UNDONE.
 *
 * An operator has taken over what a newer release makes of the log's last batches (docs/decisions/0009).
 * What the older one had granted may be with the customer: it is *kept*, in doubt, and no attempt is ever
 * granted under its id again. What only the newer one granted was never given to a provider: it is *undone*
 * and asked again.
 *
 * Of a call or task result blocks name the instance and the step, not the decision: these stand for it here. A step is
 * begun once in an instance. RELEASE_ERRAND_KEPT and RELEASE_ERRAND_UNDONE are the records. Of an audience upload the
 * message is the audience; RELEASE_LISTING_KEPT and RELEASE_LISTING_UNDONE.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/record.h"
#include "model/terms.h"

struct keep {
    enum release_kind kind; /* RELEASE_KEPT or RELEASE_UNDONE */
    uint8_t channel;        /* enum channel */
    uint32_t attempt;       /* k: 1, 2, ... */
    uint64_t profile;
    uint64_t decision; /* of an errand: the instance */
    uint32_t journey;  /* name */
    uint32_t message;  /* name; of an errand: the step's; of an upload: the audience's */
    int64_t granted_ms;
    bool is_errand, is_listing;
};

/* Are both about one decision? */
bool keep_is_same(const struct keep *a, const struct keep *b);

/* The one of `count` that is about the same decision as `like`, of which only what says that is looked at; NULL: none. */
const struct keep *keep_among(const struct keep *all, uint32_t count, const struct keep *like);

/* Fills `out`, whose body is written to `clear` and borrowed from it. */
void keep_write(const struct keep *in, struct buf *clear, struct record *out);

/* Reads such a record; false if it is none, or fields are missing or out of range. */
bool keep_read(const struct record *in, struct keep *out) mustuse;
