/* programme.h - a programme is a folder of text; this room reads it, says all that is wrong with it
 * at once, and compiles it into a plan.
 *
 *     folder on disk ─ programme_folder_read ─► struct programme_folder (bytes + content hash)
 *                                                   │ programme_compile
 *                                                   ▼
 *                                     struct plan  +  struct findings
 *
 * The bytes are the programme: a plan is always compiled from a programme_folder, which can be stored
 * under its hash and read back, so that an old version compiles from exactly what was activated.
 * docs/PROGRAMME.md is the user's reference; keys.def describes every key of every file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "programme/finding.h"

struct names;   /* model/names.h */
struct os_disk; /* os/disk.h */
struct plan;
struct plan_pace; /* model/plan.h */

#define PROGRAMME_SCHEMA           1 /* of the files: what an older release cannot read raises it */
#define PROGRAMME_FILES_MAX        8192
#define PROGRAMME_FILE_BYTES_MAX   ((size_t)1 << 20)
#define PROGRAMME_BYTES_MAX        ((size_t)64 << 20)
#define PROGRAMME_HASH_BYTES       65 /* SHA-256 in hex and a NUL */
#define PROGRAMME_FOLDER_DEPTH_MAX 4  /* messages/NAME/LOCALE/file */

/* ---- folders --------------------------------------------------------------------------------- */

struct programme_file {
    struct str path; /* relative, "/" between parts: "messages/welcome/message.yaml" */
    struct str text;
};

/* A programme's bytes. All memory is the arena's. */
struct programme_folder {
    struct arena arena;
    uint32_t file_count;
    struct programme_file *files; /* by bytewise order of path */
    struct str zones;             /* zone data: what zoneset_write() wrote */
    char hash[PROGRAMME_HASH_BYTES];
};

/* Reads the programme in the folder `path`: programme.yaml and what is in journeys/, messages/,
 * partials/, providers/, tests/ and the folders of later releases; hidden files and everything else are left
 * alone. `zones` (borrowed, copied) is the zone data it shall be compiled with (programme_zones). On
 * OK the caller ends *out with programme_folder_fini(). FIX_INPUT: no folder, no programme.yaml, or
 * beyond the limits above; GIVE_UP: it cannot be read. */
enum status programme_folder_read(struct os_disk *disk, const char *path, struct str zones,
                                  struct programme_folder *out, struct fault *f) mustuse;

/* The same from memory; paths and texts are copied and may come in any order. FIX_INPUT: a path
 * twice, or beyond the limits. */
enum status programme_folder_of(const struct programme_file *files, uint32_t count,
                                struct str zones, struct programme_folder *out,
                                struct fault *f) mustuse;

/* The same files with one more, or with that one in the place of the one of its path. */
enum status programme_folder_with(const struct programme_folder *folder, struct str path,
                                  struct str text, struct programme_folder *out,
                                  struct fault *f) mustuse;

void programme_folder_fini(struct programme_folder *folder);

/* The file with that path, or NULL. */
const struct programme_file *programme_folder_find(const struct programme_folder *folder,
                                                   struct str path);

/* Stores the folder durably as `root`/HASH (folders are made as needed); nothing to do if it is
 * there. `root` is the data directory's "programmes". */
enum status programme_store(struct os_disk *disk, const char *root,
                            const struct programme_folder *folder, struct fault *f) mustuse;

/* Reads back what programme_store() stored. GIVE_UP: it is not there, or its bytes are not those of
 * the hash. On OK the caller ends *out with programme_folder_fini(). */
enum status programme_recall(struct os_disk *disk, const char *root, const char *hash,
                             struct programme_folder *out, struct fault *f) mustuse;

/* Appends the machine's zone data (NULL: /usr/share/zoneinfo) to `out` as zoneset_write() writes it. */
enum status programme_zones(struct os_disk *disk, const char *zoneinfo, struct buf *out,
                            struct fault *f) mustuse;

/* ---- plans ----------------------------------------------------------------------------------- */

/* Compiles the folder. Names that are new get numbers in `names` (also where there are errors: the
 * caller who keeps a log compiles into the table that it writes). OK: *out is the caller's and ends
 * with programme_plan_free(); findings hold warnings and advice. FIX_INPUT: findings has one error or
 * more, *out is NULL. The plan keeps nothing of `folder` and `names`. */
enum status programme_compile(const struct programme_folder *folder, struct names *names,
                              struct plan **out, struct findings *findings) mustuse;

/* programme_zones, programme_folder_read and programme_compile in one, for tools; what cannot be read
 * at all is an error in `findings` too. */
enum status programme_load(struct os_disk *disk, const char *path, struct names *names,
                           struct plan **out, struct findings *findings) mustuse;

/* Ends the plan, its zones and its templates; NULL is fine. */
void programme_plan_free(struct plan *plan);

/* "50000/h" into *out; false: it is none. */
bool pace_parse(struct str text, struct plan_pace *out) mustuse;
