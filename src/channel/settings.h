/* settings.h - reading one setting of a provider's file by its kind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <netinet/in.h>

#include "channel/channel_int.h"

#define SECRET_BYTES_MAX 65536

/* Is `text` a reference, "${ENV:NAME}", "${ENV:NAME:-otherwise}" or "${FILE:path}"? Then *kind is 'E' or
 * 'F' and *what the rest. */
bool setting_reference(struct str text, char *kind, struct str *what);

/* What `text` stands for: a reference is read (GIVE_UP where that fails), other text is itself; a
 * secret must be a reference (FIX_INPUT). Copies into the arena. */
enum status setting_resolve(const struct channel_setting *s, struct str text, struct arena *a,
                            struct str *out, struct fault *f) mustuse;

/* Reads a resolved text by the setting's kind. FIX_INPUT with a sentence. The result's texts live in
 * the arena. */
enum status setting_parse(const struct channel_setting *s, struct str text, struct arena *a,
                          struct channel_value *out, struct fault *f) mustuse;
