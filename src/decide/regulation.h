/* regulation.h - what the law of a person's place says: rule 3, and a part of rule 2.
 *
 * A plan has rows (struct plan_regulation): those of the packs that it takes (regulations.def) and its
 * own. A row speaks about people of one place, on some channels, in some lanes or categories, from one
 * day to another of the person's wall.
 *
 * Where a person is: the country that their trait names; on channels to a phone also each country that
 * its number may be of. The region of the country is as their trait names it; where it names none, the
 * person may live in any. Whoever has no country at all is in every place, or in those that the
 * programme names for that (`regulations.unknown`).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/rule.h"

/* A line of regulations.def; the compiler makes a row of it. */
struct regulation_line {
    const char *pack;
    uint8_t kind; /* enum regulation_kind */
    const char *place;
    bool is_texts; /* only channels whose address is a phone */
    uint8_t from_hour, to_hour;
    const char *starting_on;
    const char *zone; /* "" = the person's */
    uint32_t since;   /* yyyymmdd */
    const char *law;
};

/* All lines, in order. */
const struct regulation_line *regulation_lines(size_t *count);

/* Does the row speak about the question's person, channel and message (time aside)? */
bool regulation_concerns(const struct question *q, const struct plan_regulation *row);

/* Does a law demand an agreement that was stated, at the instant asked about? NULL: none does,
 * until *until_ms, when one may begin to. */
const struct plan_regulation *regulation_demands_consent(const struct question *q,
                                                         int64_t *until_ms);

/* Is the country, as ISO 3166 names it, of the EU or the EEA? */
bool country_is_of_eu(struct str country);
