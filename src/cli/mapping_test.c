/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mapping.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"
#include "test.h"
#include "when/zone.h"

struct fixture {
    struct mapping mapping;
    struct findings findings;
    struct buf said;
};

/* Reads `text` as a mapping file; what is said about it, without the path. */
static bool reads(struct fixture *x, const char *text)
{
    char path[64];
    int fd = mkstemp(test_path(path, sizeof(path), "mapping"));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    findings_init(&x->findings);
    buf_init(&x->said);
    bool is_fine = mapping_read(os_disk_real(), path, &x->mapping, &x->findings);
    unlink(path);
    findings_sort(&x->findings);
    for (uint32_t i = 0; i < x->findings.count; i++) {
        const struct finding *f = &x->findings.list[i];
        buf_printf(&x->said, "%u:%u: %.*s\n", f->place.line, f->place.column, STR_ARG(f->text));
    }
    buf_add_byte(&x->said, 0);
    return is_fine;
}

static void done(struct fixture *x)
{
    mapping_fini(&x->mapping);
    findings_fini(&x->findings);
    buf_fini(&x->said);
}

static void everything(void **state)
{
    (void)state;
    struct fixture x;
    bool is_fine = reads(&x, "{\n"
                             "\t\"kind\": \"track\",\n"
                             "\t\"timezone\": \"europe/london\",\n"
                             "\t\"event\": [{\"column\": \"No\", \"starts_with\": \"C\", \"is\": "
                             "\"Back\"}, \"Out\"],\n"
                             "\t\"columns\": {\n"
                             "\t\t\"Customer\": {\"is\": \"user_id\", \"type\": \"int\"},\n"
                             "\t\t\"When\": \"timestamp\",\n"
                             "\t\t\"No\": {\"name\": \"order.id\", \"type\": \"text\"},\n"
                             "\t\t\"Agent\": {\"is\": \"context\", \"name\": \"agent\"},\n"
                             "\t\t\"Junk\": \"skip\"\n"
                             "\t},\n"
                             "\t\"constants\": {\"currency\": \"GBP\", \"rate\": 1.5, \"n\": 3, "
                             "\"is_old\": true},\n"
                             "\t\"rows_need\": \"Customer\",\n"
                             "\t\"message_id\": [\"No\", \"When\"],\n"
                             "\t\"message_id_prefix\": \"p:\",\n"
                             "\t\"other_columns\": \"skip\",\n"
                             "\t\"empty\": \"text\",\n"
                             "\t\"delimiter\": \"\\t\"\n"
                             "}\n");
    assert_string_equal(x.said.at, "");
    assert_true(is_fine);
    const struct import_mapping *m = &x.mapping.import;
    assert_int_equal(m->kind, EVENT_TRACK);
    assert_int_equal(m->case_count, 2);
    assert_true(str_is(m->cases[0].column, "No"));
    assert_true(str_is(m->cases[0].prefix, "C"));
    assert_true(str_is(m->cases[0].event, "Back"));
    assert_int_equal(m->cases[1].column.len, 0);
    assert_true(str_is(m->cases[1].event, "Out"));
    static const struct {
        const char *column, *path, *constant;
        enum import_target target;
        enum import_type type;
    } columns[] = {
        {"Customer", "", "", IMPORT_USER_ID, IMPORT_INT},
        {"When", "", "", IMPORT_TIMESTAMP, IMPORT_TEXT},
        {"No", "order.id", "", IMPORT_PROPERTY, IMPORT_TEXT},
        {"Agent", "agent", "", IMPORT_CONTEXT, IMPORT_AUTO},
        {"Junk", "", "", IMPORT_SKIP, IMPORT_TEXT},
        {"", "currency", "GBP", IMPORT_PROPERTY, IMPORT_TEXT},
        {"", "rate", "1.5", IMPORT_PROPERTY, IMPORT_NUMBER},
        {"", "n", "3", IMPORT_PROPERTY, IMPORT_INT},
        {"", "is_old", "true", IMPORT_PROPERTY, IMPORT_BOOL},
    };
    assert_int_equal(m->column_count, array_count(columns));
    for (size_t i = 0; i < array_count(columns); i++) {
        assert_true(str_is(m->columns[i].column, columns[i].column));
        assert_true(str_is(m->columns[i].path, columns[i].path));
        assert_true(str_is(m->columns[i].constant, columns[i].constant));
        assert_int_equal(m->columns[i].target, columns[i].target);
        assert_int_equal(m->columns[i].type, columns[i].type);
    }
    assert_int_equal(m->needed_count, 1);
    assert_true(str_is(m->needed_columns[0], "Customer"));
    assert_int_equal(m->message_id_count, 2);
    assert_true(str_is(m->message_id_columns[1], "When"));
    assert_true(str_is(m->message_id_prefix, "p:"));
    assert_true(m->ignore_unmapped);
    assert_false(m->skip_empty);
    assert_int_equal(m->delimiter, '\t');
    assert_int_equal(zone_offset_ms(m->zone, INT64_C(1309507200000)), HOUR_MS); /* July */
    done(&x);
}

static void least(void **state)
{
    (void)state;
    struct fixture x;
    assert_true(reads(&x, "event: Ordered\ncolumns: {who: user_id}\n"));
    const struct import_mapping *m = &x.mapping.import;
    assert_int_equal(m->kind, EVENT_TRACK);
    assert_int_equal(m->case_count, 1);
    assert_true(str_is(m->cases[0].event, "Ordered"));
    assert_int_equal(m->column_count, 1);
    assert_null(m->zone);
    assert_true(m->skip_empty);
    assert_false(m->ignore_unmapped);
    assert_int_equal(m->delimiter, 0);
    done(&x);
}

static void faults(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "0:0: the mapping is empty\n"},
        {"[]", "1:1: a mapping is a map, not a list\n"},
        {"{}", "1:1: a mapping needs the key \"columns\"\n"},
        {"{\"columns\": {}, \"evnt\": \"E\"}", "1:17: a mapping has no key \"evnt\"\n"},
        {"{\"columns\": {\"a\": \"userid\"}}",
         "1:19: \"is\" wants user_id, anonymous_id, event, timestamp, message_id, group_id, "
         "email, phone, push_token, property, context or skip, not \"userid\"\n"},
        {"{\"columns\": {\"a\": {\"is\": \"user_id\", \"type\": \"number\"}}}",
         "1:45: ids are of type text or int\n"},
        {"{\"columns\": {\"a\": {\"is\": \"timestamp\", \"type\": \"time\"}}}",
         "1:47: this column has no type\n"},
        {"{\"columns\": {\"a\": {\"is\": \"timestamp\", \"name\": \"at\"}}}",
         "1:47: only properties and context fields have a name\n"},
        {"{\"columns\": {},\n\"event\": {\"starts_with\": \"C\", \"is\": \"E\"}}",
         "2:26: \"starts_with\" needs a \"column\" to look at\n"},
        {"{\"columns\": {}, \"event\": [{\"column\": \"C\"}]}",
         "1:27: event[] needs the key \"is\"\n"},
        {"{\"columns\": {}, \"timezone\": \"Europe/Londn\"}",
         "1:29: there is no time zone \"Europe/Londn\"\n"},
        {"{\"columns\": {}, \"delimiter\": \"::\"}",
         "1:30: \"delimiter\" wants one ASCII character, such as \";\" or \"\\t\"\n"},
        {"{\"columns\": {}, \"kind\": \"alias\"}",
         "1:25: \"kind\" wants track, page, screen, identify or group, not \"alias\"\n"},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct fixture x;
        assert_false(reads(&x, rows[i][0]));
        assert_string_equal(x.said.at, rows[i][1]);
        done(&x);
    }
}

static void no_file(void **state)
{
    (void)state;
    struct fixture x = {0};
    findings_init(&x.findings);
    assert_false(mapping_read(os_disk_real(), "/nowhere/m.json", &x.mapping, &x.findings));
    assert_int_equal(x.findings.error_count, 1);
    assert_true(str_is(x.findings.list[0].place.file, "/nowhere/m.json"));
    done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a mapping says all that an import takes", everything),
        TEST("what a mapping leaves out has its usual meaning", least),
        TEST("what is wrong with a mapping is said with its place", faults),
        TEST("a mapping that is not there is a fault", no_file),
    };
    return cmocka_run_group_tests_name("cli/mapping", tests, NULL, NULL);
}
