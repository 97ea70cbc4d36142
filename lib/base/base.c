/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void must_fail(const char *claim, const char *file, int line)
{
    fprintf(stderr, "wend: must(%s) does not hold at %s:%d\n", claim, file, line);
    abort();
}
