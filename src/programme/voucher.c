/* voucher.c - vouchers/NAME.csv: codes, one a line, each for one person. A first line "code" is a heading.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "base/hash.h"
#include "model/codes.h"

static void pool_read(struct compile *c, const struct programme_file *file,
                      struct plan_voucher *pool)
{
    uint32_t most = 1, line_number = 0;
    struct map_u64 seen;
    for (size_t i = 0; i < file->text.len; i++)
        most += file->text.at[i] == '\n';
    struct str *codes = arena_array(c->arena, struct str, most + 1);
    map_u64_init(&seen);
    struct str code;
    for (size_t from = 0; code_next(file->text, &from, &line_number, &code);) {
        struct place place = {file->path, line_number, 1};
        uint64_t hash = hash_str(code, 0) | 1;
        if (!code_is_fine(code)) {
            findings_add(c->findings, FINDING_WRONG_VALUE, place,
                         "a line is one code of at most %d bytes, without commas", CODE_BYTES_MAX);
            continue;
        }
        if (map_u64_find(&seen, hash) != MAP_NONE) {
            findings_add(c->findings, FINDING_NAME_TWICE, place,
                         "the code stands in the file twice; a code is for one person");
            continue;
        }
        map_u64_set(&seen, hash, 1);
        codes[pool->code_count++] = arena_copy(c->arena, code);
    }
    map_u64_fini(&seen);
    pool->codes = codes;
}

void vouchers_compile(struct compile *c)
{
    struct plan_voucher *pools =
        arena_array(c->arena, struct plan_voucher, c->folder->file_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->folder->file_count; i++) {
        const struct programme_file *file = &c->folder->files[i];
        if (!str_starts(file->path, STR("vouchers/")) || !str_ends(file->path, STR(".csv")))
            continue;
        struct plan_voucher *pool = &pools[count];
        *pool = (struct plan_voucher){
            .name = build_name(c, str_part(file->path, 9, file->path.len - 13))};
        pool_read(c, file, pool);
        count += pool->name != NAME_NONE;
    }
    c->plan->vouchers = pools;
    c->plan->voucher_count = count;
}

uint16_t build_voucher(struct compile *c, const struct yaml_file *file,
                       const struct yaml_node *node)
{
    struct str *known = arena_array(&c->scratch, struct str, c->plan->voucher_count + 1);
    if (node == NULL || node->is_bad || node->type != YAML_TEXT)
        return PLAN_NO_INDEX;
    for (uint32_t i = 0; i < c->plan->voucher_count; i++) {
        known[i] = names_text(c->names, c->plan->vouchers[i].name);
        if (str_equal(known[i], node->text))
            return (uint16_t)i;
    }
    build_unknown(c, file, node, "pool of vouchers", known, c->plan->voucher_count);
    if (c->plan->voucher_count == 0)
        finding_advise(c->findings, "the codes of a pool stand in vouchers/%.*s.csv, one a line",
                       STR_ARG(str_part(node->text, 0, 60)));
    return PLAN_NO_INDEX;
}
