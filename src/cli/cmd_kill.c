/* cmd_kill.c - the kill switch, and taking it back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "cli/common.h"
#include "cli/operate.h"

/* Which messages; false: the line does not say, and that has been said. */
static bool read_scope(struct cli *c, struct command_word *out, struct buf *request, int *code)
{
    static const struct {
        const char *option;
        enum kill_scope scope;
    } scopes[] = {{"journey", KILL_JOURNEY},
                  {"message", KILL_MESSAGE},
                  {"category", KILL_CATEGORY},
                  {"channel", KILL_CHANNEL}};
    enum channel channel;
    uint32_t given = 0;
    for (size_t i = 0; i < array_count(scopes); i++) {
        const char *name = cli_text(c, scopes[i].option);
        if (name == NULL)
            continue;
        out->scope = (uint8_t)scopes[i].scope;
        out->name = str_of(name);
        query_add(request, scopes[i].option, out->name);
        given++;
    }
    if (cli_flag(c, "all")) {
        out->scope = KILL_ALL;
        query_add(request, "all", STR("yes"));
        given++;
    }
    if (given != 1) {
        *code =
            cli_usage(c, "say what: one of --journey, --message, --category, --channel and --all");
        return false;
    }
    if (out->scope == KILL_CHANNEL && !channel_find(out->name, &channel)) {
        *code = cli_usage(c, "there is no channel \"%.*s\"", STR_ARG(out->name));
        return false;
    }
    if (out->scope == KILL_CHANNEL)
        out->channel = (uint8_t)channel;
    return true;
}

static int give(struct cli *c, struct command_word *word, struct buf *request)
{
    buf_add_byte(request, 0);
    int code = operate(c, c->arguments[0], word, (const char *)request->at);
    if (code != CLI_OK || c->is_json)
        return code;
    struct str scope = kill_scope_name((enum kill_scope)word->scope);
    term_text(&c->out, "%.*s%s%.*s: %s\n", STR_ARG(scope), word->name.len ? " " : "",
              STR_ARG(word->name),
              word->kind == COMMAND_UNKILL ? "goes out again"
              : word->flags & KILL_DROPS   ? "killed, and what is pending is withdrawn"
                                           : "killed; what is pending waits");
    bool is_of_all =
        word->kind == COMMAND_UNKILL || word->flags & KILL_ALL_LANES || word->scope == KILL_CHANNEL;
    if (!is_of_all)
        term_print(&c->out, TERM_DIM,
                   "  otp, alert, legal, opt_in and service go on: --all-lanes kills them too\n");
    return code;
}

int cmd_kill(struct cli *c)
{
    struct command_word word = {.kind = COMMAND_KILL};
    struct buf request;
    int code = CLI_OK;
    buf_init(&request);
    buf_printf(&request, "/v1/kill");
    if (read_scope(c, &word, &request, &code)) {
        if (cli_flag(c, "drop")) {
            word.flags |= KILL_DROPS;
            query_add(&request, "drop", STR("yes"));
        }
        if (cli_flag(c, "all-lanes")) {
            word.flags |= KILL_ALL_LANES;
            query_add(&request, "all_lanes", STR("yes"));
        }
        code = give(c, &word, &request);
    }
    buf_fini(&request);
    return code;
}

int cmd_unkill(struct cli *c)
{
    struct command_word word = {.kind = COMMAND_UNKILL};
    struct buf request;
    int code = CLI_OK;
    buf_init(&request);
    buf_printf(&request, "/v1/unkill");
    if (read_scope(c, &word, &request, &code) && read_pace(c, &word, &code)) {
        query_add(&request, "pace", str_of(cli_text(c, "pace")));
        code = give(c, &word, &request);
    }
    buf_fini(&request);
    return code;
}
