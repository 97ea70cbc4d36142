/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "evlog/evlog.h"
#include "os/clock.h"
#include "os/file.h"
#include "server/take.h"
#include "when/civil.h"
#include "json/json_write.h"

struct recovering {
    struct cli *cli;
    struct directory directory;
    struct evlog *log; /* NULL: nothing is written */
    struct trial trial;
    struct release by; /* who wrote the log's end */
    bool is_done;      /* the directory is this release's now */
    double seconds;
};

static uint32_t undone_count(const struct trial *t)
{
    return t->keep_count - t->kept_count;
}

static void write_release(struct json_writer *w, const char *key, const struct release *r)
{
    json_write_key(w, str_of(key));
    json_write_map(w);
    json_write_key_text(w, "version", str_of(r->version));
    json_write_key_text(w, "sources", str_of(r->hash));
    json_write_end(w);
}

static void print_json(const struct recovering *g)
{
    const struct trial *t = &g->trial;
    const struct recovered *r = &t->recovered;
    struct release here = release_here();
    char text[TIMESTAMP_BYTES];
    struct json_writer w;
    struct buf out;
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    write_release(&w, "release", &here);
    write_release(&w, "written_by", &g->by);
    json_write_key_bool(&w, "is_same", !trial_differs(t));
    json_write_key_bool(&w, "is_adopted", g->is_done);
    json_write_key_int(&w, "snapshot_batch", (int64_t)t->snapshot_batch);
    json_write_key_int(&w, "batches", (int64_t)r->batches);
    json_write_key_int(&w, "results_compared", (int64_t)(r->results_compared + r->differences));
    json_write_key_int(&w, "results_missing", (int64_t)r->results_missing);
    json_write_key_int(&w, "adopted_before", (int64_t)t->adopted_before);
    json_write_key_int(&w, "crossed_batch", (int64_t)r->crossed_batch);
    json_write_key(&w, STR("difference"));
    if (t->batches > 0) {
        json_write_map(&w);
        json_write_key_int(&w, "batch", (int64_t)t->first_batch);
        json_write_key_text(&w, "at", timestamp_print(t->first_ms, text));
        json_write_key_text(&w, "row", str_of(t->first));
        json_write_key_int(&w, "batches", (int64_t)t->batches);
        json_write_key_int(&w, "kept", t->kept_count);
        json_write_key_int(&w, "undone", undone_count(t));
        json_write_end(&w);
    } else {
        json_write_null(&w);
    }
    json_write_key_double(&w, "seconds", g->seconds);
    json_write_end(&w);
    term_text(&g->cli->out, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

static void print_difference(const struct recovering *g)
{
    struct cli *c = g->cli;
    const struct trial *t = &g->trial;
    char at[TIMESTAMP_BYTES];
    if (t->recovered.crossed_batch != 0) {
        term_print(
            &c->out, TERM_YELLOW,
            "  behind the change of release at batch %lu there is no snapshot that can be used\n",
            t->recovered.crossed_batch);
        if (t->recovered.snapshot_fault.text[0])
            term_text(&c->out, "  %s\n", t->recovered.snapshot_fault.text);
    }
    if (t->batches == 0)
        return;
    term_print(&c->out, TERM_RED, "  batch %lu of %.*s is the first that differs: %s\n",
               t->first_batch, STR_ARG(timestamp_print(t->first_ms, at)), t->first);
    term_text(
        &c->out,
        "  %lu batches differ; %u attempts that were granted would not have been (they stay, in "
        "doubt), %u that never were would have been (they are decided again)\n",
        t->batches, t->kept_count, undone_count(t));
}

static void print(const struct recovering *g)
{
    struct cli *c = g->cli;
    const struct trial *t = &g->trial;
    const struct recovered *r = &t->recovered;
    struct release here = release_here();
    char by[RELEASE_TEXT_BYTES], own[RELEASE_TEXT_BYTES];
    release_print(&g->by, by);
    release_print(&here, own);
    if (c->is_json) {
        print_json(g);
        return;
    }
    term_text(&c->out, "  the log's end is of release %s; this is %s\n", by, own);
    term_text(&c->out,
              "  %lu batches behind the snapshot of batch %lu applied again in %.1f s: %lu of %lu "
              "result blocks agree, %lu newest batches have none\n",
              r->batches, t->snapshot_batch, g->seconds, r->results_compared,
              r->results_compared + r->differences, r->results_missing);
    if (t->adopted_before != 0)
        term_text(&c->out, "  an operator has adopted what differs before batch %lu\n",
                  t->adopted_before);
    print_difference(g);
    if (g->is_done)
        term_print(&c->out, TERM_GREEN, "  the directory is this release's now\n");
    else if (!trial_differs(t))
        term_print(&c->out, TERM_GREEN, "  `wend serve` can go on with it\n");
    else
        term_text(&c->out,
                  "  nothing was changed. Go on with the release that wrote it, or take this one's "
                  "results: `wend recover %s --adopt`\n",
                  g->directory.path);
}

/* Takes the directory over, differences and all. */
static enum status adopt(struct recovering *g, struct fault *f)
{
    const char *words = cli_text(g->cli, "reason");
    struct taking taking = {.log = g->log,
                            .recovered = &g->trial.recovered,
                            .now_ms = os_clock_utc_ms(),
                            .adopts = &g->trial,
                            .words = words != NULL ? str_of(words) : STR("")};
    bool is_changed;
    enum status status = directory_take(&g->directory, &taking, &is_changed, f);
    if (status == OK) {
        status = evlog_close(g->log, f);
        g->log = NULL;
    }
    g->is_done = status == OK;
    return status;
}

int cmd_recover(struct cli *c)
{
    struct recovering g = {.cli = c};
    struct evlog_options log = {.disk = os_disk_real()};
    struct fault f = {0};
    bool adopts = cli_flag(c, "adopt");
    if (cli_is_given(c, "reason") && !adopts)
        return cli_usage(c, "--reason goes with --adopt");
    enum status status = directory_open(os_disk_real(), c->arguments[0], &g.directory, &f);
    if (status == OK && adopts)
        status = evlog_open(g.directory.log, &log, &g.log, &f);
    int64_t began_ns = os_clock_monotonic_ns();
    if (status == OK)
        status = trial_run(&g.directory, g.log, &g.trial, &f);
    g.seconds = (double)(os_clock_monotonic_ns() - began_ns) / 1e9;
    g.by = g.trial.recovered.release;
    if (status == OK && adopts)
        status = adopt(&g, &f);
    if (status == OK)
        print(&g);
    bool is_fine = g.is_done || !trial_differs(&g.trial);
    trial_fini(&g.trial);
    evlog_free(g.log);
    if (status != OK)
        return cli_fail(c, status, &f);
    return is_fine ? CLI_OK : CLI_FAILED;
}
