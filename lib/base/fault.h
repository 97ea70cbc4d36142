/* fault.h - what a person reads about an operating error: the sentence and the place.
 *
 * The first to notice fills the fault; callers above may put context before it, never overwrite it.
 * Sentences: lower case, no full stop; what is wrong, then where, then what to do:
 *     step "offer": unknown field "emial"; did you mean "email"?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

#define FAULT_TEXT_BYTES 512
#define FAULT_FILE_BYTES 256

struct fault {
    char text[FAULT_TEXT_BYTES]; /* empty = no fault noted */
    char file[FAULT_FILE_BYTES]; /* file or JSON path; empty = none */
    uint32_t line;               /* from 1; 0 = unknown */
    uint32_t column;             /* from 1, in bytes; 0 = unknown */
};

/* Notes the sentence if none is noted yet. `f` may be NULL (nobody will read it). */
void fault_set(struct fault *f, const char *format, ...) printf_like(2, 3);

/* Notes the place if none is noted yet; file may be NULL. `f` may be NULL. */
void fault_place(struct fault *f, const char *file, uint32_t line, uint32_t column);

/* Puts context before the sentence ("journey \"cart\": "). `f` may be NULL. */
void fault_prefix(struct fault *f, const char *format, ...) printf_like(2, 3);

/* "file:line:column: sentence" into out (always terminated); places that are unknown are left out. */
void fault_print(const struct fault *f, char *out, size_t out_bytes);
