/* programme.h - a plan out of texts, for benches: whatever is wrong ends the bench.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "os/file.h"
#include "programme/programme.h"

/* The programme of these files, compiled. The caller frees it with programme_plan_free(). */
static inline struct plan *bench_plan(const struct programme_file *files, uint32_t count,
                                      struct names *names)
{
    struct programme_folder folder;
    struct findings findings;
    struct plan *plan = NULL;
    struct buf zones;
    struct fault f = {0};
    buf_init(&zones);
    findings_init(&findings);
    if (programme_zones(os_disk_real(), NULL, &zones, &f) != OK ||
        programme_folder_of(files, count, buf_str(&zones), &folder, &f) != OK) {
        fprintf(stderr, "bench: %s\n", f.text);
        exit(1);
    }
    if (programme_compile(&folder, names, &plan, &findings) != OK) {
        for (uint32_t i = 0; i < findings.count; i++)
            fprintf(stderr, "bench: %.*s:%u: %.*s\n", STR_ARG(findings.list[i].place.file),
                    findings.list[i].place.line, STR_ARG(findings.list[i].text));
        exit(1);
    }
    programme_folder_fini(&folder);
    findings_fini(&findings);
    buf_fini(&zones);
    return plan;
}
