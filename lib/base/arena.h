/* arena.h - memory that belongs to a lifetime. It is passed, never ambient: `forever` (process),
 * `plan` (one compiled programme), `request` (one HTTP exchange), `scratch` (one batch).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

struct arena_block;
struct arena_end;

struct arena {
    struct arena_block *block; /* newest block; blocks are chained */
    size_t block_bytes;        /* size of a normal block */
    size_t total_bytes;        /* held from the system, all blocks */
    struct arena_end *ends;    /* what arena_at_end() asked for */
};

/* An empty arena that takes blocks of about `block_bytes` (at least 256) when it needs them. */
void arena_init(struct arena *a, size_t block_bytes);

/* Gives everything back. The arena may be used again. */
void arena_fini(struct arena *a);

/* Forgets everything but keeps the largest block: what was allocated is no longer valid. */
void arena_reset(struct arena *a);

/* Calls end(what) when the arena is reset or finished, the latest first: for what a library gave us
 * and wants back. Keeps both. */
void arena_at_end(struct arena *a, void (*end)(void *what), void *what);

/* `bytes` bytes aligned to 16, not zeroed; good until reset or fini. Never NULL. */
void *arena_alloc(struct arena *a, size_t bytes) mustuse;

/* The same, zeroed. */
void *arena_zalloc(struct arena *a, size_t bytes) mustuse;

/* A copy of `s`, followed by a NUL that is not counted. */
struct str arena_copy(struct arena *a, struct str s) mustuse;

/* printf into the arena, NUL-terminated (the NUL is not counted). */
struct str arena_printf(struct arena *a, const char *format, ...) printf_like(2, 3) mustuse;

#define arena_new(a, type)          ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(count)))
