/* names.h - names as numbers. Event names, property paths, journeys, messages: each text that is
 * part of the vocabulary (not of a person's data) gets a number once, by a `name` record in the log,
 * and everything else carries the number. Number 0 is "no name".
 *
 * A property path is dotted: {"cart": {"id": 1}} is the name "cart.id". What stood under `context`
 * begins with "context.". A key that itself contains a dot is the same path.
 *
 * The table is append-only. It has one writer; a reader that runs beside a writer has its own copy.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

#define NAMES_MAX      (1u << 20) /* names in a data directory */
#define NAME_BYTES_MAX 256        /* bytes in one name */

/* The numbers of names.def: NAME_EMAIL, NAME_USER_ID, ... */
enum name_fixed {
    NAME_NONE = 0,
#define NAME(symbol, text) NAME_##symbol,
#include "model/names.def"
#undef NAME
    NAME_FIXED_COUNT,
};

/* The first number that is given out freely. Room for more fixed names lies before it, so that a later
 * release can add them without shifting what logs and snapshots have given out. */
#define NAME_FIXED_END 1024u

struct names;

/* A table that holds names.def. Ends with names_free(). */
struct names *names_new(void) mustuse;
void names_free(struct names *n);

/* The number of `text`, or NAME_NONE. No allocation. */
uint32_t names_find(const struct names *n, struct str text);

/* The same among the numbers below `end`: the table may have been read ahead, and what a record means does
 * not depend on names that came into the log behind it. */
uint32_t names_find_below(const struct names *n, struct str text, uint32_t end);

/* The number of `text`, which is given one if it has none yet (copied). NAME_NONE if the table is
 * full, the text is empty, longer than NAME_BYTES_MAX or not UTF-8. */
uint32_t names_add(struct names *n, struct str text);

/* The text of `name`; empty for NAME_NONE and for numbers not given out. Good until names_free(). */
struct str names_text(const struct names *n, uint32_t name);

/* One more than the highest number given out: names_count(n) - 1 is the newest. */
uint32_t names_count(const struct names *n);
