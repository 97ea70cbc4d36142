/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "replay/backup.h"

int cmd_restore(struct cli *c)
{
    struct backup b;
    struct fault f = {0};
    const char *erased = cli_text(c, "erased");
    enum status status = backup_read(os_disk_real(), c->arguments[0], &b, &f);
    if (status == OK)
        status = backup_restore(os_disk_real(), c->arguments[0], &b, c->arguments[1], erased, &f);
    if (status == OK && c->is_json)
        term_text(&c->out, "{\"batch\": %lu, \"files\": %u, \"bytes\": %lu}\n", b.batch, b.count,
                  b.bytes);
    else if (status == OK)
        term_text(&c->out, "%s is as it was after batch %lu; `wend serve` goes on from there\n",
                  c->arguments[1], b.batch);
    backup_fini(&b);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
