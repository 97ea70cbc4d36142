/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/shelf.h"

#include "base/mem.h"

void shelf_init(struct shelf *s, const struct directory *directory)
{
    *s = (struct shelf){.directory = directory, .names = names_new()};
}

void shelf_fini(struct shelf *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        programme_plan_free(s->plans[i]);
    mem_free(s->plans);
    names_free(s->names);
    *s = (struct shelf){0};
}

void shelf_add(struct shelf *s, struct plan *plan)
{
    s->plans = mem_resize(s->plans, (s->count + 1) * sizeof(s->plans[0]));
    s->plans[s->count++] = plan;
}

void shelf_learn(struct shelf *s, const struct names *names)
{
    for (uint32_t i = names_count(s->names); i < names_count(names); i++) {
        uint32_t name = names_add(s->names, names_text(names, i));
        must(name == i);
    }
}

const struct plan *shelf_find(void *shelf, struct str hash, const struct names *names)
{
    struct shelf *s = shelf;
    char text[PROGRAMME_HASH_BYTES];
    for (uint32_t i = 0; i < s->count; i++)
        if (str_is(hash, s->plans[i]->hash))
            return s->plans[i];
    s->fault = (struct fault){0};
    if (s->directory == NULL || !str_to_z(hash, text, sizeof(text))) {
        fault_set(&s->fault, "programme %.*s is not known", STR_ARG(hash));
        return NULL;
    }
    struct programme_folder folder;
    if (programme_recall(s->directory->disk, s->directory->programmes, text, &folder, &s->fault) !=
        OK)
        return NULL;
    shelf_learn(s, names);
    struct plan *plan = NULL;
    struct findings findings;
    findings_init(&findings);
    enum status status = programme_compile(&folder, s->names, &plan, &findings);
    if (status == OK)
        shelf_add(s, plan);
    else
        fault_set(&s->fault, "programme %s does not compile under this release: %.*s", text,
                  findings.count ? (int)findings.list[0].text.len : 0,
                  findings.count ? findings.list[0].text.at : "");
    findings_fini(&findings);
    programme_folder_fini(&folder);
    return status == OK ? plan : NULL;
}
