/* snapshot_int.h - the bytes of a snapshot; for this room alone. docs/formats/snapshot.md has them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "disk/snapshot.h"

#define SNAPSHOT_MAGIC       0x504e5357u /* "WSNP", the header's */
#define SNAPSHOT_CHUNK_MAGIC 0x4b484357u /* "WCHK" */
#define SNAPSHOT_END_MAGIC   0x444e4557u /* "WEND", the trailer's */
#define SNAPSHOT_VERSION     SNAPSHOT_FORMAT

#define SNAPSHOT_HEADER_BYTES       96
#define SNAPSHOT_CHUNK_HEADER_BYTES 24
#define SNAPSHOT_TRAILER_BYTES      32

enum snapshot_algorithm {
    SNAPSHOT_RAW = 0,
    SNAPSHOT_ZSTD = 1,
};

/* A section as the index has it. */
struct section_entry {
    struct str name;
    uint32_t partition;
    uint32_t chunk_count;
    uint64_t offset; /* of its first chunk in the file */
    uint64_t bytes;  /* uncompressed */
};

/* "dir/0000000000000042.snap.tmp"; false when it does not fit. */
bool snapshot_temporary_path(char *out, size_t out_bytes, const char *dir, uint64_t batch) mustuse;
