/* SPDX-License-Identifier: Apache-2.0 */
#include "store/before.h"

void befores_init(struct befores *b)
{
    *b = (struct befores){0};
    index_init(&b->places);
    buf_init(&b->bytes);
}

void befores_fini(struct befores *b)
{
    index_fini(&b->places);
    buf_fini(&b->bytes);
    b->count = 0;
}

void befores_put(struct befores *b, struct id128 key, struct str bytes)
{
    struct index_entry *e = index_add(&b->places, key);
    must(e->first == 0);
    must(e->second == 0);
    if (bytes.len == 0)
        return;
    e->first = b->bytes.len + 1;
    e->second = bytes.len;
    buf_add_str(&b->bytes, bytes);
    b->count++;
}
