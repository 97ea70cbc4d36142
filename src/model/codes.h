/* codes.h - lists of voucher codes as text: one a line, a first line "code" is a heading.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/str.h"

#define CODE_BYTES_MAX  200
#define CODES_BYTES_MAX (30 * 1024) /* of codes in one record */

/* The next line from byte *from on, without white space and quotes around it; *line counts lines, from 1. False:
 * the text is over. Empty lines and the heading are passed over. */
bool code_next(struct str text, size_t *from, uint32_t *line, struct str *code) mustuse;

/* Is it short enough, and one column? */
bool code_is_fine(struct str code);

/* As many whole lines from byte *from on as one record takes; empty at the end. Requires that no line is longer
 * than CODES_BYTES_MAX. */
struct str codes_part(struct str text, size_t *from);
