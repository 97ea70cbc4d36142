/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(struct buf *out, struct str in)
{
    const uint8_t *at = (const uint8_t *)in.at;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        uint32_t x = (uint32_t)at[i] << 16;
        if (left > 1)
            x |= (uint32_t)at[i + 1] << 8;
        if (left > 2)
            x |= at[i + 2];
        char four[4] = {letters[x >> 18], letters[x >> 12 & 63],
                        left > 1 ? letters[x >> 6 & 63] : '=', left > 2 ? letters[x & 63] : '='};
        buf_add(out, four, 4);
    }
}

bool base64_read(struct buf *out, struct str text)
{
    size_t before = out->len;
    size_t padding = 0;
    while (padding < 2 && text.len > 0 && text.at[text.len - 1] == '=') {
        text.len--;
        padding++;
    }
    bool is_fine = text.len % 4 != 1 && (padding == 0 || (text.len + padding) % 4 == 0);
    uint32_t bits = 0, bit_count = 0;
    for (size_t i = 0; i < text.len && is_fine; i++) {
        const char *letter = text.at[i] ? strchr(letters, text.at[i]) : NULL;
        if (letter == NULL) {
            is_fine = false;
            break;
        }
        bits = bits << 6 | (uint32_t)(letter - letters);
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            buf_add_byte(out, (uint8_t)(bits >> bit_count));
            bits &= (1u << bit_count) - 1;
        }
    }
    if (is_fine && bits == 0)
        return true;
    out->len = before;
    return false;
}
