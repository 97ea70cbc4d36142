/* keys.h - who may talk to the server: write keys (public, in every browser) and server keys (secret).
 *
 * Keys come from the command line, as KEY=source. Where there are none, DIR/keys.json has them; where
 * that file is not there either, the first start makes one of each, random, and says so:
 *
 *     {"keys": [{"key": "wk_...", "source": "web", "kind": "write"},
 *               {"key": "sk_...", "source": "server", "kind": "server"}]}
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "ingest/ingest.h"
#include "os/disk.h"

#define KEYS_MAX 256

struct keys {
    struct arena arena;
    struct ingest_key list[KEYS_MAX];
    uint32_t count;
    bool is_new; /* made just now: to be shown */
};

void keys_init(struct keys *k);
void keys_fini(struct keys *k);

/* Adds "KEY=source" (without "=source": "web" or "server"). FIX_INPUT with a sentence. */
enum status keys_add(struct keys *k, const char *text, enum ingest_key_flag flags,
                     struct fault *f) mustuse;

/* Reads the file, or makes it with two new keys. FIX_INPUT: it is not one. */
enum status keys_load(struct keys *k, struct os_disk *disk, const char *path,
                      struct fault *f) mustuse;
