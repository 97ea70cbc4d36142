/* invariants_int.h - what audit.c and invariants.c share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdarg.h>

#include "engine/engine_int.h"
#include "engine/invariants.h"

/* One line about a fault to `note`, which may be NULL. */
void invariant_say(void *self, void (*note)(void *self, struct str line), enum invariant broken,
                   uint64_t profile, const char *format, va_list args) printf_like(5, 0);

/* Recounts what is one person's own; the number of faults. */
uint64_t audit_person(struct engine *e, struct person *who, void *self,
                      void (*note)(void *self, struct str line));
