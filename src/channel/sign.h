/* sign.h - signatures of outgoing webhooks, as standard-webhooks defines them.
 *
 *     webhook-id: 1f-9c0a1b2c3d4e5f60-1          the attempt's id, the same in each retry
 *     webhook-timestamp: 1772452800              seconds, of this try
 *     webhook-signature: v1,K5oZfz... v1,a+b...  one for each secret, so that secrets can be changed
 *
 *     v1 = base64(HMAC-SHA-256(key, id "." timestamp "." body))
 *
 * A secret is "whsec_" and the key in base64, 24 to 64 bytes of it; two secrets, the new one and the
 * old one, stand with a space between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/str.h"

#define SIGN_SECRETS_MAX 4

/* FIX_INPUT with a fault, which never shows the secret. */
enum status sign_secrets_check(struct str secrets, struct fault *f) mustuse;

/* Appends the value of webhook-signature. Requires secrets that sign_secrets_check() found fine, and an
 * id without a dot. */
void sign_write(struct buf *out, struct str secrets, struct str id, int64_t timestamp_s,
                struct str body);
