/* sha256.h - SHA-256 (FIPS 180-4), for what others compare with hashes of their own: ad networks take
 * addresses so. Not for passwords or signatures; those use the library that TLS uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

#define SHA256_BYTES     32
#define SHA256_HEX_BYTES 65 /* digits and a NUL */

void sha256(struct str text, uint8_t out[SHA256_BYTES]);

/* In lower-case hex, NUL-terminated. */
void sha256_print(const uint8_t hash[SHA256_BYTES], char out[SHA256_HEX_BYTES]);
