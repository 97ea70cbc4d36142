/* SPDX-License-Identifier: Apache-2.0 */
#include "model/sent.h"

#include "model/names.h"

const struct sent_more sent_no_more = {0};

static bool is_nothing(const struct sent_more *m)
{
    return m->instance == 0 && m->together == 0 && !id128_is_set(m->address) &&
           m->content_key == NAME_NONE && m->group == NAME_NONE && m->journey == NAME_NONE &&
           brief_ms(m->accepted) == 0 && brief_ms(m->delivered) == 0;
}

void sent_set_more(struct space *s, struct sent *line, const struct sent_more *more)
{
    space_put(s, &line->more, is_nothing(more) ? NULL : more, sizeof(*more));
}

static void forget(struct space *s, const struct vec *ledger, uint32_t i)
{
    const struct sent *line = vec_at(s, ledger, i, sizeof(*line));
    space_free(s, line->more, sizeof(struct sent_more));
}

void sent_drop(struct space *s, struct vec *ledger, uint32_t i)
{
    forget(s, ledger, i);
    vec_drop(s, ledger, i, sizeof(struct sent));
}

void sent_clear(struct space *s, struct vec *ledger)
{
    for (uint32_t i = 0; i < ledger->count; i++)
        forget(s, ledger, i);
    vec_clear(s, ledger, sizeof(struct sent));
}
