/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "disk/snapshot.h"
#include "evlog/evlog.h"
#include "model/record.h"
#include "programme/programme.h"
#include "replay/backfill.h"
#include "replay/backup.h"
#include "replay/release.h"
#include "server/held.h"
#include "when/zone.h"
#include "json/json_write.h"

struct format {
    const char *name;
    uint32_t version;
    const char *doc;
};

static const struct format formats[] = {
#define FORMAT(name, version, doc) {name, version, doc},
#include "cli/formats.def"
#undef FORMAT
};

static void print_json(struct cli *c)
{
    struct buf out;
    struct json_writer w;
    struct release here = release_here();
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_text(&w, "version", str_of(here.version));
    json_write_key_text(&w, "built_from", str_of(release_built_from()));
    json_write_key_text(&w, "variant", str_of(release_variant()));
    json_write_key_text(&w, "sources", str_of(here.hash));
    json_write_key(&w, STR("formats"));
    json_write_map(&w);
    for (size_t i = 0; i < array_count(formats); i++)
        json_write_key_int(&w, formats[i].name, formats[i].version);
    json_write_end(&w);
    json_write_end(&w);
    term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

int cmd_version(struct cli *c)
{
    struct release here = release_here();
    if (c->is_json) {
        print_json(c);
        return CLI_OK;
    }
    term_print(&c->out, TERM_BOLD, "wend %s", here.version);
    term_text(&c->out, " (commit %s, %s build)\n", release_built_from(), release_variant());
    term_text(&c->out, "  sources %s\n", here.hash);
    for (size_t i = 0; i < array_count(formats); i++)
        term_text(&c->out, "  format %-10s %u  %s\n", formats[i].name, formats[i].version,
                  formats[i].doc);
    return CLI_OK;
}
