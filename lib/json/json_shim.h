/* json_shim.h - all of C++ that this room uses, behind a few functions in plain C.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_SHIM_PADDING      64 /* readable bytes that must follow a text to parse */
#define JSON_SHIM_TEXT_PADDING 16 /* readable bytes behind a parsed text */
#define JSON_SHIM_DOUBLE_BYTES 32

struct json_shim;

/* One simdjson parser with its document. Ends the process where memory runs out. */
struct json_shim *json_shim_new(void);
void json_shim_free(struct json_shim *shim);

/* Parses `bytes` bytes (at least 1) at `at`, followed by JSON_SHIM_PADDING readable ones. 0 and the
 * tape and its texts (good until the next call), or simdjson's error code. */
int json_shim_parse(struct json_shim *shim, const char *at, size_t bytes, uint32_t depth_max,
                    const uint64_t **tape, const uint8_t **texts);

/* The shortest digits that read back as the finite `x`, not terminated; their number. The first as
 * whichever is shorter, "100" or "1e+20"; the second always as "1.5e+00". */
size_t json_shim_double(double x, char out[JSON_SHIM_DOUBLE_BYTES]);
size_t json_shim_scientific(double x, char out[JSON_SHIM_DOUBLE_BYTES]);

#ifdef __cplusplus
}
#endif
