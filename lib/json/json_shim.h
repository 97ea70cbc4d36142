/* json_shim.h - all of C++ that this room uses, behind a few functions in plain C.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_SHIM_PADDING      64 /* readable bytes that must follow a text to parse */
#define JSON_SHIM_DOUBLE_BYTES 32

struct json_shim;

/* simdjson's first pass with what it writes. Ends the process where memory runs out. */
struct json_shim *json_shim_new(void);
void json_shim_free(struct json_shim *shim);

/* Where each brace, bracket, colon, comma, text, number and word of `bytes` bytes (at least 1) at `at`
 * begins, which are followed by JSON_SHIM_PADDING readable ones; behind them two more, `bytes` each. Good
 * until the next call. False where there is none, where the bytes are not UTF-8, where a text is not
 * closed or has a control character. */
bool json_shim_heads(struct json_shim *shim, const char *at, size_t bytes, const uint32_t **heads,
                     uint32_t *count);

/* The double nearest to the JSON number at `at`, behind which something stands that is not of it; 0 if it
 * is too small for one. False if it is too large. */
bool json_shim_number(const char *at, double *out);

/* The shortest digits that read back as the finite `x`, not terminated; their number. The first as
 * whichever is shorter, "100" or "1e+20"; the second always as "1.5e+00". */
size_t json_shim_double(double x, char out[JSON_SHIM_DOUBLE_BYTES]);
size_t json_shim_scientific(double x, char out[JSON_SHIM_DOUBLE_BYTES]);

#ifdef __cplusplus
}
#endif
