/* budget_json.h - what budgets have come to, as JSON: `wend report budgets --json`, GET /v1/report/budgets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

/* Appends {"as_of": ..., "budgets": [...]}. Amounts of money are texts: they are exact. */
void budgets_json(const struct engine *e, struct buf *out);
