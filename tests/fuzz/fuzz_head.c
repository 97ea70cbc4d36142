/* fuzz_head.c - any bytes as the head of an HTTP request.
 *
 * Read at once, byte by byte, or cut where the first byte says, they are the same head, or wrong in the
 * same way. What is taken is made of parts that can mean one thing only: written down again plainly, they
 * are read as the same parts, and no part holds a byte that another reader could take for an end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/http_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct http_head head;
    enum http_error error;
    size_t bytes;
};

/* Hands over `first` bytes, and from there on `step` more each time. */
static void read_by(struct reading *r, struct str text, size_t first, size_t step)
{
    struct http_limits limits = http_limits_default();
    http_head_begin(&r->head);
    r->error = HTTP_FINE;
    r->bytes = 0;
    for (size_t len = min_of(first, text.len); r->error == HTTP_FINE && r->bytes == 0;) {
        r->error = http_head_read(&r->head, str_part(text, 0, len), &limits, &r->bytes);
        must(r->bytes <= len);
        if (len == text.len)
            break;
        len = min_of(len + step, text.len);
    }
    must(r->error == HTTP_FINE || r->bytes == 0);
}

static struct str part_of(struct str text, struct http_place place)
{
    must(place.at <= text.len);
    must(place.len <= text.len - place.at);
    return str_part(text, place.at, place.len);
}

static void must_be_same(const struct reading *a, struct str a_text, const struct reading *b,
                         struct str b_text)
{
    must(a->error == b->error);
    must((a->bytes != 0) == (b->bytes != 0));
    if (a->bytes == 0)
        return;
    must(a->head.is_http_11 == b->head.is_http_11);
    must(a->head.field_count == b->head.field_count);
    must(str_equal(part_of(a_text, a->head.method), part_of(b_text, b->head.method)));
    must(str_equal(part_of(a_text, a->head.target), part_of(b_text, b->head.target)));
    for (uint32_t i = 0; i < a->head.field_count; i++)
        for (int k = 0; k < 2; k++)
            must(str_equal(part_of(a_text, a->head.fields[i][k]),
                           part_of(b_text, b->head.fields[i][k])));
}

static void must_be_plain(struct str part, bool may_have_blanks, bool may_be_empty)
{
    must(part.len != 0 || may_be_empty);
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = (uint8_t)part.at[i];
        must(c > ' ' || (may_have_blanks && (c == ' ' || c == '\t')));
        must(c != 0x7f);
    }
    must(str_trim(part).len == part.len);
}

/* The head in its plainest form. */
static void print(const struct http_head *head, struct str text, struct buf *out)
{
    buf_add_str(out, part_of(text, head->method));
    buf_add_byte(out, ' ');
    buf_add_str(out, part_of(text, head->target));
    buf_add_str(out, head->is_http_11 ? STR(" HTTP/1.1\r\n") : STR(" HTTP/1.0\r\n"));
    for (uint32_t i = 0; i < head->field_count; i++) {
        struct str name = part_of(text, head->fields[i][0]);
        must(str_find(name, STR(":"), 0) == SIZE_MAX);
        must_be_plain(name, false, false);
        must_be_plain(part_of(text, head->fields[i][1]), true, true);
        buf_add_str(out, name);
        buf_add_byte(out, ':');
        buf_add_str(out, part_of(text, head->fields[i][1]));
        buf_add_str(out, STR("\r\n"));
    }
    buf_add_str(out, STR("\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reading whole, other; /* large; filled anew each time */
    if (size == 0)
        return 0;
    struct str text = {(const char *)data + 1, size - 1};
    read_by(&whole, text, text.len, 1);
    read_by(&other, text, data[0], text.len);
    must_be_same(&whole, text, &other, text);
    read_by(&other, text, 1, 1);
    must_be_same(&whole, text, &other, text);
    if (whole.bytes == 0)
        return 0;
    must_be_plain(part_of(text, whole.head.method), false, false);
    must_be_plain(part_of(text, whole.head.target), false, false);
    struct buf plain;
    buf_init(&plain);
    print(&whole.head, text, &plain);
    must(plain.len <= whole.bytes);
    read_by(&other, buf_str(&plain), plain.len, 1);
    must(other.bytes == plain.len);
    must_be_same(&whole, text, &other, buf_str(&plain));
    buf_fini(&plain);
    return 0;
}
