/* hook.c - a program that is another release if the environment says so (lib/base/hook.h):
 *
 *     WEND_HOOK_RELEASE, WEND_HOOK_NAMES, WEND_HOOK_FEATURES, WEND_HOOK_DECISION, WEND_HOOK_CLAIM,
 *     WEND_HOOK_STOP
 *
 * are the hooks' numbers. build/VARIANT/wend-other is linked with it; the product has no such thing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/hook.h"

#include <stdlib.h>

uint64_t hook(enum hook which)
{
    static const char *const names[] = {
        [HOOK_RELEASE] = "WEND_HOOK_RELEASE",   [HOOK_NAMES] = "WEND_HOOK_NAMES",
        [HOOK_FEATURES] = "WEND_HOOK_FEATURES", [HOOK_DECISION] = "WEND_HOOK_DECISION",
        [HOOK_CLAIM] = "WEND_HOOK_CLAIM",       [HOOK_STOP] = "WEND_HOOK_STOP",
    };
    const char *text = getenv(names[which]);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}
