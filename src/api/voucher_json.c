/* SPDX-License-Identifier: Apache-2.0 */
#include "api/voucher_json.h"

#include "decide/voucher.h"
#include "when/civil.h"
#include "json/json_write.h"

void vouchers_json(const struct engine *e, struct buf *out)
{
    const struct plan *plan = engine_plan(e);
    char now[TIMESTAMP_BYTES];
    struct json_writer w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "as_of", timestamp_print(engine_now(e), now));
    json_write_key(&w, STR("pools"));
    json_write_list(&w);
    for (uint32_t i = 0; plan != NULL && i < plan->voucher_count; i++) {
        const struct plan_voucher *pool = &plan->vouchers[i];
        struct voucher_counts counts = voucher_count(engine_vouchers(e), pool);
        json_write_map(&w);
        json_write_key_text(&w, "pool", names_text(engine_names(e), pool->name));
        json_write_key_int(&w, "file", (int64_t)counts.file);
        json_write_key_int(&w, "loaded", (int64_t)counts.loaded);
        json_write_key_int(&w, "free", (int64_t)counts.free);
        json_write_key_int(&w, "held", (int64_t)counts.held);
        json_write_key_int(&w, "gone", (int64_t)counts.gone);
        json_write_end(&w);
    }
    json_write_end(&w);
    json_write_end(&w);
}
