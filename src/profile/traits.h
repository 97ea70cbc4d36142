/* traits.h - what is known of a person: named values, each with the time at which it was said.
 *
 * The latest statement wins, by event time; of two of the same moment the one applied later. A trait
 * set to null is forgotten, but for the time of that. Declared traits have a type: what does not fit it is converted where that
 * is plain ("12" to 12) and refused, counted as an error, where it is not.
 *
 * They are kept as bytes: a time (the first that was said), then for each trait the difference between its own time
 * and that one, and a field. What was said together with the first one, as at a sign-up, takes one byte for its
 * time instead of six.
 *
 *     blob   zigzag time | zigzag +0, field | zigzag +0, field | zigzag +86400000, field | ...
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"

/* A walk through the bytes. */
struct traits_walk {
    struct cursor in;
    int64_t base_ms;
};

static inline struct traits_walk traits_walk_of(const struct space *s, struct blob b)
{
    struct traits_walk w = {.in = cursor_of(blob_at(s, b), b.bytes)};
    w.base_ms = b.bytes ? cursor_zigzag(&w.in) : 0;
    return w;
}

/* The next trait, forgotten ones too; false at the end, and where the bytes are no field. Times wrap: bytes out of a
 * file may say anything. */
static inline bool traits_walk_next(struct traits_walk *w, struct body_field *field, int64_t *at_ms)
{
    if (cursor_left(&w->in) == 0)
        return false;
    *at_ms = (int64_t)((uint64_t)w->base_ms + (uint64_t)cursor_zigzag(&w->in));
    struct body rest = {w->in.at, (uint32_t)cursor_left(&w->in)};
    if (!body_next(&rest, field))
        return false;
    w->in.at = rest.at;
    return true;
}

/* The trait's value as said, or its declared default, or VALUE_NONE. Texts are borrowed until the
 * traits change; lists and maps are built in `scratch` (NULL: VALUE_NONE for them). */
struct value traits_get(const struct person *who, uint32_t name, struct arena *scratch);

/* Says that the trait is `value` since `at_ms` (event time). True if that changed what is known (saying
 * the same again only renews its time). Notes the wake bit. */
bool traits_set(struct person *who, uint32_t name, const struct value *value, int64_t at_ms);

/* Goes through all traits: *place starts at 0; false at the end. */
bool traits_next(const struct person *who, uint32_t *place, struct body_field *field,
                 int64_t *at_ms);

/* Takes over what `from`, a profile of another space, was told later than this one; ids are kept. */
void traits_unite(struct person *who, const struct person *from);

/* Forgets all, the addresses that it held with them. */
void traits_forget(struct person *who);

/* When the trait was last said; INT64_MIN if it never was. */
int64_t traits_said_ms(const struct person *who, uint32_t name);

/* The address that a trait's value is on the channel; not set if it is none. */
struct id128 traits_address(const uint8_t *secret, enum channel channel, const struct value *x);

/* The address on the channel that the profile holds (addresses.h), whatever the programme declares; not
 * set if it holds none. */
struct id128 traits_held(const struct person *who, enum channel channel);
