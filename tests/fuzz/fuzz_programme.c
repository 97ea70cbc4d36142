/* fuzz_programme.c - any text as the files of a programme: findings or a plan, never a crash, and never
 * long. What compiles once compiles again into the same.
 *
 * The input is split at lines "--- PATH" into files; what stands before the first is journeys/j.yaml. A
 * programme.yaml, a message and a provider are there unless the input brings its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "model/names.h"
#include "model/plan.h"
#include "programme/check.h"
#include "programme/programme.h"
#include "programme/scenario.h"
#include "when/zone.h"

#define FILES_MAX   32
#define INPUT_BYTES ((size_t)1 << 15)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml forgets to free a token in some files that it refuses; that is not what is tested here. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

struct input {
    struct programme_file files[FILES_MAX];
    uint32_t count;
};

static void file_put(struct input *in, struct str path, struct str text)
{
    for (uint32_t i = 0; i < in->count; i++)
        if (str_equal(in->files[i].path, path))
            return; /* the first counts */
    if (in->count < FILES_MAX && path.len > 0 && path.len < 200)
        in->files[in->count++] = (struct programme_file){path, text};
}

static void input_split(struct input *in, struct str text)
{
    struct str path = STR("journeys/j.yaml");
    size_t from = 0;
    while (from <= text.len) {
        size_t next = str_find(text, STR("\n--- "), from);
        size_t end = next == SIZE_MAX ? text.len : next + 1;
        file_put(in, path, str_part(text, from, end - from));
        if (next == SIZE_MAX)
            break;
        size_t line = str_find(text, STR("\n"), end);
        if (line == SIZE_MAX)
            break;
        path = str_part(text, end + 4, line - end - 4);
        from = line + 1;
    }
    file_put(in, STR("programme.yaml"), STR("name: fuzz\ntraits: {plan: string, age: int}\n"));
    file_put(in, STR("messages/m/message.yaml"),
             STR("category: lifecycle\nemail: {subject: 'Hello {{ person.plan }}'}\n"));
    file_put(in, STR("messages/m/email.txt.liquid"), STR("{{ entry.a.b }}\n"));
    file_put(in, STR("providers/mail.yaml"),
             STR("kind: smtp\nsettings: {url: 'smtp://127.0.0.1', from: a@example.org}\n"));
}

static struct str zones_make(struct buf *out)
{
    static const struct zone_file files[] = {
        {{"UTC", 3}, {"UTC0", 4}},
        {{"Europe/London", 13}, {"GMT0BST,M3.5.0/1,M10.5.0", 24}},
    };
    struct zoneset *set;
    must(zoneset_build(STR("fuzz"), files, array_count(files), &set, NULL) == OK);
    zoneset_write(set, out);
    zoneset_free(set);
    return buf_str(out);
}

/* Everything in the plan that is an index or a step leads somewhere. */
static void plan_look(const struct plan *p)
{
    for (uint32_t i = 0; i < p->journey_count; i++) {
        const struct plan_journey *j = &p->journeys[i];
        must(j->name != NAME_NONE);
        must(j->group == PLAN_NO_INDEX || j->group < p->group_count);
        must(j->entry_count > 0);
        for (uint32_t s = 0; s < j->step_count; s++) {
            const struct plan_step *step = &j->steps[s];
            must(step->next == PLAN_END || (step->next > s && step->next < j->step_count));
            must(step->id != NAME_NONE);
            for (uint32_t k = 0; k < s; k++)
                must(j->steps[k].id != step->id);
            if (step->kind == STEP_SEND) {
                must(step->send.message < p->message_count);
                must(step->send.channel_count > 0);
            }
            if (step->kind == STEP_SPLIT)
                must(step->split.weight_total > 0);
        }
    }
    for (uint32_t i = 0; i < p->message_count; i++) {
        must(p->messages[i].category < p->category_count);
        must(p->messages[i].channel_mask != 0);
    }
    for (uint32_t i = 0; i < p->event_count; i++)
        must(plan_event_find(p, p->events[i].name) == &p->events[i]);
}

static void compile_look(const struct programme_folder *folder)
{
    struct names *names = names_new();
    struct findings findings;
    struct plan *plan = NULL, *again = NULL;
    findings_init(&findings);
    enum status status = programme_compile(folder, names, &plan, &findings);
    must((status == OK) == (findings.error_count == 0));
    must((status == OK) == (plan != NULL));
    if (plan) {
        plan_look(plan);
        uint32_t name_total = names_count(names);
        must(programme_compile(folder, names, &again, &findings) == OK);
        must(names_count(names) == name_total);
        must(again->journey_count == plan->journey_count);
        for (uint32_t i = 0; i < plan->journey_count; i++)
            must(again->journeys[i].hash == plan->journeys[i].hash);
        struct arena arena;
        const struct scenario *list;
        uint32_t count;
        struct programme_cost total;
        arena_init(&arena, 4096);
        enum status read = scenarios_read(folder, plan, names, &arena, &list, &count, &findings);
        must((read == OK) == (findings.error_count == 0));
        must(programme_cost(plan, names, &arena, &count, &total) != NULL);
        arena_fini(&arena);
    }
    findings_sort(&findings);
    struct buf said;
    buf_init(&said);
    for (uint32_t i = 0; i < findings.count; i++)
        finding_print(&findings.list[i], &said);
    buf_fini(&said);
    programme_plan_free(plan);
    programme_plan_free(again);
    findings_fini(&findings);
    names_free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_BYTES)
        return 0;
    struct input *in = mem_new(sizeof(*in));
    struct buf zones;
    struct programme_folder folder;
    buf_init(&zones);
    input_split(in, (struct str){(const char *)data, size});
    if (programme_folder_of(in->files, in->count, zones_make(&zones), &folder, NULL) == OK) {
        compile_look(&folder);
        programme_folder_fini(&folder);
    }
    buf_fini(&zones);
    mem_free(in);
    return 0;
}
