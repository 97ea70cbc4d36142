/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/task_json.h"
#include "cli/common.h"
#include "cli/operate.h"
#include "cli/table.h"
#include "when/zone.h"

#define LIST_MOST 1000000

/* ---- ls ------------------------------------------------------------------------------------------ */

/* The one that is asked for; empty = all. */
static struct str queue_of(struct cli *c)
{
    const char *queue = cli_text(c, "queue");
    return queue != NULL ? str_of(queue) : STR("");
}

static void print_tasks(struct cli *c, struct engine *e)
{
    static const char *const columns[] = {"task",   "queue",   "title",    "assignee",
                                          "person", "journey", "due (UTC)"};
    struct task_walk walk = {.queue = queue_of(c)};
    struct table table;
    struct task task;
    table_init(&table, &c->arena);
    for (size_t i = 0; i < array_count(columns); i++)
        table_column(&table, columns[i], TABLE_LEFT);
    while (!walk.is_over) {
        walk.scanned = 0;
        while (task_next(e, &walk, &task)) {
            table_text(&table, str_of(task.key));
            table_text(&table, task.queue);
            table_text(&table, task.title);
            table_text(&table, task.assignee);
            table_text(&table, task.person);
            table_text(&table, task.journey);
            table_text(&table, print_moment(&c->arena, zone_of_utc(), task.due_ms));
        }
    }
    table_print(&table, &c->out);
}

static void put_tasks(struct cli *c, struct engine *e, struct buf *out)
{
    tasks_json(e, queue_of(c), 0, LIST_MOST, out);
}

static int list(struct cli *c)
{
    return show_state(c, print_tasks, put_tasks);
}

/* ---- done, declined ------------------------------------------------------------------------------ */

static enum status make(struct engine *e, struct names *names, const void *what, struct buf *clear,
                        struct buf *personal, struct record *out, struct fault *f)
{
    struct receipt receipt;
    struct buf saved;
    bool is_there;
    (void)names;
    buf_init(&saved);
    enum status status = task_receipt(e, what, &saved, &is_there, &receipt, f);
    if (status == OK)
        receipt_write(&receipt, 0, clear, personal, out);
    buf_fini(&saved);
    return status;
}

static int end(struct cli *c, const char *verb, enum receipt_kind kind)
{
    struct buf request;
    const char *by = cli_text(c, "by"), *values = cli_text(c, "values");
    if (c->argument_count < 3)
        return cli_usage(c, "say which task: wend task %s DIR TASK", verb);
    struct task_word word = {.key = str_of(c->arguments[2]),
                             .kind = kind,
                             .by = by != NULL ? str_of(by) : STR(""),
                             .values = values != NULL ? str_of(values) : STR("")};
    buf_init(&request);
    buf_printf(&request, "/v1/tasks/%s/%s", c->arguments[2], verb);
    if (by != NULL)
        query_add(&request, "by", word.by);
    buf_add_byte(&request, 0);
    const struct operation one = {.request = (const char *)request.at,
                                  .body = values != NULL ? values : "",
                                  .make = make,
                                  .what = &word};
    int code = operate_all(c, c->arguments[1], &one, 1);
    buf_fini(&request);
    if (code == CLI_OK && !c->is_json)
        term_text(&c->out, "%s is %s\n", c->arguments[2], verb);
    return code;
}

int cmd_task(struct cli *c)
{
    if (strcmp(c->arguments[0], "ls") == 0)
        return list(c);
    if (cli_is_given(c, "queue"))
        return cli_usage(c, "--queue belongs to wend task ls");
    if (strcmp(c->arguments[0], "done") == 0)
        return end(c, "done", RECEIPT_TASK_DONE);
    if (strcmp(c->arguments[0], "declined") == 0)
        return end(c, "declined", RECEIPT_TASK_DECLINED);
    return cli_usage(c, "\"%s\" is nothing that can be done with tasks: ls, done or declined",
                     c->arguments[0]);
}
