/* Sealing a segment, and reading how one is sealed.
 *
 * The segment is walked three times: for the samples of which its dictionary is made, for what is written,
 * and beside the new file, which must say the same before it takes the place of the plain one. The log is the
 * only copy of the facts: a fault of this program, of zstd, or of memory is found here or never.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "evlog/seal.h"

#include <openssl/crypto.h>

#include "base/mem.h"
#include "evlog/sealed_int.h"
#include "model/result.h"
#include "os/random.h"

#define SAMPLE_BYTES (3u << 20) /* of personal parts, of which the dictionary is made */
#define FLUSH_BYTES  (1u << 20)

/* ---- reading ------------------------------------------------------------------------------------- */

void sealed_free(struct sealed *s)
{
    if (s == NULL)
        return;
    pack_reader_free(s->pack);
    keystore_close(s->keys);
    seal_cipher_fini(&s->cipher);
    arena_fini(&s->arena);
    buf_fini(&s->index_bytes);
    mem_free(s);
}

void seal_body_write(struct buf *out, const uint8_t salt[SEAL_SALT_BYTES], struct str dictionary)
{
    buf_add_byte(out, SEAL_VERSION);
    buf_add_byte(out, SEAL_AES_256_GCM);
    buf_add(out, salt, SEAL_SALT_BYTES);
    buf_add_str(out, dictionary);
}

/* Reads the segment's index, of which its last block tells. */
static enum status read_index(struct walker *w, struct sealed *s, struct fault *f)
{
    uint8_t header[BLOCK_HEADER_BYTES];
    uint64_t bytes = 0;
    struct block b;
    const char *why = "its index is damaged";
    enum status status = os_file_size(w->file, &bytes, f);
    if (status == OK && bytes >= sizeof(header))
        status = os_file_read(w->file, bytes - sizeof(header), header, sizeof(header), f);
    if (status != OK || !is_sealed_end(header, &s->index_offset))
        goto damaged;
    status = os_file_read(w->file, s->index_offset, header, sizeof(header), f);
    if (status != OK || block_read_header(header, &b, &why) != BYTES_GOOD || b.kind != BLOCK_INDEX)
        goto damaged;
    uint8_t *at = buf_reserve(&s->index_bytes, b.length);
    status = os_file_read(w->file, s->index_offset + sizeof(header), at, b.length, f);
    s->index_bytes.len = b.length;
    if (status == OK && hash_crc32c(0, at, b.length) == b.sum &&
        person_index_open(&s->index, buf_str(&s->index_bytes), &s->arena))
        return OK;
damaged:
    if (status == OK) {
        fault_set(f, "damaged block: %s", why);
        fault_place(f, w->file->path, 0, 0);
        status = GIVE_UP;
    }
    return status;
}

/* Which packs those are in who are asked for. */
static enum status choose_packs(struct walker *w, struct sealed *s, struct fault *f)
{
    enum status status = read_index(w, s, f);
    if (status != OK)
        return status;
    s->wanted = arena_array(&s->arena, bool, s->index.pack_count + 1);
    for (uint32_t i = 0; i < w->only_count; i++)
        person_index_find(&s->index, w->only[i], s->wanted);
    return OK;
}

void sealed_jump(struct walker *w)
{
    struct sealed *s = w->sealed;
    if (s->wanted == NULL)
        return;
    while (s->pack_next < s->index.pack_count && !s->wanted[s->pack_next])
        s->pack_next++;
    must(s->pack_next <= s->index.pack_count);
    w->offset = s->pack_next < s->index.pack_count ? s->index.packs[s->pack_next++].offset
                                                   : s->index_offset;
    w->has_jumped = true;
}

enum status sealed_begin(struct walker *w, const struct block *b, enum verdict *verdict,
                         const char **why, struct fault *f)
{
    struct cursor c = cursor_of(b->payload, b->length);
    uint8_t version = cursor_byte(&c), algorithm = cursor_byte(&c);
    struct str salt = cursor_take(&c, SEAL_SALT_BYTES);
    *verdict = BYTES_BAD;
    *why = "it says twice how it is sealed, or not at all";
    if (c.is_bad || w->sealed != NULL)
        return OK;
    *verdict = BYTES_STRANGE;
    *why = "it is sealed in a way that this release does not know";
    if (version != SEAL_VERSION || algorithm != SEAL_AES_256_GCM)
        return OK;
    *verdict = BYTES_GOOD;
    struct master_key master;
    struct sealed *s = mem_new(sizeof(*s));
    enum status status = master_key_of_environment(w->disk, &master, f);
    if (status == OK)
        status = keystore_open(w->disk, w->dir, &master, &s->keys, f);
    OPENSSL_cleanse(&master, sizeof(master));
    seal_cipher_init(&s->cipher, (const uint8_t *)salt.at, cursor_take(&c, cursor_left(&c)), true);
    if (status == OK)
        s->pack = pack_reader_new(&s->cipher, s->keys);
    arena_init(&s->arena, 4096);
    buf_init(&s->index_bytes);
    w->sealed = s;
    if (status == OK && w->only != NULL)
        status = choose_packs(w, s, f);
    if (status == OK)
        sealed_jump(w);
    return status;
}

struct id128 owner_of_record(const struct record *r, const struct seal_options *o)
{
    if (id128_is_set(r->user))
        return r->user;
    if (id128_is_set(r->anonymous))
        return r->anonymous;
    if (o->owner != NULL && r->personal.bytes > 0)
        return o->owner(o->context, r);
    return (struct id128){0, 0};
}

/* ---- which segments ------------------------------------------------------------------------------ */

bool is_sealed_end(const uint8_t *last, uint64_t *index)
{
    struct block b;
    const char *why;
    if (block_read_header(last, &b, &why) != BYTES_GOOD || b.kind != BLOCK_MARK || b.hash == 0)
        return false;
    *index = b.hash;
    return true;
}

static enum status ask_sealed(struct os_disk *disk, const char *dir, uint64_t segment,
                              bool *is_sealed, struct fault *f)
{
    char path[OS_PATH_BYTES];
    uint8_t last[BLOCK_HEADER_BYTES];
    uint64_t bytes = 0, index;
    struct os_file *file = NULL;
    *is_sealed = false;
    enum status status = segment_path(path, sizeof(path), dir, segment, f);
    if (status == OK)
        status = os_file_open(disk, path, OS_READ, &file, f);
    if (status == OK)
        status = os_file_size(file, &bytes, f);
    if (status == OK && bytes >= sizeof(last)) {
        status = os_file_read(file, bytes - sizeof(last), last, sizeof(last), f);
        *is_sealed = status == OK && is_sealed_end(last, &index);
    }
    os_file_close(file);
    return status;
}

enum status seal_count_plain(struct os_disk *disk, const char *dir, uint32_t *count,
                             struct fault *f)
{
    struct arena a;
    uint64_t *firsts;
    uint32_t all = 0;
    arena_init(&a, 4096);
    *count = 0;
    enum status status = segment_list(disk, dir, &a, &firsts, &all, f);
    for (uint32_t i = 0; i < all && status == OK; i++) {
        bool is_sealed;
        status = ask_sealed(disk, dir, firsts[i], &is_sealed, f);
        *count += !is_sealed;
    }
    arena_fini(&a);
    return status;
}

/* ---- one segment --------------------------------------------------------------------------------- */

struct sealing {
    const struct seal_options *options;
    uint64_t segment;
    char path[OS_PATH_BYTES], temporary[OS_PATH_BYTES];
    struct os_file *file;
    uint64_t offset; /* in the new file, of what is in `out` */
    struct buf out;
    struct block head; /* as it is written: log id, commit */
    uint32_t chain;
    struct seal_cipher cipher;
    struct pack_writer *pack;
    struct person_index_writer *index;
    struct pack_place place;
    struct id128 *owners;
    uint32_t owner_room;
    struct buf payload;
    uint64_t plain_bytes, records, batches;
};

/* Calls `see` for every block of the plain segment. */
static enum status walk_plain(struct sealing *s, void *self,
                              enum status (*see)(void *self, const struct walker *w,
                                                 const struct block *b, struct fault *f),
                              struct fault *f)
{
    struct walker w;
    walker_init(&w);
    const struct seal_options *o = s->options;
    enum status status = walker_open(&w, o->disk, o->dir, s->segment, f);
    while (status == OK) {
        enum walk what;
        struct block b;
        struct tail tail;
        status = walker_next(&w, WALK_OLDER, &what, &b, &tail, f);
        if (status != OK || what != WALK_BLOCK)
            break;
        if (w.sealed != NULL) { /* is_sealed_end() could not tell */
            fault_set(f, "its last block, which says that it is sealed, is damaged");
            fault_place(f, s->path, 0, 0);
            status = GIVE_UP;
            break;
        }
        status = see(self, &w, &b, f);
        s->plain_bytes = w.offset;
        if (status == OK && o->stops != NULL && o->stops(o->context))
            status = TRY_AGAIN;
    }
    walker_fini(&w);
    return status;
}

struct sampling {
    struct sealing *sealing;
    struct arena arena;
    struct sample *at;
    uint32_t count, room;
    uint64_t seen_bytes, kept_bytes, stride;
};

static enum status sample(void *self, const struct walker *w, const struct block *b,
                          struct fault *f)
{
    struct sampling *s = self;
    (void)f;
    must(s->stride > 0);
    for (uint32_t i = 0; b->kind == BLOCK_BATCH && i < b->count; i++) {
        const struct record *r = &w->records[i];
        struct id128 owner = owner_of_record(r, s->sealing->options);
        if (r->personal.bytes == 0 || !id128_is_set(owner) || s->kept_bytes > SAMPLE_BYTES ||
            hash_pair(b->number, i) % s->stride != 0)
            continue;
        if (s->count == s->room) {
            s->room = max_of(s->room * 2, 1024u);
            s->at = mem_resize(s->at, s->room * sizeof(*s->at));
        }
        must(s->count < s->room);
        struct str bytes = {(const char *)r->personal.at, r->personal.bytes};
        s->at[s->count++] = (struct sample){owner, (const uint8_t *)arena_copy(&s->arena, bytes).at,
                                            r->personal.bytes};
        s->kept_bytes += r->personal.bytes;
    }
    return OK;
}

static enum status make_dictionary(struct sealing *s, struct buf *out, struct fault *f)
{
    struct sampling samples = {.sealing = s};
    uint64_t bytes = 0;
    struct os_file *file = NULL;
    enum status status = os_file_open(s->options->disk, s->path, OS_READ, &file, f);
    if (status == OK)
        status = os_file_size(file, &bytes, f);
    os_file_close(file);
    samples.stride = 1 + bytes / SAMPLE_BYTES; /* from all of it */
    arena_init(&samples.arena, 1 << 20);
    if (status == OK)
        status = walk_plain(s, &samples, sample, f);
    if (status == OK)
        dictionary_make(samples.at, samples.count, out);
    arena_fini(&samples.arena);
    mem_free(samples.at);
    return status;
}

static enum status flush(struct sealing *s, struct fault *f)
{
    must(s->file != NULL);
    must(s->offset % BLOCK_ALIGN == 0);
    must(s->out.len % BLOCK_ALIGN == 0);
    enum status status = os_file_write(s->file, s->offset, s->out.at, s->out.len, f);
    s->offset += s->out.len;
    s->out.len = 0;
    return status;
}

static enum status put_block(struct sealing *s, struct block *b, struct str payload,
                             struct fault *f)
{
    uint8_t header[BLOCK_HEADER_BYTES];
    must(b->kind >= BLOCK_SEGMENT);
    must(b->kind < BLOCK_KIND_END);
    must(payload.len <= UINT32_MAX);
    must(s->out.len % BLOCK_ALIGN == 0);
    b->length = (uint32_t)payload.len;
    b->salt = block_salt(s->head.hash);
    b->previous = s->chain;
    if (b->kind != BLOCK_MARK)
        b->commit = s->head.commit;
    block_write_header(b, header);
    s->chain = b->crc;
    buf_add(&s->out, header, sizeof(header));
    buf_add_str(&s->out, payload);
    while (s->out.len % BLOCK_ALIGN != 0)
        buf_add_byte(&s->out, 0);
    return s->out.len >= FLUSH_BYTES ? flush(s, f) : OK;
}

/* Blocks begin at multiples of eight, and so does what is flushed. */
static enum status put_pack(struct sealing *s, struct fault *f)
{
    struct block b;
    if (pack_bytes(s->pack) == 0)
        return OK;
    must(s->place.batch_first <= s->place.batch_last);
    s->payload.len = 0;
    pack_finish(s->pack, &s->payload, &b);
    must(b.kind == BLOCK_PACK);
    must(b.length == s->payload.len);
    s->place.offset = s->offset + s->out.len;
    person_index_add_pack(s->index, &s->place);
    s->place = (struct pack_place){0};
    return put_block(s, &b, buf_str(&s->payload), f);
}

static void note_results(struct sealing *s, const struct block *b)
{
    struct cursor c = cursor_of(b->payload, b->length);
    struct result row;
    uint64_t before = 0;
    while (results_read(&c, 0, &row)) {
        if (row.profile != 0 && row.profile != before)
            person_index_add_owner(s->index, person_index_profile(row.profile));
        before = row.profile;
    }
}

static void note_records(struct sealing *s, const struct block *b, const struct record *records)
{
    if (b->count > s->owner_room) {
        s->owner_room = b->count;
        s->owners = mem_resize(s->owners, s->owner_room * sizeof(*s->owners));
    }
    must(b->count <= s->owner_room);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct record *r = &records[i];
        s->owners[i] = owner_of_record(r, s->options);
        if (id128_is_set(s->owners[i]))
            person_index_add_owner(s->index, s->owners[i]);
        if (id128_is_set(r->user) && id128_is_set(r->anonymous))
            person_index_add_owner(s->index, r->anonymous);
        if (id128_is_set(r->previous))
            person_index_add_owner(s->index, r->previous);
    }
    s->records += b->count;
    s->batches++;
}

static enum status pack_block(struct sealing *s, const struct walker *w, const struct block *b,
                              struct fault *f)
{
    must(b->kind == BLOCK_BATCH || b->kind == BLOCK_RESULTS);
    struct pack_place *p = &s->place;
    if (pack_bytes(s->pack) == 0)
        *p = (struct pack_place){.batch_first = b->number, .first_ms = b->now_ms};
    p->batch_first = min_of(p->batch_first, b->number);
    p->batch_last = max_of(p->batch_last, b->number);
    p->last_ms = b->now_ms;
    if (b->kind == BLOCK_BATCH)
        note_records(s, b, w->records);
    else
        note_results(s, b);
    pack_add(s->pack, b, w->records, s->owners);
    return pack_bytes(s->pack) >= PACK_BYTES ? put_pack(s, f) : OK;
}

static enum status end_segment(struct sealing *s, const struct block *mark, struct fault *f)
{
    enum status status = put_pack(s, f);
    if (status != OK)
        return status;
    must(pack_bytes(s->pack) == 0);
    uint64_t index = s->offset + s->out.len;
    s->payload.len = 0;
    person_index_finish(s->index, &s->payload);
    struct block b = {.kind = BLOCK_INDEX,
                      .number = mark->number,
                      .now_ms = mark->now_ms,
                      .sum = hash_crc32c(0, s->payload.at, s->payload.len)};
    status = put_block(s, &b, buf_str(&s->payload), f);
    must(index % BLOCK_ALIGN == 0);
    struct block end = *mark;
    end.hash = index;
    return status == OK ? put_block(s, &end, (struct str){0}, f) : status;
}

static enum status begin_segment(struct sealing *s, const struct block *head, struct fault *f)
{
    s->head = *head;
    s->chain = 0;
    struct block b = *head;
    b.flags = 0;
    return put_block(s, &b, (struct str){(const char *)head->payload, head->length}, f);
}

static enum status rewrite(void *self, const struct walker *w, const struct block *b,
                           struct fault *f)
{
    struct sealing *s = self;
    struct block copy = *b;
    switch ((enum block_kind)b->kind) {
    case BLOCK_SEGMENT: return begin_segment(s, b, f);
    case BLOCK_NAMES:
        copy.flags = 0;
        return put_block(s, &copy, (struct str){(const char *)b->payload, b->length}, f);
    case BLOCK_BATCH:
    case BLOCK_RESULTS: return pack_block(s, w, b, f);
    case BLOCK_MARK: return (b->flags & BLOCK_ENDS_SEGMENT) != 0 ? end_segment(s, b, f) : OK;
    case BLOCK_SEAL:
    case BLOCK_PACK:
    case BLOCK_INDEX:
    case BLOCK_KIND_END: break;
    }
    return OK;
}

/* The block that says how comes behind the last of names: with the first that is neither. */
struct writing {
    struct sealing *sealing;
    struct str dictionary;
    bool has_said;
};

static enum status write_block(void *self, const struct walker *w, const struct block *b,
                               struct fault *f)
{
    struct writing *x = self;
    struct sealing *s = x->sealing;
    enum status status = OK;
    if (!x->has_said && b->kind != BLOCK_SEGMENT && b->kind != BLOCK_NAMES) {
        s->payload.len = 0;
        seal_body_write(&s->payload, s->cipher.salt, x->dictionary);
        struct block said = {.kind = BLOCK_SEAL,
                             .number = s->head.number,
                             .now_ms = s->head.now_ms,
                             .sum = hash_crc32c(0, s->payload.at, s->payload.len)};
        status = put_block(s, &said, buf_str(&s->payload), f);
        x->has_said = true;
    }
    return status == OK ? rewrite(s, w, b, f) : status;
}

/* ---- comparing ----------------------------------------------------------------------------------- */

static bool is_same_body(struct body a, struct body b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

static bool is_same_record(const struct record *a, const struct record *b)
{
    return a->type == b->type && a->kind == b->kind && a->flags == b->flags &&
           a->schema == b->schema && a->source == b->source && a->name == b->name &&
           a->sent_skew_ms == b->sent_skew_ms && a->at_ms == b->at_ms &&
           a->event_ms == b->event_ms && a->arrival_ms == b->arrival_ms &&
           a->message_hash == b->message_hash && a->routing_hash == b->routing_hash &&
           a->cause == b->cause && id128_equal(a->user, b->user) &&
           id128_equal(a->anonymous, b->anonymous) && id128_equal(a->previous, b->previous) &&
           is_same_body(a->clear, b->clear) && is_same_body(record_personal(a), record_personal(b));
}

static bool is_same_block(const struct walker *v, const struct block *a, const struct walker *w,
                          const struct block *b)
{
    if (a->kind != b->kind || a->number != b->number || a->now_ms != b->now_ms)
        return false;
    if (a->kind == BLOCK_MARK)
        return a->commit == b->commit;
    if (a->count != b->count)
        return false;
    if (a->kind != BLOCK_BATCH)
        return a->length == b->length && memcmp(a->payload, b->payload, a->length) == 0;
    for (uint32_t i = 0; i < a->count; i++)
        if (!is_same_record(&v->records[i], &w->records[i]))
            return false;
    return true;
}

/* The next block of the sealed file is this one. */
static enum status compare(void *self, const struct walker *plain, const struct block *b,
                           struct fault *f)
{
    struct walker *w = self;
    enum walk what;
    struct block sealed;
    struct tail tail;
    if (b->kind == BLOCK_MARK && (b->flags & BLOCK_ENDS_SEGMENT) == 0)
        return OK;
    enum status status = walker_next(w, WALK_OLDER, &what, &sealed, &tail, f);
    if (status == OK && (what != WALK_BLOCK || !is_same_block(plain, b, w, &sealed))) {
        fault_set(f, "what was sealed is not what it was made of (block of batch %llu)",
                  (unsigned long long)b->number);
        fault_place(f, plain->file->path, 0, 0);
        status = GIVE_UP;
    }
    return status;
}

static enum status verify(struct sealing *s, struct fault *f)
{
    struct walker w;
    struct os_file *file = NULL;
    walker_init(&w);
    enum status status = os_file_open(s->options->disk, s->temporary, OS_READ, &file, f);
    if (status == OK) {
        walker_begin(&w, s->options->disk, s->options->dir, file, s->segment);
        status = walk_plain(s, &w, compare, f);
    }
    walker_fini(&w);
    return status;
}

/* ---- all ----------------------------------------------------------------------------------------- */

static enum status write_sealed(struct sealing *s, struct fault *f)
{
    struct buf dictionary;
    must(s->options->keys != NULL);
    uint8_t salt[SEAL_SALT_BYTES];
    buf_init(&dictionary);
    enum status status = make_dictionary(s, &dictionary, f);
    os_random(salt, sizeof(salt));
    seal_cipher_init(&s->cipher, salt, buf_str(&dictionary), false);
    s->pack = pack_writer_new(&s->cipher, s->options->keys);
    s->index = person_index_writer_new();
    if (status == OK)
        status = os_file_open(s->options->disk, s->temporary, OS_CREATE, &s->file, f);
    struct writing writing = {.sealing = s, .dictionary = buf_str(&dictionary)};
    if (status == OK)
        status = walk_plain(s, &writing, write_block, f);
    if (status == OK)
        status = flush(s, f);
    if (status == OK)
        status = keystore_commit(s->options->keys, f);
    if (status == OK)
        status = os_file_sync(s->file, f);
    os_file_close(s->file);
    pack_writer_free(s->pack);
    person_index_writer_free(s->index);
    seal_cipher_fini(&s->cipher);
    buf_fini(&dictionary);
    return status;
}

static enum status seal_one(const struct seal_options *o, uint64_t segment,
                            struct seal_counts *counts, struct fault *f)
{
    struct sealing s = {.options = o, .segment = segment};
    char name[64];
    snprintf(name, sizeof(name), "%016llu.seg.tmp", (unsigned long long)segment);
    enum status status = segment_path(s.path, sizeof(s.path), o->dir, segment, f);
    if (status == OK && !os_path_join(s.temporary, sizeof(s.temporary), o->dir, name)) {
        fault_set(f, "the path of the log is too long");
        return FIX_INPUT;
    }
    buf_init(&s.out);
    buf_init(&s.payload);
    if (status == OK)
        status = write_sealed(&s, f);
    if (status == OK)
        status = verify(&s, f);
    if (status == OK)
        status = os_rename(o->disk, s.temporary, s.path, f);
    if (status == OK)
        status = os_sync_dir(o->disk, o->dir, f);
    else if (os_exists(o->disk, s.temporary))
        (void)!os_remove(o->disk, s.temporary, NULL);
    if (status == OK) {
        must(s.out.len == 0);
        counts->segments++;
        counts->batches += s.batches;
        counts->records += s.records;
        counts->bytes_before += s.plain_bytes;
        counts->bytes_after += s.offset;
    }
    mem_free(s.owners);
    buf_fini(&s.out);
    buf_fini(&s.payload);
    return status;
}

/* What a crash left of a segment on its way. */
static enum status drop_temporaries(const struct seal_options *o, struct arena *a, struct fault *f)
{
    struct os_entry *entries;
    uint32_t count = 0;
    enum status status = os_list(o->disk, o->dir, a, &entries, &count, f);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        char path[OS_PATH_BYTES];
        if (str_ends(entries[i].name, STR(".seg.tmp")) &&
            os_path_join(path, sizeof(path), o->dir, entries[i].name.at))
            status = os_remove(o->disk, path, f);
    }
    return status;
}

enum status seal_segments(const struct seal_options *options, struct seal_counts *counts,
                          struct fault *f)
{
    const struct seal_options *o = options;
    must(options->disk != NULL);
    must(options->keys != NULL);
    struct arena a;
    uint64_t *firsts;
    uint32_t count = 0;
    *counts = (struct seal_counts){0};
    arena_init(&a, 4096);
    enum status status = drop_temporaries(o, &a, f);
    if (status == OK)
        status = segment_list(o->disk, o->dir, &a, &firsts, &count, f);
    if (status == OK)
        status = keystore_load(o->keys, f);
    for (uint32_t i = 0; i + 1 < count && status == OK; i++) {
        bool is_sealed;
        if (o->batch_last != 0 && firsts[i] > o->batch_last)
            break;
        status = ask_sealed(o->disk, o->dir, firsts[i], &is_sealed, f);
        if (status == OK && !is_sealed)
            status = seal_one(o, firsts[i], counts, f);
    }
    arena_fini(&a);
    return status;
}
