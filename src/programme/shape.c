/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/shape.h"

#include "model/money.h"
#include "model/names.h"
#include "model/terms.h"
#include "model/watch.h"
#include "when/span.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- the table ------------------------------------------------------------------------------- */

// clang-format off
#define NEED_MUST true
#define NEED_MAY  false
#define SHAPE(symbol, name, short, doc) static const struct key keys_##symbol[] = {
#define KEY(shape, key, type, form, of, need, standard, doc) \
    {key, KEY_##type, FORM_##form, of, NEED_##need, false, standard, doc},
#define LATER(shape, key, doc) {key, KEY_ANY, FORM_ONE, "", false, true, "", doc},
#define END(symbol) };
#define UNION(symbol, name, short, doc) static const struct member members_##symbol[] = {
#define MEMBER(symbol, key, shape) {key, #shape, ""},
#define NEVER(symbol, key, doc) {key, NULL, doc},
#define END_UNION(symbol) };
#include "programme/keys.def"
#undef SHAPE
#undef KEY
#undef LATER
#undef END
#undef UNION
#undef MEMBER
#undef NEVER
#undef END_UNION

#define KEY(shape, key, type, form, of, need, standard, doc)
#define LATER(shape, key, doc)
#define END(symbol)
#define MEMBER(symbol, key, shape)
#define NEVER(symbol, key, doc)
#define END_UNION(symbol)

static const struct shape shape_list[] = {
#define SHAPE(symbol, name, short, doc) \
    {#symbol, name, short, doc, keys_##symbol, array_count(keys_##symbol)},
#define UNION(symbol, name, short, doc)
#include "programme/keys.def"
#undef SHAPE
#undef UNION
};

static const struct shape_union union_list[] = {
#define SHAPE(symbol, name, short, doc)
#define UNION(symbol, name, short, doc) \
    {#symbol, name, short, doc, members_##symbol, array_count(members_##symbol)},
#include "programme/keys.def"
#undef SHAPE
#undef UNION
};
// clang-format on

const struct shape *shapes(uint32_t *count)
{
    *count = array_count(shape_list);
    return shape_list;
}

const struct shape_union *shape_unions(uint32_t *count)
{
    *count = array_count(union_list);
    return union_list;
}

const struct shape *shape_get(const char *symbol)
{
    for (size_t i = 0; i < array_count(shape_list); i++)
        if (strcmp(shape_list[i].symbol, symbol) == 0)
            return &shape_list[i];
    must(!"a shape of keys.def");
    return NULL;
}

const struct shape_union *shape_union_get(const char *symbol)
{
    for (size_t i = 0; i < array_count(union_list); i++)
        if (strcmp(union_list[i].symbol, symbol) == 0)
            return &union_list[i];
    must(!"a union of keys.def");
    return NULL;
}

struct str shape_choices(const struct key *key, struct arena *scratch)
{
    struct str all = STR("");
    if (strcmp(key->of, "=watches") == 0) {
        for (int i = WATCH_NONE + 1; i < WATCH_END; i++)
            all = arena_printf(scratch, "%.*s%s%.*s", STR_ARG(all), all.len ? "|" : "",
                               STR_ARG(watch_term((enum watch)i)->name));
        return all;
    }
    if (strcmp(key->of, "=outcomes") != 0)
        return str_of(key->of);
    for (int i = OUTCOME_NONE + 1; i < OUTCOME_END; i++)
        all = arena_printf(scratch, "%.*s%s%.*s", STR_ARG(all), all.len ? "|" : "",
                           STR_ARG(outcome_term((enum outcome)i)->name));
    return all;
}

/* ---- saying what is wrong -------------------------------------------------------------------- */

/* `"valid_for" wants a time such as 2h`, with the node marked and its place. */
static void wrong(struct shape_check *c, struct yaml_node *node, enum finding_code code,
                  const char *format, ...) printf_like(4, 5);
static void wrong(struct shape_check *c, struct yaml_node *node, enum finding_code code,
                  const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    node->is_bad = true;
    findings_add(c->findings, code, yaml_place(c->file, node), "%s", text);
}

/* What the node says, short enough for a sentence. */
static struct str shown(const struct yaml_node *node, struct arena *scratch)
{
    if (node->type == YAML_LIST || node->type == YAML_MAP || node->type == YAML_NULL)
        return str_of(yaml_type_words(node));
    struct str text = str_part(node->text, 0, 60);
    while (text.len && text.len < node->text.len &&
           ((uint8_t)node->text.at[text.len] & 0xc0) == 0x80)
        text.len--;
    const char *more = text.len < node->text.len ? "..." : "";
    if (node->type == YAML_TEXT)
        return arena_printf(scratch, "\"%.*s%s\"", STR_ARG(text), more);
    return arena_printf(scratch, "%.*s%s (%s)", STR_ARG(text), more, yaml_type_words(node));
}

static void wrong_type(struct shape_check *c, const struct key *key, struct yaml_node *node,
                       const char *wanted)
{
    wrong(c, node, FINDING_WRONG_TYPE, "\"%s\" wants %s, not %.*s", key->name, wanted,
          STR_ARG(shown(node, c->scratch)));
}

static void fix_with(struct shape_check *c, const struct yaml_node *node, struct str with)
{
    struct str line = yaml_line_with(c->file, node, with, c->scratch);
    if (line.len)
        finding_fix(c->findings, "%.*s", STR_ARG(str_trim(line)));
}

/* Words that YAML 1.1, which many editors and tools still read, takes for true and false. */
static bool is_old_bool(struct str s, bool *meant)
{
    static const struct {
        const char *word;
        bool is_true;
    } words[] = {{"yes", true}, {"no", false}, {"on", true}, {"off", false}};
    for (size_t i = 0; i < array_count(words); i++) {
        if (str_equal_nocase(s, str_of(words[i].word))) {
            *meant = words[i].is_true;
            return true;
        }
    }
    return false;
}

static void ambiguous_look(struct shape_check *c, const struct yaml_node *node)
{
    bool meant;
    if (node->style != YAML_PLAIN || !is_old_bool(node->text, &meant))
        return;
    findings_add(c->findings, FINDING_YAML_AMBIGUOUS, yaml_place(c->file, node),
                 "many readers of YAML take %.*s for %s", STR_ARG(node->text),
                 meant ? "true" : "false");
    finding_advise(c->findings, "put it in quotes");
    fix_with(c, node, yaml_quote(node->text, c->scratch));
}

/* ---- scalars --------------------------------------------------------------------------------- */

static bool want_text(struct shape_check *c, const struct key *key, struct yaml_node *node,
                      const char *wanted)
{
    if (node->type == YAML_TEXT && str_trim(node->text).len) {
        ambiguous_look(c, node);
        return true;
    }
    wrong_type(c, key, node, wanted);
    if (node->type == YAML_BOOL || node->type == YAML_INT || node->type == YAML_DOUBLE) {
        finding_advise(c->findings, "quotes make it a text");
        fix_with(c, node, yaml_quote(node->text, c->scratch));
    }
    return false;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

#define NAME_LETTERS_MAX 64

static void check_name(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (!want_text(c, key, node, "a name"))
        return;
    if (node->text.len > NAME_LETTERS_MAX) {
        wrong(c, node, FINDING_BAD_NAME, "the name is longer than %d letters", NAME_LETTERS_MAX);
        return;
    }
    for (size_t i = 0; i < node->text.len; i++) {
        if (!is_name_byte(node->text.at[i])) {
            wrong(c, node, FINDING_BAD_NAME,
                  "the name \"%.*s\" may have letters, digits, - _ and . only",
                  STR_ARG(node->text));
            return;
        }
    }
}

static void check_event(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (!want_text(c, key, node, key->type == KEY_EVENT ? "the name of an event" : "a property"))
        return;
    if (node->text.len > NAME_BYTES_MAX - 16)
        wrong(c, node, FINDING_BAD_NAME, "the name is longer than %d bytes", NAME_BYTES_MAX - 16);
}

static void check_bool(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (node->type == YAML_BOOL)
        return;
    bool meant;
    bool is_old = node->type == YAML_TEXT && is_old_bool(node->text, &meant);
    wrong_type(c, key, node, "true or false");
    if (is_old)
        fix_with(c, node, meant ? STR("true") : STR("false"));
}

static void check_int(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    struct str range = str_of(key->of);
    size_t dots = str_find(range, STR(".."), 0);
    int64_t least = 0;
    int64_t most = 0;
    must(str_to_int(str_part(range, 0, dots), &least));
    must(str_to_int(str_part(range, dots + 2, range.len), &most));
    if (node->type != YAML_INT)
        wrong_type(c, key, node, "a whole number");
    else if (node->integer < least || node->integer > most)
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\" is %lld, and must be %lld to %lld", key->name,
              (long long)node->integer, (long long)least, (long long)most);
}

static void check_rank(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (node->type != YAML_TEXT || !shape_is_expression(node->text))
        check_int(c, key, node);
}

static void check_percent(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    double x = node->type == YAML_INT ? (double)node->integer : node->number;
    if (node->type != YAML_INT && node->type != YAML_DOUBLE)
        wrong_type(c, key, node, "a number from 0 to 100");
    else if (!(x >= 0 && x <= 100))
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\" is %.*s, and must be 0 to 100", key->name,
              STR_ARG(node->text));
}

static void check_money(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    int64_t amount;
    bool is_scalar = node->type != YAML_LIST && node->type != YAML_MAP && node->type != YAML_NULL;
    if (is_scalar && money_parse(node->text, &amount))
        return;
    wrong_type(c, key, node, "an amount of money: digits, and up to six more behind a point");
    finding_advise(c->findings, "write 500 or 0.045, without a currency");
}

static void check_span(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (node->type == YAML_INT) {
        wrong_type(c, key, node, "a time such as 30m, 2h or 3d");
        finding_advise(c->findings, "say of what: seconds (s), minutes (m), hours (h), days (d)");
        return;
    }
    if (!want_text(c, key, node, "a time such as 30m, 2h or 3d"))
        return;
    struct span span;
    struct fault f = {0};
    if (span_parse(node->text, &span, &f) != OK) {
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\": %s", key->name, f.text);
        return;
    }
    if (span.kind == SPAN_FIXED)
        return;
    char hours[SPAN_BYTES];
    if (key->type == KEY_SPAN) {
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\" wants a fixed time, not calendar days",
              key->name);
        if (span.unit != SPAN_MONTH)
            finding_advise(
                c->findings, "write %s",
                span_print(span_of_ms(span.count * DAY_MS * (span.unit == SPAN_WEEK ? 7 : 1)),
                           hours)
                    .at);
    } else if (span.unit == SPAN_MONTH) {
        wrong(c, node, FINDING_NOT_YET,
              "\"%s\": calendar months are not supported yet by this release", key->name);
    } else if (key->type == KEY_PER && span.count != 1) {
        wrong(c, node, FINDING_NOT_YET,
              "\"%s\": of calendar times only day and week are supported yet by this release",
              key->name);
        finding_advise(c->findings, "a sliding time may have any length: 14d");
    }
}

bool shape_is_expression(struct str text)
{
    text = str_trim(text);
    if (text.len == 0 || (text.at[0] >= '0' && text.at[0] <= '9'))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (strchr(".('\"", text.at[i]))
            return true;
    return false;
}

static void check_length(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    static const char wanted[] = "a time such as 2h or 3d";
    struct span span;
    struct fault f = {0};
    if (node->type == YAML_INT) {
        wrong_type(c, key, node, wanted);
        finding_advise(c->findings, "say of what: seconds (s), minutes (m), hours (h), days (d)");
    } else if (want_text(c, key, node, wanted) && !shape_is_expression(node->text) &&
               span_parse(node->text, &span, &f) != OK) {
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\": %s", key->name, f.text);
    }
}

static void check_offset(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    struct span span;
    struct fault f = {0};
    if (want_text(c, key, node, "a time such as 2h or -30d") &&
        span_parse_signed(node->text, &span, &f) != OK)
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\": %s", key->name, f.text);
}

static void check_date(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    struct timestamp date;
    struct fault f = {0};
    if (!want_text(c, key, node, "a date such as 2026-12-24, or an expression") ||
        shape_is_expression(node->text) ||
        timestamp_parse(str_trim(node->text), TIMESTAMP_LOOSE, &date, &f) == OK)
        return;
    wrong(c, node, FINDING_WRONG_VALUE, "\"%s\": %s", key->name, f.text);
    finding_advise(c->findings, "write a date (2026-12-24, '2026-12-24T18:00') or where it stands "
                                "(traits.renewal_at, entry.starts_at)");
}

static void check_again(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (node->type == YAML_TEXT && (str_is(node->text, "always") || str_is(node->text, "never")))
        return;
    struct span span;
    if (node->type == YAML_TEXT && span_parse(node->text, &span, NULL) == OK &&
        span.kind == SPAN_FIXED)
        return;
    wrong(c, node, FINDING_WRONG_VALUE,
          "\"%s\" wants always, never, or a time such as 3d, not %.*s", key->name,
          STR_ARG(shown(node, c->scratch)));
}

static void check_clock(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (node->type != YAML_TEXT) {
        wrong_type(c, key, node, "a time of day in quotes, '21:00'");
        return;
    }
    int32_t clock_ms;
    struct fault f = {0};
    if (clock_parse(node->text, &clock_ms, &f) != OK) {
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\": %s", key->name, f.text);
    } else if (clock_ms % MINUTE_MS != 0) {
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\" wants a time of day without seconds",
              key->name);
    } else if (node->style == YAML_PLAIN) {
        findings_add(c->findings, FINDING_YAML_AMBIGUOUS, yaml_place(c->file, node),
                     "many readers of YAML take %.*s for the number %d", STR_ARG(node->text),
                     clock_ms / 60000);
        finding_advise(c->findings, "put it in quotes");
        fix_with(c, node, yaml_quote(node->text, c->scratch));
    }
}

static void check_pace(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    static const char wanted[] = "a number in a time, such as 5000/h";
    if (node->type == YAML_INT) {
        wrong_type(c, key, node, wanted);
        finding_advise(c->findings, "say in what time: %.*s/m, %.*s/h or %.*s/d",
                       STR_ARG(node->text), STR_ARG(node->text), STR_ARG(node->text));
    } else {
        (void)want_text(c, key, node, wanted);
    }
}

static void check_weekdays(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    uint8_t days;
    struct fault f = {0};
    if (node->type != YAML_TEXT)
        wrong_type(c, key, node, "weekdays: mon, sat-sun, weekend");
    else if (weekdays_parse(node->text, &days, &f) != OK)
        wrong(c, node, FINDING_WRONG_VALUE, "\"%s\": %s", key->name, f.text);
}

static void check_expression(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    bool is_scalar = node->type != YAML_LIST && node->type != YAML_MAP && node->type != YAML_NULL;
    if (!is_scalar || !str_trim(node->text).len)
        wrong_type(c, key, node, "an expression");
}

/* One of `words`, which are separated by |. */
static void check_choice(struct shape_check *c, const struct key *key, struct yaml_node *node,
                         struct str words)
{
    struct str known[64];
    size_t count = 0;
    for (size_t from = 0; from <= words.len && count < array_count(known);) {
        size_t bar = min_of(str_find(words, STR("|"), from), words.len);
        known[count++] = str_part(words, from, bar - from);
        from = bar + 1;
    }
    if (node->type == YAML_TEXT)
        for (size_t i = 0; i < count; i++)
            if (str_equal(node->text, known[i]))
                return;
    struct str list = STR("");
    for (size_t i = 0; i < count && i < 12; i++)
        list = arena_printf(c->scratch, "%.*s%s%.*s", STR_ARG(list),
                            i == 0           ? ""
                            : i + 1 == count ? " or "
                                             : ", ",
                            STR_ARG(known[i]));
    if (count > 12)
        list = arena_printf(c->scratch, "%.*s, ...", STR_ARG(list));
    wrong(c, node, FINDING_WRONG_VALUE, "\"%s\" wants %.*s, not %.*s", key->name, STR_ARG(list),
          STR_ARG(shown(node, c->scratch)));
    struct str near = node->type == YAML_TEXT ? str_nearest(node->text, known, count) : STR("");
    if (near.len) {
        finding_advise(c->findings, "did you mean %.*s?", STR_ARG(near));
        fix_with(c, node, near);
    }
}

static void check_channel(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    enum channel channel;
    bool is_preferred = node->type == YAML_TEXT && str_is(node->text, "preferred");
    if (node->type == YAML_TEXT && channel_find(node->text, &channel))
        return;
    if (is_preferred && strcmp(key->of, "preferred") == 0)
        return;
    struct str known[CHANNEL_END];
    struct str all = STR("");
    for (int i = CHANNEL_NONE + 1; i < CHANNEL_END; i++) {
        known[i - 1] = channel_name((enum channel)i);
        all = arena_printf(c->scratch, "%.*s%s%.*s", STR_ARG(all), i > 1 ? ", " : "",
                           STR_ARG(known[i - 1]));
    }
    if (is_preferred) {
        wrong(c, node, FINDING_WRONG_VALUE,
              "\"preferred\" is a channel only where a send chooses: first_of, all_of");
        return;
    }
    wrong(c, node, FINDING_UNKNOWN_NAME, "\"%s\" wants a channel (%.*s), not %.*s", key->name,
          STR_ARG(all), STR_ARG(shown(node, c->scratch)));
    struct str near =
        node->type == YAML_TEXT ? str_nearest(node->text, known, CHANNEL_END - 1) : STR("");
    if (near.len)
        finding_advise(c->findings, "did you mean %.*s?", STR_ARG(near));
}

static void check_consent(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (node->type == YAML_MAP) {
        for (uint32_t i = 0; i < node->count; i++) {
            check_channel(c, key, node->pairs[i].key);
            check_bool(c, key, node->pairs[i].value);
            node->is_bad |= node->pairs[i].key->is_bad || node->pairs[i].value->is_bad;
        }
        return;
    }
    if (node->type == YAML_LIST) {
        for (uint32_t i = 0; i < node->count; i++) {
            check_channel(c, key, node->items[i]);
            node->is_bad |= node->items[i]->is_bad;
        }
        return;
    }
    if (node->type == YAML_TEXT)
        check_channel(c, key, node);
    else
        wrong_type(c, key, node, "channels, [email], or a map {email: true}");
}

/* ---- maps ------------------------------------------------------------------------------------ */

static const struct key *key_find(const struct shape *shape, struct str name);
static void key_check(struct shape_check *c, const struct key *key, struct yaml_node *node);
static void shape_check_of(struct shape_check *c, const struct key *key, const struct shape *shape,
                           struct yaml_node *node);

static void value_check(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    switch (key->type) {
    case KEY_TEXT:
    case KEY_ZONE:
    case KEY_TIME: want_text(c, key, node, "a text"); return;
    case KEY_NAME: check_name(c, key, node); return;
    case KEY_EVENT:
    case KEY_PROPERTY: check_event(c, key, node); return;
    case KEY_BOOL: check_bool(c, key, node); return;
    case KEY_INT: check_int(c, key, node); return;
    case KEY_PERCENT: check_percent(c, key, node); return;
    case KEY_MONEY: check_money(c, key, node); return;
    case KEY_SPAN:
    case KEY_DAYS:
    case KEY_PER: check_span(c, key, node); return;
    case KEY_RANK: check_rank(c, key, node); return;
    case KEY_LENGTH: check_length(c, key, node); return;
    case KEY_OFFSET: check_offset(c, key, node); return;
    case KEY_DATE: check_date(c, key, node); return;
    case KEY_AGAIN: check_again(c, key, node); return;
    case KEY_CLOCK: check_clock(c, key, node); return;
    case KEY_WEEKDAYS: check_weekdays(c, key, node); return;
    case KEY_EXPRESSION: check_expression(c, key, node); return;
    case KEY_CHANNEL: check_channel(c, key, node); return;
    case KEY_COUNT:
        if (!(node->type == YAML_BOOL && node->boolean) &&
            !(node->type == YAML_INT && node->integer >= 1 && node->integer <= 1000000))
            wrong_type(c, key, node, "true, or a number from 1");
        return;
    case KEY_NOTHING:
        if (node->type != YAML_NULL && !(node->type == YAML_BOOL && node->boolean))
            wrong_type(c, key, node, "no value");
        return;
    case KEY_ANY: return;
    case KEY_CONSENT: check_consent(c, key, node); return;
    case KEY_PARTS:
        if (node->type != YAML_MAP)
            wrong_type(c, key, node, "a map of parts: {subject: '...'}");
        return;
    case KEY_SETTING:
        if (node->type == YAML_LIST || node->type == YAML_MAP || node->type == YAML_NULL)
            wrong_type(c, key, node, "a text, a number, true or false");
        return;
    case KEY_CHOICE: check_choice(c, key, node, shape_choices(key, c->scratch)); return;
    case KEY_SHAPE: shape_check_of(c, key, shape_get(key->of), node); return;
    case KEY_PACE: check_pace(c, key, node); return;
    case KEY_UNION: shape_check_union(c, shape_union_get(key->of), node); return;
    case KEY_TYPE_END: break;
    }
    must(!"a type of key");
}

/* What stands for the shape's short key is spoken of by the name that was written, and the other form is
 * named: "existing" wants skip or enter; or a map: then, pace. */
static void shape_check_of(struct shape_check *c, const struct key *key, const struct shape *shape,
                           struct yaml_node *node)
{
    const struct key *short_key = key_find(shape, str_of(shape->short_key));
    bool is_short = short_key && node->type != YAML_MAP && node->type != YAML_LIST && !node->is_bad;
    if (!is_short) {
        shape_check(c, shape, node);
        return;
    }
    struct key named = *short_key;
    uint32_t before = c->findings->count;
    named.name = key->name;
    key_check(c, &named, node);
    if (c->findings->count == before || c->findings->list[before].severity != FINDING_ERROR ||
        c->findings->list[c->findings->count - 1].advice.len || shape->key_count < 2)
        return;
    struct str keys = STR("");
    for (uint32_t i = 0; i < shape->key_count; i++)
        if (!shape->keys[i].is_later)
            keys = arena_printf(c->scratch, "%.*s%s%s", STR_ARG(keys), keys.len ? ", " : "",
                                shape->keys[i].name);
    finding_advise(c->findings, "or a map with: %.*s", STR_ARG(keys));
}

#define LIST_ITEMS_MAX 10000

static void key_check(struct shape_check *c, const struct key *key, struct yaml_node *node)
{
    if (key->form == FORM_MAP) {
        if (node->type != YAML_MAP) {
            wrong_type(c, key, node, "a map");
            return;
        }
        struct key one = *key;
        for (uint32_t i = 0; i < node->count; i++) {
            one.name = arena_copy(c->scratch, node->pairs[i].key->text).at;
            value_check(c, &one, node->pairs[i].value);
        }
        return;
    }
    if (key->form == FORM_LIST && node->type != YAML_LIST) {
        wrong_type(c, key, node, "a list");
        finding_advise(c->findings, "begin each item with \"- \", or write [one, two]");
        return;
    }
    if (key->form == FORM_ONE || node->type != YAML_LIST) {
        value_check(c, key, node);
        return;
    }
    if (node->count > LIST_ITEMS_MAX) {
        wrong(c, node, FINDING_TOO_MANY, "\"%s\" has more than %d items", key->name,
              LIST_ITEMS_MAX);
        return;
    }
    for (uint32_t i = 0; i < node->count; i++)
        value_check(c, key, node->items[i]);
}

static void later_say(struct shape_check *c, struct yaml_node *key, const char *doc)
{
    findings_add(c->findings, FINDING_NOT_YET, yaml_place(c->file, key),
                 "\"%.*s\" (%s) is not supported yet by this release", STR_ARG(key->text), doc);
}

static void unknown_say(struct shape_check *c, const char *where, struct yaml_node *key,
                        const struct str *known, size_t count)
{
    findings_add(c->findings, FINDING_UNKNOWN_KEY, yaml_place(c->file, key),
                 "%s has no key \"%.*s\"", where, STR_ARG(key->text));
    struct str near = str_nearest(key->text, known, count);
    if (near.len) {
        finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
        return;
    }
    struct str all = STR("");
    for (size_t i = 0; i < count; i++)
        all =
            arena_printf(c->scratch, "%.*s%s%.*s", STR_ARG(all), i ? ", " : "", STR_ARG(known[i]));
    finding_advise(c->findings, "it can have: %.*s", STR_ARG(all));
}

static const struct key *key_find(const struct shape *shape, struct str name)
{
    for (uint32_t i = 0; i < shape->key_count; i++)
        if (str_is(name, shape->keys[i].name))
            return &shape->keys[i];
    return NULL;
}

static void map_check(struct shape_check *c, const struct shape *shape, struct yaml_node *map)
{
    struct str known[64];
    size_t count = 0;
    for (uint32_t i = 0; i < shape->key_count && count < array_count(known); i++)
        if (!shape->keys[i].is_later)
            known[count++] = str_of(shape->keys[i].name);
    bool has_strange = false;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct key *key = key_find(shape, map->pairs[i].key->text);
        if (key && !key->is_later) {
            key_check(c, key, map->pairs[i].value);
            continue;
        }
        has_strange = true;
        if (key)
            later_say(c, map->pairs[i].key, key->doc);
        else
            unknown_say(c, shape->name, map->pairs[i].key, known, count);
    }
    for (uint32_t i = 0; i < shape->key_count && !has_strange; i++) {
        const struct key *key = &shape->keys[i];
        if (!key->is_must || yaml_find_key(map, key->name))
            continue;
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(c->file, map),
                     "%s needs the key \"%s\"", shape->name, key->name);
        finding_advise(c->findings, "%s: %s", key->name, key->doc);
    }
}

void shape_check(struct shape_check *c, const struct shape *shape, struct yaml_node *node)
{
    if (node->is_bad)
        return;
    if (node->type == YAML_MAP) {
        map_check(c, shape, node);
        return;
    }
    const struct key *key = key_find(shape, str_of(shape->short_key));
    if (key && !(node->type == YAML_LIST && key->form == FORM_ONE)) {
        key_check(c, key, node);
        return;
    }
    wrong(c, node, FINDING_WRONG_TYPE, "%s is a map, not %.*s", shape->name,
          STR_ARG(shown(node, c->scratch)));
    finding_advise(c->findings, "%s", shape->doc);
}

const char *shape_member(const struct yaml_node *node, const struct shape_union *u)
{
    if (!node || node->is_bad)
        return NULL;
    if (node->type != YAML_MAP)
        return u->short_key[0] ? u->short_key : NULL;
    for (uint32_t i = 0; i < u->member_count; i++)
        if (u->members[i].shape && yaml_find_key(node, u->members[i].key))
            return u->members[i].key;
    return NULL;
}

/* Two keys of one union in an item: a step is one thing. A key that the first one's shape has itself
 * ("consent" of people, "when" ...) is no second. */
static bool is_second(const struct shape_union *u, const struct shape *shape,
                      const struct yaml_node *node, const char **second)
{
    for (uint32_t i = 0; i < u->member_count; i++) {
        if (yaml_find_key(node, u->members[i].key) && !key_find(shape, str_of(u->members[i].key))) {
            *second = u->members[i].key;
            return true;
        }
    }
    return false;
}

static void member_missing(struct shape_check *c, const struct shape_union *u,
                           struct yaml_node *node)
{
    struct str known[32];
    size_t count = 0;
    struct str all = STR("");
    for (uint32_t i = 0; i < u->member_count && count < array_count(known); i++) {
        if (!u->members[i].shape)
            continue;
        known[count++] = str_of(u->members[i].key);
        all = arena_printf(c->scratch, "%.*s%s%s", STR_ARG(all), count > 1 ? ", " : "",
                           u->members[i].key);
    }
    node->is_bad = true;
    for (uint32_t k = 0; k < node->count; k++) {
        struct yaml_node *key = node->pairs[k].key;
        for (uint32_t i = 0; i < u->member_count; i++) {
            if (!u->members[i].shape && str_is(key->text, u->members[i].key)) {
                later_say(c, key, u->members[i].doc);
                return;
            }
        }
    }
    for (uint32_t k = 0; k < node->count; k++) {
        struct yaml_node *key = node->pairs[k].key;
        if (str_nearest(key->text, known, count).len) {
            unknown_say(c, u->name, key, known, count);
            return;
        }
    }
    findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(c->file, node),
                 "%s needs one of the keys %.*s", u->name, STR_ARG(all));
}

void shape_check_union(struct shape_check *c, const struct shape_union *u, struct yaml_node *node)
{
    if (node->is_bad)
        return;
    if (node->type != YAML_MAP && !u->short_key[0]) {
        wrong(c, node, FINDING_WRONG_TYPE, "%s is a map, not %.*s", u->name,
              STR_ARG(shown(node, c->scratch)));
        const char *first = u->members[0].key;
        bool is_bare = node->type == YAML_TEXT;
        for (uint32_t i = 0; i < u->member_count && is_bare; i++)
            if (str_is(node->text, u->members[i].key))
                first = u->members[i].key;
        finding_advise(c->findings, "write \"- %s: ...\"", first);
        return;
    }
    const char *name = shape_member(node, u);
    if (!name) {
        member_missing(c, u, node);
        return;
    }
    for (uint32_t i = 0; i < u->member_count; i++) {
        if (strcmp(u->members[i].key, name) != 0)
            continue;
        const struct shape *shape = shape_get(u->members[i].shape);
        const char *second = NULL;
        if (node->type == YAML_MAP && is_second(u, shape, node, &second)) {
            findings_add(c->findings, FINDING_CONFLICT,
                         yaml_place(c->file, yaml_find_key(node, second)),
                         "\"%s\" and \"%s\" are two things; %s is one", name, second, u->name);
            finding_advise(c->findings, "begin a new item with \"- \" before the second");
            node->is_bad = true;
            return;
        }
        if (node->type == YAML_MAP)
            map_check(c, shape, node);
        else
            key_check(c, key_find(shape, str_of(u->short_key)), node);
        return;
    }
}

void shape_check_list(struct shape_check *c, const struct shape *shape, struct yaml_node *node)
{
    if (node->type != YAML_LIST) {
        wrong(c, node, FINDING_WRONG_TYPE, "the file is a list of %s, not %s", shape->name,
              yaml_type_words(node));
        return;
    }
    for (uint32_t i = 0; i < node->count; i++)
        shape_check(c, shape, node->items[i]);
}

/* ---- taking ---------------------------------------------------------------------------------- */

const struct yaml_node *shape_value(const struct yaml_node *node, const char *short_key,
                                    const char *key)
{
    if (!node || node->is_bad)
        return NULL;
    if (node->type != YAML_MAP)
        return short_key[0] && strcmp(short_key, key) == 0 && node->type != YAML_NULL ? node : NULL;
    const struct yaml_node *value = yaml_find(node, key);
    return value && !value->is_bad && value->type != YAML_NULL ? value : NULL;
}

uint32_t shape_count(const struct yaml_node *node)
{
    if (!node || node->is_bad)
        return 0;
    return node->type == YAML_LIST ? node->count : 1;
}

const struct yaml_node *shape_item(const struct yaml_node *node, uint32_t index)
{
    return node->type == YAML_LIST ? node->items[index] : node;
}

bool shape_bool(const struct yaml_node *node, bool standard)
{
    return node && node->type == YAML_BOOL ? node->boolean : standard;
}

int64_t shape_int(const struct yaml_node *node, int64_t standard)
{
    return node && node->type == YAML_INT ? node->integer : standard;
}

int64_t shape_span_ms(const struct yaml_node *node, int64_t standard_ms)
{
    struct span span;
    if (!node || node->is_bad || node->type != YAML_TEXT ||
        span_parse(node->text, &span, NULL) != OK || span.kind != SPAN_FIXED)
        return standard_ms;
    return span.ms;
}

struct str shape_text(const struct yaml_node *node, struct str standard)
{
    return node && !node->is_bad && node->text.at ? node->text : standard;
}

/* ---- the reference --------------------------------------------------------------------------- */

static const char *type_words(const struct key *key)
{
    switch (key->type) {
    case KEY_TEXT: return "text";
    case KEY_NAME: return "name";
    case KEY_EVENT: return "event";
    case KEY_PROPERTY: return "property";
    case KEY_BOOL: return "true or false";
    case KEY_INT: return "whole number";
    case KEY_PERCENT: return "percent";
    case KEY_MONEY: return "amount of money";
    case KEY_SPAN: return "time";
    case KEY_DAYS: return "time or calendar days";
    case KEY_RANK: return "whole number or expression";
    case KEY_LENGTH: return "time, calendar days or expression";
    case KEY_PACE: return "number in a time";
    case KEY_OFFSET: return "time, may be negative";
    case KEY_DATE: return "date or expression";
    case KEY_PER: return "time, day or week";
    case KEY_AGAIN: return "always, never or a time";
    case KEY_CLOCK: return "time of day";
    case KEY_WEEKDAYS: return "weekdays";
    case KEY_EXPRESSION: return "expression";
    case KEY_ZONE: return "time zone";
    case KEY_CHANNEL: return "channel";
    case KEY_TIME: return "moment";
    case KEY_COUNT: return "true or a number";
    case KEY_NOTHING: return "empty";
    case KEY_ANY: return "any value";
    case KEY_CONSENT: return "channels";
    case KEY_PARTS: return "parts of the channel";
    case KEY_SETTING: return "text";
    case KEY_CHOICE: return "";
    case KEY_SHAPE: return shape_get(key->of)->name;
    case KEY_UNION: return shape_union_get(key->of)->name;
    case KEY_TYPE_END: break;
    }
    return "";
}

static void key_reference(const struct key *key, struct arena *scratch, struct buf *out)
{
    buf_printf(out, "| `%s` | ", key->name);
    switch (key->form) {
    case FORM_ONE: break;
    case FORM_LIST: buf_printf(out, "list of "); break;
    case FORM_SOME: buf_printf(out, "one or a list of "); break;
    case FORM_MAP: buf_printf(out, "map of "); break;
    }
    if (key->type == KEY_CHOICE) {
        struct str words = shape_choices(key, scratch);
        if (strcmp(key->of, "=outcomes") == 0) {
            buf_printf(out, "an outcome (DESK.md)");
        } else {
            for (size_t i = 0; i < words.len; i++) {
                if (words.at[i] == '|')
                    buf_printf(out, ", ");
                else
                    buf_add_byte(out, (uint8_t)words.at[i]);
            }
        }
    } else if (key->type == KEY_INT) {
        struct str range = str_of(key->of);
        size_t dots = str_find(range, STR(".."), 0);
        buf_printf(out, "whole number %.*s to %.*s", (int)dots, range.at,
                   (int)(range.len - dots - 2), range.at + dots + 2);
    } else {
        buf_printf(out, "%s", type_words(key));
    }
    buf_printf(out, " | %s | %s |\n", key->is_must ? "**required**" : key->standard, key->doc);
}

static void laters_reference(const struct shape *shape, struct buf *out)
{
    bool has_any = false;
    for (uint32_t i = 0; i < shape->key_count; i++) {
        if (!shape->keys[i].is_later)
            continue;
        buf_printf(out, "%s`%s`",
                   has_any ? ", " : "\nNot supported yet by this release: ", shape->keys[i].name);
        has_any = true;
    }
    if (has_any)
        buf_printf(out, ".\n");
}

static void shape_print(const struct shape *shape, struct arena *scratch, struct buf *out)
{
    bool is_file = strstr(shape->name, ".yaml") != NULL;
    buf_printf(out, "%s `%s`\n\n%c%s.", is_file ? "##" : "###", shape->name,
               shape->doc[0] >= 'a' && shape->doc[0] <= 'z' ? shape->doc[0] - 32 : shape->doc[0],
               shape->doc + 1);
    if (shape->short_key[0])
        buf_printf(out, " A value that is not a map stands for `%s`.", shape->short_key);
    buf_printf(out, "\n\n| key | value | if absent | meaning |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < shape->key_count; i++)
        if (!shape->keys[i].is_later)
            key_reference(&shape->keys[i], scratch, out);
    laters_reference(shape, out);
    buf_add_byte(out, '\n');
}

static void union_print(const struct shape_union *u, struct buf *out)
{
    buf_printf(out, "### `%s`\n\n%c%s. One of", u->name, u->doc[0] - 32, u->doc + 1);
    for (uint32_t i = 0; i < u->member_count; i++)
        if (u->members[i].shape)
            buf_printf(out, "%s `%s`", i ? "," : "", u->members[i].key);
    buf_printf(out, ".");
    if (u->short_key[0])
        buf_printf(out, " A value that is not a map stands for `%s`.", u->short_key);
    bool has_any = false;
    for (uint32_t i = 0; i < u->member_count; i++) {
        if (u->members[i].shape)
            continue;
        buf_printf(out, "%s`%s`",
                   has_any ? ", " : " Not supported yet by this release: ", u->members[i].key);
        has_any = true;
    }
    buf_printf(out, "%s\n\n", has_any ? "." : "");
}

/* In the order of keys.def: shapes and unions as they come. */
void shape_reference(struct buf *out)
{
    struct arena scratch;
    arena_init(&scratch, 4096);
    buf_printf(out,
               "# The keys of a programme's files\n\n"
               "Generated from `src/programme/keys.def`. What the files are for, and how they go "
               "together, is told in [PROGRAMME.md](../PROGRAMME.md).\n\n"
               "A *name* has letters, digits, `-`, `_` and `.`, at most %d of them. A *time* is "
               "`90s`, `15m`, `2h`, `3d`, `2w` or `1d12h`; `3d` is 72 hours. *Calendar days* "
               "(`day`, `2 days`, `week`) end at midnight in the person's zone. An *expression* is "
               "CEL.\n\n",
               NAME_LETTERS_MAX);
    static const struct {
        bool is_union;
        const char *symbol;
    } order[] = {
#define SHAPE(symbol, name, short, doc) {false, #symbol},
#define UNION(symbol, name, short, doc) {true, #symbol},
#include "programme/keys.def"
#undef SHAPE
#undef UNION
    };
    for (size_t i = 0; i < array_count(order); i++) {
        if (order[i].is_union)
            union_print(shape_union_get(order[i].symbol), out);
        else
            shape_print(shape_get(order[i].symbol), &scratch, out);
        arena_reset(&scratch);
    }
    arena_fini(&scratch);
    while (out->len > 1 && out->at[out->len - 1] == '\n' && out->at[out->len - 2] == '\n')
        out->len--;
}
