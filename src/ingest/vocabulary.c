/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/vocabulary.h"

#include "base/map.h"
#include "base/mem.h"
#include "os/thread.h"

struct vocabulary {
    struct os_mutex lock;
    struct names *names;
    uint32_t per_source_max;
    uint32_t *payers; /* the source of each name, by number - NAME_FIXED_END */
    uint32_t payer_room;
    struct map_u64 counts; /* names added, by source */
};

struct vocabulary *vocabulary_new(uint32_t per_source_max)
{
    struct vocabulary *v = mem_new(sizeof(*v));
    os_mutex_init(&v->lock);
    v->names = names_new();
    v->per_source_max = per_source_max;
    map_u64_init(&v->counts);
    return v;
}

void vocabulary_free(struct vocabulary *v)
{
    if (v == NULL)
        return;
    os_mutex_fini(&v->lock);
    names_free(v->names);
    mem_free(v->payers);
    map_u64_fini(&v->counts);
    mem_free(v);
}

static uint32_t count_of(const struct vocabulary *v, uint32_t source)
{
    uint32_t count = map_u64_find(&v->counts, source);
    return count == MAP_NONE ? 0 : count;
}

/* Adds a name that is not there yet. */
static uint32_t add_new(struct vocabulary *v, struct str text, uint32_t source)
{
    uint32_t name = names_add(v->names, text);
    if (name == NAME_NONE)
        return NAME_NONE;
    uint32_t index = name - NAME_FIXED_END;
    if (index == v->payer_room) {
        v->payer_room = max_of(v->payer_room * 2, 256u);
        v->payers = mem_resize(v->payers, v->payer_room * sizeof(v->payers[0]));
    }
    v->payers[index] = source;
    map_u64_set(&v->counts, source, count_of(v, source) + 1);
    return name;
}

uint32_t vocabulary_add(struct vocabulary *v, struct str text, uint32_t source)
{
    os_mutex_lock(&v->lock);
    uint32_t name = names_find(v->names, text);
    if (name == NAME_NONE && (source == 0 || count_of(v, source) < v->per_source_max))
        name = add_new(v, text, source);
    os_mutex_unlock(&v->lock);
    return name;
}

uint32_t vocabulary_find(struct vocabulary *v, struct str text)
{
    os_mutex_lock(&v->lock);
    uint32_t name = names_find(v->names, text);
    os_mutex_unlock(&v->lock);
    return name;
}

struct str vocabulary_text(struct vocabulary *v, uint32_t name)
{
    os_mutex_lock(&v->lock);
    struct str text = names_text(v->names, name);
    os_mutex_unlock(&v->lock);
    return text;
}

uint32_t vocabulary_count(struct vocabulary *v)
{
    os_mutex_lock(&v->lock);
    uint32_t count = names_count(v->names);
    os_mutex_unlock(&v->lock);
    return count;
}

uint32_t vocabulary_count_of(struct vocabulary *v, uint32_t source)
{
    os_mutex_lock(&v->lock);
    uint32_t count = count_of(v, source);
    os_mutex_unlock(&v->lock);
    return count;
}

struct record vocabulary_record(struct vocabulary *v, uint32_t name, int64_t now_ms,
                                struct arena *scratch)
{
    must(name >= NAME_FIXED_END);
    os_mutex_lock(&v->lock);
    must(name < names_count(v->names));
    struct str text = names_text(v->names, name);
    uint32_t source = v->payers[name - NAME_FIXED_END];
    os_mutex_unlock(&v->lock);

    struct buf body;
    buf_init(&body);
    body_put_text(&body, NAME_TEXT, text);
    struct str kept = arena_copy(scratch, buf_str(&body));
    buf_fini(&body);
    return (struct record){
        .type = RECORD_NAME,
        .schema = RECORD_SCHEMA,
        .source = source,
        .name = name,
        .at_ms = now_ms,
        .event_ms = now_ms,
        .arrival_ms = now_ms,
        .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len},
    };
}

bool vocabulary_learn(struct vocabulary *v, const struct record *name)
{
    must(name->type == RECORD_NAME);
    struct str text = body_get_text(name->clear, NAME_TEXT);
    os_mutex_lock(&v->lock);
    uint32_t known = names_find(v->names, text);
    bool is_fine;
    if (known != NAME_NONE) /* a segment repeats the names before it at its head */
        is_fine = known == name->name;
    else
        is_fine =
            name->name == names_count(v->names) && add_new(v, text, name->source) == name->name;
    os_mutex_unlock(&v->lock);
    return is_fine;
}
