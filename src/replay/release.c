/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/release.h"

#include <stdio.h>
#include <string.h>

#include "base/hook.h"
#include "version.h"

_Static_assert(sizeof(WEND_SOURCES) == 65, "a SHA-256 in hex");
_Static_assert(sizeof(WEND_VERSION) <= RELEASE_VERSION_BYTES, "a shorter version");

struct release release_here(void)
{
    struct release r = {.version = WEND_VERSION, .hash = WEND_SOURCES};
    uint64_t other = hook(HOOK_RELEASE);
    if (other != 0) {
        snprintf(r.version, sizeof(r.version), "test-%lu", other);
        snprintf(r.hash, 17, "%016lx", hash_pair(other, 1));
        r.hash[16] = '0';
    }
    return r;
}

bool release_is_known(const struct release *r)
{
    return r->hash[0] != 0;
}

bool release_is_same(const struct release *a, const struct release *b)
{
    return release_is_known(a) && strcmp(a->hash, b->hash) == 0;
}

void release_print(const struct release *r, char out[RELEASE_TEXT_BYTES])
{
    if (release_is_known(r))
        snprintf(out, RELEASE_TEXT_BYTES, "%s (%.8s)", r->version[0] ? r->version : "unnamed",
                 r->hash);
    else
        snprintf(out, RELEASE_TEXT_BYTES, "that is not known");
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void release_to_bytes(const struct release *r, uint8_t out[SNAPSHOT_RELEASE_BYTES])
{
    memset(out, 0, SNAPSHOT_RELEASE_BYTES);
    for (size_t i = 0; i < SNAPSHOT_RELEASE_BYTES && release_is_known(r); i++)
        out[i] = (uint8_t)(digit_of(r->hash[2 * i]) << 4 | digit_of(r->hash[2 * i + 1]));
}

struct release release_of_bytes(const uint8_t bytes[SNAPSHOT_RELEASE_BYTES], struct str version)
{
    struct release r = {{0}, {0}};
    uint8_t any = 0;
    for (size_t i = 0; i < SNAPSHOT_RELEASE_BYTES; i++)
        any |= bytes[i];
    for (size_t i = 0; i < SNAPSHOT_RELEASE_BYTES && any; i++) {
        r.hash[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        r.hash[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    if (!str_to_z(version, r.version, sizeof(r.version)))
        r.version[0] = 0;
    return r;
}

void release_write(const struct release_record *in, struct buf *clear, struct record *out)
{
    clear->len = 0;
    body_put_text(clear, NAME_RELEASE, str_of(in->release.hash));
    body_put_text(clear, NAME_TEXT, str_of(in->release.version));
    body_put_int(clear, NAME_NUMBER, (int64_t)in->batch);
    if (in->words.len > 0)
        body_put_text(clear, NAME_DETAIL, in->words);
    *out = (struct record){.type = RECORD_RELEASE,
                           .kind = (uint8_t)in->kind,
                           .schema = RECORD_SCHEMA,
                           .clear = body_of(clear)};
}

bool release_read(const struct record *in, struct release_record *out)
{
    struct str hash = body_get_text(in->clear, NAME_RELEASE);
    if (in->type != RECORD_RELEASE || hash.len != 64 ||
        (in->kind != RELEASE_TOOK_OVER && in->kind != RELEASE_ADOPTED))
        return false;
    *out = (struct release_record){
        .kind = (enum release_kind)in->kind,
        .batch = (uint64_t)body_get_int(in->clear, NAME_NUMBER, 0),
        .words = body_get_text(in->clear, NAME_DETAIL),
    };
    if (!str_to_z(body_get_text(in->clear, NAME_TEXT), out->release.version,
                  sizeof(out->release.version)))
        out->release.version[0] = 0;
    return str_to_z(hash, out->release.hash, sizeof(out->release.hash));
}

const char *release_version(void)
{
    return WEND_VERSION;
}

const char *release_built_from(void)
{
    return WEND_BUILT_FROM;
}

const char *release_variant(void)
{
    return WEND_VARIANT;
}
