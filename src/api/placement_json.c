/* SPDX-License-Identifier: Apache-2.0 */
#include "api/placement_json.h"

#include "decide/rule.h"
#include "when/civil.h"
#include "json/json_write.h"

static void write_fields(struct json_writer *w, struct engine *e, uint64_t profile,
                         const struct plan_offer *offer, struct body page, int64_t now_ms,
                         struct arena *arena)
{
    json_write_key(w, STR("with"));
    json_write_map(w);
    for (uint32_t i = 0; offer != NULL && i < offer->field_count; i++) {
        struct value x =
            engine_offer_field(e, profile, &offer->fields[i].value, page, now_ms, arena);
        json_write_key(w, offer->fields[i].name);
        if (x.type == VALUE_ERROR || x.type == VALUE_NONE)
            json_write_null(w);
        else
            json_write_value(w, x);
    }
    json_write_end(w);
}

static void write_reasons(struct json_writer *w, const struct engine *e,
                          const struct placement_answer *answer)
{
    json_write_key(w, STR("explain"));
    json_write_list(w);
    for (uint32_t i = 0; i < answer->reason_count; i++) {
        const struct placement_reason *x = &answer->reasons[i];
        json_write_map(w);
        if (x->offer != NAME_NONE)
            json_write_key_text(w, "offer", names_text(engine_names(e), x->offer));
        else
            json_write_key_text(w, "rule", str_of(rule_name(answer->rule)));
        json_write_key_text(w, "says", x->says);
        json_write_end(w);
    }
    json_write_end(w);
}

bool placement_json(struct engine *e, uint64_t profile, uint32_t placement, struct body page,
                    int64_t now_ms, bool explains, struct buf *out)
{
    struct placement_answer answer;
    struct json_writer w;
    struct arena arena;
    char text[TIMESTAMP_BYTES];
    arena_init(&arena, 4096);
    const struct plan_placement *means =
        engine_decide(e, profile, placement, page, now_ms, &arena, &answer);
    if (means != NULL) {
        json_write_init(&w, out, JSON_COMPACT);
        json_write_map(&w);
        json_write_key_text(&w, "placement", names_text(engine_names(e), placement));
        json_write_key_bool(&w, "is_known", profile != 0);
        if (answer.offer != NULL)
            json_write_key_text(&w, "offer", names_text(engine_names(e), answer.offer->name));
        else
            json_write_key_null(&w, "offer");
        json_write_key(&w, STR("content"));
        json_write_raw(&w, answer.offer != NULL ? answer.offer->content : means->otherwise);
        write_fields(&w, e, profile, answer.offer, page, now_ms, &arena);
        if (answer.until_ms != FOREVER_MS)
            json_write_key_text(&w, "valid_until", timestamp_print(answer.until_ms, text));
        if (explains)
            write_reasons(&w, e, &answer);
        json_write_end(&w);
    }
    arena_fini(&arena);
    return means != NULL;
}
