/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/watch.h"

#include <stdio.h>
#include <stdlib.h>

static void print(void *self, struct str line)
{
    (void)self;
    (void)fprintf(stderr, "wend: invariant broken: %.*s\n", STR_ARG(line));
}

struct invariants *watch_new(struct engine *e)
{
    const char *said = getenv("WEND_INVARIANTS");
    if (said == NULL || *said == 0 || str_is(str_of(said), "0"))
        return NULL;
    return invariants_new(e, NULL, print);
}

static void end(void)
{
    if (!str_is(str_of(getenv("WEND_INVARIANTS")), "tell"))
        abort();
}

void watch_batch(struct invariants *v, const struct batch *batch)
{
    if (v == NULL || invariants_batch(v, batch) == 0)
        return;
    (void)fprintf(stderr, "wend: that was batch %lu\n", batch->number);
    end();
}

void watch_end(struct invariants *v)
{
    if (v != NULL && invariants_checkpoint(v) != 0)
        end();
    invariants_free(v);
}
