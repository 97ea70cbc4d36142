/* feature.h - what a person did, as far as the programme asks about it.
 *
 * A feature (plan.h) is what one call of an expression asks about the past, such as
 * sum("Order Completed", "30d", e, e.total, e.total > 5). The programme's compiler says which events
 * feed it, which of them count (a filter that reads the past event alone) and what is kept of each:
 *
 *     MARK     how many, when the last one was                                  24 bytes
 *     TALLY    and the sum, the least and the most of a number            24 + 48 bytes
 *     FIRST    and properties of the first one, LAST of the last one
 *     ITEMS    and of each of the last `keep`: when, its number, its properties
 *     VALUES   and of the last `keep` different values when each was there last
 *
 *              forgot_ms                    now - keep_ms              now
 *     times  - - x - - - | 12:00 12:07 12:07 | 13:30 ...   14:02 ------|
 *        made room for others      dropped: no question reaches so far back
 *
 * Items stand in the order of event time, whatever the order in which they came in; of two of one moment
 * the one applied later stands behind. So what is kept depends on what happened alone: the `keep` latest
 * of all items, and the time of the latest that had to make room. A question whose window holds that
 * moment is *saturated*: a count means "at least", a sum, an average, a least, a most or a number of
 * different values is an error. Items older than keep_ms are dropped when the next one comes in.
 *
 * Numbers are whole millionths and are added up in 128 bits, so that no order of adding matters. A text
 * that is a number ("12.50") counts as one. An event without a number does not count for sum().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

#define FEATURE_BODY_BYTES_MAX 256 /* kept properties of one item; what does not fit is missing */

/* Notes who->event in the features of `plan` that it feeds, but for those with skips[index] (NULL: for
 * all), and wakes what reads them. They are kept under their name plus names_from (0 but in a shadow
 * engine). Costs an event that feeds nothing one look-up. */
void features_note(struct person *who, const struct plan *plan, const bool *skips,
                   uint32_t names_from);

/* What the feature with that name remembers, or NULL: nothing of the kind has happened. */
const struct history *features_find(const struct person *who, uint32_t feature);

/* Takes over what `from` did, as of a merge: afterwards all is as if one person had done it. */
void features_unite(struct person *who, const struct person *from);

/* Forgets history i, or all of them, and gives the memory back. */
void features_drop(struct space *space, struct profile *profile, uint32_t i);
void features_clear(struct space *space, struct profile *profile);

/* The 128 bits of a tally's sum. */
static inline __int128 history_sum(const struct history_tally *tally)
{
    return (__int128)((unsigned __int128)(uint64_t)tally->sum_high << 64 | tally->sum_low);
}

/* The number that a value is, in millionths. */
enum feature_number {
    FEATURE_IS_NUMBER,
    FEATURE_NO_NUMBER, /* it is none: *out is HISTORY_NO_NUMBER */
    FEATURE_TOO_LARGE, /* beyond nine million millions: *out is HISTORY_TOO_LARGE */
};
enum feature_number feature_number(const struct value *value, int64_t *out);

/* A text that is a number becomes one. */
void feature_read_number(struct value *value);

/* The same for equal values (5 and 5.0 are), in `bytes` where they have to be written; false for missing
 * values and errors. */
bool feature_value_hash(const struct value *value, struct buf *bytes, uint64_t *out);
