/* fuzz_chunks.c - any bytes as a chunked body.
 *
 * Read at once, byte by byte, or cut where the first byte says, they are the same body, end at the same
 * byte, or are wrong. A body that was taken can be written again in plain chunks; then it is read to the
 * last byte as the same, and no other bytes behind it are touched.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/http_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hands over `first` bytes, and from there on `step` more each time. */
static enum http_chunk read_by(struct str text, size_t first, size_t step, struct buf *body,
                               size_t *taken)
{
    struct http_chunks chunks = {0};
    *taken = 0;
    body->len = 0;
    for (size_t end = min_of(first, text.len);;) {
        struct str piece, in = str_part(text, *taken, end - *taken);
        size_t used;
        enum http_chunk got = http_chunks_read(&chunks, in, &used, &piece);
        must(used <= in.len);
        must(got == HTTP_CHUNK_PIECE ? piece.len != 0 : piece.len == 0);
        must(piece.len <= used);
        must(piece.len == 0 || piece.at + piece.len == in.at + used);
        *taken += used;
        buf_add_str(body, piece);
        if (got == HTTP_CHUNK_END || got == HTTP_CHUNK_BAD)
            return got;
        if (got == HTTP_CHUNK_PIECE)
            continue;
        must(*taken == end);
        if (end == text.len)
            return got;
        end = min_of(end + step, text.len);
    }
}

static void check_same(struct str text, size_t first, size_t step, enum http_chunk wanted,
                       const struct buf *body, size_t taken)
{
    struct buf other;
    size_t other_taken;
    buf_init(&other);
    must(read_by(text, first, step, &other, &other_taken) == wanted);
    must(other_taken == taken);
    must(str_equal(buf_str(&other), buf_str(body)));
    buf_fini(&other);
}

/* The body in chunks of `bytes`, and rubbish behind it. */
static void check_again(const struct buf *body, size_t bytes)
{
    struct buf text;
    buf_init(&text);
    for (size_t at = 0; at < body->len; at += bytes) {
        struct str piece = str_part(buf_str(body), at, bytes);
        buf_printf(&text, "%zx\r\n", piece.len);
        buf_add_str(&text, piece);
        buf_add_str(&text, STR("\r\n"));
    }
    buf_add_str(&text, STR("0\r\n\r\n"));
    size_t whole = text.len;
    buf_add_str(&text, STR("0\r\n\r\n"));
    check_same(buf_str(&text), text.len, 1, HTTP_CHUNK_END, body, whole);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf body;
    size_t taken;
    if (size == 0)
        return 0;
    struct str text = {(const char *)data + 1, size - 1};
    buf_init(&body);
    enum http_chunk got = read_by(text, text.len, 1, &body, &taken);
    check_same(text, data[0], text.len, got, &body, taken);
    check_same(text, 1, 1, got, &body, taken);
    if (got == HTTP_CHUNK_END)
        check_again(&body, 1 + data[0] % 20);
    buf_fini(&body);
    return 0;
}
