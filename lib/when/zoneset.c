/* All zones of a release: gathered, written, read, found.
 *
 * There is one way to make a set: zoneset_read(). Building from files writes the bytes that
 * docs/formats/zoneset.md describes and reads them, so what a programme carries and what it was
 * checked with cannot differ. A set keeps its bytes; zoneset_write() copies them.
 *
 *     struct zoneset
 *       blob ------> the bytes; names point into them
 *       names ----->  [ africa/abidjan | africa/accra | ... ]   in order, regardless of case
 *       zone_of ---->  [       0       |      0       | ... ]   index by name
 *       zones ----->  [ struct zone 0 | struct zone 1 | ... ]
 *                          |
 *       changes --->  [ -inf ... +inf | -inf ... +inf | ... ]   one array for all zones
 *
 * Memory: about 2 MB for the whole database, whose changes are spelt out until 2109.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/zone_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define MAGIC STR("WENDZON1") /* with ZONESET_FORMAT */
_Static_assert(ZONESET_FORMAT == 1, "the digit in MAGIC");
#define RELEASE_BYTES_MAX 32
#define BLOB_BYTES_MAX    (4 * 1024 * 1024)
#define LINKS_MAX         8 /* from link to link to zone */

struct zoneset {
    struct buf blob;
    struct str release;
    uint32_t name_count;
    uint16_t zone_count;
    struct str *names;  /* by name */
    uint16_t *zone_of;  /* by name: index of its zone */
    uint16_t *name_of;  /* by zone: index of its own name */
    struct zone *zones; /* by zone */
    struct buf changes; /* struct zone_change, all zones' */
};

/* --- Names ------------------------------------------------------------------------------------ */

static uint8_t lower(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Bytewise order of the names in small letters. */
static int name_order(struct str a, struct str b)
{
    size_t common = min_of(a.len, b.len);

    for (size_t i = 0; i < common; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return lower(a.at[i]) < lower(b.at[i]) ? -1 : 1;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

/* Letters, digits and +-_/ alone, so that a name may be part of a path. */
static bool is_name(struct str name)
{
    if (name.len < 1 || name.len > ZONE_NAME_BYTES || name.at[0] == '/')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = lower(name.at[i]);
        bool is_known = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' ||
                        c == '_' || c == '/';
        if (!is_known)
            return false;
    }
    return true;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void add_change(struct zoneset *set, struct zone *zone, int64_t at_ms, int32_t offset_ms)
{
    struct zone_change change = {.at_ms = at_ms, .offset_ms = offset_ms};

    buf_add(&set->changes, &change, sizeof(change));
    zone->count++;
}

/* The changes that were written. */
static bool read_changes(struct zoneset *set, struct cursor *c, struct zone *zone,
                         struct zone_change *last)
{
    int64_t offset_s = cursor_zigzag(c);
    uint64_t count = cursor_varint(c);
    int64_t at_s = 0;

    if (c->is_bad || count >= ZONE_CHANGES_MAX || offset_s < -ZONE_OFFSET_MAX_S ||
        offset_s > ZONE_OFFSET_MAX_S)
        return false;
    *last = (struct zone_change){INT64_MIN, (int32_t)(offset_s * SECOND_MS)};
    add_change(set, zone, last->at_ms, last->offset_ms);
    for (uint64_t i = 0; i < count; i++) {
        const int64_t edge_s = ZONE_EDGE_MS / SECOND_MS;
        int64_t since_s = i == 0 ? cursor_zigzag(c) : (int64_t)cursor_varint(c);
        int64_t more_s = cursor_zigzag(c);
        if (c->is_bad || since_s < (i == 0 ? -edge_s : 1) || since_s > 2 * edge_s)
            return false;
        at_s += since_s;
        if (at_s >= ZONE_TABLE_END_MS / SECOND_MS)
            return false;
        if (more_s == 0 || more_s < -2 * ZONE_OFFSET_MAX_S || more_s > 2 * ZONE_OFFSET_MAX_S)
            return false;
        offset_s += more_s;
        if (offset_s < -ZONE_OFFSET_MAX_S || offset_s > ZONE_OFFSET_MAX_S)
            return false;
        *last = (struct zone_change){at_s * SECOND_MS, (int32_t)(offset_s * SECOND_MS)};
        add_change(set, zone, last->at_ms, last->offset_ms);
    }
    return true;
}

/* The changes that the rule makes from the last one (or 1900) to the table's end. */
static bool add_rule_changes(struct zoneset *set, struct zone *zone, struct zone_change last)
{
    const int64_t year_1900_ms = INT64_C(-25567) * DAY_MS;
    int64_t at_ms = last.at_ms == INT64_MIN ? year_1900_ms : last.at_ms;
    int32_t offset_ms = last.offset_ms;
    struct zone_stretch s = zone_rule_stretch(&zone->rule, at_ms);

    if (last.at_ms == INT64_MIN ? offset_ms != zone->rule.standard_ms : offset_ms != s.offset_ms)
        return false;
    for (;;) {
        if (s.offset_ms != offset_ms) /* only where 1900 began in summer, or a rule pauses */
            add_change(set, zone, at_ms, s.offset_ms);
        offset_ms = s.offset_ms;
        at_ms = s.until_ms;
        if (at_ms >= ZONE_TABLE_END_MS)
            return true;
        s = zone_rule_stretch(&zone->rule, at_ms);
    }
}

static bool read_zone(struct zoneset *set, struct cursor *c, struct zone *zone)
{
    struct zone_change last;

    if (!read_changes(set, c, zone, &last) || !zone_rule_read(c, &zone->rule))
        return false;
    if (!add_rule_changes(set, zone, last))
        return false;
    add_change(set, zone, INT64_MAX, 0);
    zone->count--; /* the guard is not one of them */
    return true;
}

static bool read_zones(struct zoneset *set, struct cursor *c)
{
    uint64_t count = cursor_varint(c);

    if (c->is_bad || count > ZONES_MAX)
        return false;
    set->zone_count = (uint16_t)count;
    set->zones = mem_new(count * sizeof(set->zones[0]));
    set->name_of = mem_new(count * sizeof(set->name_of[0]));
    memset(set->name_of, 0xff, count * sizeof(set->name_of[0]));
    for (uint32_t i = 0; i < count; i++)
        if (!read_zone(set, c, &set->zones[i]))
            return false;

    /* The array stands still now. */
    const struct zone_change *changes = (const struct zone_change *)(const void *)set->changes.at;
    for (uint32_t i = 0; i < count; i++) {
        set->zones[i].changes = changes;
        changes += set->zones[i].count + 1;
        zone_index(&set->zones[i]);
    }
    return true;
}

/* Each name is followed by its zone's index, doubled, plus one if it is the zone's own name. */
static bool read_names(struct zoneset *set, struct cursor *c)
{
    uint64_t count = cursor_varint(c);

    if (c->is_bad || count > ZONES_MAX)
        return false;
    set->name_count = (uint32_t)count;
    set->names = mem_new(count * sizeof(set->names[0]));
    set->zone_of = mem_new(count * sizeof(set->zone_of[0]));
    for (uint32_t i = 0; i < count; i++) {
        struct str name = cursor_take(c, cursor_byte(c));
        uint64_t zone = cursor_varint(c);
        if (c->is_bad || !is_name(name) || zone / 2 >= set->zone_count)
            return false;
        if (i > 0 && name_order(set->names[i - 1], name) >= 0)
            return false;
        set->names[i] = name;
        set->zone_of[i] = (uint16_t)(zone / 2);
        if (zone % 2 == 1) {
            if (set->name_of[zone / 2] != ZONE_NONE)
                return false;
            set->name_of[zone / 2] = (uint16_t)i;
        }
    }
    for (uint32_t i = 0; i < set->zone_count; i++)
        if (set->name_of[i] == ZONE_NONE)
            return false;
    return true;
}

/* What is wrong with the set's bytes, or NULL, and the set is whole. */
static const char *read_blob(struct zoneset *set)
{
    struct cursor c = cursor_of(set->blob.at, set->blob.len);

    if (set->blob.len < MAGIC.len + 4 || !str_equal(cursor_take(&c, MAGIC.len), MAGIC))
        return "they do not begin like a set of zones";
    c.end -= 4;
    struct cursor sum = cursor_of(c.end, 4);
    if (cursor_u32(&sum) != hash_crc32c(0, set->blob.at, set->blob.len - 4))
        return "their checksum is wrong";
    set->release = cursor_take(&c, cursor_byte(&c));
    if (c.is_bad || set->release.len > RELEASE_BYTES_MAX)
        return "the release is damaged";
    if (!read_zones(set, &c))
        return "a zone is damaged";
    if (!read_names(set, &c))
        return "the names are damaged";
    if (cursor_left(&c) > 0)
        return "something follows the names";
    return NULL;
}

enum status zoneset_read(struct str bytes, struct zoneset **out, struct fault *f)
{
    struct zoneset *set;
    const char *wrong;

    if (bytes.len > BLOB_BYTES_MAX) {
        fault_set(f, "these bytes cannot be a set of zones: they are more than 4 MiB");
        return FIX_INPUT;
    }
    set = mem_new(sizeof(*set));
    buf_init(&set->blob);
    buf_init(&set->changes);
    buf_add_str(&set->blob, bytes);
    wrong = read_blob(set);
    if (wrong) {
        fault_set(f, "these bytes cannot be a set of zones: %s", wrong);
        zoneset_free(set);
        return FIX_INPUT;
    }
#ifdef MUST_SLOW
    zoneset_check(set);
#endif
    *out = set;
    return OK;
}

void zoneset_write(const struct zoneset *set, struct buf *out)
{
    buf_add_str(out, buf_str(&set->blob));
}

void zoneset_free(struct zoneset *set)
{
    if (!set)
        return;
    buf_fini(&set->blob);
    buf_fini(&set->changes);
    mem_free(set->names);
    mem_free(set->zone_of);
    mem_free(set->name_of);
    mem_free(set->zones);
    mem_free(set);
}

void zoneset_check(const struct zoneset *set)
{
    for (uint32_t i = 0; i < set->name_count; i++) {
        must(is_name(set->names[i]));
        must(i == 0 || name_order(set->names[i - 1], set->names[i]) < 0);
        must(set->zone_of[i] < set->zone_count);
    }
    for (uint32_t i = 0; i < set->zone_count; i++) {
        must(set->name_of[i] < set->name_count);
        must(set->zone_of[set->name_of[i]] == i);
        must(i == 0 || set->name_of[i - 1] < set->name_of[i]);
        zone_check(&set->zones[i]);
    }
}

/* --- Asking ----------------------------------------------------------------------------------- */

uint16_t zoneset_find(const struct zoneset *set, struct str name)
{
    uint32_t from = 0;
    uint32_t to = set->name_count;

    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = name_order(name, set->names[middle]);
        if (order == 0)
            return set->zone_of[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return ZONE_NONE;
}

const struct zone *zoneset_zone(const struct zoneset *set, uint16_t index)
{
    must(index < set->zone_count);
    return &set->zones[index];
}

struct str zoneset_name(const struct zoneset *set, uint16_t index)
{
    must(index < set->zone_count);
    return set->names[set->name_of[index]];
}

uint16_t zoneset_count(const struct zoneset *set)
{
    return set->zone_count;
}

struct str zoneset_release(const struct zoneset *set)
{
    return set->release;
}

struct str zoneset_nearest(const struct zoneset *set, struct str wanted)
{
    return str_nearest(wanted, set->names, set->name_count);
}

/* --- Building --------------------------------------------------------------------------------- */

/* One name on the way into a set. */
struct entry {
    struct str name;
    struct str target; /* of a link; empty: a zone */
    size_t from;       /* its zone's bytes in `compact` */
    size_t to;
    uint32_t added;   /* how manieth it was added */
    uint32_t zone;    /* index of its zone in the set */
    bool is_own_name; /* of its zone, not an alias */
};

struct builder {
    struct entry *entries;
    uint32_t count;
    uint32_t room;
    struct buf compact;
};

static void builder_init(struct builder *b)
{
    *b = (struct builder){0};
    buf_init(&b->compact);
}

static void builder_fini(struct builder *b)
{
    mem_free(b->entries);
    buf_fini(&b->compact);
}

/* A place for `name`, good until the next; or NULL, and the fault is filled. */
static struct entry *builder_add(struct builder *b, struct str name, struct fault *f)
{
    if (!is_name(name)) {
        fault_set(f, "\"%.*s\" is no name for a zone; it should be 1 to %d letters, digits or +-_/",
                  STR_ARG(str_part(name, 0, ZONE_NAME_BYTES)), ZONE_NAME_BYTES);
        return NULL;
    }
    if (b->count == ZONES_MAX) {
        fault_set(f, "there are more than %d names of zones", ZONES_MAX);
        return NULL;
    }
    if (b->count == b->room) {
        b->room = max_of(b->room * 2, 8);
        b->entries = mem_resize(b->entries, b->room * sizeof(b->entries[0]));
    }
    struct entry *e = &b->entries[b->count];
    *e = (struct entry){.name = name, .added = b->count};
    b->count++;
    return e;
}

static enum status builder_add_zone(struct builder *b, struct str name, struct str bytes,
                                    struct fault *f)
{
    struct entry *e = builder_add(b, name, f);

    if (!e)
        return FIX_INPUT;
    e->from = b->compact.len;
    enum status status = zone_file_compact(bytes, &b->compact, f);
    if (status != OK)
        fault_prefix(f, "zone %.*s: ", STR_ARG(name));
    e->to = b->compact.len;
    return status;
}

static int order_by_name(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    int order = name_order(left->name, right->name);

    return order != 0 ? order : left->added < right->added ? -1 : 1;
}

/* The entry of that name, once they are in order, or NULL. */
static struct entry *builder_find(const struct builder *b, struct str name)
{
    uint32_t from = 0;
    uint32_t to = b->count;

    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = name_order(name, b->entries[middle].name);
        if (order == 0)
            return &b->entries[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

/* Gives links the bytes of what they lead to. */
static enum status builder_follow_links(struct builder *b, struct fault *f)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct entry *e = &b->entries[i];
        const struct entry *to = e;
        for (int step = 0; to && to->target.len > 0 && step < LINKS_MAX; step++)
            to = builder_find(b, to->target);
        if (!to || to->target.len > 0) {
            fault_set(f, "zone %.*s is a link to %.*s, which leads to no zone", STR_ARG(e->name),
                      STR_ARG(str_part(e->target, 0, ZONE_NAME_BYTES)));
            return FIX_INPUT;
        }
        e->from = to->from;
        e->to = to->to;
    }
    return OK;
}

static struct str bytes_of(const struct builder *b, const struct entry *e)
{
    return (struct str){(const char *)b->compact.at + e->from, e->to - e->from};
}

/* The first entry with the same clock: zones come before links, then the order of adding counts. */
static const struct entry *own_entry(const struct builder *b, const struct entry *e)
{
    const struct entry *own = e;

    for (uint32_t i = 0; i < b->count; i++) {
        const struct entry *other = &b->entries[i];
        bool is_link = other->target.len > 0;
        bool own_is_link = own->target.len > 0;
        if (!str_equal(bytes_of(b, other), bytes_of(b, e)))
            continue;
        if (is_link != own_is_link ? own_is_link : other->added < own->added)
            own = other;
    }
    return own;
}

static uint32_t builder_number_zones(struct builder *b)
{
    uint32_t zones = 0;

    for (uint32_t i = 0; i < b->count; i++) {
        struct entry *e = &b->entries[i];
        e->is_own_name = own_entry(b, e) == e;
        if (e->is_own_name)
            e->zone = zones++;
    }
    for (uint32_t i = 0; i < b->count; i++)
        b->entries[i].zone = own_entry(b, &b->entries[i])->zone;
    return zones;
}

static void builder_write(const struct builder *b, struct str release, uint32_t zones,
                          struct buf *out)
{
    buf_add_str(out, MAGIC);
    buf_add_byte(out, (uint8_t)release.len);
    buf_add_str(out, release);
    buf_add_varint(out, zones);
    for (uint32_t i = 0; i < b->count; i++)
        if (b->entries[i].is_own_name)
            buf_add_str(out, bytes_of(b, &b->entries[i]));
    buf_add_varint(out, b->count);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct entry *e = &b->entries[i];
        buf_add_byte(out, (uint8_t)e->name.len);
        buf_add_str(out, e->name);
        buf_add_varint(out, e->zone * 2 + e->is_own_name);
    }
    buf_add_u32(out, hash_crc32c(0, out->at, out->len));
}

static enum status builder_finish(struct builder *b, struct str release, struct zoneset **out,
                                  struct fault *f)
{
    struct buf blob;
    enum status status;

    if (release.len > RELEASE_BYTES_MAX) {
        fault_set(f, "the name of the zones' release is longer than %d bytes", RELEASE_BYTES_MAX);
        return FIX_INPUT;
    }
    if (b->count > 0)
        qsort(b->entries, b->count, sizeof(b->entries[0]), order_by_name);
    for (uint32_t i = 1; i < b->count; i++) {
        if (name_order(b->entries[i - 1].name, b->entries[i].name) == 0) {
            fault_set(f, "zone %.*s is there twice", STR_ARG(b->entries[i].name));
            return FIX_INPUT;
        }
    }
    if (builder_follow_links(b, f) != OK)
        return FIX_INPUT;
    uint32_t zones = builder_number_zones(b);

    buf_init(&blob);
    builder_write(b, release, zones, &blob);
    status = zoneset_read(buf_str(&blob), out, f);
    buf_fini(&blob);
    return status;
}

enum status zoneset_build(struct str release, const struct zone_file *files, size_t count,
                          struct zoneset **out, struct fault *f)
{
    struct builder b;
    enum status status = OK;

    builder_init(&b);
    for (size_t i = 0; i < count && status == OK; i++)
        status = builder_add_zone(&b, files[i].name, files[i].bytes, f);
    if (status == OK)
        status = builder_finish(&b, release, out, f);
    builder_fini(&b);
    return status;
}

/* --- Building from tzdata.zi ------------------------------------------------------------------ *
 *
 *     # version 2026a
 *     R ...                       a rule; passed over, the files hold what follows from it
 *     Z Africa/Abidjan -0:16:8 - LMT 1912
 *     0 - GMT                     the zone goes on; passed over
 *     L Africa/Abidjan Africa/Accra */

/* The text up to the next `end` byte, which is stepped over. */
static struct str take_until(struct str *text, char end)
{
    size_t at = 0;

    while (at < text->len && text->at[at] != end)
        at++;
    struct str part = str_part(*text, 0, at);
    *text = str_part(*text, at + 1, text->len);
    return part;
}

static enum status add_line(struct builder *b, struct str line, zone_file_read read_file,
                            void *context, struct fault *f)
{
    struct str kind = take_until(&line, ' ');
    struct str first = take_until(&line, ' ');

    if (str_is(kind, "L")) {
        struct entry *e = builder_add(b, str_trim(line), f);
        if (!e)
            return FIX_INPUT;
        e->target = first;
        return OK;
    }
    if (!str_is(kind, "Z"))
        return OK;

    struct buf bytes;
    buf_init(&bytes);
    enum status status = OK;
    if (is_name(first)) /* or the next call says so */
        status = read_file(context, first, &bytes, f);
    if (status == OK)
        status = builder_add_zone(b, first, buf_str(&bytes), f);
    buf_fini(&bytes);
    return status;
}

enum status zoneset_build_listed(struct str listing, zone_file_read read_file, void *context,
                                 struct zoneset **out, struct fault *f)
{
    const struct str head = STR("# version ");
    struct builder b;
    enum status status = OK;

    if (!str_starts(listing, head)) {
        fault_set(f, "the list of zones does not begin with \"# version\"; it should be tzdata.zi");
        return FIX_INPUT;
    }
    struct str first = take_until(&listing, '\n');
    struct str release = str_trim(str_part(first, head.len, first.len));

    builder_init(&b);
    while (listing.len > 0 && status == OK)
        status = add_line(&b, take_until(&listing, '\n'), read_file, context, f);
    if (status == OK)
        status = builder_finish(&b, release, out, f);
    builder_fini(&b);
    return status;
}
