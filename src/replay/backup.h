/* backup.h - a data directory as it is at one moment, kept elsewhere, while it is being served; and back.
 *
 *     DIR/manifest        what belongs together, by name, length and SHA-256; written last
 *     DIR/files/SHA-256   contents, each once: so the next backup into the same place writes what is new
 *
 * The order makes it one moment without asking the server for anything: first the newest whole snapshot, then the
 * log up to where it ends then, then the keys of its sealed segments, then the programmes and backfills that it
 * names (they are stored before it names them), last the manifest. What was there before is dropped behind it.
 *
 * Not in it: `held` (attempts of the directory that goes on: nobody is to send them twice), `erased` (who is
 * to be forgotten also by what is restored later). docs/formats/backup.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "replay/recover.h"

#define BACKUP_FORMAT 1

struct backup_file {
    char path[512]; /* in a data directory: "log/0000000000000001.seg" */
    char hash[65];  /* hex */
    uint64_t bytes;
};

struct backup {
    struct release release; /* that wrote the manifest */
    uint64_t log_id;
    uint64_t batch;      /* the log's newest */
    int64_t now_ms;      /* of that batch */
    uint64_t snapshot;   /* of which batch its snapshot is; 0 = it has none */
    uint64_t state_hash; /* of the state then; 0 = not stated */
    struct backup_file *files;
    uint32_t count;
    uint64_t bytes;     /* of all */
    uint32_t new_count; /* backup_write(): contents that were not there before */
    uint64_t new_bytes;
};

/* Writes a backup of the directory into `dir`, which is empty, absent, or holds an older one of the same log.
 * FIX_INPUT: it holds something else. After any failure the older one is still there and whole. Takes no lock. The
 * caller ends *out with backup_fini(). */
enum status backup_write(const struct directory *d, const char *dir, struct backup *out,
                         struct fault *f) mustuse;

/* Reads the manifest and checks every content. FIX_INPUT: there is none, it is of a newer format, or a file is
 * damaged or missing (named). */
enum status backup_read(struct os_disk *disk, const char *dir, struct backup *out,
                        struct fault *f) mustuse;

/* Makes a data directory at `path`, which is absent or empty, of a backup that backup_read() found whole. The secret
 * comes last: what a crash left is no data directory. Who was erased since is erased again by the caller
 * (erased_ids()). */
enum status backup_restore(struct os_disk *disk, const char *dir, const struct backup *b,
                           const char *path, struct fault *f) mustuse;

/* Restores into `scratch` (made, and removed again), opens that as a start would, and compares: the snapshot must be
 * the one and its state as hashed, the result blocks agree, and the log end with the batch. GIVE_UP where not. *hash:
 * of the state at the end. */
enum status backup_verify(struct os_disk *disk, const char *dir, const struct backup *b,
                          const char *scratch, uint64_t *hash, struct fault *f) mustuse;

void backup_fini(struct backup *b);
