/* SPDX-License-Identifier: Apache-2.0 */
#include "model/watch.h"

#include "base/base.h"

static const struct watch_term terms[WATCH_END] = {
#define WATCH(symbol, name, about, measure, doc) \
    [WATCH_##symbol] = {{name, sizeof(name) - 1}, WATCH_ABOUT_##about, WATCH_BY_##measure},
#include "model/watches.def"
#undef WATCH
};

const struct watch_term *watch_term(enum watch watch)
{
    must(watch > WATCH_NONE && watch < WATCH_END);
    return &terms[watch];
}

bool watch_find(struct str name, enum watch *out)
{
    for (uint32_t i = 1; i < WATCH_END; i++) {
        if (!str_equal(terms[i].name, name))
            continue;
        *out = (enum watch)i;
        return true;
    }
    return false;
}
