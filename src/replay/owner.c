/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/owner.h"

#include "model/terms.h"
#include "profile/traits.h"

struct id128 owner_by_address(void *directory, const struct record *r)
{
    const struct directory *d = directory;
    struct id128 none = {0, 0};
    for (uint32_t i = CHANNEL_NONE + 1; r->type == RECORD_EVENT && i < CHANNEL_END; i++) {
        uint32_t name = channel_find_name((enum channel)i);
        struct value x = name != NAME_NONE ? record_get(r, name, NULL) : value_none();
        struct id128 address = traits_address(d->secret, (enum channel)i, &x);
        if (id128_is_set(address))
            return address;
    }
    return none;
}
