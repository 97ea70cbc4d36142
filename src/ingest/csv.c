/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/csv.h"

/* Where the line end at `at` (an LF, or a CR before an LF) is over; `at` itself where there is none. */
static size_t line_end(struct str bytes, size_t at)
{
    if (at < bytes.len && bytes.at[at] == '\r' && at + 1 < bytes.len && bytes.at[at + 1] == '\n')
        return at + 2;
    if (at < bytes.len && bytes.at[at] == '\n')
        return at + 1;
    return at;
}

/* The row is unusable: its first line is given up, so that the damage ends with it. */
static enum csv_result give_up_line(struct str bytes, bool is_end, enum csv_result why,
                                    struct csv_row *row)
{
    size_t end = str_find(bytes, STR("\n"), 0);
    if (end == SIZE_MAX && !is_end)
        return CSV_MORE;
    row->bytes = end == SIZE_MAX ? bytes.len : end + 1;
    row->line_count = end != SIZE_MAX;
    return why;
}

enum csv_result csv_read(struct str bytes, bool is_end, char delimiter, struct csv_row *row)
{
    must(bytes.len > 0);
    size_t at = 0;
    bool is_too_many = false;
    row->field_count = 0;
    row->line_count = 0;
    row->text.len = 0;
    (void)!buf_reserve(&row->text, bytes.len); /* fields point into it, so it must not move */

    for (;;) {
        struct str field = {bytes.at + at, 0};
        bool is_quoted = at < bytes.len && bytes.at[at] == '"';
        if (is_quoted) {
            size_t text_at = row->text.len;
            for (at++;; at++) {
                if (at == bytes.len)
                    return is_end ? give_up_line(bytes, is_end, CSV_BAD, row) : CSV_MORE;
                char c = bytes.at[at];
                if (c == '"') {
                    if (at + 1 == bytes.len && !is_end)
                        return CSV_MORE; /* closing, or the first of two? */
                    if (at + 1 == bytes.len || bytes.at[at + 1] != '"')
                        break;
                    at++;
                }
                row->line_count += c == '\n';
                buf_add_byte(&row->text, (uint8_t)c);
            }
            at++;
            field = (struct str){(const char *)row->text.at + text_at, row->text.len - text_at};
        } else {
            while (at < bytes.len && bytes.at[at] != delimiter && bytes.at[at] != '\n' &&
                   !(bytes.at[at] == '\r' && at + 1 < bytes.len && bytes.at[at + 1] == '\n'))
                at++;
            field.len = (size_t)(bytes.at + at - field.at);
        }
        if (row->field_count == row->field_max)
            is_too_many = true;
        else
            row->fields[row->field_count++] = field;
        if (at == bytes.len && !is_end)
            return CSV_MORE;
        if (at == bytes.len)
            break;
        if (bytes.at[at] == delimiter) {
            at++;
            continue;
        }
        size_t end = line_end(bytes, at);
        if (end == at && at + 1 == bytes.len && bytes.at[at] == '\r' && !is_end)
            return CSV_MORE; /* a CR, and perhaps an LF behind it */
        if (end == at)
            return give_up_line(bytes, is_end, CSV_BAD, row);
        at = end;
        row->line_count++;
        break;
    }
    row->bytes = at;
    return is_too_many ? CSV_TOO_MANY : CSV_ROW;
}
