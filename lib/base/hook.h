/* hook.h - what a build for tests can make otherwise: another release, in the same source.
 *
 * A product's hooks are all 0, always: nothing sets them, hook.c says so. Programs that test what
 * happens between releases are linked with another hook() in its place, which asks their test
 * (tests/hooks/hook.c asks the environment). A hook never makes a product wrong that is not tested.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

enum hook {
    HOOK_RELEASE,  /* not 0: it is another release than the one that was built, this one */
    HOOK_NAMES,    /* not 0: compiling a programme also makes names that no other release makes */
    HOOK_FEATURES, /* not 0: what a condition remembers is called otherwise */
    HOOK_DECISION, /* n: every n-th decision is for not sending, every n-th call or task waits for half a day */
    HOOK_CLAIM, /* n: a claim of the program does not hold where batch n is applied again */
    HOOK_STOP,  /* n: the process is killed at this place of a change of release */
};

uint64_t hook(enum hook which);
