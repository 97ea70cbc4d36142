/* vocabulary.h - the names that all threads share, and which of them the log does not have yet.
 *
 * Several threads read requests at once and meet new names (an event's, a property's). Each gets the
 * next number here, under one lock. The log must define a name before anything uses it, so whoever
 * commits writes, in front of the events of a batch, one RECORD_NAME for each number from the first
 * that is not in the log up to vocabulary_count(): a batch is handed over only after its names have
 * been added, therefore that always suffices, whatever order the threads run in.
 *
 *     number   1 ... NAME_FIXED_END-1 | ... logged ... | added, not in the log yet |
 *                                                      ^ from                      ^ count
 *
 * Names are bounded for each source, so that a public write key cannot fill the table for others. The
 * bound counts what a source has added since this vocabulary was made: snapshots keep names without who
 * paid for them, so a start begins to count anew. That is fine, because the bound is against a flood
 * between two looks of an operator (wend_names shows it): it takes a hundred starts in each of which a
 * source uses its bound up before the table (NAMES_MAX) is full, and then others lose nothing either:
 * fields without a name are kept in $rest. What is lost are new event names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/names.h"
#include "model/record.h"

#define VOCABULARY_PER_SOURCE_MAX 10000 /* names that one source may add, unless said otherwise */

struct vocabulary;

/* A vocabulary that holds names.def. Ends with vocabulary_free(). */
struct vocabulary *vocabulary_new(uint32_t per_source_max) mustuse;
void vocabulary_free(struct vocabulary *v);

/* The number of `text`, given the next one if it is new. `source` (a name; 0 = wend itself, which has
 * no bound) pays for it. NAME_NONE where names_add() says so or the source's bound is reached. */
uint32_t vocabulary_add(struct vocabulary *v, struct str text, uint32_t source);

/* The number of `text`, or NAME_NONE. */
uint32_t vocabulary_find(struct vocabulary *v, struct str text);

/* The text of `name`; empty if there is none. Good until vocabulary_free(). */
struct str vocabulary_text(struct vocabulary *v, uint32_t name);

/* One more than the highest number given out. */
uint32_t vocabulary_count(struct vocabulary *v);

/* Names that `source` has added. */
uint32_t vocabulary_count_of(struct vocabulary *v, uint32_t source);

/* The RECORD_NAME that defines `name` (NAME_FIXED_END <= name < vocabulary_count()); its body is in
 * `scratch`. */
struct record vocabulary_record(struct vocabulary *v, uint32_t name, int64_t now_ms,
                                struct arena *scratch);

/* Takes over a RECORD_NAME from the log, at start, in order. False if it is not the next number or
 * its text is not a name: the log is damaged. */
bool vocabulary_learn(struct vocabulary *v, const struct record *name) mustuse;
