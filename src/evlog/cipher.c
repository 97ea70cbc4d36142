/* Sealing one unit: compressed, then AES-256-GCM under its owner's key.
 *
 *     nonce            the name (batch, index), xored with the segment's salt: within a segment no two
 *                      are the same, and two writings of it have different salts
 *     associated data  the name
 *     sealed           how it is compressed, a byte; the bytes; and the tag of 16
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "evlog/sealed_int.h"

#define MAGIC_BYTES 4 /* with which every zstd frame begins: left out */
#define NAME_BYTES  12

enum { UNIT_STORED, UNIT_ZSTD };

static const uint8_t zstd_magic[MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};

void seal_cipher_init(struct seal_cipher *c, const uint8_t salt[SEAL_SALT_BYTES],
                      struct str dictionary, bool opens)
{
    *c = (struct seal_cipher){.opens = opens};
    memcpy(c->salt, salt, SEAL_SALT_BYTES);
    buf_init(&c->scratch);
    c->context = EVP_CIPHER_CTX_new();
    must(c->context != NULL);
    must(EVP_CipherInit_ex(c->context, EVP_aes_256_gcm(), NULL, NULL, NULL, opens ? 0 : 1) == 1);
    if (opens) {
        c->unpacking = ZSTD_createDCtx();
        must(c->unpacking != NULL);
        if (dictionary.len > 0)
            c->unpack_words = ZSTD_createDDict(dictionary.at, dictionary.len);
    } else {
        c->packing = ZSTD_createCCtx();
        must(c->packing != NULL);
        if (dictionary.len > 0)
            c->pack_words = ZSTD_createCDict(dictionary.at, dictionary.len, 3);
        must(!ZSTD_isError(ZSTD_CCtx_setParameter(c->packing, ZSTD_c_dictIDFlag, 0)));
        must(!ZSTD_isError(ZSTD_CCtx_setParameter(c->packing, ZSTD_c_checksumFlag, 0)));
        must(!ZSTD_isError(ZSTD_CCtx_setParameter(c->packing, ZSTD_c_contentSizeFlag, 0)));
        must(!ZSTD_isError(ZSTD_CCtx_refCDict(c->packing, c->pack_words)));
    }
}

void seal_cipher_fini(struct seal_cipher *c)
{
    EVP_CIPHER_CTX_free(c->context);
    ZSTD_freeCCtx(c->packing);
    ZSTD_freeDCtx(c->unpacking);
    ZSTD_freeCDict(c->pack_words);
    ZSTD_freeDDict(c->unpack_words);
    buf_fini(&c->scratch);
    *c = (struct seal_cipher){0};
}

static void put_name(struct seal_name name, uint8_t out[NAME_BYTES])
{
    memcpy(out, &name.batch, 8);
    memcpy(out + 8, &name.index, 4);
}

static void make_nonce(const struct seal_cipher *c, const uint8_t name[NAME_BYTES],
                       uint8_t out[NAME_BYTES])
{
    for (uint32_t i = 0; i < NAME_BYTES; i++)
        out[i] = name[i] ^ c->salt[i];
}

/* The unit as it is to be sealed, in the scratch. */
static struct str compress(struct seal_cipher *c, struct str plain)
{
    size_t room = 1 + ZSTD_compressBound(plain.len);
    c->scratch.len = 0;
    uint8_t *at = buf_reserve(&c->scratch, MAGIC_BYTES + room);
    size_t got = ZSTD_compress2(c->packing, at + 1, room, plain.at, plain.len);
    if (!ZSTD_isError(got) && got > MAGIC_BYTES && got - MAGIC_BYTES < plain.len) {
        must(memcmp(at + 1, zstd_magic, MAGIC_BYTES) == 0);
        at[MAGIC_BYTES] = UNIT_ZSTD;
        return (struct str){(const char *)at + MAGIC_BYTES, 1 + got - MAGIC_BYTES};
    }
    at[0] = UNIT_STORED;
    memcpy(at + 1, plain.at, plain.len);
    return (struct str){(const char *)at, 1 + plain.len};
}

void seal_unit(struct seal_cipher *c, const uint8_t key[KEY_BYTES], struct seal_name name,
               struct str plain, struct buf *out)
{
    uint8_t said[NAME_BYTES], nonce[NAME_BYTES];
    int done = 0, more = 0;
    must(!c->opens);
    struct str x = compress(c, plain);
    put_name(name, said);
    make_nonce(c, said, nonce);
    uint8_t *at = buf_reserve(out, x.len + SEAL_TAG_BYTES);
    must(EVP_EncryptInit_ex(c->context, NULL, NULL, key, nonce) == 1);
    must(EVP_EncryptUpdate(c->context, NULL, &done, said, NAME_BYTES) == 1);
    must(EVP_EncryptUpdate(c->context, at, &done, (const uint8_t *)x.at, (int)x.len) == 1);
    must(EVP_EncryptFinal_ex(c->context, at + done, &more) == 1);
    must((size_t)(done + more) == x.len);
    must(EVP_CIPHER_CTX_ctrl(c->context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, at + x.len) == 1);
    out->len += x.len + SEAL_TAG_BYTES;
}

static bool decompress(struct seal_cipher *c, uint8_t *at, size_t bytes, uint8_t *plain,
                       size_t plain_bytes)
{
    /* `at` has MAGIC_BYTES before the byte that says how. */
    uint8_t how = at[MAGIC_BYTES];
    if (how == UNIT_STORED && bytes == 1 + plain_bytes) {
        memcpy(plain, at + MAGIC_BYTES + 1, plain_bytes);
        return true;
    }
    if (how != UNIT_ZSTD)
        return false;
    memcpy(at + 1, zstd_magic, MAGIC_BYTES);
    size_t got = c->unpack_words != NULL
                     ? ZSTD_decompress_usingDDict(c->unpacking, plain, plain_bytes, at + 1,
                                                  bytes - 1 + MAGIC_BYTES, c->unpack_words)
                     : ZSTD_decompressDCtx(c->unpacking, plain, plain_bytes, at + 1,
                                           bytes - 1 + MAGIC_BYTES);
    return got == plain_bytes;
}

bool open_unit(struct seal_cipher *c, const uint8_t key[KEY_BYTES], struct seal_name name,
               struct str sealed, uint8_t *plain, size_t plain_bytes)
{
    uint8_t said[NAME_BYTES], nonce[NAME_BYTES], tag[SEAL_TAG_BYTES];
    int done = 0, more = 0;
    must(c->opens);
    if (sealed.len < 1 + SEAL_TAG_BYTES || sealed.len > INT32_MAX)
        return false;
    size_t bytes = sealed.len - SEAL_TAG_BYTES;
    memcpy(tag, sealed.at + bytes, SEAL_TAG_BYTES);
    put_name(name, said);
    make_nonce(c, said, nonce);
    c->scratch.len = 0;
    uint8_t *at = buf_reserve(&c->scratch, MAGIC_BYTES + bytes);
    must(EVP_DecryptInit_ex(c->context, NULL, NULL, key, nonce) == 1);
    must(EVP_CIPHER_CTX_ctrl(c->context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) == 1);
    must(EVP_DecryptUpdate(c->context, NULL, &done, said, NAME_BYTES) == 1);
    must(EVP_DecryptUpdate(c->context, at + MAGIC_BYTES, &done, (const uint8_t *)sealed.at,
                           (int)bytes) == 1);
    return EVP_DecryptFinal_ex(c->context, at + MAGIC_BYTES + done, &more) == 1 &&
           decompress(c, at, bytes, plain, plain_bytes);
}
