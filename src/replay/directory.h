/* directory.h - a data directory: one workspace on disk.
 *
 *     DIR/secret          192 random bytes: the key of identifier and address hashes
 *     DIR/log/            the log of facts (evlog), which alone is the truth
 *     DIR/snapshots/      states after some batch: they save time; behind a change of release one is needed
 *     DIR/erasing         a person who is being erased: gone on with by the next start (replay/erase.h)
 *     DIR/erased          who was erased, as hashes: what is restored from a backup is erased again
 *     DIR/programmes/     every version of the programme that was ever activated, by content hash
 *     DIR/backfills/      what a programme's conditions ask about, up to when it was prepared, by content
 *                         hash: they can be made again from the log
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "model/identifier.h"
#include "os/disk.h"

struct directory {
    struct os_disk *disk;
    char path[OS_PATH_BYTES];
    char log[OS_PATH_BYTES];
    char snapshots[OS_PATH_BYTES];
    char programmes[OS_PATH_BYTES];
    char backfills[OS_PATH_BYTES]; /* made when the first one is written */
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
};

/* Opens the directory. FIX_INPUT if it is not one. */
enum status directory_open(struct os_disk *disk, const char *path, struct directory *out,
                           struct fault *f) mustuse;

/* Makes it where there is none (or an empty folder), else opens it. `secret` is what a new one gets
 * (NULL: random bytes; anything else is for demonstrations that shall come out the same). */
enum status directory_make(struct os_disk *disk, const char *path, const uint8_t *secret,
                           struct directory *out, struct fault *f) mustuse;

/* A secret that depends only on `seed`: for tests and demonstrations. */
void directory_secret(uint64_t seed, uint8_t secret[IDENTIFIER_SECRET_BYTES]);
