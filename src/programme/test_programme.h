/* test_programme.h - for this room's tests: programmes from memory, with a few zones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "model/names.h"
#include "model/plan.h"
#include "programme/programme.h"
#include "when/zone.h"

#include "test.h"

#define FILES_MAX 64

struct trial {
    struct programme_file files[FILES_MAX];
    uint32_t count;
    struct programme_folder folder;
    struct names *names;
    struct plan *plan;
    struct findings findings;
    struct buf said; /* all findings, sorted, as they are printed; NUL-terminated */
};

/* What every test begins with; trial_put() replaces any of it. */
static const char trial_programme[] = "name: Trial\n";
static const char trial_journey[] = "journey: j\n"
                                    "owner: us\n"
                                    "goal: {event: Done}\n"
                                    "enter: {event: Begun}\n"
                                    "steps: [{send: m}]\n";
static const char trial_message[] = "category: lifecycle\nemail: {subject: Hello}\n";
static const char trial_provider[] =
    "kind: smtp\nsettings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n";

static inline void trial_put(struct trial *t, struct str path, struct str text)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (str_equal(t->files[i].path, path)) {
            t->files[i].text = text;
            return;
        }
    }
    assert_true(t->count < FILES_MAX);
    t->files[t->count++] = (struct programme_file){path, text};
}

static inline void trial_drop(struct trial *t, struct str path)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (str_equal(t->files[i].path, path))
            t->files[i] = t->files[--t->count];
}

static inline void trial_begin(struct trial *t)
{
    *t = (struct trial){.count = 0};
    trial_put(t, STR("programme.yaml"), str_of(trial_programme));
    trial_put(t, STR("journeys/j.yaml"), str_of(trial_journey));
    trial_put(t, STR("messages/m/message.yaml"), str_of(trial_message));
    trial_put(t, STR("messages/m/email.txt.liquid"), STR("Hello\n"));
    trial_put(t, STR("providers/mail.yaml"), str_of(trial_provider));
    t->names = names_new();
    findings_init(&t->findings);
    buf_init(&t->said);
}

static inline void trial_zones(struct buf *out)
{
    static const struct zone_file zones[] = {
        {{"UTC", 3}, {"UTC0", 4}},
        {{"Europe/London", 13}, {"GMT0BST,M3.5.0/1,M10.5.0", 24}},
        {{"America/New_York", 16}, {"EST5EDT,M3.2.0,M11.1.0", 22}},
    };
    struct zoneset *set;
    struct fault f = {0};
    if (zoneset_build(STR("test"), zones, array_count(zones), &set, &f) != OK)
        fail_msg("%s", f.text);
    zoneset_write(set, out);
    zoneset_free(set);
}

static inline void trial_say(struct trial *t)
{
    findings_sort(&t->findings);
    t->said.len = 0;
    for (uint32_t i = 0; i < t->findings.count; i++)
        finding_print(&t->findings.list[i], &t->said);
    buf_add_byte(&t->said, 0);
}

/* Makes the folder of the files; false (and the fault among the findings) if it cannot be one. */
static inline bool trial_fold(struct trial *t)
{
    struct buf zones;
    struct fault f = {0};
    buf_init(&zones);
    trial_zones(&zones);
    enum status status = programme_folder_of(t->files, t->count, buf_str(&zones), &t->folder, &f);
    buf_fini(&zones);
    if (status != OK)
        findings_add(&t->findings, FINDING_UNREADABLE, (struct place){STR(""), 0, 0}, "%s", f.text);
    return status == OK;
}

static inline enum status trial_compile(struct trial *t)
{
    enum status status = FIX_INPUT;
    if (trial_fold(t))
        status = programme_compile(&t->folder, t->names, &t->plan, &t->findings);
    trial_say(t);
    return status;
}

static inline void trial_end(struct trial *t)
{
    programme_plan_free(t->plan);
    programme_folder_fini(&t->folder);
    findings_fini(&t->findings);
    buf_fini(&t->said);
    names_free(t->names);
}
