/* SPDX-License-Identifier: Apache-2.0 */
#include "api/task_json.h"

#include <stdio.h>

#include "model/answer.h"
#include "profile/traits.h"
#include "when/civil.h"
#include "json/json_write.h"

static struct str id_of(struct person *who)
{
    struct value id = traits_get(who, NAME_USER_ID, NULL);
    if (id.type != VALUE_TEXT)
        id = traits_get(who, NAME_ANONYMOUS_ID, NULL);
    return id.type == VALUE_TEXT ? id.text : STR("");
}

static bool is_open(const struct errand *x)
{
    return x->kind == ERRAND_TASK && x->state == ERRAND_OPEN && x->ending == ERRAND_PENDING &&
           !x->is_heard;
}

static void task_fill(struct person *who, const struct errand *x, struct task *out)
{
    const struct plan *plan = who->plans->at[x->plan];
    struct body says = {blob_at(who->space, x->says), x->says.bytes};
    *out = (struct task){
        .queue = names_text(who->names, plan->errands[x->errand].queue),
        .title = body_get_text(says, NAME_TASK_TITLE),
        .details = body_get_text(says, NAME_TASK_DETAILS),
        .assignee = body_get_text(says, NAME_TASK_ASSIGNEE),
        .journey = names_text(who->names, x->journey),
        .person = id_of(who),
        .since_ms = x->began_ms,
        .due_ms = x->deadline_ms,
    };
    errand_key_print(x->key_profile, x->decision, out->key);
}

bool task_next(struct engine *e, struct task_walk *walk, struct task *out)
{
    for (;;) {
        struct person who;
        if (walk->profile != 0 && walk->place != UINT32_MAX) {
            engine_look(e, walk->profile, &who);
            while (walk->place < who.profile->errands.count) {
                const struct errand *x = person_errand(&who, walk->place++);
                if (!is_open(x))
                    continue;
                task_fill(&who, x, out);
                if (walk->queue.len == 0 || str_equal(walk->queue, out->queue))
                    return true;
            }
        }
        if (walk->scanned++ == TASKS_SCANNED_MAX)
            return false;
        uint64_t next = engine_each(e, walk->profile);
        walk->is_over = next == 0;
        if (walk->is_over)
            return false;
        walk->profile = next;
        walk->place = 0;
    }
}

static void write_moment(struct json_writer *w, const char *key, int64_t at_ms)
{
    char text[TIMESTAMP_BYTES];
    json_write_key_text(w, key, timestamp_print(at_ms, text));
}

void tasks_json(struct engine *e, struct str queue, uint64_t after, uint32_t limit, struct buf *out)
{
    struct task_walk walk = {.queue = queue};
    struct json_writer w;
    struct task task;
    char number[20];
    uint32_t count = 0;
    uint64_t last = after;
    json_write_init(&w, out, JSON_PRETTY);
    json_write_map(&w);
    write_moment(&w, "as_of", engine_now(e));
    json_write_key(&w, STR("tasks"));
    json_write_list(&w);
    walk.profile = after;
    walk.place = UINT32_MAX; /* behind that person's */
    while (task_next(e, &walk, &task)) {
        if (count >= limit && walk.profile != last)
            break;
        last = walk.profile;
        count++;
        json_write_map(&w);
        json_write_key_text(&w, "task", str_of(task.key));
        json_write_key_text(&w, "queue", task.queue);
        json_write_key_text(&w, "title", task.title);
        if (task.details.len > 0)
            json_write_key_text(&w, "details", task.details);
        if (task.assignee.len > 0)
            json_write_key_text(&w, "assignee", task.assignee);
        json_write_key_text(&w, "person", task.person);
        json_write_key_text(&w, "journey", task.journey);
        write_moment(&w, "since", task.since_ms);
        write_moment(&w, "due", task.due_ms);
        json_write_end(&w);
    }
    json_write_end(&w);
    if (!walk.is_over) {
        snprintf(number, sizeof(number), "%lx", count >= limit ? last : walk.profile);
        json_write_key_text(&w, "next", str_of(number));
    }
    json_write_end(&w);
}

enum status task_receipt(struct engine *e, const struct task_word *word, struct buf *saved,
                         bool *is_there, struct receipt *out, struct fault *f)
{
    uint64_t profile, decision;
    struct person who;
    *is_there = false;
    if (!errand_key_read(word->key, &profile, &decision)) {
        fault_set(f, "\"%.*s\" is no task's id", STR_ARG(str_part(word->key, 0, 60)));
        return FIX_INPUT;
    }
    bool is_known = engine_has(e, profile) && !engine_is_erased(e, profile);
    if (is_known)
        engine_look(e, profile, &who);
    for (uint32_t i = 0; is_known && i < who.profile->errands.count; i++) {
        const struct errand *x = person_errand(&who, i);
        if (x->decision != decision || !is_open(x))
            continue;
        *is_there = true;
        if (answer_said(&who.plans->at[x->plan]->errands[x->errand], word->values, saved, f) != OK)
            return FIX_INPUT;
        *out = (struct receipt){.kind = word->kind,
                                .profile = who.id,
                                .decision = decision,
                                .attempt = max_of((uint32_t)x->attempt, 1u),
                                .provider = x->provider,
                                .detail = word->by,
                                .saved = body_of(saved)};
        return OK;
    }
    fault_set(f, "no task of that id is open");
    return FIX_INPUT;
}
