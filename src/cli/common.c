/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"

#include "cli/table.h"
#include "decide/rule.h"
#include "model/identifier.h"
#include "when/civil.h"
#include "when/zone.h"
#include "json/json_write.h"

void print_findings(struct cli *c, struct findings *findings, bool with_advice)
{
    struct buf b;
    buf_init(&b);
    findings_sort(findings);
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *x = &findings->list[i];
        if (x->severity == FINDING_ADVICE && !with_advice)
            continue;
        b.len = 0;
        finding_print(x, &b);
        enum term_style style = x->severity == FINDING_ERROR     ? TERM_RED
                                : x->severity == FINDING_WARNING ? TERM_YELLOW
                                                                 : TERM_DIM;
        term_print(&c->err, style, "%.*s", STR_ARG(buf_str(&b)));
        if (b.len && b.at[b.len - 1] != '\n')
            term_text(&c->err, "\n");
    }
    if (findings->dropped)
        term_text(&c->err, "... and %u more\n", findings->dropped);
    buf_fini(&b);
}

int load_programme(struct cli *c, const char *folder, struct shelf *shelf,
                   struct programme_folder *folder_out, const struct plan **plan)
{
    return load_programme_with(c, folder, STR(""), STR(""), shelf, folder_out, plan);
}

int load_programme_with(struct cli *c, const char *folder, struct str path, struct str text,
                        struct shelf *shelf, struct programme_folder *folder_out,
                        const struct plan **plan)
{
    struct programme_folder own;
    struct programme_folder *bytes = folder_out ? folder_out : &own;
    struct findings findings;
    struct fault f = {0};
    struct buf zones;
    struct plan *compiled = NULL;
    int code = CLI_OK;
    buf_init(&zones);
    enum status status = programme_zones(os_disk_real(), NULL, &zones, &f);
    if (status == OK)
        status = programme_folder_read(os_disk_real(), folder, buf_str(&zones), bytes, &f);
    buf_fini(&zones);
    if (status == OK && path.len > 0) {
        struct programme_folder read = *bytes;
        status = programme_folder_with(&read, path, text, bytes, &f);
        programme_folder_fini(&read);
    }
    if (status != OK)
        return cli_fail(c, status, &f);
    findings_init(&findings);
    if (programme_compile(bytes, shelf->names, &compiled, &findings) == OK) {
        shelf_add(shelf, compiled);
        *plan = compiled;
        if (findings.warning_count)
            print_findings(c, &findings, false);
    } else {
        print_findings(c, &findings, false);
        term_print(&c->err, TERM_RED, "%s: %u error%s; nothing was done\n", folder,
                   findings.error_count, findings.error_count == 1 ? "" : "s");
        code = CLI_INPUT;
    }
    findings_fini(&findings);
    if (folder_out == NULL || code != CLI_OK)
        programme_folder_fini(bytes);
    return code;
}

bool read_mapping(struct cli *c, struct mapping *out)
{
    const char *path = cli_text(c, "mapping");
    struct findings findings;
    if (path == NULL)
        return true;
    findings_init(&findings);
    bool is_fine = mapping_read(os_disk_real(), path, out, &findings);
    print_findings(c, &findings, true);
    findings_fini(&findings);
    return is_fine;
}

struct str print_moment(struct arena *arena, const struct zone *zone, int64_t at_ms)
{
    if (at_ms == FOREVER_MS)
        return STR("never");
    struct local l = zone_local(zone, at_ms);
    return arena_printf(arena, "%04d-%02d-%02d %02d:%02d:%02d", (int)l.year, l.month, l.day, l.hour,
                        l.minute, l.second);
}

bool read_moment(struct cli *c, const char *text, int64_t *at_ms)
{
    struct timestamp at;
    struct fault f = {0};
    (void)c;
    if (timestamp_parse(str_of(text), TIMESTAMP_LOOSE, &at, &f) != OK)
        return false;
    *at_ms = at.at_ms;
    return true;
}

static void add_name(uint32_t *list, uint32_t *count, uint32_t most, uint32_t name)
{
    for (uint32_t i = 0; i < *count; i++)
        if (list[i] == name)
            return;
    if (name != NAME_NONE && *count < most)
        list[(*count)++] = name;
}

static int64_t ended(const struct tally *t, enum journey_end end, uint32_t journey)
{
    return (int64_t)tally_sum(t, RESULT_ENDED, end, journey, 0);
}

static void journeys_table(struct cli *c, const struct tally *t, const struct names *names,
                           struct table *table)
{
    uint32_t list[256], count = 0;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->rows[i].kind == RESULT_ENTERED)
            add_name(list, &count, array_count(list), t->rows[i].journey);
    table_init(table, &c->arena);
    table_column(table, "journey", TABLE_LEFT);
    table_column(table, "entered", TABLE_RIGHT);
    table_column(table, "refused", TABLE_RIGHT);
    table_column(table, "completed", TABLE_RIGHT);
    table_column(table, "goal_reached", TABLE_RIGHT);
    table_column(table, "exited", TABLE_RIGHT);
    table_column(table, "other_end", TABLE_RIGHT);
    table_column(table, "under_way", TABLE_RIGHT);
    table_column(table, "conversions", TABLE_RIGHT);
    for (uint32_t i = 0; i < count; i++) {
        int64_t entered = (int64_t)tally_sum(t, RESULT_ENTERED, TALLY_ANY, list[i], 0);
        int64_t all = (int64_t)tally_sum(t, RESULT_ENDED, TALLY_ANY, list[i], 0);
        int64_t completed = ended(t, JOURNEY_COMPLETED, list[i]);
        int64_t reached = ended(t, JOURNEY_GOAL_REACHED, list[i]);
        int64_t exited = ended(t, JOURNEY_EXITED, list[i]);
        table_text(table, names_text(names, list[i]));
        table_int(table, entered);
        table_int(table, (int64_t)tally_sum(t, RESULT_REFUSED, TALLY_ANY, list[i], 0));
        table_int(table, completed);
        table_int(table, reached);
        table_int(table, exited);
        table_int(table, all - completed - reached - exited);
        table_int(table, entered - all);
        table_int(table, (int64_t)tally_sum(t, RESULT_CONVERTED, TALLY_ANY, list[i], 0));
    }
}

static int64_t decided(const struct tally *t, enum outcome outcome, uint32_t message)
{
    return (int64_t)tally_sum(t, RESULT_DECIDED, outcome, 0, message);
}

static int64_t decided_class(const struct tally *t, enum outcome_class class, uint32_t message)
{
    int64_t sum = 0;
    for (uint32_t o = 1; o < OUTCOME_END; o++)
        if (outcome_term((enum outcome)o)->class == class)
            sum += decided(t, (enum outcome)o, message);
    return sum;
}

static int64_t engaged(const struct tally *t, uint32_t how, uint32_t message)
{
    return (int64_t)tally_sum(t, RESULT_ENGAGED, how, 0, message);
}

static void messages_table(struct cli *c, const struct tally *t, const struct names *names,
                           struct table *table)
{
    uint32_t list[256], count = 0;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->rows[i].kind == RESULT_DECIDED)
            add_name(list, &count, array_count(list), t->rows[i].message);
    table_init(table, &c->arena);
    table_column(table, "message", TABLE_LEFT);
    table_column(table, "sent", TABLE_RIGHT);
    table_column(table, "failed", TABLE_RIGHT);
    table_column(table, "held_out", TABLE_RIGHT);
    table_column(table, "not_allowed", TABLE_RIGHT);
    table_column(table, "not_wanted", TABLE_RIGHT);
    table_column(table, "expired", TABLE_RIGHT);
    table_column(table, "deferrals", TABLE_RIGHT);
    table_column(table, "opened", TABLE_RIGHT);
    table_column(table, "clicked", TABLE_RIGHT);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t m = list[i];
        table_text(table, names_text(names, m));
        table_int(table, decided(t, OUTCOME_SENT, m) + decided(t, OUTCOME_UNKNOWN, m));
        table_int(table, decided(t, OUTCOME_FAILED, m));
        table_int(table, decided(t, OUTCOME_HELD_OUT, m));
        table_int(table, decided_class(t, OUTCOME_NOT_ALLOWED, m));
        table_int(table, decided_class(t, OUTCOME_NOT_WANTED, m));
        table_int(table, decided(t, OUTCOME_EXPIRED, m));
        table_int(table, decided(t, OUTCOME_DEFERRED, m));
        table_int(table, engaged(t, ENGAGED_OPENED, m));
        table_int(table, engaged(t, ENGAGED_CLICKED, m));
    }
}

static void reasons_table(struct cli *c, const struct tally *t, struct table *table)
{
    table_init(table, &c->arena);
    table_column(table, "outcome", TABLE_LEFT);
    table_column(table, "rule", TABLE_LEFT);
    table_column(table, "times", TABLE_RIGHT);
    for (uint32_t o = 1; o < OUTCOME_END; o++) {
        for (uint32_t rule = 0; rule < 16; rule++) {
            uint64_t sum = 0;
            for (uint32_t i = 0; i < t->count; i++)
                if (t->rows[i].kind == RESULT_DECIDED && t->rows[i].how == o &&
                    t->rows[i].rule == rule)
                    sum += t->rows[i].count;
            if (sum == 0)
                continue;
            table_text(table, outcome_term((enum outcome)o)->name);
            table_text(table, str_of(rule_name(rule)));
            table_int(table, (int64_t)sum);
        }
    }
}

/* Each place where an expression failed, and how often; false if none did. */
static bool errors_table(struct cli *c, const struct tally *t, const struct names *names,
                         struct table *table)
{
    bool is_any = false;
    table_init(table, &c->arena);
    table_column(table, "failed expressions", TABLE_LEFT);
    table_column(table, "where", TABLE_LEFT);
    table_column(table, "times", TABLE_RIGHT);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct tally_row *row = &t->rows[i];
        struct result result = {.kind = row->kind, .how = row->how};
        if (!result_is_error(&result))
            continue;
        enum error_place place = (enum error_place)row->how;
        bool is_entry = row->kind == RESULT_REFUSED;
        bool is_step = !is_entry && row->journey && (place == ERROR_STEP || place == ERROR_LISTEN);
        is_any = true;
        bool is_segment = !is_entry && place == ERROR_SEGMENT;
        bool is_message = !is_entry && place == ERROR_ONLY_IF;
        table_text(table, is_segment || is_message ? names_text(names, row->message)
                          : row->journey           ? names_text(names, row->journey)
                                                   : STR("-"));
        table_text(table, is_step ? arena_printf(&c->arena, "%s, step %u", error_place_name(place),
                                                 row->rule + 1u)
                                  : str_of(is_entry ? "enter" : error_place_name(place)));
        table_int(table, (int64_t)row->count);
    }
    return is_any;
}

void print_tally(struct cli *c, const struct tally *t, const struct names *names)
{
    struct table journeys, messages, reasons, errors;
    journeys_table(c, t, names, &journeys);
    messages_table(c, t, names, &messages);
    reasons_table(c, t, &reasons);
    term_text(&c->out, "\n");
    table_print(&journeys, &c->out);
    term_text(&c->out, "\n");
    table_print(&messages, &c->out);
    term_text(&c->out, "\n");
    table_print(&reasons, &c->out);
    if (errors_table(c, t, names, &errors)) {
        term_text(&c->out, "\n");
        table_print(&errors, &c->out);
    }
    term_text(&c->out,
              "\n  %lu holds started, %lu lifted; %lu cap slots reserved, %lu spent, %lu "
              "given back\n",
              tally_sum(t, RESULT_HOLD, 1, 0, 0), tally_sum(t, RESULT_HOLD, 0, 0, 0),
              tally_sum(t, RESULT_RESERVED, TALLY_ANY, 0, 0),
              tally_sum(t, RESULT_SPENT, TALLY_ANY, 0, 0),
              tally_sum(t, RESULT_RETURNED, TALLY_ANY, 0, 0));
}

int show_state(struct cli *c, void (*text)(struct cli *c, struct engine *e),
               void (*json)(struct cli *c, struct engine *e, struct buf *out))
{
    struct directory directory;
    struct recovered recovered = {0};
    struct recover_options options = {0};
    struct fault f = {0};
    enum status status = directory_open(os_disk_real(), c->arguments[1], &directory, &f);
    if (status == OK)
        status = recover(&directory, &options, &recovered, &f);
    if (status == OK && c->is_json) {
        struct buf out;
        buf_init(&out);
        json(c, recovered.engine, &out);
        term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
        buf_fini(&out);
    } else if (status == OK) {
        text(c, recovered.engine);
    }
    recovered_fini(&recovered);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
