/* The file of keys.
 *
 * A slot is written with one append, then made durable, and only then does anything name it. What a
 * crash leaves of an append that was not confirmed is named by nobody, whatever it is: a slot that is
 * right is taken into use later, after the file was synced, one that is not is left alone for ever.
 * Slots are never given out twice, so a place in the file means one key for all time.
 *
 * Destroying overwrites the slot where it is. It is aligned to its 64 bytes and so within one sector; if a
 * power cut tears even that, the slot is damaged, and destroying it again (as who was interrupted does)
 * makes it right: the owner's name at its head is the same before and after.
 *
 * Reading maps the file. A slot that is behind what was mapped is looked for again in the file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "evlog/keystore.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/random.h"

#define STORE_MAGIC   0x59454b57u /* "WKEY" */
#define STORE_VERSION 1
#define SLOT_BYTES    64
#define WRAPPED_BYTES (KEY_BYTES + 8) /* RFC 3394 */
#define CACHE_KEYS    4096            /* unwrapped keys that are kept */

enum { HEADER_IS_WRAPPED = 1 };
enum { SLOT_LIVE = 1, SLOT_DESTROYED = 2 };

/* Where each field is. */
enum {
    AT_VERSION = 4,
    AT_FLAGS = 5,
    AT_CHECK = 8, /* of the header: a known text, wrapped, by which a wrong master key is told */
    AT_OWNER = 0, /* of a slot */
    AT_KEY = 16,
    AT_STATE = 56,
    AT_CRC = 60,
};

static const uint8_t check_text[KEY_BYTES] = "wend: these are the right keys.";

struct cached {
    uint32_t slot; /* + 1; 0 = free */
    uint8_t key[KEY_BYTES];
};

struct keystore {
    struct os_disk *disk;
    char path[OS_PATH_BYTES];
    struct os_file *file; /* NULL: there is none yet */
    struct master_key master;
    EVP_CIPHER_CTX *unwrapping;
    const uint8_t *map; /* of the file's first slots */
    size_t map_bytes;
    struct cached *cache; /* only with a master key */

    /* who adds */
    bool is_loaded;
    uint32_t count;       /* slots in the file and behind it in `fresh` */
    struct buf fresh;     /* not in the file yet */
    uint32_t fresh_first; /* slot */
    uint32_t *found;      /* by owner: slot + 1, 0 = free; open addressing */
    uint32_t found_room;  /* a power of two */
    uint32_t found_count;
};

/* ---- the master key ---------------------------------------------------------------------------- */

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool read_master(struct str text, struct master_key *out)
{
    if (text.len == KEY_BYTES) {
        memcpy(out->bytes, text.at, KEY_BYTES);
        return true;
    }
    text = str_trim(text);
    if (text.len != KEY_BYTES * 2)
        return false;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = digit_of(text.at[2 * i]), low = digit_of(text.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

enum status master_key_of_environment(struct os_disk *disk, struct master_key *out, struct fault *f)
{
    const char *text = getenv("WEND_MASTER_KEY");
    const char *path = getenv("WEND_MASTER_KEY_FILE");
    *out = (struct master_key){0};
    if (text != NULL && text[0] != '\0') {
        out->is_given = strlen(text) == (size_t)KEY_BYTES * 2 && read_master(str_of(text), out);
        if (out->is_given)
            return OK;
        fault_set(f, "WEND_MASTER_KEY is not 64 hexadecimal digits");
        return FIX_INPUT;
    }
    if (path == NULL || path[0] == '\0')
        return OK;
    struct buf b;
    buf_init(&b);
    enum status status = os_read_whole(disk, path, 4096, &b, f);
    if (status != OK)
        fault_prefix(f, "WEND_MASTER_KEY_FILE: ");
    out->is_given = status == OK && read_master(buf_str(&b), out);
    if (status == OK && !out->is_given) {
        fault_set(f, "%s (WEND_MASTER_KEY_FILE) has neither 32 bytes nor 64 hexadecimal digits",
                  path);
        status = FIX_INPUT;
    }
    if (b.at != NULL)
        OPENSSL_cleanse(b.at, b.len);
    buf_fini(&b);
    return status;
}

static void wrap(const struct master_key *master, const uint8_t key[KEY_BYTES],
                 uint8_t out[WRAPPED_BYTES])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int bytes = 0;
    must(c != NULL);
    EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    must(EVP_EncryptInit_ex(c, EVP_aes_256_wrap(), NULL, master->bytes, NULL) == 1);
    must(EVP_EncryptUpdate(c, out, &bytes, key, KEY_BYTES) == 1);
    must(bytes == WRAPPED_BYTES);
    EVP_CIPHER_CTX_free(c);
}

static bool unwrap(struct keystore *k, const uint8_t in[WRAPPED_BYTES], uint8_t out[KEY_BYTES])
{
    uint8_t room[WRAPPED_BYTES + 8];
    int bytes = 0;
    if (k->unwrapping == NULL) {
        k->unwrapping = EVP_CIPHER_CTX_new();
        must(k->unwrapping != NULL);
        EVP_CIPHER_CTX_set_flags(k->unwrapping, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    }
    must(EVP_DecryptInit_ex(k->unwrapping, EVP_aes_256_wrap(), NULL, k->master.bytes, NULL) == 1);
    bool is_right = EVP_DecryptUpdate(k->unwrapping, room, &bytes, in, WRAPPED_BYTES) == 1 &&
                    bytes == KEY_BYTES;
    if (is_right)
        memcpy(out, room, KEY_BYTES);
    OPENSSL_cleanse(room, sizeof(room));
    return is_right;
}

/* ---- bytes --------------------------------------------------------------------------------------- */

static void put_crc(uint8_t slot[SLOT_BYTES])
{
    uint32_t crc = hash_crc32c(0, slot, AT_CRC);
    memcpy(slot + AT_CRC, &crc, sizeof(crc));
}

static bool has_crc(const uint8_t slot[SLOT_BYTES])
{
    uint32_t crc;
    memcpy(&crc, slot + AT_CRC, sizeof(crc));
    return hash_crc32c(0, slot, AT_CRC) == crc;
}

static struct id128 owner_of(const uint8_t slot[SLOT_BYTES])
{
    struct id128 id;
    memcpy(&id.high, slot + AT_OWNER, 8);
    memcpy(&id.low, slot + AT_OWNER + 8, 8);
    return id;
}

static void put_owner(uint8_t slot[SLOT_BYTES], struct id128 id)
{
    memcpy(slot + AT_OWNER, &id.high, 8);
    memcpy(slot + AT_OWNER + 8, &id.low, 8);
}

static void make_header(const struct keystore *k, uint8_t out[SLOT_BYTES])
{
    uint32_t magic = STORE_MAGIC;
    memset(out, 0, SLOT_BYTES);
    memcpy(out, &magic, sizeof(magic));
    out[AT_VERSION] = STORE_VERSION;
    out[AT_FLAGS] = k->master.is_given ? HEADER_IS_WRAPPED : 0;
    if (k->master.is_given)
        wrap(&k->master, check_text, out + AT_CHECK);
    put_crc(out);
}

static enum status check_header(struct keystore *k, const uint8_t in[SLOT_BYTES], struct fault *f)
{
    uint32_t magic;
    uint8_t text[KEY_BYTES];
    memcpy(&magic, in, sizeof(magic));
    fault_place(f, k->path, 0, 0);
    if (magic != STORE_MAGIC || !has_crc(in)) {
        fault_set(f, "the file of keys is damaged");
        return GIVE_UP;
    }
    if (in[AT_VERSION] != STORE_VERSION || (in[AT_FLAGS] & ~HEADER_IS_WRAPPED) != 0) {
        fault_set(f, "the file of keys is written in a format that this release does not know");
        return GIVE_UP;
    }
    bool is_wrapped = (in[AT_FLAGS] & HEADER_IS_WRAPPED) != 0;
    if (is_wrapped && !k->master.is_given) {
        fault_set(f, "the log's keys are wrapped by a master key; give it in WEND_MASTER_KEY or "
                     "WEND_MASTER_KEY_FILE");
        return FIX_INPUT;
    }
    if (!is_wrapped && k->master.is_given) {
        fault_set(f, "a master key is given, but the log's keys are not wrapped by one: unset "
                     "WEND_MASTER_KEY and WEND_MASTER_KEY_FILE");
        return FIX_INPUT;
    }
    if (is_wrapped &&
        (!unwrap(k, in + AT_CHECK, text) || memcmp(text, check_text, KEY_BYTES) != 0)) {
        fault_set(f, "the master key is not the one that wraps the log's keys");
        return FIX_INPUT;
    }
    if (f != NULL)
        *f = (struct fault){0};
    return OK;
}

/* ---- the file ------------------------------------------------------------------------------------ */

static void drop_map(struct keystore *k)
{
    if (k->map != NULL)
        os_file_unmap(k->disk, k->map, k->map_bytes);
    k->map = NULL;
    k->map_bytes = 0;
}

/* Makes everything that the file has now visible. What was visible stays so if that fails. */
static enum status map_again(struct keystore *k, struct fault *f)
{
    uint64_t bytes = 0;
    const void *at = NULL;
    enum status status = os_file_size(k->file, &bytes, f);
    if (status == OK && bytes < SLOT_BYTES) {
        fault_set(f, "the file of keys is damaged");
        fault_place(f, k->path, 0, 0);
        return GIVE_UP;
    }
    if (status == OK)
        status = os_file_map(k->file, (size_t)bytes, &at, f);
    if (status == OK) {
        must(at != NULL);
        drop_map(k);
        k->map = at;
        k->map_bytes = (size_t)bytes;
    }
    return status;
}

/* Opens the file if it is there now. */
static enum status look(struct keystore *k, struct fault *f)
{
    struct os_stat at = {.kind = OS_ABSENT};
    enum status status = k->file != NULL ? OK : os_stat(k->disk, k->path, &at, f);
    if (status != OK || at.kind == OS_ABSENT)
        return status;
    status = os_file_open(k->disk, k->path, OS_READ, &k->file, f);
    if (status == OK)
        status = map_again(k, f);
    if (status == OK)
        status = check_header(k, k->map, f);
    if (status != OK) {
        drop_map(k);
        os_file_close(k->file);
        k->file = NULL;
    }
    return status;
}

static uint32_t mapped_slots(const struct keystore *k)
{
    return k->map_bytes < SLOT_BYTES ? 0 : (uint32_t)(k->map_bytes / SLOT_BYTES - 1);
}

static const uint8_t *slot_at(const struct keystore *k, uint32_t slot)
{
    if (slot < mapped_slots(k))
        return k->map + SLOT_BYTES + (size_t)slot * SLOT_BYTES;
    must(slot >= k->fresh_first);
    must(k->fresh.len >= (size_t)(slot - k->fresh_first + 1) * SLOT_BYTES);
    return k->fresh.at + (size_t)(slot - k->fresh_first) * SLOT_BYTES;
}

enum status keystore_open(struct os_disk *disk, const char *log_dir,
                          const struct master_key *master, struct keystore **out, struct fault *f)
{
    struct keystore *k = mem_new(sizeof(*k));
    k->disk = disk;
    k->master = master != NULL ? *master : (struct master_key){0};
    buf_init(&k->fresh);
    enum status status = OK;
    if (!os_path_join(k->path, sizeof(k->path), log_dir, "keys")) {
        fault_set(f, "the path of the log is too long");
        status = FIX_INPUT;
    }
    if (status == OK)
        status = look(k, f);
    if (status != OK) {
        keystore_close(k);
        return status;
    }
    k->count = k->fresh_first = mapped_slots(k);
    must(k->fresh.len == 0);
    *out = k;
    return OK;
}

void keystore_close(struct keystore *k)
{
    if (k == NULL)
        return;
    drop_map(k);
    os_file_close(k->file);
    if (k->fresh.at != NULL)
        OPENSSL_cleanse(k->fresh.at, k->fresh.len);
    if (k->cache != NULL)
        OPENSSL_cleanse(k->cache, CACHE_KEYS * sizeof(*k->cache));
    OPENSSL_cleanse(&k->master, sizeof(k->master));
    EVP_CIPHER_CTX_free(k->unwrapping);
    buf_fini(&k->fresh);
    mem_free(k->cache);
    mem_free(k->found);
    mem_free(k);
}

uint32_t keystore_count(const struct keystore *k)
{
    return k->count;
}

/* ---- by owner ------------------------------------------------------------------------------------ */

static uint32_t *place_of(const struct keystore *k, struct id128 owner)
{
    must((k->found_room & (k->found_room - 1)) == 0);
    must(k->found_count < k->found_room);
    uint32_t i = (uint32_t)hash_pair(owner.high, owner.low) & (k->found_room - 1);
    while (k->found[i] != 0 && !id128_equal(owner_of(slot_at(k, k->found[i] - 1)), owner))
        i = (i + 1) & (k->found_room - 1);
    return &k->found[i];
}

/* The newest slot of an owner counts. One that is destroyed stays known: a newer one may follow. */
static void note_owner(struct keystore *k, uint32_t slot)
{
    must(slot < KEY_NONE);
    if ((uint64_t)(k->found_count + 1) * 4 > (uint64_t)k->found_room * 3) {
        uint32_t *old = k->found, room = k->found_room;
        k->found_room = max_of(room * 2, 1024);
        k->found = mem_new(k->found_room * sizeof(*k->found));
        for (uint32_t i = 0; i < room; i++)
            if (old[i] != 0)
                *place_of(k, owner_of(slot_at(k, old[i] - 1))) = old[i];
        mem_free(old);
    }
    uint32_t *place = place_of(k, owner_of(slot_at(k, slot)));
    must(*place <= slot);
    k->found_count += *place == 0;
    *place = slot + 1;
}

/* What is there may be in the system's memory alone: a process was killed before its sync, or the sync
 * failed. From here on slots are named that were read. */
static enum status make_durable(struct keystore *k, struct fault *f)
{
    char folder[OS_PATH_BYTES];
    struct os_file *file = NULL;
    must(os_path_dir(folder, sizeof(folder), k->path));
    enum status status = os_file_open(k->disk, k->path, OS_WRITE, &file, f);
    if (status == OK)
        status = os_file_sync(file, f);
    os_file_close(file);
    return status == OK ? os_sync_dir(k->disk, folder, f) : status;
}

enum status keystore_load(struct keystore *k, struct fault *f)
{
    if (k->is_loaded)
        return OK;
    enum status status = look(k, f);
    if (status == OK && k->file != NULL)
        status = make_durable(k, f);
    if (status == OK && k->file != NULL)
        status = map_again(k, f);
    if (status != OK)
        return status;
    must(k->fresh.len == 0);
    must(k->found_count == 0);
    k->count = k->fresh_first = mapped_slots(k);
    for (uint32_t i = 0; i < k->count; i++)
        if (has_crc(slot_at(k, i)))
            note_owner(k, i);
    must(k->found_count <= k->count);
    k->is_loaded = true;
    return OK;
}

static bool read_key(struct keystore *k, uint32_t slot, uint8_t key[KEY_BYTES])
{
    must(slot < k->count);
    const uint8_t *at = slot_at(k, slot);
    if (!k->master.is_given) {
        memcpy(key, at + AT_KEY, KEY_BYTES);
        return true;
    }
    if (k->cache == NULL)
        k->cache = mem_new(CACHE_KEYS * sizeof(*k->cache));
    struct cached *c = &k->cache[slot % CACHE_KEYS];
    if (c->slot != slot + 1) {
        if (!unwrap(k, at + AT_KEY, c->key)) {
            c->slot = 0;
            return false;
        }
        c->slot = slot + 1;
    }
    must(c->slot == slot + 1);
    memcpy(key, c->key, KEY_BYTES);
    return true;
}

static uint32_t state_of(const uint8_t slot[SLOT_BYTES])
{
    uint32_t state;
    memcpy(&state, slot + AT_STATE, sizeof(state));
    return state;
}

static void put_state(uint8_t slot[SLOT_BYTES], uint32_t state)
{
    memcpy(slot + AT_STATE, &state, sizeof(state));
}

static uint32_t add_key(struct keystore *k, struct id128 owner, uint8_t key[KEY_BYTES])
{
    uint8_t slot[SLOT_BYTES] = {0};
    os_random(key, KEY_BYTES);
    put_owner(slot, owner);
    if (k->master.is_given)
        wrap(&k->master, key, slot + AT_KEY);
    else
        memcpy(slot + AT_KEY, key, KEY_BYTES);
    put_state(slot, SLOT_LIVE);
    put_crc(slot);
    must(k->count < KEY_NONE - 1);
    must(k->fresh.len == (size_t)(k->count - k->fresh_first) * SLOT_BYTES);
    buf_add(&k->fresh, slot, SLOT_BYTES);
    OPENSSL_cleanse(slot, sizeof(slot));
    note_owner(k, k->count);
    return k->count++;
}

uint32_t keystore_take(struct keystore *k, struct id128 owner, uint8_t key[KEY_BYTES])
{
    must(k->is_loaded);
    uint32_t known = k->found_room > 0 ? *place_of(k, owner) : 0;
    must(known <= k->count);
    if (known != 0 && state_of(slot_at(k, known - 1)) == SLOT_LIVE && read_key(k, known - 1, key))
        return known - 1;
    return add_key(k, owner, key);
}

/* Makes the file, with its header, and opens it for writing. */
static enum status make_file(struct keystore *k, struct os_file **file, struct fault *f)
{
    uint8_t header[SLOT_BYTES];
    struct os_stat at;
    enum status status = os_stat(k->disk, k->path, &at, f);
    if (status == OK && at.kind == OS_ABSENT) {
        make_header(k, header);
        status =
            os_write_whole(k->disk, k->path, (struct str){(const char *)header, SLOT_BYTES}, f);
    }
    if (status == OK)
        status = os_file_open(k->disk, k->path, OS_WRITE, file, f);
    return status;
}

enum status keystore_commit(struct keystore *k, struct fault *f)
{
    must(k->is_loaded);
    if (k->fresh.len == 0)
        return OK;
    must(k->fresh.len == (size_t)(k->count - k->fresh_first) * SLOT_BYTES);
    struct os_file *file = NULL;
    enum status status = make_file(k, &file, f);
    if (status == OK)
        status = os_file_write(file, SLOT_BYTES + (uint64_t)k->fresh_first * SLOT_BYTES,
                               k->fresh.at, k->fresh.len, f);
    if (status == OK)
        status = os_file_sync(file, f);
    os_file_close(file);
    if (status == OK)
        status = look(k, f);
    if (status == OK)
        status = map_again(k, f);
    if (status != OK)
        return status;
    must(mapped_slots(k) >= k->count);
    OPENSSL_cleanse(k->fresh.at, k->fresh.len);
    k->fresh.len = 0;
    k->fresh_first = k->count;
    return OK;
}

enum status keystore_destroy(struct keystore *k, const struct id128 *owners, uint32_t count,
                             uint32_t *destroyed, struct fault *f)
{
    *destroyed = 0;
    enum status status = keystore_load(k, f);
    if (status == OK)
        status = keystore_commit(k, f);
    if (status != OK || k->file == NULL)
        return status;
    must(k->fresh.len == 0);
    struct os_file *file = NULL;
    status = os_file_open(k->disk, k->path, OS_WRITE, &file, f);
    /* An owner may have had several keys, and what a crash tore must be found, too: all are looked at. */
    for (uint32_t i = 0; status == OK && i < k->count; i++) {
        uint8_t slot[SLOT_BYTES] = {0};
        struct id128 owner = owner_of(slot_at(k, i));
        bool is_meant = false;
        for (uint32_t n = 0; n < count && !is_meant; n++)
            is_meant = id128_equal(owner, owners[n]);
        if (!is_meant)
            continue;
        bool is_done = state_of(slot_at(k, i)) == SLOT_DESTROYED && has_crc(slot_at(k, i));
        put_owner(slot, owner);
        put_state(slot, SLOT_DESTROYED);
        put_crc(slot);
        status = os_file_write(file, SLOT_BYTES + (uint64_t)i * SLOT_BYTES, slot, SLOT_BYTES, f);
        *destroyed += !is_done; /* and once more what is: it may be so in memory alone */
    }
    if (status == OK)
        status = os_file_sync(file, f);
    os_file_close(file);
    if (k->cache != NULL) {
        OPENSSL_cleanse(k->cache, CACHE_KEYS * sizeof(*k->cache));
        memset(k->cache, 0, CACHE_KEYS * sizeof(*k->cache));
    }
    return status == OK ? map_again(k, f) : status;
}

enum key_state keystore_get(struct keystore *k, uint32_t slot, struct id128 owner,
                            uint8_t key[KEY_BYTES])
{
    if (slot >= k->count) { /* it may be younger than what was read */
        if (k->is_loaded || look(k, NULL) != OK || k->file == NULL || map_again(k, NULL) != OK)
            return KEY_DAMAGED;
        k->count = k->fresh_first = mapped_slots(k);
        if (slot >= k->count)
            return KEY_DAMAGED;
    }
    const uint8_t *at = slot_at(k, slot);
    if (!has_crc(at) || !id128_equal(owner_of(at), owner))
        return KEY_DAMAGED;
    uint32_t state = state_of(at);
    if (state == SLOT_DESTROYED)
        return KEY_DESTROYED;
    return state == SLOT_LIVE && read_key(k, slot, key) ? KEY_LIVE : KEY_DAMAGED;
}
