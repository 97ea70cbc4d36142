/* SPDX-License-Identifier: Apache-2.0 */
#include "api/member_list.h"

#include "base/hash.h"
#include "base/map.h"
#include "json/json_write.h"

#define COLUMNS_MAX 64

struct reader {
    struct arena *arena;
    struct str text;
    size_t at;
    uint32_t line;
    struct member_list *out;
    struct member_row *rows;
    struct member_problem *problems;
};

static void problem(struct reader *r, uint32_t line, const char *text)
{
    if (r->out->wrong_count++ < MEMBER_PROBLEMS_MAX)
        r->problems[r->out->problem_count++] = (struct member_problem){line, str_of(text)};
}

/* A quoted field, without its quotes and with doubled ones once; false where it does not end. */
static bool quoted(struct reader *r, struct str *out)
{
    size_t from = ++r->at;
    char *copy = NULL;
    size_t len = 0;
    while (r->at < r->text.len) {
        char x = r->text.at[r->at];
        if (x == '"' && r->at + 1 < r->text.len && r->text.at[r->at + 1] == '"') {
            if (copy == NULL) {
                copy = arena_alloc(r->arena, r->text.len - from);
                memcpy(copy, r->text.at + from, len);
            }
            copy[len++] = '"';
            r->at += 2;
            continue;
        }
        if (x == '"') {
            *out = copy != NULL ? (struct str){copy, len} : str_part(r->text, from, len);
            r->at++;
            return true;
        }
        r->line += x == '\n';
        if (copy != NULL)
            copy[len] = x;
        len++;
        r->at++;
    }
    return false;
}

/* The fields of the next line; their number, or -1 where a quote does not end. */
static int fields(struct reader *r, struct str *out)
{
    int count = 0;
    for (;;) {
        struct str field = STR("");
        if (r->at < r->text.len && r->text.at[r->at] == '"') {
            if (!quoted(r, &field))
                return -1;
        } else {
            size_t from = r->at;
            while (r->at < r->text.len && strchr(",;\t\r\n", r->text.at[r->at]) == NULL)
                r->at++;
            field = str_trim(str_part(r->text, from, r->at - from));
        }
        if (count < COLUMNS_MAX)
            out[count++] = field;
        while (r->at < r->text.len && (r->text.at[r->at] == ' ' || r->text.at[r->at] == '\r'))
            r->at++;
        if (r->at >= r->text.len || r->text.at[r->at] == '\n') {
            r->at++;
            r->line++;
            return count;
        }
        r->at++; /* the separator, or what stands behind a quote */
    }
}

static int column_of(const struct str *names, int count, const char *wanted, const char *other)
{
    for (int i = 0; i < count; i++)
        if (str_equal_nocase(names[i], str_of(wanted)) || str_equal_nocase(names[i], str_of(other)))
            return i;
    return -1;
}

/* Whether a lone word on the first line is the header of a column of something else than our ids:
 * taken for people, such a file would put strangers on the list. */
static bool is_other_header(struct str name)
{
    static const char *const known[] = {"email",       "e-mail",     "mail", "phone", "name", "id",
                                        "customer_id", "customerid", "user", "users", "uid"};
    for (size_t i = 0; i < array_count(known); i++)
        if (str_equal_nocase(name, str_of(known[i])))
            return true;
    return false;
}

static void refuse(struct reader *r, const char *text)
{
    problem(r, 1, text);
    r->out->is_refused = true;
    r->at = r->text.len;
}

static void take(struct reader *r, struct map_u64 *seen, uint32_t line, enum identifier_kind kind,
                 struct str id)
{
    if (id.len > IDENTIFIER_BYTES_MAX) {
        problem(r, line, "the id is longer than 256 bytes");
        return;
    }
    uint64_t key = hash_str(id, kind);
    if (map_u64_find(seen, key) != MAP_NONE)
        return; /* twice is once */
    map_u64_set(seen, key, line);
    r->rows[r->out->count++] = (struct member_row){line, kind, id};
}

void member_list_read(struct str text, struct arena *arena, struct member_list *out)
{
    struct reader r = {.arena = arena, .text = text, .line = 1, .out = out};
    struct str names[COLUMNS_MAX] = {{NULL, 0}};
    struct map_u64 seen;
    uint32_t lines = 2;
    *out = (struct member_list){0};
    if (str_starts(text, STR("\xef\xbb\xbf")))
        r.at = 3;
    for (size_t i = 0; i < text.len; i++)
        lines += text.at[i] == '\n';
    r.rows = arena_array(arena, struct member_row, lines);
    r.problems = arena_array(arena, struct member_problem, MEMBER_PROBLEMS_MAX);
    out->rows = r.rows;
    out->problems = r.problems;
    map_u64_init(&seen);
    size_t begin = r.at;
    int count = r.at < text.len ? fields(&r, names) : 0;
    int user = column_of(names, count, "user_id", "userId");
    int anonymous = column_of(names, count, "anonymous_id", "anonymousId");
    if (str_trim(str_part(text, begin, text.len - begin)).len == 0) {
        refuse(&r, "the file is empty; a header alone, user_id, says that it names nobody");
    } else if (user < 0 && anonymous < 0 && count == 1 && !is_other_header(names[0])) {
        user = 0;
        r.at = begin; /* no header: the first line is a person too */
        r.line = 1;
    } else if (user < 0 && anonymous < 0) {
        refuse(&r, "no column is called user_id or anonymous_id");
    }
    int width = count;
    while (r.at < text.len) {
        uint32_t line = r.line;
        count = fields(&r, names);
        if (count < 0) {
            problem(&r, line, "a quote is opened and never closed: nothing behind it was read");
            break;
        }
        if (count == 1 && names[0].len == 0)
            continue; /* an empty line */
        if (count != width) {
            problem(&r, line, "the line has another number of columns than the first");
            continue;
        }
        if (user >= 0 && names[user].len)
            take(&r, &seen, line, IDENTIFIER_USER, names[user]);
        else if (anonymous >= 0 && names[anonymous].len)
            take(&r, &seen, line, IDENTIFIER_ANONYMOUS, names[anonymous]);
        else
            problem(&r, line, "the line names nobody");
    }
    map_u64_fini(&seen);
}

void member_list_events(const struct member_row *rows, uint32_t count, struct str segment,
                        bool is_added, struct buf *out, bool *has_any)
{
    for (uint32_t i = 0; i < count; i++) {
        struct json_writer w;
        buf_add_str(out, *has_any ? STR(",") : STR(""));
        *has_any = true;
        json_write_init(&w, out, JSON_COMPACT);
        json_write_map(&w);
        json_write_key_text(&w, "type", STR("track"));
        json_write_key_text(&w, "event",
                            is_added ? STR("Segment Member Added") : STR("Segment Member Removed"));
        json_write_key_text(&w, rows[i].kind == IDENTIFIER_USER ? "userId" : "anonymousId",
                            rows[i].id);
        json_write_key(&w, STR("properties"));
        json_write_map(&w);
        json_write_key_text(&w, "segment", segment);
        json_write_end(&w);
        json_write_end(&w);
    }
}
