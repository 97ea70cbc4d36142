/* One zone: from the database's file (TZif, RFC 8536) to our own bytes.
 *
 *     TZif, version 2 and later                     ours (docs/formats/zoneset.md)
 *     +---------------------------+
 *     | header, 44 bytes, counts  |  version 1:     offset before the first change
 *     | 32-bit times, offsets ... |  passed over    count of changes
 *     +---------------------------+                 first instant, then seconds since the last
 *     | header, 44 bytes, counts  |                     and how far the offset moves, each
 *     | 64-bit times              |                 the rule from the last change on
 *     | index of type, per time   |
 *     | types: offset, dst, name  |
 *     | names, leap seconds, ...  |
 *     +---------------------------+
 *     | \n POSIX TZ text \n       |  the rule after the last time
 *     +---------------------------+
 *
 * The same clock can be spelt out in many ways: "fat" files list every change until 2037, "slim"
 * ones leave to the rule what the rule says. We keep the least: changes that change nothing are
 * dropped, and so are those at the end that the rule would make by itself. So equal clocks are
 * equal bytes, and the hash of a set does not depend on how a distribution builds its files.
 *
 * Whether a zone calls an hour summer time, and by which letters, is not kept: nothing here asks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/zone_int.h"

#include "base/mem.h"

#define HEADER_BYTES 44
#define TYPE_BYTES   6
#define TYPES_MAX    256
#define COUNT_MAX    100000 /* of anything in a header; keeps sums of products far from overflow */

/* --- The zone while it is being read ---------------------------------------------------------- */

struct draft {
    struct zone_change *changes; /* the first at INT64_MIN */
    uint32_t count;
    uint32_t room;
    struct zone_rule rule; /* in force after the last change */
    bool has_rule;
};

/* Forgets all changes, and begins with what is before the first of at most `count`. */
static void draft_begin(struct draft *d, uint32_t count, int64_t offset_s)
{
    d->room = count + 1;
    d->changes = mem_resize(d->changes, d->room * sizeof(d->changes[0]));
    d->changes[0] = (struct zone_change){INT64_MIN, (int32_t)(offset_s * SECOND_MS)};
    d->count = 1;
}

/* The next change, in order of time. One beyond the edge of time sets what was before all. */
static void draft_add(struct draft *d, int64_t at_s, int64_t offset_s)
{
    int32_t offset_ms = (int32_t)(offset_s * SECOND_MS);

    if (at_s < -ZONE_EDGE_MS / SECOND_MS) {
        must(d->count == 1);
        d->changes[0].offset_ms = offset_ms;
        return;
    }
    if (d->changes[d->count - 1].offset_ms == offset_ms)
        return;
    must(d->count < d->room);
    d->changes[d->count++] = (struct zone_change){at_s * SECOND_MS, offset_ms};
}

/* Drops the changes at the end that the rule makes by itself. */
static void draft_shorten(struct draft *d)
{
    while (d->count > 2) {
        struct zone_change last = d->changes[d->count - 1];
        struct zone_change before = d->changes[d->count - 2];
        struct zone_stretch stretch = zone_rule_stretch(&d->rule, before.at_ms);
        if (stretch.offset_ms != before.offset_ms || stretch.until_ms != last.at_ms)
            return;
        d->count--;
    }
}

/* The rule has to agree with the last change, or what is between it and the rule's own next change
 * would be told differently from both ends. */
static enum status draft_finish(struct draft *d, struct fault *f)
{
    struct zone_change last = d->changes[d->count - 1];

    if (!d->has_rule)
        d->rule = (struct zone_rule){.standard_ms = last.offset_ms, .summer_ms = last.offset_ms};
    if (d->count == 1) {
        d->changes[0].offset_ms = d->rule.standard_ms;
        return OK;
    }
    if (zone_rule_stretch(&d->rule, last.at_ms).offset_ms != last.offset_ms) {
        fault_set(f, "the last change of the zone and its rule contradict each other");
        return FIX_INPUT;
    }
    draft_shorten(d);
    return OK;
}

static void draft_write(const struct draft *d, struct buf *out)
{
    buf_add_zigzag(out, d->changes[0].offset_ms / SECOND_MS);
    buf_add_varint(out, d->count - 1);
    for (uint32_t i = 1; i < d->count; i++) {
        int64_t since_ms = d->changes[i].at_ms - (i == 1 ? 0 : d->changes[i - 1].at_ms);
        if (i == 1)
            buf_add_zigzag(out, since_ms / SECOND_MS);
        else
            buf_add_varint(out, (uint64_t)(since_ms / SECOND_MS));
        buf_add_zigzag(out, (d->changes[i].offset_ms - d->changes[i - 1].offset_ms) / SECOND_MS);
    }
    zone_rule_write(&d->rule, out);
}

/* --- TZif ------------------------------------------------------------------------------------- */

struct header {
    uint8_t version; /* 0, '2', '3', '4' */
    uint32_t ut_count;
    uint32_t standard_count;
    uint32_t leap_count;
    uint32_t time_count;
    uint32_t type_count;
    uint32_t name_bytes;
};

/* A big-endian number of `bytes` bytes, with its sign. */
static int64_t take_number(struct cursor *c, size_t bytes)
{
    struct str s = cursor_take(c, bytes);
    uint64_t number = s.len > 0 && ((uint8_t)s.at[0] & 0x80) ? UINT64_MAX : 0;

    for (size_t i = 0; i < s.len; i++)
        number = number << 8 | (uint8_t)s.at[i];
    return (int64_t)number;
}

static bool take_count(struct cursor *c, uint32_t *out)
{
    int64_t number = take_number(c, 4);

    *out = (uint32_t)number;
    return number >= 0 && number <= COUNT_MAX;
}

static bool take_header(struct cursor *c, struct header *out)
{
    struct str magic = cursor_take(c, 4);

    if (!str_equal(magic, STR("TZif")))
        return false;
    out->version = cursor_byte(c);
    cursor_take(c, 15);
    return take_count(c, &out->ut_count) && take_count(c, &out->standard_count) &&
           take_count(c, &out->leap_count) && take_count(c, &out->time_count) &&
           take_count(c, &out->type_count) && take_count(c, &out->name_bytes) && !c->is_bad;
}

/* The bytes of the block after a header whose times have `time_bytes` bytes. */
static size_t block_bytes(const struct header *h, size_t time_bytes)
{
    return h->time_count * (time_bytes + 1) + h->type_count * TYPE_BYTES + h->name_bytes +
           h->leap_count * (time_bytes + 4) + h->standard_count + h->ut_count;
}

/* What is wrong with the block, or NULL, and the draft has its changes. */
static const char *read_block(struct cursor *c, const struct header *h, size_t time_bytes,
                              struct draft *d)
{
    int64_t offset_s[TYPES_MAX];

    if (h->leap_count > 0)
        return "it counts leap seconds";
    if (h->type_count < 1 || h->type_count > TYPES_MAX)
        return "it has no types of local time, or too many";
    if (h->time_count >= ZONE_CHANGES_MAX)
        return "it has too many changes";

    struct str times = cursor_take(c, h->time_count * time_bytes);
    struct str types = cursor_take(c, h->time_count);
    for (uint32_t i = 0; i < h->type_count; i++) {
        offset_s[i] = take_number(c, 4);
        cursor_take(c, TYPE_BYTES - 4);
        if (offset_s[i] < -ZONE_OFFSET_MAX_S || offset_s[i] > ZONE_OFFSET_MAX_S)
            return "an offset from UTC is more than 26 hours";
    }
    cursor_take(c, h->name_bytes + h->standard_count + h->ut_count);
    if (c->is_bad)
        return "it ends too early";

    struct cursor at = cursor_of(times.at, times.len);
    int64_t before_s = INT64_MIN;
    draft_begin(d, h->time_count, offset_s[0]);
    for (uint32_t i = 0; i < h->time_count; i++) {
        int64_t at_s = take_number(&at, time_bytes);
        uint8_t type = (uint8_t)types.at[i];
        if (i > 0 && at_s <= before_s)
            return "its changes are not in order of time";
        if (at_s >= ZONE_TABLE_END_MS / SECOND_MS)
            return "it lists changes after 2108";
        if (type >= h->type_count)
            return "a change names a type that is not there";
        draft_add(d, at_s, offset_s[type]);
        before_s = at_s;
    }
    return NULL;
}

/* The rule between two line ends; nothing between them is no rule. */
static const char *read_footer(struct cursor *c, struct draft *d)
{
    struct str rest = cursor_take(c, cursor_left(c));
    size_t end = str_find(rest, STR("\n"), 1);

    if (!str_starts(rest, STR("\n")) || end == SIZE_MAX)
        return "the rule at its end is missing";
    struct str text = str_part(rest, 1, end - 1);
    d->has_rule = text.len > 0;
    if (d->has_rule && zone_rule_parse(text, &d->rule, NULL) != OK)
        return "the rule at its end is damaged";
    return NULL;
}

static const char *read_tzif(struct cursor *c, struct draft *d)
{
    struct header h;
    const char *wrong;

    if (!take_header(c, &h))
        return "its head is damaged";
    if (h.version == 0)
        return read_block(c, &h, 4, d);
    if (h.version < '2' || h.version > '9')
        return "its version is unknown";
    cursor_take(c, block_bytes(&h, 4));
    if (!take_header(c, &h))
        return "its second head is damaged";
    wrong = read_block(c, &h, 8, d);
    return wrong ? wrong : read_footer(c, d);
}

/* --- Both ------------------------------------------------------------------------------------- */

static enum status read_file(struct str file, struct draft *d, struct fault *f)
{
    struct cursor c = cursor_of(file.at, file.len);
    const char *wrong;

    if (!str_starts(file, STR("TZif"))) {
        draft_begin(d, 0, 0);
        d->has_rule = true;
        return zone_rule_parse(str_trim(file), &d->rule, f);
    }
    wrong = read_tzif(&c, d);
    if (wrong) {
        fault_set(f, "this TZif file cannot be used: %s", wrong);
        return FIX_INPUT;
    }
    return OK;
}

enum status zone_file_compact(struct str file, struct buf *out, struct fault *f)
{
    struct draft d = {0};
    enum status status = read_file(file, &d, f);

    if (status == OK)
        status = draft_finish(&d, f);
    if (status == OK)
        draft_write(&d, out);
    mem_free(d.changes);
    return status;
}
