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

struct id128 address_hash(const uint8_t *secret, enum channel channel, struct str address,
                          uint64_t profile)
{
    char text[2 + ADDRESS_BYTES_MAX];
    size_t len = 0;
    struct str trimmed = str_trim(address);
    text[len++] = '@';
    text[len++] = (char)('0' + channel);
    if (trimmed.len == 0) {
        memcpy(text + len, &profile, sizeof(profile));
        len += sizeof(profile);
    }
    for (size_t i = 0; i < trimmed.len && len < sizeof(text); i++) {
        char c = trimmed.at[i];
        text[len++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return hash_id((struct str){text, len}, secret, IDENTIFIER_SECRET_BYTES);
}
