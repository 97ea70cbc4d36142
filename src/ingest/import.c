/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest/import.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "ingest/csv.h"
#include "ingest/ingest_int.h"
#include "when/zone.h"

/* What becomes of a column of this file. */
struct bound_column {
    struct str header;
    struct str path; /* of a property or context field */
    enum import_target target;
    enum import_type type;
};

struct import {
    struct import_options options;
    struct import_mapping mapping;
    struct ingest_worker *worker;
    import_report *report;
    void *report_context;
    struct import_position position;
    bool has_begun; /* the mark and encoding at the file's beginning were looked at */

    /* CSV */
    bool has_header;
    struct arena arena; /* of the header */
    struct bound_column columns[IMPORT_COLUMNS_MAX];
    uint32_t column_count;
    uint32_t id_parts[IMPORT_PARTS_MAX]; /* columns of the message id */
    uint32_t *case_columns;              /* of the mapping's cases */
    uint32_t *needed_columns;            /* of the mapping's */
    struct str fields[IMPORT_COLUMNS_MAX];
    struct csv_row row;
    struct buf message_id;
};

/* --- Making one --------------------------------------------------------------------------------------- */

static bool is_once(enum import_target target)
{
    switch (target) {
    case IMPORT_USER_ID:
    case IMPORT_ANONYMOUS_ID:
    case IMPORT_EVENT:
    case IMPORT_TIMESTAMP:
    case IMPORT_MESSAGE_ID:
    case IMPORT_GROUP_ID:
    case IMPORT_EMAIL:
    case IMPORT_PHONE:
    case IMPORT_PUSH_TOKEN: return true;
    case IMPORT_PROPERTY:
    case IMPORT_CONTEXT:
    case IMPORT_SKIP: break;
    }
    return false;
}

/* The channel of a column that is an address; CHANNEL_NONE if it is none. */
static enum channel channel_of(enum import_target target)
{
    return target == IMPORT_EMAIL        ? CHANNEL_EMAIL
           : target == IMPORT_PHONE      ? CHANNEL_SMS
           : target == IMPORT_PUSH_TOKEN ? CHANNEL_PUSH
                                         : CHANNEL_NONE;
}

/* The trait that holds such an address. */
static struct str trait_of(enum channel channel)
{
    return channel == CHANNEL_EMAIL ? STR("email")
           : channel == CHANNEL_SMS ? STR("phone")
                                    : STR("push_token");
}

static uint32_t count_target(const struct import_mapping *m, enum import_target target)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->column_count; i++)
        count += m->columns[i].target == target;
    return count;
}

static enum status check_mapping(const struct import_mapping *m, struct fault *f)
{
    static const struct {
        enum import_target target;
        const char *name;
    } singles[] = {
        {IMPORT_USER_ID, "user id"},       {IMPORT_ANONYMOUS_ID, "anonymous id"},
        {IMPORT_EVENT, "event"},           {IMPORT_TIMESTAMP, "timestamp"},
        {IMPORT_MESSAGE_ID, "message id"}, {IMPORT_GROUP_ID, "group id"},
        {IMPORT_EMAIL, "e-mail address"},  {IMPORT_PHONE, "phone number"},
        {IMPORT_PUSH_TOKEN, "push token"},
    };
    for (size_t i = 0; i < array_count(singles); i++) {
        must(is_once(singles[i].target));
        if (count_target(m, singles[i].target) > 1) {
            fault_set(f, "the mapping gives the %s twice", singles[i].name);
            return FIX_INPUT;
        }
    }
    if (m->column_count > IMPORT_COLUMNS_MAX || m->message_id_count > IMPORT_PARTS_MAX) {
        fault_set(f, "the mapping has more than %d columns, or its message id more than %d",
                  IMPORT_COLUMNS_MAX, IMPORT_PARTS_MAX);
        return FIX_INPUT;
    }
    if (m->message_id_count > 0 && count_target(m, IMPORT_MESSAGE_ID) > 0) {
        fault_set(f, "the mapping makes the message id from columns and takes it from one");
        return FIX_INPUT;
    }
    if (count_target(m, IMPORT_USER_ID) + count_target(m, IMPORT_ANONYMOUS_ID) +
            count_target(m, IMPORT_EMAIL) + count_target(m, IMPORT_PHONE) +
            count_target(m, IMPORT_PUSH_TOKEN) ==
        0) {
        fault_set(f, "the mapping names no column for the user id, the anonymous id or an address");
        return FIX_INPUT;
    }
    bool has_name = m->case_count > 0 || count_target(m, IMPORT_EVENT) > 0;
    if (m->kind == EVENT_TRACK && !has_name) {
        fault_set(f, "the mapping does not say what the events are called");
        return FIX_INPUT;
    }
    if (m->kind == EVENT_GROUP && count_target(m, IMPORT_GROUP_ID) == 0) {
        fault_set(f, "the mapping names no column for the group id");
        return FIX_INPUT;
    }
    if (m->kind == EVENT_ALIAS || m->kind < EVENT_TRACK || m->kind > EVENT_ALIAS) {
        fault_set(f, "rows can be track, page, screen, identify or group events");
        return FIX_INPUT;
    }
    if (m->delimiter == '"' || m->delimiter == '\n' || m->delimiter == '\r') {
        fault_set(f, "a quote or line end cannot be the delimiter");
        return FIX_INPUT;
    }
    return OK;
}

enum status import_new(const struct import_options *options, struct ingest_worker *w,
                       import_report *report, void *report_context, struct import **out,
                       struct fault *f)
{
    must(options->events_max >= 1);
    must(options->events_max <= BATCH_RECORDS_MAX);
    if (options->format == IMPORT_CSV) {
        must(options->mapping != NULL);
        if (check_mapping(options->mapping, f) != OK)
            return FIX_INPUT;
    }
    struct import *im = mem_new(sizeof(*im));
    im->options = *options;
    im->worker = w;
    im->report = report;
    im->report_context = report_context;
    im->position.line = 1;
    if (!options->is_live)
        im->options.source.flags |= RECORD_IS_HISTORY;
    if (options->format == IMPORT_CSV) {
        im->mapping = *options->mapping;
        if (im->mapping.delimiter == 0)
            im->mapping.delimiter = ',';
        im->case_columns = mem_new((im->mapping.case_count + 1) * sizeof(im->case_columns[0]));
        im->needed_columns =
            mem_new((im->mapping.needed_count + 1) * sizeof(im->needed_columns[0]));
    }
    arena_init(&im->arena, 4096);
    buf_init(&im->row.text);
    buf_init(&im->message_id);
    im->row.fields = im->fields;
    im->row.field_max = IMPORT_COLUMNS_MAX;
    *out = im;
    return OK;
}

void import_free(struct import *im)
{
    if (im == NULL)
        return;
    arena_fini(&im->arena);
    buf_fini(&im->row.text);
    buf_fini(&im->message_id);
    mem_free(im->case_columns);
    mem_free(im->needed_columns);
    mem_free(im);
}

struct import_position import_position(const struct import *im)
{
    return im->position;
}

void import_resume(struct import *im, const struct import_position *position)
{
    must(im->has_header || im->options.format != IMPORT_CSV);
    im->position = *position;
    im->has_begun = true;
}

/* --- Rows ----------------------------------------------------------------------------------------------- */

static void report(struct import *im, struct str field, const char *sentence, const char *advice)
{
    char text[512];
    snprintf(text, sizeof(text), "%s%s%s", sentence, advice[0] != 0 ? "; " : "", advice);
    im->position.bad++;
    im->report(im->report_context, im->position.line, field, str_of(text));
}

static void advance(struct import *im, size_t bytes, uint32_t lines)
{
    im->position.byte += bytes;
    im->position.line += lines;
}

/* A file that cannot be read at all is told by its first bytes. Gives how many to leave out. */
static enum status begin(struct import *im, struct str bytes, bool is_end, size_t *skip,
                         struct fault *f)
{
    *skip = 0;
    if (im->has_begun)
        return OK;
    if (bytes.len < 3 && !is_end)
        return TRY_AGAIN;
    im->has_begun = true;
    if (str_starts(bytes, STR("\xff\xfe")) || str_starts(bytes, STR("\xfe\xff"))) {
        fault_set(f, "the file is UTF-16; convert it to UTF-8");
        return FIX_INPUT;
    }
    if (str_starts(bytes, STR("\xef\xbb\xbf")))
        *skip = 3;
    return OK;
}

static void event_done(struct import *im, enum ingest_error error, struct str field,
                       const char *detail)
{
    if (error == INGEST_FINE) {
        im->position.good++;
        return;
    }
    const struct ingest_error_row *row = ingest_error_row(error);
    char sentence[400];
    snprintf(sentence, sizeof(sentence), "%s%s%.200s%s", row->sentence, detail[0] ? " (" : "",
             detail, detail[0] ? ")" : "");
    report(im, field, sentence, row->advice);
}

/* One line of NDJSON. */
static void take_line(struct import *im, struct str line, int64_t now_ms,
                      struct ingest_batch *batch)
{
    char field[INGEST_FIELD_BYTES];
    line = str_trim(line);
    if (line.len == 0)
        return;
    im->position.rows++;
    batch->detail[0] = 0;
    enum ingest_error error = ingest_parse_event(im->worker, line, im->options.source, now_ms,
                                                 im->position.line, batch, field);
    event_done(im, error, str_of(field), error == INGEST_BAD_JSON ? batch->detail : "");
    batch->detail[0] = 0;
}

/* --- CSV: the header --------------------------------------------------------------------------------------- */

static uint32_t find_header(const struct import *im, struct str name)
{
    for (uint32_t i = 0; i < im->column_count; i++)
        if (str_equal(im->columns[i].header, name))
            return i;
    return UINT32_MAX;
}

/* ", which shop.yaml:4 names"; empty if that is not known. */
static void say_place(const struct import_mapping *m, struct str name, char *out, size_t bytes)
{
    out[0] = 0;
    for (uint32_t i = 0; i < m->place_count; i++) {
        if (!str_equal(m->places[i].column, name))
            continue;
        snprintf(out, bytes, ", which %.*s:%u names", STR_ARG(m->file), m->places[i].line);
        return;
    }
}

static enum status need_header(const struct import *im, struct str name, uint32_t *column,
                               struct fault *f)
{
    struct str names[IMPORT_COLUMNS_MAX];
    char place[512];
    *column = find_header(im, name);
    if (*column != UINT32_MAX)
        return OK;
    for (uint32_t i = 0; i < im->column_count; i++)
        names[i] = im->columns[i].header;
    struct str near = str_nearest(name, names, im->column_count);
    say_place(&im->mapping, name, place, sizeof(place));
    if (near.len != 0)
        fault_set(f, "the file has no column \"%.*s\"%s; did you mean \"%.*s\"?", STR_ARG(name),
                  place, STR_ARG(near));
    else
        fault_set(f, "the file has no column \"%.*s\"%s; the first is \"%.*s\"", STR_ARG(name),
                  place, STR_ARG(names[0]));
    return FIX_INPUT;
}

static enum status bind_columns(struct import *im, struct fault *f)
{
    const struct import_mapping *m = &im->mapping;
    uint32_t index;
    im->column_count = im->row.field_count;
    for (uint32_t i = 0; i < im->column_count; i++) {
        struct bound_column *c = &im->columns[i];
        c->header = arena_copy(&im->arena, str_trim(im->fields[i]));
        c->path = c->header;
        c->target = m->ignore_unmapped ? IMPORT_SKIP : IMPORT_PROPERTY;
        c->type = IMPORT_AUTO;
    }
    for (uint32_t i = 0; i < m->column_count; i++) {
        const struct import_column *from = &m->columns[i];
        if (from->column.len == 0)
            continue;
        if (need_header(im, from->column, &index, f) != OK)
            return FIX_INPUT;
        struct bound_column *c = &im->columns[index];
        c->target = from->target;
        c->type = from->type;
        if (from->path.len != 0)
            c->path = from->path;
    }
    for (uint32_t i = 0; i < m->message_id_count; i++)
        if (need_header(im, m->message_id_columns[i], &im->id_parts[i], f) != OK)
            return FIX_INPUT;
    for (uint32_t i = 0; i < m->case_count; i++)
        if (m->cases[i].column.len != 0 &&
            need_header(im, m->cases[i].column, &im->case_columns[i], f) != OK)
            return FIX_INPUT;
    for (uint32_t i = 0; i < m->needed_count; i++)
        if (need_header(im, m->needed_columns[i], &im->needed_columns[i], f) != OK)
            return FIX_INPUT;
    im->has_header = true;
    return OK;
}

static enum status read_header(struct import *im, struct str bytes, bool is_end, size_t *taken,
                               struct fault *f)
{
    enum csv_result result =
        bytes.len == 0 ? CSV_MORE : csv_read(bytes, is_end, im->mapping.delimiter, &im->row);
    *taken = 0;
    switch (result) {
    case CSV_ROW: break;
    case CSV_MORE:
        if (!is_end && bytes.len <= IMPORT_ROW_MAX)
            return TRY_AGAIN;
        fault_set(f, "the file has no header line");
        return FIX_INPUT;
    case CSV_BAD: fault_set(f, "the header line has a quote that does not end"); return FIX_INPUT;
    case CSV_TOO_MANY:
        fault_set(f, "the file has more than %d columns", IMPORT_COLUMNS_MAX);
        return FIX_INPUT;
    }
    if (bind_columns(im, f) != OK) {
        fault_place(f, NULL, 1, 0);
        return FIX_INPUT;
    }
    *taken = im->row.bytes;
    advance(im, im->row.bytes, im->row.line_count);
    return OK;
}

enum status import_feed_header(struct import *im, struct str bytes, bool is_end, size_t *taken,
                               struct fault *f)
{
    size_t skip;
    *taken = 0;
    must(im->options.format == IMPORT_CSV);
    must(!im->has_header);
    enum status status = begin(im, bytes, is_end, &skip, f);
    if (status != OK)
        return status;
    status = read_header(im, str_part(bytes, skip, SIZE_MAX), is_end, taken, f);
    if (status == TRY_AGAIN)
        im->has_begun = false; /* the same bytes come again, their mark too */
    if (status == OK) {
        *taken += skip;
        im->position.byte += skip;
    }
    return status;
}

/* --- CSV: a row ---------------------------------------------------------------------------------------------- */

static bool read_bool(struct str text, bool *out)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"no", "yes"}, {"0", "1"}, {"f", "t"}, {"n", "y"}};
    for (size_t i = 0; i < array_count(words); i++) {
        for (int is = 0; is < 2; is++) {
            if (str_equal_nocase(text, str_of(words[i][is]))) {
                *out = is == 1;
                return true;
            }
        }
    }
    return false;
}

/* A number that is finite. */
static bool read_double(struct str text, double *out)
{
    return str_to_double(text, out) && isfinite(*out);
}

/* A whole number, also one that a spreadsheet has written as "17.0". */
static bool read_int(struct str text, int64_t *out)
{
    double number;
    if (str_to_int(text, out))
        return true;
    if (!str_to_double(text, &number) || !(number > -9e15 && number < 9e15) ||
        (double)(int64_t)number != number)
        return false;
    *out = (int64_t)number;
    return true;
}

static bool read_time(const struct import *im, struct str text, int64_t *at_ms)
{
    struct timestamp time;
    double number;
    text = str_trim(text);
    if (str_to_double(text, &number))
        return timestamp_from_number(number, at_ms);
    if (timestamp_parse(text, TIMESTAMP_LOOSE, &time, NULL) != OK)
        return false;
    if (!time.has_offset)
        time.at_ms = im->mapping.zone != NULL ? zone_utc(im->mapping.zone, time.at_ms)
                                              : time.at_ms - im->mapping.offset_ms;
    *at_ms = time.at_ms;
    return true;
}

/* The cell as the type says; NULL, or what it is not. */
static const char *read_value(const struct import *im, enum import_type type, struct str cell,
                              struct value *out)
{
    struct str text = str_trim(cell);
    int64_t whole;
    double number;
    bool truth;
    switch (type) {
    case IMPORT_TEXT: *out = value_text(cell); return NULL;
    case IMPORT_INT:
        if (!read_int(text, &whole))
            return "a whole number";
        *out = value_int(whole);
        return NULL;
    case IMPORT_NUMBER:
        if (!read_double(text, &number))
            return "a number";
        *out = value_double(number);
        return NULL;
    case IMPORT_BOOL:
        if (!read_bool(text, &truth))
            return "true or false";
        *out = value_bool(truth);
        return NULL;
    case IMPORT_TIME:
        if (!read_time(im, text, &whole))
            return "a time";
        *out = value_time(whole);
        return NULL;
    case IMPORT_AUTO:
        if (str_to_int(text, &whole))
            *out = value_int(whole);
        else if (read_double(text, &number))
            *out = value_double(number);
        else if (str_equal_nocase(text, STR("true")) || str_equal_nocase(text, STR("false")))
            *out = value_bool(text.len == 4);
        else
            *out = value_text(cell);
        return NULL;
    }
    return NULL;
}

static enum part part_of(enum event_kind kind)
{
    return kind == EVENT_IDENTIFY || kind == EVENT_GROUP ? PART_TRAITS : PART_PROPERTIES;
}

/* What a row becomes, and what is wrong with it. */
struct row_state {
    struct raw_event raw;
    char digits[4][24]; /* of user, anonymous and group ids, and phones, that are numbers */
    struct str field;   /* where it is wrong */
    char wrong[128];    /* what it is not; empty = fine */
};

static void row_wrong(struct row_state *row, struct str field, const char *what)
{
    row->field = field;
    snprintf(row->wrong, sizeof(row->wrong), "the cell is not %s", what);
}

static struct str id_text(struct row_state *row, enum import_type type, struct str cell,
                          struct str field, char digits[24])
{
    int64_t whole;
    if (type != IMPORT_INT)
        return cell;
    if (!read_int(str_trim(cell), &whole)) {
        row_wrong(row, field, "a whole number");
        return STR("");
    }
    int len = snprintf(digits, 24, "%lld", (long long)whole);
    return (struct str){digits, (size_t)len};
}

/* One cell (or constant) that is not a property. */
static void take_head(const struct import *im, struct row_state *row, enum import_target target,
                      enum import_type type, struct str field, struct str cell)
{
    struct raw_event *raw = &row->raw;
    if (str_trim(cell).len == 0)
        return;
    switch (target) {
    case IMPORT_USER_ID: raw->user = id_text(row, type, cell, field, row->digits[0]); return;
    case IMPORT_ANONYMOUS_ID:
        raw->anonymous = id_text(row, type, cell, field, row->digits[1]);
        return;
    case IMPORT_GROUP_ID: raw->group = id_text(row, type, cell, field, row->digits[2]); return;
    case IMPORT_EMAIL:
    case IMPORT_PHONE:
    case IMPORT_PUSH_TOKEN:
        event_found_by(raw, channel_of(target), id_text(row, type, cell, field, row->digits[3]));
        return;
    case IMPORT_MESSAGE_ID: raw->message_id = cell; return;
    case IMPORT_EVENT:
        if (raw->name.len == 0)
            raw->name = str_trim(cell);
        return;
    case IMPORT_TIMESTAMP:
        raw->has_time = read_time(im, cell, &raw->time_ms);
        if (!raw->has_time)
            row_wrong(row, field, "a time");
        return;
    case IMPORT_PROPERTY:
    case IMPORT_CONTEXT:
    case IMPORT_SKIP: return;
    }
}

static void take_message_id(struct import *im, struct row_state *row)
{
    const struct import_mapping *m = &im->mapping;
    if (m->message_id_count == 0)
        return;
    im->message_id.len = 0;
    buf_add_str(&im->message_id, m->message_id_prefix);
    for (uint32_t i = 0; i < m->message_id_count; i++) {
        if (i != 0)
            buf_add_byte(&im->message_id, ':');
        buf_add_str(&im->message_id, im->fields[im->id_parts[i]]);
    }
    row->raw.message_id = buf_str(&im->message_id);
}

static enum ingest_error put_cell(struct import *im, struct event_draft *d, struct row_state *row,
                                  enum import_target target, enum import_type type, struct str path,
                                  struct str header, struct str cell)
{
    struct value x;
    enum channel channel = channel_of(target);
    if (channel != CHANNEL_NONE && im->mapping.kind == EVENT_IDENTIFY &&
        row->raw.found_by[channel].len != 0) {
        d->part = PART_TRAITS;
        x = value_text(row->raw.found_by[channel]);
        return event_put_value(d, PLACE_PROPERTIES, trait_of(channel), &x);
    }
    if (target != IMPORT_PROPERTY && target != IMPORT_CONTEXT)
        return INGEST_FINE;
    bool is_empty = str_trim(cell).len == 0;
    if (is_empty && (im->mapping.skip_empty || type != IMPORT_TEXT))
        return INGEST_FINE;
    const char *wrong = read_value(im, type, cell, &x);
    if (wrong != NULL) {
        row_wrong(row, header, wrong);
        return INGEST_BAD_FIELD;
    }
    d->part = target == IMPORT_CONTEXT ? PART_CONTEXT : part_of(im->mapping.kind);
    return event_put_value(d, target == IMPORT_CONTEXT ? PLACE_CONTEXT : PLACE_PROPERTIES, path,
                           &x);
}

static enum ingest_error put_cells(struct import *im, struct event_draft *d, struct row_state *row)
{
    const struct import_mapping *m = &im->mapping;
    enum ingest_error error = INGEST_FINE;
    for (uint32_t i = 0; i < im->column_count && error == INGEST_FINE; i++) {
        const struct bound_column *c = &im->columns[i];
        error = put_cell(im, d, row, c->target, c->type, c->path, c->header, im->fields[i]);
    }
    for (uint32_t i = 0; i < m->column_count && error == INGEST_FINE; i++) {
        const struct import_column *c = &m->columns[i];
        if (c->column.len == 0)
            error = put_cell(im, d, row, c->target, c->type, c->path, c->path, c->constant);
    }
    return error;
}

static void take_heads(struct import *im, struct row_state *row)
{
    const struct import_mapping *m = &im->mapping;
    for (uint32_t i = 0; i < m->case_count && row->raw.name.len == 0; i++)
        if (m->cases[i].column.len == 0 ||
            str_starts(im->fields[im->case_columns[i]], m->cases[i].prefix))
            row->raw.name = m->cases[i].event;
    for (uint32_t i = 0; i < im->column_count; i++)
        take_head(im, row, im->columns[i].target, im->columns[i].type, im->columns[i].header,
                  im->fields[i]);
    for (uint32_t i = 0; i < m->column_count; i++)
        if (m->columns[i].column.len == 0)
            take_head(im, row, m->columns[i].target, m->columns[i].type, m->columns[i].path,
                      m->columns[i].constant);
    take_message_id(im, row);
}

static void take_row(struct import *im, int64_t now_ms, struct ingest_batch *batch)
{
    struct row_state row = {.raw = {.kind = im->mapping.kind,
                                    .source = im->options.source,
                                    .arrival_ms = now_ms,
                                    .ordinal = im->position.line}};
    char field[INGEST_FIELD_BYTES] = "";
    im->position.rows++;
    if (im->row.field_count != im->column_count) {
        char sentence[128];
        snprintf(sentence, sizeof(sentence), "the row has %u cells where the header has %u",
                 im->row.field_count, im->column_count);
        report(im, STR(""), sentence, "");
        return;
    }
    for (uint32_t i = 0; i < im->mapping.needed_count; i++) {
        if (str_trim(im->fields[im->needed_columns[i]]).len != 0)
            continue;
        im->position.left_out++;
        return;
    }
    for (uint32_t i = 0; i < im->row.field_count; i++) {
        if (str_is_utf8(im->fields[i]) &&
            str_find(im->fields[i], (struct str){"", 1}, 0) == SIZE_MAX)
            continue;
        report(im, im->columns[i].header, "the cell is not UTF-8 text",
               "convert the file to UTF-8");
        return;
    }
    take_heads(im, &row);
    enum ingest_error error =
        row.wrong[0] != 0 ? INGEST_BAD_FIELD : event_settle_ids(&row.raw, batch, field);
    struct event_draft draft;
    if (error == INGEST_FINE) {
        error = event_begin(im->worker, &row.raw, batch, &draft, field);
        if (error == INGEST_FINE)
            error = put_cells(im, &draft, &row);
        if (error == INGEST_FINE)
            error = event_end(&draft, &row.raw);
        if (error != INGEST_FINE)
            event_drop(&draft);
    }
    if (row.wrong[0] != 0)
        report(im, row.field, row.wrong, "");
    else
        event_done(im, error, str_of(field), "");
}

/* --- Feeding ------------------------------------------------------------------------------------------------ */

/* Reads one row or line off the front of `rest` (not empty); how many bytes it took, 0: more are needed. */
static size_t feed_csv(struct import *im, struct str rest, bool is_end, int64_t now_ms,
                       struct ingest_batch *batch)
{
    enum csv_result result = csv_read(rest, is_end, im->mapping.delimiter, &im->row);
    if (result == CSV_MORE && rest.len <= IMPORT_ROW_MAX)
        return 0;
    bool is_long = result == CSV_MORE || im->row.bytes > IMPORT_ROW_MAX;
    if (is_long) { /* perhaps a quote that does not end: only its first line is given up */
        size_t end = str_find(rest, STR("\n"), 0);
        im->position.rows++;
        report(im, STR(""), "the row has more than 64 KiB, or a quote that does not end", "");
        im->position.is_in_long_row = end == SIZE_MAX;
        im->row.bytes = end == SIZE_MAX ? rest.len : end + 1;
        im->row.line_count = end != SIZE_MAX;
    } else if (result == CSV_BAD) {
        im->position.rows++;
        report(im, STR(""), "the row has a quote that does not end, or text behind one that does",
               "");
    } else if (result == CSV_TOO_MANY) {
        im->position.rows++;
        report(im, STR(""), "the row has more than 256 cells", "");
    } else if (im->row.field_count > 1 || im->fields[0].len > 0 || im->column_count == 1) {
        take_row(im, now_ms, batch);
    }
    advance(im, im->row.bytes, im->row.line_count);
    return im->row.bytes;
}

static size_t feed_line(struct import *im, struct str rest, bool is_end, int64_t now_ms,
                        struct ingest_batch *batch)
{
    size_t end = str_find(rest, STR("\n"), 0);
    bool is_whole = end != SIZE_MAX || is_end;
    size_t bytes = end == SIZE_MAX ? rest.len : end + 1;
    if (!is_whole && rest.len <= IMPORT_ROW_MAX)
        return 0;
    if (bytes > IMPORT_ROW_MAX) {
        im->position.rows++;
        report(im, STR(""), "the line has more than 64 KiB", "");
        im->position.is_in_long_row = end == SIZE_MAX;
    } else {
        take_line(im, str_part(rest, 0, bytes), now_ms, batch);
    }
    advance(im, bytes, end != SIZE_MAX);
    return bytes;
}

/* The rest of a line that was too long. */
static size_t skip_line(struct import *im, struct str rest)
{
    size_t end = str_find(rest, STR("\n"), 0);
    size_t bytes = end == SIZE_MAX ? rest.len : end + 1;
    im->position.is_in_long_row = end == SIZE_MAX;
    advance(im, bytes, end != SIZE_MAX);
    return bytes;
}

enum status import_feed(struct import *im, struct str bytes, bool is_end, int64_t now_ms,
                        struct ingest_batch *batch, size_t *taken, struct fault *f)
{
    bool is_csv = im->options.format == IMPORT_CSV;
    size_t skip;
    *taken = 0;
    ingest_batch_reset(batch);
    if (is_csv && !im->has_header) {
        enum status status = import_feed_header(im, bytes, is_end, taken, f);
        if (status == TRY_AGAIN)
            return OK;
        if (status != OK)
            return status;
    } else {
        enum status status = begin(im, bytes, is_end, &skip, f);
        if (status == TRY_AGAIN)
            return OK;
        if (status != OK)
            return status;
        im->position.byte += skip;
        *taken = skip;
    }
    while (*taken < bytes.len && batch->record_count < im->options.events_max) {
        struct str rest = str_part(bytes, *taken, SIZE_MAX);
        im->position.row_byte = im->position.byte;
        im->position.row_line = im->position.line;
        size_t done = im->position.is_in_long_row ? skip_line(im, rest)
                      : is_csv                    ? feed_csv(im, rest, is_end, now_ms, batch)
                                                  : feed_line(im, rest, is_end, now_ms, batch);
        if (done == 0)
            break;
        *taken += done;
    }
    ingest_batch_seal(batch);
    return OK;
}
