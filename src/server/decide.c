/* SPDX-License-Identifier: Apache-2.0 */
#include "server/decide.h"

#include "api/placement_json.h"
#include "ingest/vocabulary.h"
#include "model/identifier.h"
#include "json/json.h"

#define DECIDE_BYTES_MAX ((size_t)16 * 1024)
#define PAGE_DEPTH       8

static void refuse(struct http_request *request, const char *code, const char *text)
{
    http_answer_error(request, 400, code, str_of(text));
}

static struct id128 hash_of(enum identifier_kind kind, struct str id, const uint8_t *secret)
{
    if (id.len == 0 || id.len > IDENTIFIER_BYTES_MAX)
        return (struct id128){0, 0};
    return identifier_hash(kind, id, secret);
}

/* Fields by their paths, as those of events; what has no name nobody asks for. */
static void add_fields(struct json_node map, struct str path, struct vocabulary *vocabulary,
                       struct arena *arena, struct buf *out)
{
    struct json_each each = json_each(map);
    while (json_next(&each)) {
        struct str name = path.len == 0
                              ? each.key
                              : arena_printf(arena, "%.*s.%.*s", STR_ARG(path), STR_ARG(each.key));
        if (json_type(each.node) == JSON_MAP) {
            add_fields(each.node, name, vocabulary, arena, out);
            continue;
        }
        uint32_t number = vocabulary_find(vocabulary, name);
        struct value x = json_to_value(each.node, arena);
        if (number != NAME_NONE)
            (void)body_put(out, number, &x);
    }
}

static bool read_body(struct http_request *request, struct vocabulary *vocabulary,
                      const uint8_t *secret, struct decide_question *q)
{
    struct arena *arena = http_request_arena(request);
    struct str body = http_request_body(request);
    struct json_node map;
    struct fault f = {0};
    if (body.len > DECIDE_BYTES_MAX) {
        refuse(request, "too_long", "the question is longer than 16 KiB");
        return false;
    }
    struct json_parser *parser = json_parser_new(DECIDE_BYTES_MAX);
    bool is_fine = json_parse(parser, body, PAGE_DEPTH, &map, &f) == OK;
    if (is_fine && json_type(map) != JSON_MAP) {
        fault_set(&f, "the body is to be an object");
        is_fine = false;
    }
    if (is_fine) {
        struct buf page;
        buf_init(&page);
        q->placement = arena_copy(arena, json_text(json_find(map, STR("placement"))));
        q->user = hash_of(IDENTIFIER_USER, json_text(json_find(map, STR("userId"))), secret);
        q->anonymous =
            hash_of(IDENTIFIER_ANONYMOUS, json_text(json_find(map, STR("anonymousId"))), secret);
        q->explains = json_is_true(json_find(map, STR("explain")));
        struct json_node context = json_find(map, STR("context"));
        if (json_type(context) == JSON_MAP)
            add_fields(context, STR(""), vocabulary, arena, &page);
        struct body made = body_of(&page);
        struct str kept = arena_copy(arena, (struct str){(const char *)made.at, made.bytes});
        q->page = (struct body){(const uint8_t *)kept.at, made.bytes};
        buf_fini(&page);
    }
    json_parser_free(parser);
    if (!is_fine)
        refuse(request, "not_understood", f.text);
    return is_fine;
}

struct decide_question *decide_read(struct http_request *request, struct vocabulary *vocabulary,
                                    const uint8_t *secret)
{
    struct decide_question *q = arena_new(http_request_arena(request), struct decide_question);
    struct str text;
    *q = (struct decide_question){0};
    if (http_request_body(request).len > 0) {
        if (!read_body(request, vocabulary, secret, q))
            return NULL;
    } else {
        (void)http_request_parameter(request, STR("placement"), &q->placement);
        if (http_request_parameter(request, STR("userId"), &text))
            q->user = hash_of(IDENTIFIER_USER, text, secret);
        if (http_request_parameter(request, STR("anonymousId"), &text))
            q->anonymous = hash_of(IDENTIFIER_ANONYMOUS, text, secret);
        q->explains = http_request_parameter(request, STR("explain"), &text);
    }
    if (q->placement.len == 0) {
        refuse(request, "no_placement", "say which placement it is for");
        return NULL;
    }
    if (!id128_is_set(q->user) && !id128_is_set(q->anonymous)) {
        refuse(request, "no_person", "say for whom: userId or anonymousId");
        return NULL;
    }
    return q;
}

bool decide_answer(struct engine *e, const struct decide_question *q, int64_t now_ms,
                   struct buf *out)
{
    uint32_t placement = names_find(engine_names(e), q->placement);
    uint64_t profile = id128_is_set(q->user) ? engine_find(e, q->user) : 0;
    if (profile == 0 && id128_is_set(q->anonymous))
        profile = engine_find(e, q->anonymous);
    return placement != NAME_NONE &&
           placement_json(e, profile, placement, q->page, now_ms, q->explains, out);
}
