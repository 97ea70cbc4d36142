/* sealed_int.h - what a closed segment is rewritten to; for this room alone.
 *
 *     plain    head │ names │ batch │ results │ batch │ ... │ mark │ 0 0 0 ...
 *     sealed   head │ names │ seal │ pack │ pack │ ... │ index │ mark
 *
 * A *pack* holds what some batches and result blocks hold. What is clear in their records is compressed
 * as one; what is personal is gathered by owner into *units*, each compressed with the segment's
 * dictionary and sealed under its owner's key. Units are opened one by one, when somebody asks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <zdict.h>
#include <zstd.h>

#include "base/map.h"
#include "evlog/evlog_int.h"
#include "evlog/keystore.h"
#include "evlog/seal.h"

#define SEAL_VERSION     1
#define SEAL_AES_256_GCM 1
#define SEAL_SALT_BYTES  12
#define SEAL_TAG_BYTES   16
#define DICTIONARY_BYTES (16u << 10)  /* content of a dictionary, at most */
#define PACK_BYTES       (512u << 10) /* bodies in a pack, about */

/* ---- one unit ---------------------------------------------------------------------------------- */

/* Seals and opens, one unit after the other. */
struct seal_cipher {
    EVP_CIPHER_CTX *context;
    ZSTD_CCtx *packing;
    ZSTD_DCtx *unpacking;
    ZSTD_CDict *pack_words; /* NULL: there is no dictionary */
    ZSTD_DDict *unpack_words;
    uint8_t salt[SEAL_SALT_BYTES];
    bool opens; /* what the context is set up for */
    struct buf scratch;
};

/* `dictionary` (may be empty) is copied. */
void seal_cipher_init(struct seal_cipher *c, const uint8_t salt[SEAL_SALT_BYTES],
                      struct str dictionary, bool opens);
void seal_cipher_fini(struct seal_cipher *c);

/* The name of a record: what is sealed with it vouches for it. */
struct seal_name {
    uint64_t batch;
    uint32_t index;
};

/* Appends `plain`, compressed and sealed under `key`. */
void seal_unit(struct seal_cipher *c, const uint8_t key[KEY_BYTES], struct seal_name name,
               struct str plain, struct buf *out);

/* Opens it into `plain`, which has plain_bytes bytes. False: it is not what was sealed. */
bool open_unit(struct seal_cipher *c, const uint8_t key[KEY_BYTES], struct seal_name name,
               struct str sealed, uint8_t *plain, size_t plain_bytes) mustuse;

/* ---- a dictionary ------------------------------------------------------------------------------ */

struct sample {
    struct id128 owner;
    const uint8_t *at;
    uint32_t bytes;
};

#define DICTIONARY_OWNERS 8 /* different people who must have said the same before it is a word */

/* Appends a dictionary made of what the samples have in common; nothing where they have too little. */
void dictionary_make(const struct sample *samples, uint32_t count, struct buf *out);

/* ---- a pack ------------------------------------------------------------------------------------ */

struct pack_writer;

struct pack_writer *pack_writer_new(struct seal_cipher *cipher, struct keystore *keys) mustuse;
void pack_writer_free(struct pack_writer *p);

/* Adds a batch (with its records) or a result block. */
void pack_add(struct pack_writer *p, const struct block *b, const struct record *records,
              const struct id128 *owners);

/* About how many bytes it has; 0 = empty. */
size_t pack_bytes(const struct pack_writer *p);

/* Appends the payload and sets number, count, now_ms and sum of `b`; begins anew. */
void pack_finish(struct pack_writer *p, struct buf *out, struct block *b);

/* Reading one. */
struct pack_reader;

struct pack_reader *pack_reader_new(struct seal_cipher *cipher, struct keystore *keys) mustuse;
void pack_reader_free(struct pack_reader *p);

/* Begins with a pack, whose payload is borrowed until the next one. False and why: damaged. */
bool pack_open(struct pack_reader *p, const struct block *pack, const char **why) mustuse;

/* The next block in it; its records go to *records (grown if need be). BYTES_BAD and why, or *is_end. */
enum verdict pack_next(struct pack_reader *p, struct block *b, struct record **records,
                       uint32_t *record_room, bool *is_end, const char **why);

/* Something that was asked for could not be opened, though nobody destroyed its key. */
const char *pack_fault(const struct pack_reader *p);

/* ---- the index --------------------------------------------------------------------------------- */

/* Where a pack is, and when. */
struct pack_place {
    uint64_t offset;
    uint64_t batch_first, batch_last; /* of the blocks in it, results included */
    int64_t first_ms, last_ms;
};

struct person_index_writer;

struct person_index_writer *person_index_writer_new(void) mustuse;
void person_index_writer_free(struct person_index_writer *w);

/* The pack behind the last one. */
void person_index_add_pack(struct person_index_writer *w, const struct pack_place *place);

/* The owner (person_index_profile() of a profile) is in the newest pack. */
void person_index_add_owner(struct person_index_writer *w, struct id128 owner);
struct id128 person_index_profile(uint64_t profile);
void person_index_finish(struct person_index_writer *w, struct buf *out);

/* Reads an index. */
struct person_index_reader {
    struct pack_place *packs;
    uint32_t pack_count;
    uint32_t bucket_bits;
    const uint8_t *buckets; /* offsets into the entries */
    const uint8_t *entries;
    size_t entry_bytes;
};

/* The payload is borrowed; memory is the arena's. */
bool person_index_open(struct person_index_reader *r, struct str payload, struct arena *a) mustuse;

/* Marks (true) the packs in which one of the owners may be: never too few. */
void person_index_find(const struct person_index_reader *r, struct id128 owner, bool *packs);

/* ---- a segment --------------------------------------------------------------------------------- */

/* How the segment that a walker is in is sealed, and where in which pack it is. */
struct sealed {
    struct seal_cipher cipher;
    struct keystore *keys;
    struct pack_reader *pack;
    bool is_in_pack;
    /* where only some people are asked for */
    struct arena arena;
    struct buf index_bytes;
    struct person_index_reader index;
    uint64_t index_offset;
    bool *wanted;       /* packs; NULL: all */
    uint32_t pack_next; /* the one behind the one that is open */
};

/* Behind the seal, or a pack: goes on with the next pack that is wanted, or the index. */
void sealed_jump(struct walker *w);

void sealed_free(struct sealed *s);

/* The payload of a BLOCK_SEAL. */
void seal_body_write(struct buf *out, const uint8_t salt[SEAL_SALT_BYTES], struct str dictionary);

/* Makes w->sealed of it. BYTES_STRANGE and why; the keys may be refused with a status and a fault. */
enum status sealed_begin(struct walker *w, const struct block *b, enum verdict *verdict,
                         const char **why, struct fault *f) mustuse;

/* Whose key a record's personal part is sealed under: a user before an anonymous id, else what the
 * options say, else nobody's own. */
struct id128 owner_of_record(const struct record *r, const struct seal_options *o);

/* Is the segment that ends with these BLOCK_HEADER_BYTES bytes sealed? Then *index is where its index is. */
bool is_sealed_end(const uint8_t *last, uint64_t *index);
