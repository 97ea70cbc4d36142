/* SPDX-License-Identifier: Apache-2.0 */
#include "base/canary.h"

#ifdef WEND_CANARIES
#    include <stdlib.h>
#    include <string.h>

/* Is WEND_CANARY the two texts, one behind the other? Asked anew each time: the variant is for tests. */
bool canary_is(const char *prefix, const char *name)
{
    const char *want = getenv("WEND_CANARY");
    size_t bytes = strlen(prefix);
    return want != NULL && strncmp(want, prefix, bytes) == 0 && strcmp(want + bytes, name) == 0;
}
#endif
