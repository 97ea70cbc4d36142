/* release.h - which release of the program this is, and what a change from one to another leaves in a log.
 *
 * A release is its sources: two programs built from the same ones are the same release, whatever they were
 * built with. Its version is for people. docs/decisions/0009 tells what follows from a change of release.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "disk/snapshot.h"
#include "model/names.h"
#include "model/record.h"

#define RELEASE_VERSION_BYTES 40
#define RELEASE_TEXT_BYTES    64

struct release {
    char version[RELEASE_VERSION_BYTES]; /* "0.1.0" */
    char hash[65]; /* of its sources, hex; empty = it is not known which one */
};

/* This one. */
struct release release_here(void);

bool release_is_known(const struct release *r);
bool release_is_same(const struct release *a, const struct release *b);

/* "0.1.0 (1a2b3c4d)", for people. */
void release_print(const struct release *r, char out[RELEASE_TEXT_BYTES]);

/* As the header of a snapshot has it: 32 bytes. */
void release_to_bytes(const struct release *r, uint8_t out[SNAPSHOT_RELEASE_BYTES]);
struct release release_of_bytes(const uint8_t bytes[SNAPSHOT_RELEASE_BYTES], struct str version);

/* What a RECORD_RELEASE tells (enum release_kind, model/record.h). */
struct release_record {
    enum release_kind kind;
    struct release release;
    uint64_t
        batch; /* TOOK_OVER: its snapshot's; ADOPTED: the first whose results are this release's */
    struct str words; /* ADOPTED: the operator's; may be empty */
};

/* Fills `out`, whose body is written to `clear` and borrowed from it. */
void release_write(const struct release_record *in, struct buf *clear, struct record *out);

/* Reads a RECORD_RELEASE of these kinds; false if it is none. */
bool release_read(const struct record *in, struct release_record *out) mustuse;

/* What version.h says, for `wend version`. */
const char *release_version(void);
const char *release_built_from(void);
const char *release_variant(void);
