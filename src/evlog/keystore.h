/* keystore.h - the keys under which closed segments are sealed, one for each person's identifier.
 *
 * A key is random, made when something of its owner is sealed for the first time, and known by its
 * place in the file, its *slot*, which what is sealed names. Destroying a key is how a person is erased:
 * its slot stays and says so, whatever was sealed under it can be read by nobody. An owner who comes
 * back gets a new key in a new slot.
 *
 *     log/keys     header │ slot 0 │ slot 1 │ ...      64 bytes each, written once, then only destroyed
 *
 * One process adds and destroys (whoever holds the log's lock); any number read beside it. With a master
 * key (WEND_MASTER_KEY: 64 hex digits, or WEND_MASTER_KEY_FILE: a file with them, or with 32 bytes) the keys
 * stand in the file wrapped by it. docs/formats/log.md has the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "base/hash.h"
#include "os/disk.h"

#define KEY_BYTES 32
#define KEY_NONE  UINT32_MAX

struct keystore;

struct master_key {
    bool is_given;
    uint8_t bytes[KEY_BYTES];
};

/* The master key that the environment gives, or none. FIX_INPUT: it is given and is no key. */
enum status master_key_of_environment(struct os_disk *disk, struct master_key *out,
                                      struct fault *f) mustuse;

/* Opens the keys of the log in `log_dir`; there may be none yet. `master` is copied (NULL: none).
 * FIX_INPUT: the file was written with a master key and this is not it, or with none and this is one.
 * GIVE_UP: it is damaged. The caller owns *out. */
enum status keystore_open(struct os_disk *disk, const char *log_dir,
                          const struct master_key *master, struct keystore **out,
                          struct fault *f) mustuse;

/* Forgets the keys that were read, too. NULL is fine. */
void keystore_close(struct keystore *k);

/* ------------------------------------------------------------------------------- adding, destroying */

/* Reads all of the file, so that keys can be found by their owner: needed before the two below. */
enum status keystore_load(struct keystore *k, struct fault *f) mustuse;

/* The slot of the owner's key, and the key; a new one where it has none. A new one is not to be used for
 * anything durable before keystore_commit(). */
uint32_t keystore_take(struct keystore *k, struct id128 owner, uint8_t key[KEY_BYTES]);

/* Makes the new keys durable. */
enum status keystore_commit(struct keystore *k, struct fault *f) mustuse;

/* Destroys the keys of these owners, durably. *destroyed: how many there were. Again does no harm: after a
 * crash it is to be done again. */
enum status keystore_destroy(struct keystore *k, const struct id128 *owners, uint32_t count,
                             uint32_t *destroyed, struct fault *f) mustuse;

/* ------------------------------------------------------------------------------------------ reading */

enum key_state {
    KEY_LIVE,
    KEY_DESTROYED,
    KEY_DAMAGED, /* there is no such slot, it is another owner's, or its bytes are wrong */
};

/* The key in the slot, which must be the owner's. */
enum key_state keystore_get(struct keystore *k, uint32_t slot, struct id128 owner,
                            uint8_t key[KEY_BYTES]) mustuse;

/* Slots in the file, destroyed ones included. */
uint32_t keystore_count(const struct keystore *k);
