/* csv.h - rows of comma-separated values, as RFC 4180 has them and as files really are.
 *
 *     a,"b ""quoted"", with a comma","two
 *     lines"
 *
 * Beyond the RFC: any delimiter, LF or CRLF, a last row without a line end, a quote in the middle of a
 * field that did not begin with one (it stands for itself).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum csv_result {
    CSV_ROW,      /* a row was read */
    CSV_MORE,     /* the bytes end before the row does */
    CSV_BAD,      /* text behind a closing quote, or a quote that is not closed before the end */
    CSV_TOO_MANY, /* more fields than there is room for */
};

struct csv_row {
    struct str *fields; /* the caller's, room for field_max */
    uint32_t field_max;
    uint32_t field_count;
    size_t bytes;        /* of the row with its line end; CSV_BAD: of its first line */
    uint32_t line_count; /* line feeds in them */
    struct buf text;     /* fields that had quotes to take away; the caller's, kept between rows */
};

/* Reads the row at the front of `bytes` (not empty); fields are borrowed from `bytes` and row->text until
 * the next call. `is_end`: no more bytes come. */
enum csv_result csv_read(struct str bytes, bool is_end, char delimiter, struct csv_row *row);
