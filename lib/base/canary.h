/* canary.h - planted bugs: how the tests are tested.
 *
 *     if (line->at_ms > from_ms || (planted("cap-keeps-longer") && ...))
 *
 * In every build but VARIANT=canary a planted bug is the constant false and costs nothing. There, the
 * environment variable WEND_CANARY names the one that is true, and tests/canaries/run.py demands that
 * some test fails because of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

#ifdef WEND_CANARIES
bool canary_is(const char *prefix, const char *name);
#    define planted(name)            unlikely(canary_is("", name))
#    define planted_in(prefix, name) unlikely(canary_is(prefix, name))
#else
#    define planted(name)            false
#    define planted_in(prefix, name) false
#endif
