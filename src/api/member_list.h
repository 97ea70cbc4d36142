/* member_list.h - a file of people who are to be put on a list or taken off it: CSV, one person a line.
 *
 *     user_id              the header names the columns; user_id or anonymous_id must be among them,
 *     u-17                 others are not read. Without a header, a file of one column has user ids.
 *     "u-18, the second"   quotes as in RFC 4180
 *
 * A file that is empty, or whose header names columns but none of these, is refused as a whole: taken for
 * "nobody" or for people called "email", it would ruin the list that it replaces.
 * Lines that are wrong are left out and reported, each with what is wrong; the others count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "model/identifier.h"

#define MEMBER_PROBLEMS_MAX 100 /* that are described; all are counted */

struct member_row {
    uint32_t line;
    enum identifier_kind kind;
    struct str id;
};

struct member_problem {
    uint32_t line;
    struct str text;
};

struct member_list {
    const struct member_row *rows; /* nobody twice; in the order of the file */
    uint32_t count;
    const struct member_problem *problems;
    uint32_t problem_count; /* at most MEMBER_PROBLEMS_MAX of: */
    uint32_t wrong_count;
    bool is_refused; /* no line counts, whatever is asked for: it is no list of ids */
};

/* Reads the text; everything is in the arena, or points into the text. */
void member_list_read(struct str text, struct arena *arena, struct member_list *out);

/* Appends what the tracking API takes for the rows [first, last): {"batch": [...]}, events that put them
 * on the list `segment`, or take them off. */
void member_list_events(const struct member_row *rows, uint32_t count, struct str segment,
                        bool is_added, struct buf *out, bool *has_any);
