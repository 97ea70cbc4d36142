/* operator.h - what operators have said, as rules 4 and 6 ask it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/rule.h"

/* Rule 4: a stopped journey, a kill that drops. */
struct answer operator_wants(const struct question *q);

/* Rule 6: a paused journey, a kill that does not drop. */
struct answer operator_holds(const struct question *q);
