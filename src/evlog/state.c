/* What the blocks of a log say as a whole: batches without gaps, results in order, time that never
 * goes back, names in the order of their numbers. Writer and reader follow it alike.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/hash.h"
#include "evlog/evlog_int.h"

void log_state_init(struct log_state *s)
{
    *s = (struct log_state){.now_ms = INT64_MIN, .names = names_new()};
}

void log_state_fini(struct log_state *s)
{
    names_free(s->names);
    s->names = NULL;
}

bool log_state_has_preamble(const struct log_state *s)
{
    return s->is_known && names_count(s->names) >= s->name_count;
}

void segment_body_write(struct buf *out, uint64_t segment_before, uint64_t results)
{
    buf_add_u64(out, segment_before);
    buf_add_u64(out, results);
}

static bool follow_segment(struct log_state *s, const struct block *b, const char **why)
{
    struct cursor in = cursor_of(b->payload, b->length);
    uint64_t segment_before = cursor_u64(&in);
    uint64_t results = cursor_u64(&in);
    *why = "the segment before it is missing or another one";
    if (b->number == 0)
        return false;
    if (s->is_known) {
        if (segment_before != s->segment || b->number != s->batch + 1)
            return false;
        if (results != s->results || b->now_ms != s->now_ms || b->count != names_count(s->names))
            return false;
    }
    s->is_known = true;
    s->segment = b->number;
    s->batch = b->number - 1;
    s->results = results;
    s->now_ms = b->now_ms;
    s->name_count = b->count;
    return true;
}

static bool follow_names(struct log_state *s, const struct block *b, const char **why)
{
    struct cursor in = cursor_of(b->payload, b->length);
    *why = "the list of names contradicts itself";
    for (uint32_t i = 0; i < b->count; i++) {
        struct str text = cursor_take(&in, (size_t)cursor_varint(&in));
        uint64_t number = b->number + i;
        if (in.is_bad || number < NAME_FIXED_END || number > names_count(s->names))
            return false;
        if (names_add(s->names, text) != number)
            return false;
    }
    return !in.is_bad && cursor_left(&in) == 0;
}

static bool follow_batch(struct log_state *s, const struct block *b, const struct record *records,
                         const char **why)
{
    *why = "batches are missing before it";
    if (b->number != s->batch + 1)
        return false;
    *why = "its time goes back";
    if (b->now_ms < s->now_ms)
        return false;
    int64_t at_ms = INT64_MIN;
    for (uint32_t i = 0; i < b->count; i++) {
        if (records[i].at_ms < at_ms || records[i].at_ms > b->now_ms)
            return false;
        at_ms = records[i].at_ms;
    }
    *why = "a name does not get the next number";
    for (uint32_t i = 0; i < b->count; i++) {
        const struct record *r = &records[i];
        if (r->type != RECORD_NAME)
            continue;
        struct str text = body_get_text(r->clear, NAME_TEXT);
        if (r->name != names_count(s->names) || names_add(s->names, text) != r->name)
            return false;
    }
    s->batch = b->number;
    s->now_ms = b->now_ms;
    return true;
}

static bool follow_results(struct log_state *s, const struct block *b, const char **why)
{
    *why = "results of another batch were expected";
    if (b->number <= s->results || b->number > s->batch)
        return false;
    *why = "the results' hash is wrong";
    if (hash_bytes(b->payload, b->length, 0) != b->hash)
        return false;
    s->results = b->number;
    return true;
}

/* Only a mark ends a segment, and only one that holds a batch: the next segment is named after the
 * batch that follows, and may not have the name of this one. */
static bool may_end_segment(const struct log_state *s, const struct block *b)
{
    return b->kind == BLOCK_MARK && (b->flags & BLOCK_ENDS_COMMIT) != 0 && s->batch >= s->segment;
}

bool log_state_follow(struct log_state *s, const struct block *b, const struct record *records,
                      const char **why)
{
    *why = "it ends the segment before its time";
    if ((b->flags & BLOCK_ENDS_SEGMENT) != 0 && !may_end_segment(s, b))
        return false;
    if (b->kind == BLOCK_SEGMENT)
        return follow_segment(s, b, why);
    *why = "the segment's head is missing";
    if (!s->is_known)
        return false;
    if (b->kind == BLOCK_NAMES)
        return follow_names(s, b, why);
    *why = "the segment's list of names is not complete";
    if (names_count(s->names) < s->name_count)
        return false;
    if (b->kind == BLOCK_BATCH)
        return follow_batch(s, b, records, why);
    if (b->kind == BLOCK_RESULTS)
        return follow_results(s, b, why);
    *why = "batches are missing before it";
    return b->number == s->batch;
}
