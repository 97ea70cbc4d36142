/* Filters on texts. Whatever is not a text is taken for what it would be written as.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "liquid/liquid_int.h"

/* The input and the first arguments as texts. */
static bool texts(struct call *c, struct str *input, struct str *args, uint32_t count)
{
    if (!liquid_to_text(c->r, c->input, input))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!liquid_to_text(c->r, c->args[i], &args[i]))
            return false;
    return liquid_step(c->r, input->len / 64);
}

static bool give(struct call *c, struct str text)
{
    c->result = value_text(text);
    return true;
}

static bool is_html(const struct call *c)
{
    return c->r->t->kind == LIQUID_HTML;
}

static bool is_safe(struct value x)
{
    return x.type == VALUE_TEXT && x.pad[0] == MARK_SAFE;
}

/* Two texts one behind the other. If one is HTML already, the other is made so, and the whole is. */
static bool joined(struct call *c, struct value first, struct value second)
{
    struct str a, b;
    if (!liquid_to_text(c->r, first, &a) || !liquid_to_text(c->r, second, &b))
        return false;
    bool is_whole_safe = is_html(c) && (is_safe(first) || is_safe(second));
    struct build out = liquid_build(c->r);
    if (is_whole_safe && !is_safe(first))
        text_add_escaped(&out, a);
    else
        build_add(&out, a);
    if (is_whole_safe && !is_safe(second))
        text_add_escaped(&out, b);
    else
        build_add(&out, b);
    if (!build_done(&out, &c->result))
        return false;
    c->result.pad[0] = is_whole_safe ? MARK_SAFE : MARK_NONE;
    return true;
}

bool filter_append(struct call *c)
{
    return joined(c, c->input, c->args[0]);
}

bool filter_prepend(struct call *c)
{
    return joined(c, c->args[0], c->input);
}

static bool in_case(struct call *c, enum letter_case letters)
{
    struct str s;
    if (!texts(c, &s, NULL, 0))
        return false;
    struct build b = liquid_build(c->r);
    text_add_case(&b, s, letters);
    return build_done(&b, &c->result);
}

bool filter_upcase(struct call *c)
{
    return in_case(c, LETTERS_UP);
}

bool filter_downcase(struct call *c)
{
    return in_case(c, LETTERS_DOWN);
}

bool filter_capitalize(struct call *c)
{
    struct str s;
    if (!texts(c, &s, NULL, 0))
        return false;
    size_t first = s.len ? text_character(s, 0) : 0;
    struct build b = liquid_build(c->r);
    text_add_case(&b, str_part(s, 0, first), LETTERS_UP);
    text_add_case(&b, str_part(s, first, s.len), LETTERS_DOWN);
    return build_done(&b, &c->result);
}

/* Ruby counts NUL as white space when stripping. */
static bool is_strippable(char c)
{
    return text_is_space(c) || c == '\0';
}

static struct str without_head(struct str s)
{
    while (s.len && is_strippable(s.at[0]))
        s = str_part(s, 1, s.len);
    return s;
}

static struct str without_tail(struct str s)
{
    while (s.len && is_strippable(s.at[s.len - 1]))
        s.len--;
    return s;
}

bool filter_strip(struct call *c)
{
    struct str s;
    return texts(c, &s, NULL, 0) && give(c, without_head(without_tail(s)));
}

bool filter_lstrip(struct call *c)
{
    struct str s;
    return texts(c, &s, NULL, 0) && give(c, without_head(s));
}

bool filter_rstrip(struct call *c)
{
    struct str s;
    return texts(c, &s, NULL, 0) && give(c, without_tail(s));
}

/* Writes `s` with `glue` for each line break (\n or \r\n). */
static void add_lines(struct build *b, struct str s, struct str glue)
{
    for (size_t at = 0; at < s.len;) {
        size_t end = min_of(str_find(s, STR("\n"), at), s.len);
        bool has_return = end < s.len && end > at && s.at[end - 1] == '\r';
        build_add(b, str_part(s, at, end - at - has_return));
        if (end < s.len)
            build_add(b, glue);
        at = end + 1;
    }
}

bool filter_strip_newlines(struct call *c)
{
    struct str s;
    if (!texts(c, &s, NULL, 0))
        return false;
    struct build b = liquid_build(c->r);
    add_lines(&b, s, STR(""));
    return build_done(&b, &c->result);
}

bool filter_newline_to_br(struct call *c)
{
    struct str s;
    if (!texts(c, &s, NULL, 0))
        return false;
    bool needs_escape = is_html(c) && !is_safe(c->input);
    if (needs_escape) {
        struct build escaped = liquid_build(c->r);
        struct value text;
        text_add_escaped(&escaped, s);
        if (!build_done(&escaped, &text))
            return false;
        s = text.text;
    }
    struct build b = liquid_build(c->r);
    add_lines(&b, s, STR("<br />\n"));
    if (!build_done(&b, &c->result))
        return false;
    c->result.pad[0] = MARK_SAFE;
    return true;
}

bool filter_squish(struct call *c)
{
    struct str s;
    if (!texts(c, &s, NULL, 0))
        return false;
    s = str_trim(s);
    struct build b = liquid_build(c->r);
    for (size_t at = 0; at < s.len;) {
        size_t end = at;
        while (end < s.len && !text_is_space(s.at[end]))
            end++;
        build_add(&b, str_part(s, at, end - at));
        at = end;
        while (at < s.len && text_is_space(s.at[at]))
            at++;
        if (at < s.len)
            build_add_byte(&b, ' ');
    }
    return build_done(&b, &c->result);
}

/* Writes `s` with each `from` as `to`; an empty `from` stands before each character and at the end. */
static void add_replaced(struct build *b, struct str s, struct str from, struct str to)
{
    if (from.len == 0) {
        for (size_t at = 0; at < s.len && !b->is_bad;) {
            size_t bytes = text_character(s, at);
            build_add(b, to);
            build_add(b, str_part(s, at, bytes));
            at += bytes;
        }
        build_add(b, to);
        return;
    }
    for (size_t at = 0; at < s.len && !b->is_bad;) {
        size_t hit = str_find(s, from, at);
        build_add(b, str_part(s, at, min_of(hit, s.len) - at));
        if (hit == SIZE_MAX)
            return;
        build_add(b, to);
        at = hit + from.len;
    }
}

static bool replaced(struct call *c, struct str s, struct str from, struct str to)
{
    struct build b = liquid_build(c->r);
    add_replaced(&b, s, from, to);
    return build_done(&b, &c->result);
}

/* `s` with `bytes` bytes at `hit` as `to`. */
static bool replaced_at(struct call *c, struct str s, size_t hit, size_t bytes, struct str to)
{
    if (hit == SIZE_MAX)
        return give(c, s);
    struct build b = liquid_build(c->r);
    build_add(&b, str_part(s, 0, hit));
    build_add(&b, to);
    build_add(&b, str_part(s, hit + bytes, s.len));
    return build_done(&b, &c->result);
}

/* Compares at every place, so its cost is counted. */
static bool find_last(struct call *c, struct str s, struct str needle, size_t *hit)
{
    *hit = SIZE_MAX;
    if (needle.len > s.len)
        return true;
    if (!liquid_step(c->r, (uint64_t)(s.len - needle.len) * needle.len / 256))
        return false;
    for (size_t at = s.len - needle.len + 1; at-- > 0 && *hit == SIZE_MAX;)
        if (str_equal(str_part(s, at, needle.len), needle))
            *hit = at;
    return true;
}

bool filter_replace(struct call *c)
{
    struct str s, args[2];
    return texts(c, &s, args, 2) && replaced(c, s, args[0], args[1]);
}

bool filter_remove(struct call *c)
{
    struct str s, from;
    return texts(c, &s, &from, 1) && replaced(c, s, from, STR(""));
}

bool filter_replace_first(struct call *c)
{
    struct str s, args[2];
    return texts(c, &s, args, 2) &&
           replaced_at(c, s, str_find(s, args[0], 0), args[0].len, args[1]);
}

bool filter_remove_first(struct call *c)
{
    struct str s, from;
    return texts(c, &s, &from, 1) && replaced_at(c, s, str_find(s, from, 0), from.len, STR(""));
}

bool filter_replace_last(struct call *c)
{
    struct str s, args[2];
    size_t hit;
    return texts(c, &s, args, 2) && find_last(c, s, args[0], &hit) &&
           replaced_at(c, s, hit, args[0].len, args[1]);
}

bool filter_remove_last(struct call *c)
{
    struct str s, from;
    size_t hit;
    return texts(c, &s, &from, 1) && find_last(c, s, from, &hit) &&
           replaced_at(c, s, hit, from.len, STR(""));
}

/* An argument that must be an integer, if it is there. */
static bool integer_arg(struct call *c, uint32_t index, int64_t absent, int64_t *out)
{
    if (index >= c->arg_count) {
        *out = absent;
        return true;
    }
    return liquid_to_index(c->args[index], out) ||
           liquid_fail(c->r, "expected an integer, found %s", value_type_name(c->args[index].type));
}

static bool text_arg(struct call *c, uint32_t index, struct str absent, struct str *out)
{
    *out = absent;
    return index >= c->arg_count || liquid_to_text(c->r, c->args[index], out);
}

bool filter_truncate(struct call *c)
{
    struct str s, ending;
    int64_t length;
    if (!texts(c, &s, NULL, 0) || !integer_arg(c, 0, 50, &length) ||
        !text_arg(c, 1, STR("..."), &ending))
        return false;
    if ((int64_t)liquid_text_length(s) <= length)
        return give(c, s);
    int64_t kept = max_of(length - (int64_t)liquid_text_length(ending), 0);
    struct build b = liquid_build(c->r);
    build_add(&b, str_part(s, 0, text_offset(s, (size_t)kept)));
    build_add(&b, ending);
    return build_done(&b, &c->result);
}

/* The next run of what is not white space from *at on; an empty str at the end. */
static struct str next_word(struct str s, size_t *at)
{
    while (*at < s.len && text_is_space(s.at[*at]))
        ++*at;
    size_t from = *at;
    while (*at < s.len && !text_is_space(s.at[*at]))
        ++*at;
    return str_part(s, from, *at - from);
}

bool filter_truncatewords(struct call *c)
{
    struct str s, ending;
    int64_t words;
    if (!texts(c, &s, NULL, 0) || !integer_arg(c, 0, 15, &words) ||
        !text_arg(c, 1, STR("..."), &ending))
        return false;
    words = max_of(words, 1);
    struct build b = liquid_build(c->r);
    size_t at = 0;
    for (int64_t i = 0; i < words; i++) {
        struct str word = next_word(s, &at);
        if (word.len == 0)
            return give(c, s);
        if (i)
            build_add_byte(&b, ' ');
        build_add(&b, word);
    }
    if (next_word(s, &at).len == 0)
        return give(c, s);
    build_add(&b, ending);
    return build_done(&b, &c->result);
}

/* Turns a position (from the end if negative) and a length into a stretch inside `count`. */
static bool slice_bounds(int64_t count, int64_t *from, int64_t *length)
{
    if (*from < 0)
        *from += count;
    if (*from < 0 || *from > count || *length < 0)
        return false;
    *length = min_of(*length, count - *from);
    return true;
}

static bool slice_list(struct call *c, int64_t from, int64_t length)
{
    if (!slice_bounds(c->input.list->count, &from, &length))
        length = 0;
    struct value_list *list = liquid_new_list(c->r, (size_t)length);
    if (!list)
        return false;
    for (int64_t i = 0; i < length; i++)
        list->items[i] = c->input.list->items[from + i];
    c->result = liquid_list(list);
    return true;
}

bool filter_slice(struct call *c)
{
    int64_t from, length;
    struct str s;
    if (!integer_arg(c, 0, 0, &from) || !integer_arg(c, 1, 1, &length))
        return false;
    if (c->input.type == VALUE_LIST)
        return slice_list(c, from, length);
    if (!texts(c, &s, NULL, 0))
        return false;
    if (!slice_bounds((int64_t)liquid_text_length(s), &from, &length))
        return give(c, STR(""));
    size_t start = text_offset(s, (size_t)from);
    struct str tail = str_part(s, start, s.len);
    return give(c, str_part(tail, 0, text_offset(tail, (size_t)length)));
}

/* --- split ----------------------------------------------------------------------------------- */

/* The next piece of `s` before a separator; false at the end. A single space means any white space,
 * no separator means every character. */
static bool next_piece(struct str s, struct str separator, size_t *at, struct str *piece)
{
    if (*at >= s.len)
        return false;
    if (str_is(separator, " ")) {
        *piece = next_word(s, at);
        return piece->len > 0;
    }
    size_t end =
        separator.len ? min_of(str_find(s, separator, *at), s.len) : *at + text_character(s, *at);
    *piece = str_part(s, *at, end - *at);
    *at = end + separator.len;
    return true;
}

bool filter_split(struct call *c)
{
    struct str s, separator, piece;
    if (!texts(c, &s, &separator, 1))
        return false;
    size_t count = 0, kept = 0; /* empty pieces at the end are dropped */
    for (size_t at = 0; next_piece(s, separator, &at, &piece);) {
        count++;
        if (piece.len)
            kept = count;
    }
    struct value_list *list = liquid_new_list(c->r, kept);
    if (!list)
        return false;
    for (size_t at = 0, i = 0; i < kept && next_piece(s, separator, &at, &piece); i++)
        list->items[i] = value_text(piece);
    c->result = liquid_list(list);
    return liquid_step(c->r, count);
}
