/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"

#include "replay/run_scenario.h"
#include "json/json_write.h"

static void print_failure(struct cli *c, const struct scenario *s, const struct scenario_result *r)
{
    if (r->fault.text[0])
        term_text(&c->out, "      %.*s:%u: %s\n", STR_ARG(s->place.file),
                  r->fault.line ? r->fault.line : s->place.line, r->fault.text);
    for (uint32_t i = 0; i < r->failure_count; i++) {
        const struct scenario_failure *x = &r->failures[i];
        term_text(&c->out, "      %.*s:%u\n", STR_ARG(x->expect->place.file),
                  x->expect->place.line);
        term_text(&c->out, "        expected  %.*s\n", STR_ARG(x->expected));
        term_print(&c->out, TERM_RED, "        got       %.*s\n", STR_ARG(x->got));
        struct str rest = x->story;
        for (bool is_first = true; rest.len > 0; is_first = false) {
            size_t end = str_find(rest, STR("\n"), 0);
            struct str line = str_part(rest, 0, end == SIZE_MAX ? rest.len : end);
            term_print(&c->out, TERM_DIM, "        %s  %.*s\n", is_first ? "because " : "        ",
                       STR_ARG(line));
            rest = str_part(rest, line.len + 1, SIZE_MAX);
        }
    }
}

/* Runs one programme's scenarios; adds to the counts. */
static int test_folder(struct cli *c, const char *path, uint32_t *passed, uint32_t *failed)
{
    struct shelf shelf;
    struct programme_folder folder;
    const struct plan *plan = NULL;
    const struct scenario *list = NULL;
    uint32_t count = 0;
    struct findings findings;
    struct arena arena;
    const char *only = cli_text(c, "only");
    shelf_init(&shelf, NULL);
    int code = load_programme(c, path, &shelf, &folder, &plan);
    if (code != CLI_OK) {
        shelf_fini(&shelf);
        return code;
    }
    arena_init(&arena, 1 << 20);
    findings_init(&findings);
    if (scenarios_read(&folder, plan, shelf.names, &arena, &list, &count, &findings) != OK) {
        print_findings(c, &findings, false);
        code = CLI_INPUT;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct scenario *s = &list[i];
        struct scenario_result result;
        if (only != NULL && str_find(s->it, str_of(only), 0) == SIZE_MAX)
            continue;
        bool is_fine = scenario_run(&shelf, plan, s, &arena, &result);
        *(is_fine ? passed : failed) += 1;
        if (c->is_json) {
            struct buf out;
            struct json_writer w;
            buf_init(&out);
            json_write_init(&w, &out, JSON_COMPACT);
            json_write_map(&w);
            json_write_key_text(&w, "programme", str_of(path));
            json_write_key_text(&w, "it", s->it);
            json_write_key_text(&w, "requirement", s->requirement);
            json_write_key_bool(&w, "passed", is_fine);
            if (result.fault.text[0])
                json_write_key_text(&w, "fault", str_of(result.fault.text));
            for (uint32_t k = 0; k < min_of(result.failure_count, 1u); k++) {
                json_write_key_text(&w, "expected", result.failures[k].expected);
                json_write_key_text(&w, "got", result.failures[k].got);
                json_write_key_text(&w, "because", result.failures[k].story);
            }
            json_write_end(&w);
            term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
            buf_fini(&out);
            continue;
        }
        if (is_fine && c->is_quiet)
            continue;
        term_print(&c->out, is_fine ? TERM_GREEN : TERM_RED, "  %s", is_fine ? "ok    " : "FAILED");
        term_text(&c->out, "  %.*s", STR_ARG(s->it));
        if (s->requirement.len)
            term_print(&c->out, TERM_DIM, "  %.*s", STR_ARG(s->requirement));
        term_text(&c->out, "\n");
        if (!is_fine)
            print_failure(c, s, &result);
    }
    findings_fini(&findings);
    arena_fini(&arena);
    programme_folder_fini(&folder);
    shelf_fini(&shelf);
    return code;
}

int cmd_test(struct cli *c)
{
    uint32_t passed = 0, failed = 0;
    int code = CLI_OK;
    for (uint32_t i = 0; i < c->argument_count; i++) {
        if (!c->is_json)
            term_print(&c->out, TERM_BOLD, "%s\n", c->arguments[i]);
        int one = test_folder(c, c->arguments[i], &passed, &failed);
        code = one != CLI_OK ? one : code;
    }
    if (code == CLI_OK && cli_text(c, "only") != NULL && passed + failed == 0)
        return cli_usage(c, "no scenario's name contains \"%s\"", cli_text(c, "only"));
    if (!c->is_json)
        term_text(&c->out, "%u passed, %u failed\n", passed, failed);
    if (failed)
        return CLI_FAILED;
    return code;
}
