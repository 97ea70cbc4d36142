/* money.h - amounts of money as people write them: 500, 499.99, 0.0004. Held in millionths, exactly: no
 * amount passes through a floating-point number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/str.h"

#define MONEY_ONE      INT64_C(1000000)
#define MONEY_MAX      (INT64_C(1000000000000) * MONEY_ONE)
#define MONEY_NOT_SAID INT64_C(-1)
#define MONEY_BYTES    32 /* room for any printed amount and a NUL */

/* Reads digits, and up to six more behind a point, from the whole of `text`. False (*out untouched): it is
 * no amount, or more than MONEY_MAX. */
bool money_parse(struct str text, int64_t *out) mustuse;

/* "500.00", "0.045": at least two digits behind the point, NUL-terminated into `out` (MONEY_BYTES or more);
 * returns the text in it. Of an amount that money_parse() gave it reads back as the same. Requires amount >=
 * 0. */
struct str money_print(int64_t amount, char *out);
