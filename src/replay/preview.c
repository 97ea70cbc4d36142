/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/preview.h"

#include "base/hash.h"
#include "evlog/evlog.h"
#include "profile/traits.h"
#include "when/civil.h"
#include "when/span.h"
#include "json/json_write.h"

#define SAMPLE_SEED 77

struct str preview_id(struct person *who)
{
    struct value id = traits_get(who, NAME_USER_ID, NULL);
    if (id.type != VALUE_TEXT)
        id = traits_get(who, NAME_ANONYMOUS_ID, NULL);
    return id.type == VALUE_TEXT ? id.text : STR("(no id)");
}

/* Those whose numbers hash lowest would need all to be held; every so manieth is enough. */
void preview_offer(struct preview_sample *sample, struct person *who, uint64_t nth)
{
    if (sample->most == 0)
        return;
    uint64_t place =
        sample->count < sample->most ? sample->count : hash_pair(who->id, SAMPLE_SEED) % (nth + 1);
    if (place >= sample->most)
        return;
    sample->ids[place] = arena_copy(sample->arena, preview_id(who));
    sample->count = max_of(sample->count, (uint32_t)place + 1);
}

void preview_file(struct str when, struct buf *out)
{
    buf_printf(out, "segment: " PREVIEW_SEGMENT "\nwhen: '");
    for (size_t i = 0; i < when.len; i++) {
        buf_add_byte(out, (uint8_t)when.at[i]);
        if (when.at[i] == '\'')
            buf_add_byte(out, '\'');
    }
    buf_printf(out, "'\n");
}

/* What an answer by applying the log again is worth. */
static struct str words_of(const struct segment_view *view, struct arena *arena)
{
    char step[SPAN_BYTES], since[TIMESTAMP_BYTES];
    struct str whole = STR("the whole log was applied again");
    if (view->recovered.log_first > 1)
        whole = arena_printf(arena, "the log was applied again, which reaches back to %s",
                             timestamp_print(view->recovered.kept_since_ms, since).at);
    if (view->step_ms == 0)
        return arena_printf(arena, "as if it had always been there: %.*s", STR_ARG(whole));
    return arena_printf(arena,
                        "as if it had always been there: %.*s, and for how long something has been "
                        "so was looked at every %s",
                        STR_ARG(whole), span_print(span_of_ms(view->step_ms), step).at);
}

void preview_count(struct segment_view *view, uint16_t index, struct preview *out)
{
    struct engine *e = view->recovered.engine;
    out->people = out->errors = 0;
    out->of = engine_profile_count(e);
    out->how = words_of(view, out->sample.arena);
    for (uint64_t n = engine_each(e, 0); n != 0; n = engine_each(e, n)) {
        struct person who;
        bool is_error;
        bool is_in = segment_view_ask(view, n, index, &is_error);
        out->errors += is_error;
        if (!is_in)
            continue;
        engine_look(e, n, &who);
        preview_offer(&out->sample, &who, out->people++);
    }
}

/* The programme with the segment, compiled behind the log's names. */
static enum status compile(const struct directory *d, struct str programme, struct str when,
                           struct names *names, struct plan **plan, struct findings *findings,
                           struct fault *f)
{
    char hash[PROGRAMME_HASH_BYTES];
    struct programme_folder folder;
    struct buf text;
    if (!str_to_z(programme, hash, sizeof(hash))) {
        fault_set(f, "that is no programme's hash");
        return FIX_INPUT;
    }
    buf_init(&text);
    preview_file(when, &text);
    enum status status =
        segment_folder_of(d, hash, "segments/" PREVIEW_SEGMENT ".yaml", buf_str(&text), &folder, f);
    buf_fini(&text);
    if (status != OK)
        return status;
    status = programme_compile(&folder, names, plan, findings);
    if (status == FIX_INPUT)
        fault_set(f, "the condition is wrong");
    programme_folder_fini(&folder);
    return status;
}

enum status preview_make(const struct directory *d, struct str programme, struct str when,
                         struct preview *out, struct findings *findings, struct fault *f)
{
    struct names *names = names_new();
    struct plan *plan = NULL;
    struct segment_view view;
    struct evlog_end end = {0};
    uint64_t batch;
    enum status status = evlog_read_names(d->disk, d->log, names, &batch, f);
    uint32_t known = names_count(names);
    if (status == OK)
        status = evlog_find_end(d->disk, d->log, &end, f);
    if (status == OK)
        status = compile(d, programme, when, names, &plan, findings, f);
    if (status == OK) {
        uint16_t index = plan_segment_find(plan, names_find(names, STR(PREVIEW_SEGMENT)));
        must(index != PLAN_NO_INDEX);
        status = segment_view(d, plan, index, end.now_ms, 0, &view, f);
        /* Numbers behind the log's are the candidate's, unless the log has given them away by now. */
        uint32_t now = status == OK ? names_count(view.recovered.shelf.names) : known;
        for (uint32_t i = known; i < min_of(now, names_count(names)) && status == OK; i++)
            if (!str_equal(names_text(view.recovered.shelf.names, i), names_text(names, i)))
                status = TRY_AGAIN;
        if (status == OK)
            preview_count(&view, index, out);
        else if (status == TRY_AGAIN)
            fault_set(f, "the log has got new names meanwhile");
        segment_view_fini(&view);
    }
    if (plan != NULL)
        programme_plan_free(plan);
    names_free(names);
    return status;
}

void preview_json(const struct preview *p, struct buf *out)
{
    struct json_writer w;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_int(&w, "people", (int64_t)p->people);
    json_write_key_int(&w, "of", (int64_t)p->of);
    json_write_key_int(&w, "errors", (int64_t)p->errors);
    json_write_key_text(&w, "how", p->how);
    json_write_key(&w, STR("sample"));
    json_write_list(&w);
    for (uint32_t i = 0; i < p->sample.count; i++)
        json_write_text(&w, p->sample.ids[i]);
    json_write_end(&w);
    json_write_end(&w);
}
