/* take.h - a directory's log becomes this release's, and what its last server kept is kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "replay/adopt.h"

struct taking {
    struct evlog *log;
    struct recovered *recovered; /* as recover_to_write() left it */
    int64_t now_ms;              /* for a directory with nothing in it */
    const struct trial *adopts;  /* what it comes to is adopted; NULL: nothing is */
    struct str words;            /* the operator's */
};

/* take_over() (replay/takeover.h) for whoever is about to write the directory. The file `held` (held.h) of the directory is brought along to the
 * batch that it ends with then; attempts that are granted on the way are added to it. */
enum status directory_take(const struct directory *d, const struct taking *taking, bool *is_changed,
                           struct fault *f) mustuse;
