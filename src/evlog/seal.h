/* seal.h - closed segments are rewritten, away from the writer: what is personal in them is compressed and
 * sealed under keys of its owners, so that destroying a key is forgetting a person.
 *
 *     plain segment ──► keys made durable ──► FILE.tmp written, synced, read back and compared ──► renamed
 *
 * A crash anywhere leaves the plain segment or the sealed one; the plain one is sealed again. Readers that
 * have the plain one open go on with it. docs/formats/log.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "evlog/evlog.h"
#include "evlog/keystore.h"

/* Whose is what is personal in a record that names no user and no anonymous id (an event by address, a
 * business event)? All zero: nobody's. */
typedef struct id128 seal_owner(void *context, const struct record *r);

struct seal_options {
    struct os_disk *disk;
    const char *dir; /* the log's */
    struct keystore *keys;
    seal_owner *owner; /* may be NULL: nobody's */
    void *context;
    uint64_t batch_last;          /* segments that begin behind it stay plain; 0: none do */
    bool (*stops)(void *context); /* asked now and then: true ends it; may be NULL */
};

struct seal_counts {
    uint32_t segments; /* rewritten */
    uint64_t batches;
    uint64_t records;
    uint64_t bytes_before; /* up to the last block */
    uint64_t bytes_after;
};

/* Seals every segment that is plain, but the newest one. TRY_AGAIN: the disk is full, or it was stopped.
 * GIVE_UP: damage. What was sealed before stays sealed. */
enum status seal_segments(const struct seal_options *options, struct seal_counts *counts,
                          struct fault *f) mustuse;

/* How many segments are plain; the newest one counts. */
enum status seal_count_plain(struct os_disk *disk, const char *dir, uint32_t *count,
                             struct fault *f) mustuse;
