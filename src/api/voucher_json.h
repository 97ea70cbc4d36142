/* voucher_json.h - pools of voucher codes as JSON: `wend voucher ls --json`, GET /v1/vouchers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

/* Appends {"as_of": ..., "pools": [...]}; no code stands in it. */
void vouchers_json(const struct engine *e, struct buf *out);
