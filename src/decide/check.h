/* check.h - what must hold of a person at the desk, asked of the rules themselves and not of what the desk
 * remembers of their answers: for engine/invariants.h. Nothing changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "decide/rule.h"

/* The intent was granted at this very moment. Calls `note` for each rule that does not allow it, with the
 * facts that it names. */
void desk_check_grant(struct person *who, const struct intent *in, void *self,
                      void (*note)(void *self, uint32_t rule, struct str facts));

/* The place of an intent that waits for a slot which lower ones keep that have not gone yet, and that
 * would go if they gave theirs back; UINT32_MAX: there is none. To be asked behind a settle. */
uint32_t desk_check_order(struct person *who);

/* Is the person, or the instance with these flags, held out from what the lane says? */
bool desk_check_held_out(const struct person *who, const struct intent *in);
