/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "channel/base64.h"

#define KEY_BYTES_MIN 24
#define KEY_BYTES_MAX 64

/* Takes the next secret off the list and decodes its key. False at the end; `key` is empty where the
 * secret is none. */
static bool next_key(struct str *rest, struct buf *key)
{
    *rest = str_trim(*rest);
    if (rest->len == 0)
        return false;
    size_t end = str_find(*rest, STR(" "), 0);
    struct str secret = str_part(*rest, 0, end);
    *rest = str_part(*rest, secret.len, SIZE_MAX);
    key->len = 0;
    bool is_fine = str_starts(secret, STR("whsec_")) &&
                   base64_read(key, str_part(secret, strlen("whsec_"), SIZE_MAX)) &&
                   key->len >= KEY_BYTES_MIN && key->len <= KEY_BYTES_MAX;
    if (!is_fine)
        key->len = 0;
    return true;
}

static void wipe(struct buf *key)
{
    if (key->room > 0)
        OPENSSL_cleanse(key->at, key->room);
    buf_fini(key);
}

enum status sign_secrets_check(struct str secrets, struct fault *f)
{
    struct buf key;
    buf_init(&key);
    uint32_t count = 0;
    bool is_fine = true;
    while (is_fine && next_key(&secrets, &key)) {
        count++;
        is_fine = key.len > 0 && count <= SIGN_SECRETS_MAX;
    }
    wipe(&key);
    if (is_fine && count > 0)
        return OK;
    fault_set(
        f,
        "expected \"whsec_\" and the base64 of a key of %d to %d bytes; up to %d of them with "
        "a space between",
        KEY_BYTES_MIN, KEY_BYTES_MAX, SIGN_SECRETS_MAX);
    return FIX_INPUT;
}

void sign_write(struct buf *out, struct str secrets, struct str id, int64_t timestamp_s,
                struct str body)
{
    must(memchr(id.at, '.', id.len) == NULL);
    struct buf signed_bytes, key;
    buf_init(&signed_bytes);
    buf_init(&key);
    buf_printf(&signed_bytes, "%.*s.%lld.", STR_ARG(id), (long long)timestamp_s);
    buf_add_str(&signed_bytes, body);
    for (bool is_first = true; next_key(&secrets, &key); is_first = false) {
        must(key.len > 0);
        uint8_t mac[EVP_MAX_MD_SIZE];
        unsigned int mac_bytes = 0;
        must(HMAC(EVP_sha256(), key.at, (int)key.len, signed_bytes.at, signed_bytes.len, mac,
                  &mac_bytes) != NULL);
        buf_add_str(out, is_first ? STR("v1,") : STR(" v1,"));
        base64_write(out, (struct str){(const char *)mac, mac_bytes});
    }
    wipe(&key);
    buf_fini(&signed_bytes);
}
