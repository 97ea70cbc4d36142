/* diff.h - what is different about a programme's next version, for whoever is about to activate it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

struct names;            /* model/names.h */
struct plan;             /* model/plan.h */
struct programme_folder; /* programme/programme.h */

enum diff_kind {
    DIFF_JOURNEY,
    DIFF_SEGMENT,
    DIFF_KEPT, /* what is remembered of each person, features and all else, and what it costs */
    DIFF_FILE, /* all other files, by path */
    DIFF_KIND_END,
};

enum diff_how {
    DIFF_NEW,
    DIFF_CHANGED,
    DIFF_REMOVED,
};

struct diff_row {
    enum diff_kind kind;
    enum diff_how how;
    struct str name;
    int64_t bytes; /* KEPT: at most so many for each person; else 0 */
};

struct programme_version {
    const struct plan *plan; /* NULL = no programme: everything is new */
    const struct programme_folder *folder;
};

/* What `to` has that `from` has not, and the other way, by kind and then in the order of `to`; memory is
 * the arena's. Both plans are compiled with `names`, or with tables that agree. */
const struct diff_row *programme_diff(const struct programme_version *from,
                                      const struct programme_version *to, const struct names *names,
                                      struct arena *arena, uint32_t *count) mustuse;

const char *diff_kind_name(enum diff_kind kind); /* "journey" */
const char *diff_how_name(enum diff_how how);    /* "new" */
