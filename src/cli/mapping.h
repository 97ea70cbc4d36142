/* mapping.h - what the columns of a CSV file are, as a file says it: JSON, or YAML, of which JSON is a
 * part. docs/IMPORT.md is the reference for people, mapping.def for this program.
 *
 *     {
 *       "timezone": "Europe/London",
 *       "event": [{"column": "InvoiceNo", "starts_with": "C", "is": "Item Refunded"}, "Item Ordered"],
 *       "columns": {
 *         "CustomerID":  {"is": "user_id", "type": "int"},
 *         "InvoiceDate": "timestamp",
 *         "Quantity":    {"name": "quantity", "type": "int"}
 *       },
 *       "other_columns": "skip"
 *     }
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "ingest/import.h"
#include "os/disk.h"
#include "programme/finding.h"

#define MAPPING_BYTES_MAX ((size_t)1 << 20)

struct zoneset;

struct mapping {
    struct import_mapping import; /* good until mapping_fini() */
    uint64_t hash;                /* of the file's bytes */
    struct arena arena;
    struct zoneset *zones; /* NULL where the mapping names no zone */
};

/* Reads the file at `path` into *out, which the caller ends with mapping_fini() (also after a failure).
 * All that is wrong with it goes to `findings`, with line, column and the correction; false then. */
bool mapping_read(struct os_disk *disk, const char *path, struct mapping *out,
                  struct findings *findings) mustuse;

void mapping_fini(struct mapping *m);
