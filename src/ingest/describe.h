/* describe.h - a record as a line of JSON, for people and tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "ingest/vocabulary.h"
#include "json/json_write.h"

/* Writes `record` as one JSON object:
 *
 *     {"type":"event","kind":"track","event":"Order Completed","source":"web","event_ms":…,
 *      "arrival_ms":…,"sent_skew_ms":…,"flags":…,"message":"9f0c…","clear":{"total":27.5},
 *      "personal":{"$user_id":"u1",…}}
 *
 * Lists and maps are built in `scratch`. */
void record_describe(const struct record *record, struct vocabulary *v, struct arena *scratch,
                     struct json_writer *w);
