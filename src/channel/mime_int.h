/* mime_int.h - what mime.c and mime_body.c share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "channel/mime.h"

/* Bytes of the UTF-8 code point at byte `at`. Requires well-formed UTF-8. */
static inline size_t code_point_bytes(struct str text, size_t at)
{
    uint8_t lead = (uint8_t)text.at[at];
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Appends =XX. */
static inline void add_escaped(struct buf *out, uint8_t byte)
{
    static const char hex[] = "0123456789ABCDEF";
    uint8_t three[3] = {'=', (uint8_t)hex[byte >> 4], (uint8_t)hex[byte & 15]};
    buf_add(out, three, 3);
}
