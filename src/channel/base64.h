/* base64.h - base64 of RFC 4648 section 4, with padding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/str.h"

/* Appends `in` in one line. */
void base64_write(struct buf *out, struct str in);

/* Appends what `text` stands for; false, and `out` as it was, if it is not base64. Padding may be left
 * out; white space may not be in it. */
bool base64_read(struct buf *out, struct str text) mustuse;
