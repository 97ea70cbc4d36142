/* SPDX-License-Identifier: Apache-2.0 */
#include "server/keys.h"

#include "os/file.h"
#include "os/random.h"
#include "json/json.h"
#include "json/json_write.h"

#define FILE_BYTES_MAX (256 * 1024)
#define SECRET_CHARS   32 /* 5 bits each */

void keys_init(struct keys *k)
{
    *k = (struct keys){.count = 0};
    arena_init(&k->arena, 4096);
}

void keys_fini(struct keys *k)
{
    arena_fini(&k->arena);
}

static enum status add(struct keys *k, struct str key, struct str source, uint32_t flags,
                       struct fault *f)
{
    if (k->count == KEYS_MAX) {
        fault_set(f, "there may be %u keys at most", KEYS_MAX);
        return FIX_INPUT;
    }
    k->list[k->count++] = (struct ingest_key){
        .key = arena_copy(&k->arena, key), .source = arena_copy(&k->arena, source), .flags = flags};
    return OK;
}

enum status keys_add(struct keys *k, const char *text, enum ingest_key_flag flags, struct fault *f)
{
    struct str whole = str_of(text);
    size_t mark = str_find(whole, STR("="), 0);
    struct str source = flags & INGEST_KEY_SERVER ? STR("server") : STR("web");
    if (mark != SIZE_MAX)
        source = str_part(whole, mark + 1, whole.len);
    return add(k, str_part(whole, 0, mark), source, (uint32_t)flags, f);
}

static struct str random_key(struct keys *k, const char *prefix)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    _Static_assert(sizeof(letters) == 33, "5 bits a letter");
    uint8_t bytes[SECRET_CHARS];
    char text[SECRET_CHARS + 1] = {0};
    os_random(bytes, sizeof(bytes));
    for (size_t i = 0; i < SECRET_CHARS; i++)
        text[i] = letters[bytes[i] & 31];
    return arena_printf(&k->arena, "%s%s", prefix, text);
}

static void write_key(struct json_writer *w, const struct ingest_key *key)
{
    json_write_map(w);
    json_write_key_text(w, "key", key->key);
    json_write_key_text(w, "source", key->source);
    json_write_key_text(w, "kind", key->flags & INGEST_KEY_SERVER ? STR("server") : STR("write"));
    json_write_end(w);
}

static enum status make(struct keys *k, struct os_disk *disk, const char *path, struct fault *f)
{
    struct buf out;
    struct json_writer w;
    k->is_new = true;
    enum status status = add(k, random_key(k, "wk_"), STR("web"), 0, f);
    if (status == OK)
        status = add(k, random_key(k, "sk_"), STR("server"), INGEST_KEY_SERVER, f);
    if (status != OK)
        return status;
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key(&w, STR("keys"));
    json_write_list(&w);
    for (uint32_t i = 0; i < k->count; i++)
        write_key(&w, &k->list[i]);
    json_write_end(&w);
    json_write_end(&w);
    buf_add_byte(&out, '\n');
    status = os_write_whole(disk, path, buf_str(&out), f);
    buf_fini(&out);
    return status;
}

static enum status read_list(struct keys *k, struct json_node root, struct fault *f)
{
    struct json_each each = json_each(json_find(root, STR("keys")));
    while (json_next(&each)) {
        struct str key = json_text(json_find(each.node, STR("key")));
        struct str source = json_text(json_find(each.node, STR("source")));
        struct str kind = json_text(json_find(each.node, STR("kind")));
        if (!str_is(kind, "write") && !str_is(kind, "server")) {
            fault_set(f, "a key's \"kind\" must be \"write\" or \"server\"");
            return FIX_INPUT;
        }
        uint32_t flags = str_is(kind, "server") ? INGEST_KEY_SERVER : 0;
        if (json_is_true(json_find(each.node, STR("batch"))))
            flags |= INGEST_KEY_BATCH;
        enum status status = add(k, key, source, flags, f);
        if (status != OK)
            return status;
    }
    if (k->count > 0)
        return OK;
    fault_set(f, "there is no key in the list \"keys\"");
    return FIX_INPUT;
}

enum status keys_load(struct keys *k, struct os_disk *disk, const char *path, struct fault *f)
{
    if (!os_exists(disk, path))
        return make(k, disk, path, f);
    struct buf text;
    struct json_node root;
    struct json_parser *parser = json_parser_new(FILE_BYTES_MAX);
    buf_init(&text);
    enum status status = os_read_whole(disk, path, FILE_BYTES_MAX, &text, f);
    if (status == OK)
        status = json_parse(parser, buf_str(&text), JSON_DEPTH, &root, f);
    if (status == OK)
        status = read_list(k, root, f);
    if (status != OK)
        fault_prefix(f, "%s: ", path);
    json_parser_free(parser);
    buf_fini(&text);
    return status;
}
