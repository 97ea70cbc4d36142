/* answer.c - what the client is told.
 *
 * A batch with bad events beside good ones is a success with "rejected" in it, and not an error: the
 * official clients drop a batch that is answered by 4xx, good events and all, or send all of it again
 * (analytics-go ten times); none reads the body of a success. Who does read it learns what was wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ingest/ingest_int.h"
#include "json/json_write.h"

static void write_message(struct json_writer *w, enum ingest_error error, const char *field,
                          const char *detail)
{
    const struct ingest_error_row *row = ingest_error_row(error);
    struct buf text;
    buf_init(&text);
    buf_add_str(&text, str_of(row->sentence));
    if (detail[0] != 0)
        buf_printf(&text, " (%s)", detail);
    if (field[0] != 0)
        buf_printf(&text, ", at %s", field);
    buf_printf(&text, "; %s", row->advice);
    json_write_key_text(w, "code", str_of(row->code));
    json_write_key_text(w, "message", buf_str(&text));
    if (field[0] != 0)
        json_write_key_text(w, "field", str_of(field));
    buf_fini(&text);
}

static void write_rejected(struct json_writer *w, const struct ingest_batch *batch)
{
    if (batch->rejected_count == 0)
        return;
    json_write_key_int(w, "rejectedCount", batch->rejected_count);
    json_write_key(w, STR("rejected"));
    json_write_list(w);
    for (uint32_t i = 0; i < batch->problem_count; i++) {
        const struct ingest_problem *p = &batch->problems[i];
        json_write_map(w);
        json_write_key_int(w, "index", p->index);
        write_message(w, p->error, p->field, "");
        json_write_end(w);
    }
    json_write_end(w);
}

uint32_t ingest_answer_write(enum ingest_error error, const struct ingest_batch *batch,
                             struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_map(&w);
    if (error == INGEST_FINE) {
        json_write_key_bool(&w, "success", true);
    } else {
        bool is_first = batch->problem_count > 0 && batch->problems[0].error == error;
        write_message(&w, error, is_first ? batch->problems[0].field : "", batch->detail);
    }
    write_rejected(&w, batch);
    json_write_end(&w);
    return error == INGEST_FINE ? 200 : ingest_error_row(error)->http_status;
}
