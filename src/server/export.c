/* SPDX-License-Identifier: Apache-2.0 */
#include "server/export.h"

#include <stdio.h>

#include "ingest/describe.h"
#include "when/civil.h"
#include "json/json_write.h"

struct exporting {
    const struct directory *directory;
    const struct erasure *who;
    struct vocabulary *vocabulary;
    struct arena scratch;
    struct json_writer w;
};

/* All names of the log. */
static enum status learn_names(struct exporting *x, struct fault *f)
{
    struct names *names = names_new();
    uint64_t newest;
    enum status status = evlog_read_names(x->directory->disk, x->directory->log, names, &newest, f);
    for (uint32_t i = NAME_FIXED_END; status == OK && i < names_count(names); i++)
        must(vocabulary_add(x->vocabulary, names_text(names, i), 0) == i);
    names_free(names);
    return status;
}

static void put_records(struct exporting *x, const struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct record *r = &b->records[i];
        /* What the log of a server that goes on has learned since is left out. */
        bool is_known = r->name < vocabulary_count(x->vocabulary) &&
                        r->source < vocabulary_count(x->vocabulary);
        if (r->type != RECORD_EVENT || !is_known ||
            !erasure_concerns(x->directory, &x->who->ids, r))
            continue;
        json_write_map(&x->w);
        json_write_key_int(&x->w, "batch", (int64_t)b->number);
        json_write_key(&x->w, STR("record"));
        record_describe(r, x->vocabulary, &x->scratch, &x->w);
        json_write_end(&x->w);
        arena_reset(&x->scratch);
    }
}

static enum status put_events(struct exporting *x, struct fault *f)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    const struct engine_ids *ids = &x->who->ids;
    enum status status =
        evlog_history_open(x->directory->disk, x->directory->log, ids->at, ids->count, &reader, f);
    if (status != OK)
        return status;
    json_write_list(&x->w);
    while (status == OK && item.kind != EVLOG_END) {
        status = evlog_reader_next(reader, &item, f);
        if (status == OK && item.kind == EVLOG_BATCH)
            put_records(x, &item.batch);
    }
    json_write_end(&x->w);
    evlog_reader_close(reader);
    return status;
}

enum status export_person(const struct directory *d, const struct erasure *who, struct str person,
                          struct buf *out, struct fault *f)
{
    struct exporting x = {
        .directory = d, .who = who, .vocabulary = vocabulary_new(VOCABULARY_PER_SOURCE_MAX)};
    arena_init(&x.scratch, 65536);
    enum status status = learn_names(&x, f);
    buf_printf(out, "{\"person\":%.*s,\"events\":", STR_ARG(person));
    json_write_init(&x.w, out, JSON_COMPACT);
    if (status == OK)
        status = put_events(&x, f);
    buf_add_byte(out, '}');
    arena_fini(&x.scratch);
    vocabulary_free(x.vocabulary);
    return status;
}

void erasure_json(const struct erasure *x, struct buf *out)
{
    struct json_writer w;
    char text[TIMESTAMP_BYTES];
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    snprintf(text, sizeof(text), "%lx", x->profile);
    json_write_key_text(&w, "profile", str_of(text));
    json_write_key_text(&w, "erased_at", timestamp_print(x->at_ms, text));
    json_write_key_int(&w, "batch", (int64_t)x->batch);
    json_write_key_int(&w, "identifiers", x->ids.count);
    json_write_key_int(&w, "keys_destroyed", x->keys);
    json_write_end(&w);
}
