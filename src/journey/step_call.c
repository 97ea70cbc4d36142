/* step_call.c - the steps that ask somebody outside and wait for what comes of it: a web service (call), or
 * people (task). What is asked, and of whom, is the desk's to see to (decide/errand.h); here an errand
 * begins, and its instance goes on when it has ended.
 *
 * What is saved of an answer stands beside entry.*, under names of its own ("$saved:NAME").
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

#include <stdio.h>

#include "model/errand.h"
#include "profile/ask.h"
#include "profile/errands.h"

#define PHRASE_BYTES_MAX 1000 /* of a task's title or other text */

/* ---- beginning ----------------------------------------------------------------------------------- */

static void add_value(struct buf *b, const struct value *x)
{
    switch (x->type) {
    case VALUE_TEXT: buf_add_str(b, x->text); return;
    case VALUE_INT: buf_printf(b, "%lld", (long long)x->integer); return;
    case VALUE_BOOL: buf_printf(b, "%s", x->boolean ? "yes" : "no"); return;
    case VALUE_DOUBLE: buf_printf(b, "%.15g", x->number); return;
    default: return; /* nothing that a line of text could say */
    }
}

/* At most PHRASE_BYTES_MAX, whole characters. */
static struct str phrase(struct step *s, const struct plan_phrase *p)
{
    struct buf *b = s->who->bytes;
    b->len = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct plan_piece *piece = &p->pieces[i];
        if (piece->slot == 0) {
            buf_add_str(b, piece->text);
            continue;
        }
        struct value x = ask_slot(s->who, piece->slot, step_more(s)->entry, s->at->journey,
                                  NAME_NONE, step_more(s)->decision, 1);
        add_value(b, &x);
    }
    size_t len = min_of(b->len, (size_t)PHRASE_BYTES_MAX);
    while (len < b->len && len > 0 && (b->at[len] & 0xc0) == 0x80)
        len--;
    return arena_copy(s->who->scratch, (struct str){(const char *)b->at, len});
}

static struct str texts_of(struct step *s, const struct plan_errand *means)
{
    if (means->kind != ERRAND_TASK)
        return STR("");
    struct str title = phrase(s, &means->title);
    struct str details = phrase(s, &means->details);
    struct str assignee = phrase(s, &means->assignee);
    struct buf *b = s->who->bytes;
    b->len = 0;
    body_put_text(b, NAME_TASK_TITLE, title);
    body_put_text(b, NAME_TASK_DETAILS, details);
    body_put_text(b, NAME_TASK_ASSIGNEE, assignee);
    return arena_copy(s->who->scratch, buf_str(b));
}

static enum step_answer begin(struct step *s)
{
    uint16_t index = s->means->errand.errand;
    struct instance *in = s->at;
    in->visits++;
    instance_set_decision(s->who->space, in,
                          hash_pair(hash_pair(in->id, in->step), in->visits) | 1);
    in->state = INSTANCE_ASKING;
    in->due_ms = FOREVER_MS;
    struct str says = texts_of(s, &s->plan->errands[index]);
    if (errand_add(s->who, in, s->means->id, index, says))
        return STEP_STAYS;
    person_result(
        s->who, (struct result){
                    .kind = RESULT_ERROR, .step = in->step, .journey = in->journey, .id = in->id});
    instance_set_decision(s->who->space, in, 0);
    s->next = errand_way(s->means, ERRAND_FAILED);
    return STEP_GO;
}

enum step_answer step_call_run(struct step *s)
{
    return begin(s);
}

enum step_answer step_task_run(struct step *s)
{
    return begin(s);
}

/* ---- going on ------------------------------------------------------------------------------------ */

static bool is_in(struct body body, uint32_t name)
{
    struct body_field field;
    return body_find(body, name, &field);
}

/* Fields that the answer brings take the place of those of an earlier one. */
static void save(struct person *who, uint32_t place, const struct errand *x, uint32_t told_as,
                 struct str ending)
{
    const struct plan_errand *means = errand_means(who, x);
    struct blob entry = person_more(who, person_instance(who, place))->entry;
    struct body says = {blob_at(who->space, x->says), x->says.bytes};
    struct body rest = {blob_at(who->space, entry), entry.bytes};
    struct body_field field;
    struct buf *b = who->bytes;
    b->len = 0;
    while (body_next(&rest, &field))
        if (field.name != told_as && !is_in(says, field.name))
            buf_add(b, field.value + field.value_bytes - field.whole_bytes, field.whole_bytes);
    if (told_as != NAME_NONE)
        body_put_text(b, told_as, ending);
    for (uint32_t i = 0; i < means->save_count; i++)
        if (body_find(says, means->saves[i].name, &field) &&
            b->len + field.whole_bytes <= SPACE_OBJECT_MAX)
            buf_add(b, field.value + field.value_bytes - field.whole_bytes, field.whole_bytes);
    if (b->len > SPACE_OBJECT_MAX)
        return; /* an entry of that size has no room: what came of it stays unknown */
    blob_set(who->space, &entry, b->at, (uint32_t)b->len);
    instance_set_entry(who->space, person_touch_instance(who, place), entry);
    for (uint32_t i = 0; i < means->save_count; i++)
        person_changed_name(who, means->saves[i].name);
    if (told_as != NAME_NONE)
        person_changed_name(who, told_as);
}

static void hear(struct person *who, uint32_t place, struct errand x)
{
    struct step s;
    step_at(who, place, &s);
    enum errand_ending ending = (enum errand_ending)x.ending;
    const struct plan_errand *means = errand_means(who, &x);
    struct str text = errand_ending_text(ending);
    bool is_ours = s.means != NULL && (s.means->kind == STEP_CALL || s.means->kind == STEP_TASK);
    must(is_ours);
    person_result(who, (struct result){.kind = RESULT_WAITED,
                                       .step = s.at->step,
                                       .journey = s.at->journey,
                                       .version = s.at->plan,
                                       .id = s.at->id,
                                       .number = means->endings[ending]});
    person_note_about(who, s.at->journey, NAME_NONE, "%.*s: step %.*s ends: %.*s",
                      STR_ARG(names_text(who->names, s.at->journey)),
                      STR_ARG(names_text(who->names, s.means->id)), STR_ARG(text));
    save(who, place, &x, s.means->errand.told_as, text);
    instance_set_decision(who->space, person_touch_instance(who, place), 0);
    instance_go(who, place, errand_way(s.means, ending));
}

void errands_hear(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->errands.count; i++) {
        struct errand x = *person_errand(who, i);
        if (x.ending == ERRAND_PENDING || x.is_heard)
            continue;
        person_touch_errand(who, i)->is_heard = true;
        uint32_t place = instance_find(who, x.instance);
        if (place == UINT32_MAX)
            continue;
        const struct instance *in = person_instance(who, place);
        if (in->state == INSTANCE_ASKING && person_more(who, in)->decision == x.decision)
            hear(who, place, x);
    }
}
