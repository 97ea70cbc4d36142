/* json_int.h - what the files of this room tell each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "json/json.h"

/* What json_tree() works on. */
struct json_source {
    char *text;            /* texts in it are unescaped where they stand */
    uint32_t bytes;        /* of it; JSON_TREE_PADDING spaces follow */
    const uint32_t *heads; /* where each thing begins; two more follow, which say `bytes` */
    uint32_t head_count;
};

#define JSON_TREE_PADDING 64

/* The cells that a text with so many heads can have, and one that is wrong before it is found out. */
#define JSON_CELLS_MAX(head_count) ((size_t)(head_count) / 2 + JSON_DEPTH_MAX + 2)

/* Makes cells (room for JSON_CELLS_MAX) of what the heads say. False where that is not JSON, or deeper
 * than `depth_max`. Requires heads as simdjson gives them: UTF-8, texts closed and without control
 * characters. */
bool json_tree(struct json_source *source, uint32_t depth_max, struct json_cell *cells) mustuse;
