/* regulation_table.c - regulations.def as data; by itself, so that the compiler of programmes needs no more
 * of this room.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "decide/regulation.h"

static const struct regulation_line lines[] = {
#define TEXTS true
#define ALL   false
#define HOURS(pack, place, texts, from, to, on, zone, since, law) \
    {pack, REGULATION_HOURS, place, texts, from, to, on, zone, since, law},
#define CONSENT(pack, place, texts, since, law) \
    {pack, REGULATION_CONSENT, place, texts, 0, 0, "", "", since, law},
#include "decide/regulations.def"
#undef HOURS
#undef CONSENT
#undef TEXTS
#undef ALL
};

const struct regulation_line *regulation_lines(size_t *count)
{
    *count = array_count(lines);
    return lines;
}
