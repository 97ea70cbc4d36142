/* SPDX-License-Identifier: Apache-2.0 */
#include "model/identifier.h"

struct id128 identifier_hash(enum identifier_kind kind, struct str id, const uint8_t *secret)
{
    struct id128 hash = hash_id(id, secret, IDENTIFIER_SECRET_BYTES);
    if (kind == IDENTIFIER_USER)
        return hash;
    must(kind == IDENTIFIER_ANONYMOUS);
    hash = (struct id128){hash_pair(hash.high, IDENTIFIER_ANONYMOUS),
                          hash_pair(hash.low, IDENTIFIER_ANONYMOUS)};
    if (!id128_is_set(hash))
        hash.low = 1;
    return hash;
}

uint64_t identifier_route(struct id128 user, struct id128 anonymous)
{
    struct id128 id = id128_is_set(user) ? user : anonymous;
    if (!id128_is_set(id))
        return 0;
    return id.low != 0 ? id.low : 1;
}
