/* SPDX-License-Identifier: Apache-2.0 */
#include "server/held.h"

#include "base/mem.h"
#include "model/body.h"
#include "os/file.h"
#include "when/zone.h"

#define MAGIC          (UINT64_C(0x30444c4548444e57) + ((uint64_t)HELD_FORMAT << 56)) /* "WNDHELD2" */
#define FILE_BYTES_MAX ((size_t)1 << 30)

/* Points the message at what it is made of. */
static void bind(struct held *h, const struct plan *plan)
{
    const struct plan_message *m = plan_message_at(plan, h->message_index);
    struct value *fields = arena_array(&h->arena, struct value, m->field_count + 1u);
    struct body rest = {(const uint8_t *)h->fields.at, (uint32_t)h->fields.len};
    struct body_field field;
    while (body_next(&rest, &field))
        if (field.name >= 1 && field.name <= m->field_count)
            fields[field.name - 1] = body_value(&field, &h->arena);
    uint16_t zone = h->zone.len ? zoneset_find(plan->zones, h->zone) : ZONE_NONE;
    attempt_id_print(h->profile, h->decision, h->attempt, h->id);
    h->errand = plan_errand_at(plan, h->message_index);
    h->message = (struct channel_message){
        .message = m->templates[h->channel],
        .id = str_of(h->id),
        .to = h->address,
        .fields = fields,
        .field_count = m->field_count,
        .zone = zoneset_zone(plan->zones, zone != ZONE_NONE ? zone : plan->zone),
        .at_ms = h->granted_ms,
    };
}

struct held *held_new(const struct action *a, const struct plan *plan)
{
    struct held *h = mem_new(sizeof(*h));
    struct buf fields;
    arena_init(&h->arena, 1024);
    buf_init(&fields);
    for (uint32_t i = 0; i < a->field_count; i++)
        if (a->fields[i].type != VALUE_NONE)
            must(body_put(&fields, i + 1, &a->fields[i]));
    h->channel = a->channel;
    h->lane = a->lane;
    h->is_at_least_once = a->attempts == AT_LEAST_ONCE;
    h->attempt = a->attempt;
    h->profile = a->profile;
    h->decision = a->decision;
    h->plan = a->plan;
    h->message_index = a->message;
    h->provider_name = plan->providers[a->provider].name;
    h->granted_ms = a->granted_ms;
    h->deadline_ms = a->deadline_ms;
    h->address = arena_copy(&h->arena, a->address);
    h->zone = arena_copy(&h->arena, a->zone);
    h->fields = arena_copy(&h->arena, buf_str(&fields));
    buf_fini(&fields);
    bind(h, plan);
    return h;
}

void held_free(struct held *h)
{
    if (h == NULL)
        return;
    arena_fini(&h->arena);
    mem_free(h);
}

void held_free_list(struct held *list)
{
    while (list != NULL) {
        struct held *next = list->next;
        held_free(list);
        list = next;
    }
}

/* ---- the file ------------------------------------------------------------------------------------
 *
 *     magic u64 │ batch u64 │ count u32 │ attempts │ hash u64 of all before
 */

static void add_text(struct buf *out, struct str text)
{
    buf_add_varint(out, text.len);
    buf_add_str(out, text);
}

enum status held_write(struct os_disk *disk, const char *path, uint64_t batch,
                       const struct held *list, struct fault *f)
{
    struct buf out;
    uint32_t count = 0;
    for (const struct held *h = list; h != NULL; h = h->next)
        count++;
    buf_init(&out);
    buf_add_u64(&out, MAGIC);
    buf_add_u64(&out, batch);
    buf_add_u32(&out, count);
    for (const struct held *h = list; h != NULL; h = h->next) {
        buf_add_byte(&out, h->channel);
        buf_add_byte(&out, h->lane);
        buf_add_byte(&out, h->is_at_least_once);
        buf_add_byte(&out, h->was_in_doubt);
        buf_add_u32(&out, h->attempt);
        buf_add_u64(&out, h->profile);
        buf_add_u64(&out, h->decision);
        buf_add_u32(&out, h->plan);
        buf_add_u32(&out, h->message_index);
        buf_add_u32(&out, h->provider_name);
        buf_add_u64(&out, (uint64_t)h->granted_ms);
        buf_add_u64(&out, (uint64_t)h->deadline_ms);
        add_text(&out, h->address);
        add_text(&out, h->zone);
        add_text(&out, h->fields);
    }
    buf_add_u64(&out, hash_bytes(out.at, out.len, MAGIC));
    enum status status = os_write_whole(disk, path, buf_str(&out), f);
    buf_fini(&out);
    return status;
}

static struct str take_text(struct cursor *c, struct arena *arena)
{
    uint64_t len = cursor_varint(c);
    if (len > cursor_left(c)) {
        c->is_bad = true;
        return (struct str){"", 0};
    }
    return arena_copy(arena, cursor_take(c, len));
}

/* One attempt; NULL where it cannot be one. */
static struct held *read_one(struct cursor *c, const struct plans *plans)
{
    struct held *h = mem_new(sizeof(*h));
    arena_init(&h->arena, 1024);
    h->channel = cursor_byte(c);
    h->lane = cursor_byte(c);
    h->is_at_least_once = cursor_byte(c) != 0;
    h->was_in_doubt = cursor_byte(c) != 0;
    h->attempt = cursor_u32(c);
    h->profile = cursor_u64(c);
    h->decision = cursor_u64(c);
    h->plan = cursor_u32(c);
    h->message_index = cursor_u32(c);
    h->provider_name = cursor_u32(c);
    h->granted_ms = (int64_t)cursor_u64(c);
    h->deadline_ms = (int64_t)cursor_u64(c);
    h->address = take_text(c, &h->arena);
    h->zone = take_text(c, &h->arena);
    h->fields = take_text(c, &h->arena);
    bool is_fine = !c->is_bad && h->plan > 0 && h->plan < plans->count && h->channel < CHANNEL_END;
    const struct plan *plan = is_fine ? plans->at[h->plan] : NULL;
    const struct plan_message *m = plan ? plan_message_at(plan, h->message_index) : NULL;
    if (m == NULL || m->templates[h->channel] == NULL) {
        held_free(h);
        return NULL;
    }
    bind(h, plan);
    return h;
}

static struct held *parse(struct str bytes, uint64_t batch, const struct plans *plans)
{
    struct cursor c = cursor_of(bytes.at, bytes.len);
    struct held *list = NULL;
    if (bytes.len < 28 || cursor_u64(&c) != MAGIC || cursor_u64(&c) != batch)
        return NULL;
    struct cursor end = cursor_of(bytes.at + bytes.len - 8, 8);
    if (cursor_u64(&end) != hash_bytes(bytes.at, bytes.len - 8, MAGIC))
        return NULL;
    c.end -= 8;
    for (uint32_t left = cursor_u32(&c); left > 0; left--) {
        struct held *h = read_one(&c, plans);
        if (h == NULL) {
            held_free_list(list);
            return NULL;
        }
        h->next = list;
        list = h;
    }
    return list;
}

enum status held_read(struct os_disk *disk, const char *path, uint64_t batch,
                      const struct plans *plans, struct held **out, struct fault *f)
{
    *out = NULL;
    if (!os_exists(disk, path))
        return OK;
    struct buf bytes;
    buf_init(&bytes);
    enum status status = os_read_whole(disk, path, FILE_BYTES_MAX, &bytes, f);
    if (status == OK)
        *out = parse(buf_str(&bytes), batch, plans);
    buf_fini(&bytes);
    return status;
}

enum status held_remove(struct os_disk *disk, const char *path, struct fault *f)
{
    char folder[OS_PATH_BYTES];
    if (!os_exists(disk, path))
        return OK;
    enum status status = os_remove(disk, path, f);
    if (status == OK && os_path_dir(folder, sizeof(folder), path))
        status = os_sync_dir(disk, folder, f);
    return status;
}
