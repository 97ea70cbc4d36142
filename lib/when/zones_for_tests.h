/* zones_for_tests.h - zones by a line of text, so that tests need no files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "test.h"
#include "when/civil.h"
#include "when/zone.h"

/* A set of one zone, called "Test", by its POSIX text. */
static inline struct zoneset *one_zone(const char *rule)
{
    struct zone_file file = {STR("Test"), str_of(rule)};
    struct zoneset *set;
    struct fault f = {0};

    if (zoneset_build(STR("test"), &file, 1, &set, &f) != OK)
        fail_msg("%s", f.text);
    zoneset_check(set);
    return set;
}

static inline int64_t ms_of(const char *text)
{
    struct timestamp t;
    struct fault f = {0};

    if (timestamp_parse(str_of(text), TIMESTAMP_LOOSE, &t, &f) != OK)
        fail_msg("%s", f.text);
    return t.at_ms;
}

/* Zones with one oddity each. The last puts its clock back over midnight. */
static const char *const odd_rules[] = {
    "UTC0",
    "GMT0BST,M3.5.0/1,M10.5.0",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", /* half an hour */
    "CST5CDT,M3.2.0/0,M11.1.0/1",           /* Havana: no midnight in spring */
    "<-03>3<-02>,M3.4.0/0,M10.4.0/0:30",    /* put back from 00:30 to 23:30 */
    "XXX0YYY-3,M3.5.0/22,M10.5.0/2",        /* three hours over midnight either way */
};
