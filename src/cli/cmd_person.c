/* SPDX-License-Identifier: Apache-2.0 */
#include "api/person_json.h"
#include "cli/common.h"
#include "when/civil.h"
#include "when/zone.h"
#include "json/json_write.h"

int cmd_person(struct cli *c)
{
    struct directory d;
    struct recovered r;
    struct fault f = {0};
    enum status status = directory_open(os_disk_real(), c->arguments[0], &d, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    struct recover_options options = {0};
    status = recover(&d, &options, &r, &f);
    int code = CLI_OK;
    if (status == OK) {
        uint64_t profile = engine_find_person(r.engine, str_of(c->arguments[1]));
        if (profile == 0) {
            fault_set(&f, "nobody is known as \"%s\" (no user id, no anonymous id, no address)",
                      c->arguments[1]);
            code = cli_fail(c, FIX_INPUT, &f);
        } else {
            struct buf out;
            buf_init(&out);
            person_json(r.engine, profile, &out);
            term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
            buf_fini(&out);
        }
    }
    recovered_fini(&r);
    return status == OK ? code : cli_fail(c, status, &f);
}
