/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mapping.h"

#include "os/file.h"
#include "programme/programme.h"
#include "programme/shape.h"
#include "when/zone.h"

/* ---- the table ------------------------------------------------------------------------------- */

// clang-format off
#define NEED_MUST true
#define NEED_MAY  false
#define SHAPE(symbol, name, short, doc) static const struct key keys_##symbol[] = {
#define KEY(shape, key, type, form, of, need, standard, doc) \
    {key, KEY_##type, FORM_##form, of, NEED_##need, false, standard, doc},
#define END(symbol) };
#include "cli/mapping.def"
#undef SHAPE
#undef KEY
#undef END

#define KEY(shape, key, type, form, of, need, standard, doc)
#define END(symbol)
#define SHAPE(symbol, name, short, doc) \
    static const struct shape shape_##symbol = \
        {#symbol, name, short, doc, keys_##symbol, array_count(keys_##symbol)};
#include "cli/mapping.def"
#undef SHAPE
#undef KEY
#undef END
// clang-format on

static const struct {
    const char *word;
    enum import_target target;
} targets[] = {
    {"property", IMPORT_PROPERTY},   {"user_id", IMPORT_USER_ID},
    {"event", IMPORT_EVENT},         {"anonymous_id", IMPORT_ANONYMOUS_ID},
    {"context", IMPORT_CONTEXT},     {"message_id", IMPORT_MESSAGE_ID},
    {"skip", IMPORT_SKIP},           {"group_id", IMPORT_GROUP_ID},
    {"timestamp", IMPORT_TIMESTAMP}, {"email", IMPORT_EMAIL},
    {"phone", IMPORT_PHONE},         {"push_token", IMPORT_PUSH_TOKEN},
};

static const struct {
    const char *word;
    enum import_type type;
} types[] = {
    {"text", IMPORT_TEXT}, {"int", IMPORT_INT},   {"number", IMPORT_NUMBER},
    {"bool", IMPORT_BOOL}, {"time", IMPORT_TIME}, {"auto", IMPORT_AUTO},
};

static const struct {
    const char *word;
    enum event_kind kind;
} kinds[] = {
    {"track", EVENT_TRACK},       {"page", EVENT_PAGE},   {"screen", EVENT_SCREEN},
    {"identify", EVENT_IDENTIFY}, {"group", EVENT_GROUP},
};

/* The row of `table` whose word the node says; the first where it says nothing. */
#define look_up(table, node, field)                                          \
    ({                                                                       \
        size_t found = 0;                                                    \
        for (size_t at = 0; (node) != NULL && at < array_count(table); at++) \
            if (str_is((node)->text, table[at].word))                        \
                found = at;                                                  \
        table[found].field;                                                  \
    })

/* ---- reading --------------------------------------------------------------------------------- */

#define PLACES_MAX 512 /* columns whose line is remembered */

struct reader {
    struct mapping *mapping;
    const struct yaml_file *file;
    struct findings *findings;
    struct shape_check check;
    struct os_disk *disk;
    struct import_place *places;
};

static const struct yaml_node *value_of(const struct reader *r, const char *key)
{
    return shape_value(r->file->root, "", key);
}

/* The mapping names the column at that line. */
static void note_place(struct reader *r, struct str column, uint32_t line)
{
    struct import_mapping *m = &r->mapping->import;
    if (column.len == 0 || m->place_count == PLACES_MAX)
        return;
    if (r->places == NULL)
        m->places = r->places = arena_array(&r->mapping->arena, struct import_place, PLACES_MAX);
    r->places[m->place_count++] = (struct import_place){column, line};
}

static void read_cases(struct reader *r)
{
    struct mapping *m = r->mapping;
    const struct yaml_node *event = value_of(r, "event");
    uint32_t count = shape_count(event);
    struct import_case *cases = arena_array(&m->arena, struct import_case, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(event, i);
        struct yaml_node *node = event->type == YAML_LIST ? event->items[i] : NULL;
        if (node == NULL) /* one case, not in a list */
            node = yaml_find(r->file->root, "event");
        shape_check(&r->check, &shape_EVENT, node);
        const struct yaml_node *prefix = shape_value(item, "is", "starts_with");
        cases[i] = (struct import_case){
            .column = shape_text(shape_value(item, "is", "column"), STR("")),
            .prefix = shape_text(prefix, STR("")),
            .event = shape_text(shape_value(item, "is", "is"), STR("")),
        };
        note_place(r, cases[i].column, node->line);
        if (prefix != NULL && cases[i].column.len == 0)
            findings_add(r->findings, FINDING_MISSING_KEY, yaml_place(r->file, prefix),
                         "\"starts_with\" needs a \"column\" to look at");
    }
    m->import.cases = cases;
    m->import.case_count = count;
}

static void read_column(struct reader *r, const struct yaml_pair *pair, struct import_column *out)
{
    shape_check(&r->check, &shape_COLUMN, pair->value);
    const struct yaml_node *is = shape_value(pair->value, "is", "is");
    const struct yaml_node *type = shape_value(pair->value, "is", "type");
    const struct yaml_node *name = shape_value(pair->value, "is", "name");
    *out = (struct import_column){
        .column = pair->key->text,
        .target = look_up(targets, is, target),
        .path = shape_text(name, STR("")),
    };
    note_place(r, out->column, pair->key->line);
    bool is_field = out->target == IMPORT_PROPERTY || out->target == IMPORT_CONTEXT;
    out->type = type != NULL ? look_up(types, type, type) : is_field ? IMPORT_AUTO : IMPORT_TEXT;
    if (name != NULL && !is_field)
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, name),
                     "only properties and context fields have a name");
    bool is_id = out->target == IMPORT_USER_ID || out->target == IMPORT_ANONYMOUS_ID ||
                 out->target == IMPORT_GROUP_ID || out->target == IMPORT_PHONE;
    if (type != NULL && !is_field &&
        !(is_id && (out->type == IMPORT_INT || out->type == IMPORT_TEXT)))
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, type),
                     is_id ? "ids are of type text or int" : "this column has no type");
}

static void read_columns(struct reader *r)
{
    struct mapping *m = r->mapping;
    const struct yaml_node *columns = value_of(r, "columns");
    const struct yaml_node *constants = value_of(r, "constants");
    uint32_t most = (columns ? columns->count : 0) + (constants ? constants->count : 0);
    struct import_column *list = arena_array(&m->arena, struct import_column, most + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; columns != NULL && i < columns->count; i++)
        read_column(r, &columns->pairs[i], &list[count++]);
    for (uint32_t i = 0; constants != NULL && i < constants->count; i++) {
        const struct yaml_pair *pair = &constants->pairs[i];
        list[count++] = (struct import_column){
            .constant = pair->value->text,
            .target = IMPORT_PROPERTY,
            .path = pair->key->text,
            .type = pair->value->type == YAML_INT      ? IMPORT_INT
                    : pair->value->type == YAML_DOUBLE ? IMPORT_NUMBER
                    : pair->value->type == YAML_BOOL   ? IMPORT_BOOL
                                                       : IMPORT_TEXT,
        };
    }
    m->import.columns = list;
    m->import.column_count = count;
}

static const struct str *read_list(struct reader *r, const char *key, uint32_t *count)
{
    const struct yaml_node *node = value_of(r, key);
    *count = shape_count(node);
    struct str *list = arena_array(&r->mapping->arena, struct str, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        list[i] = shape_item(node, i)->text;
        note_place(r, list[i], shape_item(node, i)->line);
    }
    return list;
}

static void read_zone(struct reader *r)
{
    struct mapping *m = r->mapping;
    const struct yaml_node *node = value_of(r, "timezone");
    struct fault f = {0};
    struct buf zones;
    if (node == NULL)
        return;
    buf_init(&zones);
    enum status status = programme_zones(r->disk, NULL, &zones, &f);
    if (status == OK)
        status = zoneset_read(buf_str(&zones), &m->zones, &f);
    buf_fini(&zones);
    if (status != OK) {
        findings_add(r->findings, FINDING_UNREADABLE, yaml_place(r->file, node), "%s", f.text);
        return;
    }
    uint16_t zone = zoneset_find(m->zones, node->text);
    if (zone != ZONE_NONE) {
        m->import.zone = zoneset_zone(m->zones, zone);
        return;
    }
    struct str near = zoneset_nearest(m->zones, node->text);
    findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, node),
                 "there is no time zone \"%.*s\"", STR_ARG(node->text));
    if (near.len)
        finding_advise(r->findings, "did you mean \"%.*s\"?", STR_ARG(near));
}

static void read_delimiter(struct reader *r)
{
    const struct yaml_node *node = value_of(r, "delimiter");
    if (node == NULL)
        return;
    if (node->type == YAML_TEXT && node->text.len == 1 && (node->text.at[0] & 0x80) == 0)
        r->mapping->import.delimiter = node->text.at[0];
    else
        findings_add(r->findings, FINDING_WRONG_VALUE, yaml_place(r->file, node),
                     "\"delimiter\" wants one ASCII character, such as \";\" or \"\\t\"");
}

static bool says(const struct reader *r, const char *key, const char *word)
{
    const struct yaml_node *node = value_of(r, key);
    return node != NULL && str_is(node->text, word);
}

static void read_all(struct reader *r)
{
    struct import_mapping *m = &r->mapping->import;
    shape_check(&r->check, &shape_MAPPING, r->file->root);
    if (r->file->root->type != YAML_MAP)
        return;
    const struct yaml_node *kind = value_of(r, "kind");
    m->kind = look_up(kinds, kind, kind);
    read_cases(r);
    read_columns(r);
    m->message_id_columns = read_list(r, "message_id", &m->message_id_count);
    m->needed_columns = read_list(r, "rows_need", &m->needed_count);
    m->message_id_prefix = shape_text(value_of(r, "message_id_prefix"), STR(""));
    m->skip_empty = !says(r, "empty", "text");
    m->ignore_unmapped = says(r, "other_columns", "skip");
    read_zone(r);
    read_delimiter(r);
}

bool mapping_read(struct os_disk *disk, const char *path, struct mapping *out,
                  struct findings *findings)
{
    struct yaml_file *file;
    struct fault f = {0};
    struct buf text;
    *out = (struct mapping){0};
    arena_init(&out->arena, 16 * 1024);
    buf_init(&text);
    if (os_read_whole(disk, path, MAPPING_BYTES_MAX, &text, &f) != OK) {
        findings_add(findings, FINDING_UNREADABLE, (struct place){str_of(path), 0, 0}, "%s",
                     f.text);
        buf_fini(&text);
        return false;
    }
    file = arena_new(&out->arena, struct yaml_file);
    out->hash = hash_str(buf_str(&text), 0);
    bool is_fine = yaml_read(str_of(path), buf_str(&text), &out->arena, file, findings);
    buf_fini(&text);
    struct reader r = {.mapping = out,
                       .file = file,
                       .findings = findings,
                       .check = {.file = file, .findings = findings, .scratch = &out->arena},
                       .disk = disk};
    out->import.file = arena_copy(&out->arena, str_of(path));
    if (file->root != NULL)
        read_all(&r);
    else if (is_fine)
        findings_add(findings, FINDING_MISSING_KEY, (struct place){str_of(path), 0, 0},
                     "the mapping is empty");
    return findings->error_count == 0;
}

void mapping_fini(struct mapping *m)
{
    zoneset_free(m->zones);
    arena_fini(&m->arena);
    *m = (struct mapping){0};
}
