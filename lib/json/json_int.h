/* json_int.h - what the files of this room tell each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

/* How long mending can make a text of `bytes` bytes. */
size_t json_mended_bytes_max(size_t bytes);

/* Writes `text`, which json_locate found well-formed, into `out` (json_mended_bytes_max bytes) so that
 * simdjson takes it; returns its length. */
size_t json_mend(struct str text, char *out);
