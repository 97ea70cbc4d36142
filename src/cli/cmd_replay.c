/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "os/clock.h"
#include "json/json_write.h"

static void count_results(void *self, struct engine *e, const struct batch *b,
                          const struct engine_output *out)
{
    (void)e;
    (void)b;
    tally_add(self, out->results, out->result_count);
}

static void print_fault(void *self, struct str line)
{
    struct cli *c = self;
    term_print(&c->err, TERM_RED, "  %.*s\n", STR_ARG(line));
}

/* What stands before the last erasure, or before the oldest snapshot of a log that was cut, is not decided
 * again; but it is read, all of it. */
static enum status read_log(const struct directory *d, uint64_t batch_last, struct fault *f)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    enum status status = evlog_reader_open(d->disk, d->log, 0, &reader, f);
    if (status != OK)
        return status;
    while (status == OK && item.kind != EVLOG_END && item.number <= batch_last) {
        status = evlog_reader_next(reader, &item, f);
        for (uint32_t i = 0; status == OK && item.kind == EVLOG_BATCH && i < item.batch.count; i++)
            (void)record_personal(&item.batch.records[i]);
    }
    evlog_reader_close(reader);
    return status;
}

int cmd_replay(struct cli *c)
{
    struct directory d;
    struct recovered r;
    struct fault f = {0};
    struct tally tally;
    bool verifies = cli_flag(c, "verify");
    enum status status = directory_open(os_disk_real(), c->arguments[0], &d, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    tally_init(&tally);
    struct recover_options options = {.from_beginning = true,
                                      .is_tolerant = !verifies,
                                      .checks_hashes = verifies,
                                      .batch_last = (uint64_t)cli_int(c, "batch"),
                                      .self = &tally,
                                      .after = count_results};
    int64_t began_ns = os_clock_monotonic_ns();
    status = recover(&d, &options, &r, &f);
    if (status == GIVE_UP && verifies && r.taken_over_batch > 0) {
        /* What another release decided is not this one's to prove. */
        cli_say(
            c,
            "up to batch %lu the log is another release's, and batch %lu comes out otherwise here: %s; "
            "verified from the newest snapshot on",
            r.taken_over_batch - 1, r.differs_from, r.difference);
        recovered_fini(&r);
        f = (struct fault){0};
        tally_fini(&tally);
        tally_init(&tally);
        options.from_beginning = false;
        options.is_tolerant = false;
        status = recover(&d, &options, &r, &f);
    }
    if (status == OK && verifies && r.erased_batch > 0) {
        status = read_log(&d, r.snapshot_batch, &f);
        if (status == OK)
            cli_say(
                c,
                "people were erased up to batch %lu: what was decided is verified from batch %lu on, "
                "before it the log itself",
                r.erased_batch, r.snapshot_batch + 1);
    }
    if (status == OK && r.log_first > 1) {
        char text[TIMESTAMP_BYTES];
        status = verifies ? read_log(&d, r.snapshot_batch, &f) : OK;
        if (status == OK)
            cli_say(c,
                    "the log begins with batch %lu, older ones were dropped: what was decided is "
                    "applied again from batch %lu on, of %s",
                    r.log_first, r.snapshot_batch + 1, timestamp_print(r.kept_since_ms, text).at);
    }
    double seconds = (double)(os_clock_monotonic_ns() - began_ns) / 1e9;
    int code = CLI_OK;
    if (status == OK) {
        uint64_t hash = engine_hash(r.engine);
        uint64_t faults = verifies ? engine_audit(r.engine, c, print_fault) : 0;
        const struct engine_counts *counts = engine_counts(r.engine);
        code = faults ? CLI_FAILED : CLI_OK;
        if (c->is_json) {
            struct buf out;
            struct json_writer w;
            char text[32];
            snprintf(text, sizeof(text), "%016lx", hash);
            buf_init(&out);
            json_write_init(&w, &out, JSON_PRETTY);
            json_write_map(&w);
            json_write_key_int(&w, "batches", (int64_t)r.batches);
            json_write_key_int(&w, "events", (int64_t)counts->events);
            json_write_key_int(&w, "duplicates", (int64_t)counts->duplicates);
            json_write_key_int(&w, "unfound", (int64_t)counts->unfound);
            json_write_key_int(&w, "profiles", (int64_t)engine_profile_count(r.engine));
            json_write_key_int(&w, "results_compared", (int64_t)r.results_compared);
            json_write_key_int(&w, "results_missing", (int64_t)r.results_missing);
            json_write_key_int(&w, "hashes_compared", (int64_t)r.hashes_compared);
            json_write_key_int(&w, "results_differ", (int64_t)r.differences);
            json_write_key_int(&w, "erased_batch", (int64_t)r.erased_batch);
            json_write_key_int(&w, "log_first", (int64_t)r.log_first);
            json_write_key_int(&w, "snapshot_batch", (int64_t)r.snapshot_batch);
            json_write_key_int(&w, "audit_faults", (int64_t)faults);
            json_write_key_text(&w, "state_hash", str_of(text));
            json_write_key_double(&w, "seconds", seconds);
            json_write_end(&w);
            term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
            buf_fini(&out);
        } else {
            term_text(&c->out,
                      "  %lu batches, %lu events (%lu of them duplicates), %lu people in %.1f s\n",
                      r.batches, counts->events, counts->duplicates, engine_profile_count(r.engine),
                      seconds);
            term_text(&c->out,
                      "  %lu result blocks agree, %lu newest batches have none yet; %lu snapshots "
                      "agree\n  state hash %016lx\n",
                      r.results_compared, r.results_missing, r.hashes_compared, hash);
            if (r.differences > 0 && r.adopted_batch > 0)
                term_text(
                    &c->out,
                    "  %lu result blocks differ, up to batch %lu, where an operator adopted it\n",
                    r.differences, r.adopted_batch);
            else if (r.differences > 0)
                term_text(&c->out,
                          "  %lu result blocks differ from batch %lu on: a re-evaluation (%s)\n",
                          r.differences, r.differs_from, r.difference);
            if (verifies)
                term_print(&c->out, faults ? TERM_RED : TERM_GREEN, "  audit: %lu faults\n",
                           faults);
            if (!c->is_quiet)
                print_tally(c, &tally, r.shelf.names);
        }
    }
    recovered_fini(&r);
    tally_fini(&tally);
    return status == OK ? code : cli_fail(c, status, &f);
}
