/* SPDX-License-Identifier: Apache-2.0 */
#include "liquid/liquid_int.h"

const struct filter liquid_filter_table[] = {
#define FILTER(name, min, max, keyword, doc, example, result) \
    {#name, min, max, keyword, filter_##name},
#include "liquid/filters.def"
#undef FILTER
};

const uint32_t liquid_filter_count = array_count(liquid_filter_table);

static const struct liquid_word filter_words[] = {
#define FILTER(name, min, max, keyword, doc, example, result) {#name, doc, example, result},
#include "liquid/filters.def"
#undef FILTER
};

const struct liquid_word *liquid_filters(size_t *count)
{
    *count = array_count(filter_words);
    return filter_words;
}

uint32_t liquid_filter_find(struct str name)
{
    for (uint32_t i = 0; i < liquid_filter_count; i++)
        if (str_is(name, liquid_filter_table[i].name))
            return i;
    return LIQUID_NONE;
}

struct str liquid_filter_nearest(struct str wanted)
{
    struct str names[array_count(liquid_filter_table)];
    for (uint32_t i = 0; i < liquid_filter_count; i++)
        names[i] = str_of(liquid_filter_table[i].name);
    return str_nearest(wanted, names, liquid_filter_count);
}
