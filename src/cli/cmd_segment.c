/* SPDX-License-Identifier: Apache-2.0 */
#include "api/member_list.h"
#include "api/segment_json.h"
#include "cli/common.h"
#include "cli/table.h"
#include "os/clock.h"
#include "os/file.h"
#include "profile/traits.h"
#include "replay/preview.h"
#include "replay/retention.h"
#include "replay/segment.h"
#include "when/civil.h"
#include "when/span.h"
#include "when/zone.h"
#include "json/json_write.h"

#define FILE_BYTES_MAX ((size_t)512 << 20)

struct segment_command {
    struct cli *cli;
    struct directory directory;
    struct recovered recovered;
    const struct plan *plan;
    uint16_t index; /* of the segment that is named */
};

/* ---- opening ------------------------------------------------------------------------------------- */

static int open_state(struct segment_command *s)
{
    struct fault f = {0};
    struct recover_options options = {0};
    enum status status = directory_open(os_disk_real(), s->cli->arguments[1], &s->directory, &f);
    if (status == OK)
        status = recover(&s->directory, &options, &s->recovered, &f);
    if (status != OK)
        return cli_fail(s->cli, status, &f);
    const struct plans *plans = engine_plans(s->recovered.engine);
    s->plan = plans->newest ? plans->at[plans->newest] : NULL;
    return CLI_OK;
}

static int unknown_segment(struct segment_command *s, const struct plan *plan,
                           const struct names *names, const char *text)
{
    struct fault f = {0};
    struct str *known = arena_array(&s->cli->arena, struct str, PLAN_SEGMENTS_MAX);
    size_t count = 0;
    for (uint32_t i = 0; plan != NULL && i < plan->segment_count; i++)
        if (plan->segments[i].kind == SEGMENT_NAMED)
            known[count++] = names_text(names, plan->segments[i].name);
    struct str near = str_nearest(str_of(text), known, count);
    if (near.len)
        fault_set(&f, "there is no segment \"%s\"; did you mean \"%.*s\"?", text, STR_ARG(near));
    else
        fault_set(&f, "there is no segment \"%s\"", text);
    return cli_fail(s->cli, FIX_INPUT, &f);
}

static bool find_segment(const struct plan *plan, const struct names *names, const char *text,
                         uint16_t *index)
{
    uint32_t name = names_find(names, str_of(text));
    *index = plan != NULL && name != NAME_NONE ? plan_segment_find(plan, name) : PLAN_NO_INDEX;
    return *index != PLAN_NO_INDEX && plan->segments[*index].kind == SEGMENT_NAMED;
}

/* Opens the state and finds the segment that the third argument names. */
static int open_segment(struct segment_command *s)
{
    int code = open_state(s);
    if (code != CLI_OK)
        return code;
    if (!find_segment(s->plan, s->recovered.shelf.names, s->cli->arguments[2], &s->index))
        return unknown_segment(s, s->plan, s->recovered.shelf.names, s->cli->arguments[2]);
    return CLI_OK;
}

static void print_json(struct cli *c, struct buf *out)
{
    term_text(&c->out, "%.*s\n", STR_ARG(buf_str(out)));
}

/* ---- ls ------------------------------------------------------------------------------------------ */

static int list(struct segment_command *s)
{
    struct cli *c = s->cli;
    int code = open_state(s);
    if (code != CLI_OK)
        return code;
    struct engine *e = s->recovered.engine;
    if (c->is_json) {
        struct buf out;
        buf_init(&out);
        segments_json(e, &out);
        print_json(c, &out);
        buf_fini(&out);
        return CLI_OK;
    }
    struct table table;
    table_init(&table, &c->arena);
    table_column(&table, "segment", TABLE_LEFT);
    table_column(&table, "people", TABLE_RIGHT);
    table_column(&table, "owner", TABLE_LEFT);
    table_column(&table, "who", TABLE_LEFT);
    for (uint32_t i = 0; s->plan != NULL && i < s->plan->segment_count; i++) {
        const struct plan_segment *x = &s->plan->segments[s->plan->segments_by_name[i]];
        if (x->kind != SEGMENT_NAMED)
            continue;
        table_text(&table, names_text(engine_names(e), x->name));
        table_int(&table, (int64_t)engine_members(e, x->name));
        table_text(&table, x->owner);
        table_text(&table, x->when.code == NULL ? STR("a list")
                           : x->is_list
                               ? arena_printf(&c->arena, "%.*s, and a list", STR_ARG(x->when.text))
                               : x->when.text);
    }
    table_print(&table, &c->out);
    return CLI_OK;
}

/* ---- why ----------------------------------------------------------------------------------------- */

static int why(struct segment_command *s)
{
    struct cli *c = s->cli;
    struct fault f = {0};
    if (c->argument_count < 4)
        return cli_usage(c, "say whose: wend segment why DIR SEGMENT PERSON");
    int code = open_segment(s);
    if (code != CLI_OK)
        return code;
    struct engine *e = s->recovered.engine;
    uint64_t profile = engine_find_person(e, str_of(c->arguments[3]));
    if (profile == 0) {
        fault_set(&f, "nobody is known as \"%s\"", c->arguments[3]);
        return cli_fail(c, FIX_INPUT, &f);
    }
    if (c->is_json) {
        struct buf out;
        buf_init(&out);
        segment_why_json(e, profile, s->index, &out);
        print_json(c, &out);
        buf_fini(&out);
        return CLI_OK;
    }
    struct person who;
    engine_look(e, profile, &who);
    struct audience_reason reason = audience_explain(&who, s->index);
    const struct zone *zone = person_zone(&who);
    term_print(&c->out, reason.is_in ? TERM_GREEN : TERM_YELLOW, "%s is %sin %s", c->arguments[3],
               reason.is_in ? "" : "not ", c->arguments[2]);
    if (reason.has_since)
        term_text(&c->out, " since %.*s", STR_ARG(print_moment(&c->arena, zone, reason.since_ms)));
    term_text(&c->out, "\n  because %.*s\n", STR_ARG(reason.clause));
    if (reason.until_ms != FOREVER_MS)
        term_text(&c->out, "  until %.*s at least, if nothing new happens\n",
                  STR_ARG(print_moment(&c->arena, zone, reason.until_ms)));
    else
        term_text(&c->out, "  until something new happens\n");
    return CLI_OK;
}

/* ---- size ---------------------------------------------------------------------------------------- */

static void print_size(struct segment_command *s, const struct preview *p)
{
    struct cli *c = s->cli;
    if (c->is_json) {
        struct buf out;
        buf_init(&out);
        preview_json(p, &out);
        print_json(c, &out);
        buf_fini(&out);
        return;
    }
    term_print(&c->out, TERM_BOLD, "%lu of %lu people", p->people, p->of);
    term_text(&c->out, " (%.*s)\n", STR_ARG(p->how));
    if (p->errors)
        term_print(&c->out, TERM_YELLOW,
                   "  the condition failed for %lu people, who count as not in it\n", p->errors);
    for (uint32_t i = 0; i < p->sample.count; i++)
        term_text(&c->out, "  %.*s\n", STR_ARG(p->sample.ids[i]));
}

/* A saved segment: its members are known. */
static int size_saved(struct segment_command *s, struct preview *p)
{
    struct engine *e = s->recovered.engine;
    uint64_t count = 0;
    uint32_t name = s->plan->segments[s->index].name;
    for (uint64_t n = engine_each(e, 0); n != 0 && p->sample.most; n = engine_each(e, n)) {
        struct person who;
        engine_look(e, n, &who);
        if (audience_is_in(&who, name))
            preview_offer(&p->sample, &who, count++);
    }
    p->people = engine_members(e, name);
    p->of = engine_profile_count(e);
    p->how = STR("members as they are now");
    print_size(s, p);
    return CLI_OK;
}

/* The programme with the segment in it: that of --programme, or the newest with --when added. */
static int compile_candidate(struct segment_command *s, const char *when, struct plan **out)
{
    struct cli *c = s->cli;
    struct programme_folder folder;
    struct findings findings;
    struct fault f = {0};
    enum status status;
    const char *path = cli_text(c, "programme");
    if (path != NULL) {
        struct buf zones;
        buf_init(&zones);
        status = programme_zones(os_disk_real(), NULL, &zones, &f);
        if (status == OK)
            status = programme_folder_read(os_disk_real(), path, buf_str(&zones), &folder, &f);
        buf_fini(&zones);
    } else {
        struct buf text;
        buf_init(&text);
        preview_file(str_of(when), &text);
        status = segment_folder(&s->directory, s->recovered.engine,
                                "segments/" PREVIEW_SEGMENT ".yaml", buf_str(&text), &folder, &f);
        buf_fini(&text);
    }
    if (status != OK)
        return cli_fail(c, status, &f);
    int code = CLI_OK;
    findings_init(&findings);
    if (programme_compile(&folder, s->recovered.shelf.names, out, &findings) != OK) {
        print_findings(c, &findings, false);
        code = CLI_INPUT;
    }
    findings_fini(&findings);
    programme_folder_fini(&folder);
    return code;
}

static int size_candidate(struct segment_command *s, const char *name, const char *when,
                          struct preview *p)
{
    struct cli *c = s->cli;
    struct plan *plan = NULL;
    struct segment_view view;
    struct fault f = {0};
    uint16_t index;
    int code = compile_candidate(s, when, &plan);
    if (code != CLI_OK)
        return code;
    if (!find_segment(plan, s->recovered.shelf.names, name, &index)) {
        code = unknown_segment(s, plan, s->recovered.shelf.names, name);
        programme_plan_free(plan);
        return code;
    }
    enum status status =
        segment_view(&s->directory, plan, index, engine_now(s->recovered.engine), 0, &view, &f);
    if (status == OK) {
        preview_count(&view, index, p);
        print_size(s, p);
    }
    segment_view_fini(&view);
    programme_plan_free(plan);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}

static int size(struct segment_command *s)
{
    struct cli *c = s->cli;
    const char *when = cli_text(c, "when");
    bool is_named = c->argument_count > 2;
    struct preview p = {.sample = {.arena = &c->arena, .most = (uint32_t)cli_int(c, "sample")}};
    p.sample.ids = arena_array(&c->arena, struct str, p.sample.most + 1);
    if (is_named == (when != NULL))
        return cli_usage(c, "say which: wend segment size DIR SEGMENT, or --when 'CONDITION'");
    if (when != NULL && cli_text(c, "programme") != NULL)
        return cli_usage(c, "--when and --programme do not go together");
    bool is_saved = when == NULL && cli_text(c, "programme") == NULL;
    int code = is_saved ? open_segment(s) : open_state(s);
    if (code != CLI_OK)
        return code;
    if (is_saved)
        return size_saved(s, &p);
    return size_candidate(s, when != NULL ? PREVIEW_SEGMENT : c->arguments[2], when, &p);
}

/* ---- who ----------------------------------------------------------------------------------------- */

struct printer {
    struct segment_command *command;
    struct engine *engine;
    struct table table;
    struct json_writer json;
    uint64_t count;
};

static void print_member(void *self, uint64_t profile, int64_t since_ms)
{
    struct printer *p = self;
    struct cli *c = p->command->cli;
    struct person who;
    struct str since = STR("");
    engine_look(p->engine, profile, &who);
    if (since_ms != INT64_MIN)
        since = print_moment(&c->arena, zone_of_utc(), since_ms);
    p->count++;
    if (c->is_json) {
        char text[TIMESTAMP_BYTES];
        json_write_map(&p->json);
        json_write_key_text(&p->json, "person", preview_id(&who));
        if (since_ms != INT64_MIN)
            json_write_key_text(&p->json, "since", timestamp_print(since_ms, text));
        json_write_end(&p->json);
        return;
    }
    table_text(&p->table, arena_copy(&c->arena, preview_id(&who)));
    table_text(&p->table, since);
}

/* Which programme was active at the moment, and had it the segment? */
static int plan_then(struct segment_command *s, int64_t at_ms, const struct plan **plan)
{
    struct recovered then;
    struct fault f = {0};
    struct reach reach;
    *plan = NULL;
    enum status status = reach_of(&s->directory, &reach, &f);
    if (status != OK)
        return cli_fail(s->cli, status, &f);
    struct recover_options options = {.from_beginning = true,
                                      .until_ms = at_ms,
                                      .is_tolerant = true,
                                      .is_shadow = reach.log_first <= 1};
    status = recover(&s->directory, &options, &then, &f);
    if (status == OK) {
        const struct plans *plans = engine_plans(then.engine);
        if (plans->newest)
            *plan = shelf_find(&s->recovered.shelf, str_of(plans->at[plans->newest]->hash),
                               s->recovered.shelf.names);
    }
    recovered_fini(&then);
    return status == OK ? CLI_OK : cli_fail(s->cli, status, &f);
}

static int who_again(struct segment_command *s, struct printer *p, int64_t at_ms)
{
    struct cli *c = s->cli;
    struct segment_view view;
    struct fault f = {0};
    enum status status = segment_view(&s->directory, s->plan, s->index, at_ms, at_ms, &view, &f);
    if (status == OK) {
        p->engine = view.recovered.engine;
        for (uint64_t n = engine_each(p->engine, 0); n != 0; n = engine_each(p->engine, n)) {
            bool is_error;
            if (segment_view_ask(&view, n, s->index, &is_error))
                print_member(p, n, INT64_MIN);
        }
    }
    segment_view_fini(&view);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}

static void who_now(struct segment_command *s, struct printer *p)
{
    uint32_t name = s->plan->segments[s->index].name;
    for (uint64_t n = engine_each(p->engine, 0); n != 0; n = engine_each(p->engine, n)) {
        struct person who;
        engine_look(p->engine, n, &who);
        const struct membership *m = person_membership_find(&who, name);
        if (m != NULL && m->flags & MEMBERSHIP_IS_IN)
            print_member(p, n, m->since_ms);
    }
}

static int who(struct segment_command *s)
{
    struct cli *c = s->cli;
    int64_t at_ms = 0;
    struct fault f = {0};
    struct printer p = {.command = s};
    struct buf json;
    const char *how = "members as they are now";
    if (cli_text(c, "at") != NULL && !read_moment(c, cli_text(c, "at"), &at_ms))
        return cli_usage(c, "--at wants a moment such as 2026-03-02T12:00, not \"%s\"",
                         cli_text(c, "at"));
    int code = open_segment(s);
    if (code != CLI_OK)
        return code;
    p.engine = s->recovered.engine;
    table_init(&p.table, &c->arena);
    table_column(&p.table, "person", TABLE_LEFT);
    table_column(&p.table, "since (UTC)", TABLE_LEFT);
    buf_init(&json);
    json_write_init(&p.json, &json, JSON_PRETTY);
    json_write_map(&p.json);
    json_write_key(&p.json, STR("members"));
    json_write_list(&p.json);
    if (at_ms == 0) {
        who_now(s, &p);
    } else {
        const struct plan *then;
        uint16_t index;
        code = plan_then(s, at_ms, &then);
        if (code == CLI_OK &&
            find_segment(then, s->recovered.shelf.names, c->arguments[2], &index)) {
            how = "as it was: from what was noted at the time";
            enum status status = segment_past(&s->directory, then->segments[index].name, at_ms, &p,
                                              print_member, &f);
            code = status == OK ? CLI_OK : cli_fail(c, status, &f);
        } else if (code == CLI_OK) {
            how =
                "a re-evaluation: the segment did not exist then, its definition of today was asked";
            code = who_again(s, &p, at_ms);
        }
    }
    json_write_end(&p.json);
    json_write_key_int(&p.json, "people", (int64_t)p.count);
    json_write_key_text(&p.json, "how", str_of(how));
    json_write_end(&p.json);
    if (code == CLI_OK && c->is_json) {
        print_json(c, &json);
    } else if (code == CLI_OK) {
        table_print(&p.table, &c->out);
        term_print(&c->out, TERM_DIM, "  %lu people; %s\n", p.count, how);
    }
    buf_fini(&json);
    return code;
}

/* ---- add, remove, replace ------------------------------------------------------------------------ */

static bool read_people(struct segment_command *s, struct buf *text, struct member_list *list,
                        int *code)
{
    struct cli *c = s->cli;
    struct fault f = {0};
    enum status status = os_read_whole(os_disk_real(), c->arguments[3], FILE_BYTES_MAX, text, &f);
    if (status != OK) {
        *code = cli_fail(c, status, &f);
        return false;
    }
    member_list_read(buf_str(text), &c->arena, list);
    for (uint32_t i = 0; i < list->problem_count; i++)
        term_print(&c->err, TERM_YELLOW, "%s:%u: %.*s\n", c->arguments[3], list->problems[i].line,
                   STR_ARG(list->problems[i].text));
    if (list->wrong_count > list->problem_count)
        term_text(&c->err, "... and %u more\n", list->wrong_count - list->problem_count);
    if (list->is_refused) {
        fault_set(&f, "the file is no list of ids, so nothing was changed");
        *code = cli_fail(c, FIX_INPUT, &f);
        return false;
    }
    if (list->wrong_count && !cli_flag(c, "partial")) {
        fault_set(&f, "%u lines are wrong, so nothing was changed; --partial takes the others",
                  list->wrong_count);
        *code = cli_fail(c, FIX_INPUT, &f);
        return false;
    }
    return true;
}

struct change {
    struct buf events; /* one JSON object a line */
    struct str segment;
    int64_t now_ms;
    uint32_t count;
};

static void change_one(struct change *x, const struct member_row *row, bool is_added)
{
    struct json_writer w;
    char at[TIMESTAMP_BYTES], id[64];
    snprintf(id, sizeof(id), "segment-%lx-%u", x->now_ms, x->count++);
    json_write_init(&w, &x->events, JSON_COMPACT);
    json_write_map(&w);
    json_write_key_text(&w, "type", STR("track"));
    json_write_key_text(&w, "messageId", str_of(id));
    json_write_key_text(&w, "timestamp", timestamp_print(x->now_ms, at));
    json_write_key_text(&w, "event",
                        is_added ? STR("Segment Member Added") : STR("Segment Member Removed"));
    json_write_key_text(&w, row->kind == IDENTIFIER_USER ? "userId" : "anonymousId", row->id);
    json_write_key(&w, STR("properties"));
    json_write_map(&w);
    json_write_key_text(&w, "segment", x->segment);
    json_write_end(&w);
    json_write_end(&w);
    buf_add_byte(&x->events, '\n');
}

/* Those who were put on the list by hand and whom the file does not name. */
static void drop_others(struct segment_command *s, const struct member_list *list, struct change *x)
{
    struct engine *e = s->recovered.engine;
    struct map_u64 kept;
    uint32_t name = s->plan->segments[s->index].name;
    map_u64_init(&kept);
    for (uint32_t i = 0; i < list->count; i++) {
        uint64_t profile = engine_find(
            e, identifier_hash(list->rows[i].kind, list->rows[i].id, s->directory.secret));
        if (profile != 0)
            map_u64_set(&kept, profile, 1);
    }
    for (uint64_t n = engine_each(e, 0); n != 0; n = engine_each(e, n)) {
        struct person who;
        engine_look(e, n, &who);
        const struct membership *m = person_membership_find(&who, name);
        if (m == NULL || !(m->flags & MEMBERSHIP_WAS_ADDED) || map_u64_find(&kept, n) != MAP_NONE)
            continue;
        struct value user = traits_get(&who, NAME_USER_ID, NULL);
        struct member_row row = {.kind = user.type == VALUE_TEXT ? IDENTIFIER_USER
                                                                 : IDENTIFIER_ANONYMOUS,
                                 .id = preview_id(&who)};
        change_one(x, &row, false);
    }
    map_u64_fini(&kept);
}

/* The events are imported as having just happened: import holds what is sent because of them until the
 * directory is served. */
static int import_events(struct segment_command *s, struct change *x)
{
    struct cli *c = s->cli;
    struct fault f = {0};
    char path[OS_PATH_BYTES], name[64];
    snprintf(name, sizeof(name), "segment-%lx.ndjson", x->now_ms);
    if (!os_path_join(path, sizeof(path), s->directory.path, name)) {
        fault_set(&f, "the path of the directory is too long");
        return cli_fail(c, FIX_INPUT, &f);
    }
    enum status status = os_write_whole(os_disk_real(), path, buf_str(&x->events), &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    const char *const words[] = {"wend",    "import",   c->arguments[1], path,     "--live",
                                 "--again", "--source", "segment",       "--quiet"};
    recovered_fini(&s->recovered);
    s->recovered = (struct recovered){0};
    int code = cli_run(array_count(words), words, c->out.file, c->err.file);
    status = os_remove(os_disk_real(), path, &f);
    return code == CLI_OK && status != OK ? cli_fail(c, status, &f) : code;
}

static int change_list(struct segment_command *s, const char *action)
{
    struct cli *c = s->cli;
    struct fault f = {0};
    struct member_list people;
    struct change x = {.now_ms = os_clock_utc_ms()};
    struct buf text;
    if (c->argument_count < 4)
        return cli_usage(c, "say which list and which file: wend segment %s DIR LIST FILE.csv",
                         action);
    int code = open_segment(s);
    if (code != CLI_OK)
        return code;
    if (!s->plan->segments[s->index].is_list) {
        fault_set(&f, "%s follows its condition: give it `list: true` to put people on it by hand",
                  c->arguments[2]);
        return cli_fail(c, FIX_INPUT, &f);
    }
    buf_init(&text);
    buf_init(&x.events);
    x.segment = str_of(c->arguments[2]);
    x.now_ms = max_of(x.now_ms, engine_now(s->recovered.engine));
    if (read_people(s, &text, &people, &code)) {
        bool is_removed = strcmp(action, "remove") == 0;
        if (strcmp(action, "replace") == 0)
            drop_others(s, &people, &x);
        uint32_t dropped = x.count;
        for (uint32_t i = 0; i < people.count; i++)
            change_one(&x, &people.rows[i], !is_removed);
        code = x.count ? import_events(s, &x) : CLI_OK;
        if (code == CLI_OK && !c->is_json) {
            term_text(&c->out, "%u people %s %s", people.count, is_removed ? "taken off" : "put on",
                      c->arguments[2]);
            if (dropped)
                term_text(&c->out, ", %u others taken off", dropped);
            term_text(&c->out, "\n");
        }
    }
    buf_fini(&x.events);
    buf_fini(&text);
    return code;
}

/* ---- which --------------------------------------------------------------------------------------- */

int cmd_segment(struct cli *c)
{
    struct segment_command s = {.cli = c};
    const char *action = c->arguments[0];
    int code;
    bool is_change = strcmp(action, "add") == 0 || strcmp(action, "remove") == 0 ||
                     strcmp(action, "replace") == 0;
    bool needs_segment = is_change || strcmp(action, "who") == 0 || strcmp(action, "why") == 0;
    if (needs_segment && c->argument_count < 3)
        return cli_usage(c, "say which segment: wend segment %s DIR SEGMENT", action);
    if (strcmp(action, "ls") == 0)
        code = list(&s);
    else if (strcmp(action, "size") == 0)
        code = size(&s);
    else if (strcmp(action, "who") == 0)
        code = who(&s);
    else if (strcmp(action, "why") == 0)
        code = why(&s);
    else if (is_change)
        code = change_list(&s, action);
    else
        return cli_usage(c,
                         "\"%s\" is nothing that can be done with segments: ls, size, who, why, "
                         "add, remove or replace",
                         action);
    recovered_fini(&s.recovered);
    return code;
}
