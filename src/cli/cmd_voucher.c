/* cmd_voucher.c - pools of voucher codes: how many there are, and more of them.
 *
 * A file becomes as many commands as it takes, each a record. One that was interrupted is given again: what is
 * there already is passed over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "api/voucher_json.h"
#include "base/map.h"
#include "cli/common.h"
#include "cli/operate.h"
#include "cli/table.h"
#include "decide/voucher.h"
#include "model/codes.h"
#include "os/file.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)
#define WRONG_TOLD_MAX 10

/* ---- ls ------------------------------------------------------------------------------------------ */

static void print_pools(struct cli *c, struct engine *e)
{
    const struct plan *plan = engine_plan(e);
    struct table table;
    table_init(&table, &c->arena);
    table_column(&table, "pool", TABLE_LEFT);
    table_column(&table, "in the file", TABLE_RIGHT);
    table_column(&table, "loaded", TABLE_RIGHT);
    table_column(&table, "free", TABLE_RIGHT);
    table_column(&table, "held", TABLE_RIGHT);
    table_column(&table, "gone", TABLE_RIGHT);
    for (uint32_t i = 0; plan != NULL && i < plan->voucher_count; i++) {
        const struct plan_voucher *pool = &plan->vouchers[i];
        struct voucher_counts counts = voucher_count(engine_vouchers(e), pool);
        table_text(&table, names_text(engine_names(e), pool->name));
        table_int(&table, (int64_t)counts.file);
        table_int(&table, (int64_t)counts.loaded);
        table_int(&table, (int64_t)counts.free);
        table_int(&table, (int64_t)counts.held);
        table_int(&table, (int64_t)counts.gone);
    }
    if (plan == NULL || plan->voucher_count == 0)
        term_text(&c->out, "the programme has no vouchers\n");
    else
        table_print(&table, &c->out);
}

/* The counts of the pool as the directory has them on disk; zeros if it has none. */
static struct voucher_counts counts_of(const struct engine *e, struct str name)
{
    const struct plan *plan = engine_plan(e);
    for (uint32_t i = 0; plan != NULL && i < plan->voucher_count; i++)
        if (str_equal(names_text(engine_names(e), plan->vouchers[i].name), name))
            return voucher_count(engine_vouchers(e), &plan->vouchers[i]);
    return (struct voucher_counts){0};
}

/* The same, from the directory. */
static enum status look(struct cli *c, struct str pool, struct voucher_counts *out, struct fault *f)
{
    struct directory directory;
    struct recovered recovered = {0};
    struct recover_options options = {0};
    enum status status = directory_open(os_disk_real(), c->arguments[1], &directory, f);
    if (status == OK)
        status = recover(&directory, &options, &recovered, f);
    if (status == OK)
        *out = counts_of(recovered.engine, pool);
    recovered_fini(&recovered);
    return status;
}

static void put_pools(struct cli *c, struct engine *e, struct buf *out)
{
    (void)c;
    vouchers_json(e, out);
}

static int list(struct cli *c)
{
    return show_state(c, print_pools, put_pools);
}

/* ---- load ---------------------------------------------------------------------------------------- */

/* Looks over the file: how many codes, and which lines are none. */
static bool read_codes(struct cli *c, struct str text, uint32_t *count, uint32_t *twice)
{
    struct map_u64 seen;
    struct str code;
    uint32_t line = 0, wrong = 0;
    *count = *twice = 0;
    map_u64_init(&seen);
    for (size_t from = 0; code_next(text, &from, &line, &code);) {
        uint64_t hash = hash_str(code, 0) | 1;
        if (!code_is_fine(code) && wrong++ < WRONG_TOLD_MAX)
            term_text(&c->err, "%s:%u: a line is one code of at most %d bytes, without commas\n",
                      c->arguments[3], line, CODE_BYTES_MAX);
        *twice += map_u64_find(&seen, hash) != MAP_NONE;
        map_u64_set(&seen, hash, 1);
        ++*count;
    }
    map_u64_fini(&seen);
    if (wrong > WRONG_TOLD_MAX)
        term_text(&c->err, "... and %u more lines\n", wrong - WRONG_TOLD_MAX);
    return wrong == 0;
}

/* The codes of the file, one a line and nothing else. */
static void put_codes(struct str text, struct buf *out)
{
    struct str code;
    uint32_t line = 0;
    for (size_t from = 0; code_next(text, &from, &line, &code);)
        buf_printf(out, "%.*s\n", STR_ARG(code));
}

/* Gives the parts, each in a command of its own, to whoever has the directory. */
static int give(struct cli *c, struct str codes)
{
    struct str pool = str_of(c->arguments[2]);
    struct buf path;
    buf_init(&path);
    buf_printf(&path, "/v1/vouchers/%.*s", STR_ARG(pool));
    buf_add_byte(&path, 0);
    uint32_t count = 0, room = (uint32_t)(codes.len / (CODES_BYTES_MAX / 2)) + 2;
    struct operation *parts = arena_array(&c->arena, struct operation, room);
    for (size_t from = 0; from < codes.len;) {
        struct str part = codes_part(codes, &from);
        must(count < room);
        parts[count++] = (struct operation){
            .word = {.kind = COMMAND_VOUCHERS, .name = pool, .codes = part},
            .request = (const char *)path.at,
            .body = arena_copy(&c->arena, part).at,
        };
    }
    int code = operate_all(c, c->arguments[1], parts, count);
    buf_fini(&path);
    return code;
}

static int load(struct cli *c)
{
    struct voucher_counts was = {0}, is = {0};
    struct fault f = {0};
    struct buf text, codes;
    uint32_t count = 0, twice = 0;
    if (c->argument_count < 4)
        return cli_usage(c, "say which pool and which file: wend voucher load DIR POOL FILE");
    struct str pool = str_of(c->arguments[2]);
    buf_init(&text);
    buf_init(&codes);
    int code = CLI_OK;
    enum status status = os_read_whole(os_disk_real(), c->arguments[3], FILE_BYTES_MAX, &text, &f);
    if (status == OK && !read_codes(c, buf_str(&text), &count, &twice)) {
        fault_set(&f, "nothing was loaded");
        status = FIX_INPUT;
    }
    if (status == OK)
        status = look(c, pool, &was, &f);
    if (status != OK) {
        code = cli_fail(c, status, &f);
    } else {
        put_codes(buf_str(&text), &codes);
        code = codes.len > 0 ? give(c, buf_str(&codes)) : CLI_OK;
    }
    if (code == CLI_OK && look(c, pool, &is, &f) == OK && !c->is_json) {
        uint64_t fresh = is.loaded - min_of(was.loaded, is.loaded);
        term_text(&c->out, "%u codes: %lu are new, %lu were there already%s\n", count, fresh,
                  count - min_of(fresh, (uint64_t)count),
                  twice ? " or stand in the file twice" : "");
        term_text(&c->out, "%s: %lu free, %lu held, %lu gone\n", c->arguments[2], is.free, is.held,
                  is.gone);
    }
    buf_fini(&codes);
    buf_fini(&text);
    return code;
}

int cmd_voucher(struct cli *c)
{
    const char *action = c->arguments[0];
    if (strcmp(action, "ls") == 0)
        return list(c);
    if (strcmp(action, "load") == 0)
        return load(c);
    return cli_usage(c, "\"%s\" is nothing that can be done with vouchers: ls or load", action);
}
