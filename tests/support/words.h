/* words.h - programmes, people and properties as short texts, for tests of the whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "model/names.h"
#include "programme/programme.h"

/* A few zones, as programme_compile() wants them. */
void words_zones(struct buf *out);

/* The files of a programme that is one text, each headed by a line "=== path"; borrowed from it. Returns
 * their number, at most `most`. */
uint32_t words_files(const char *programme, struct programme_file *files, uint32_t most);

/* Who "ann", "~tablet" or "ann~tablet" is: a user id, an anonymous id, or both. What is absent is zero. */
void words_ids(const uint8_t *secret, const char *who, struct id128 *user, struct id128 *anonymous,
               struct str *user_text, struct str *anonymous_text);

/* Writes "cart_id=1 value=80.0 name=Tent vip=true" as fields of a body; new names go into `names`. */
void words_fields(struct names *names, const char *fields, struct buf *out);
