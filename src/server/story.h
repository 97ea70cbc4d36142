/* story.h - why a person got a message or did not: their story, from the log.
 *
 * A story is told by applying the log again, from the newest snapshot that is not too late for it or from
 * the beginning, with a witness, in a thread and an engine of its own; the server goes on beside it. At its
 * end that engine goes on by itself, to tell what comes if nothing happens (replay/forecast.h). That takes a second for some 60,000 batches and the
 * memory of a second engine, so there is one at a time, and none where the log is long: then only what
 * is pending is told (by the core), and `wend why DIR` tells the rest where it disturbs nobody.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/fault.h"
#include "base/str.h"

#define STORY_BATCHES_MAX 500000 /* a log that is longer is not told over HTTP */
#define STORY_LINES_MAX   1000   /* the newest ones */
#define STORY_WAITING_MAX 8

struct core;
struct directory;
struct http_request;
struct stories;
struct why_question;

/* Starts the thread. `d` is borrowed until the end, as is what `*core` points to when funnels are asked
 * for. */
enum status stories_start(const struct directory *d, struct core *const *core, struct stories **out,
                          struct fault *f) mustuse;

/* Answers the request with the person's story up to that batch, later: the log grows meanwhile, and
 * whoever runs after its end may never get there. False: too many wait, nothing was done. `question` is
 * resolved, and the request's memory. */
bool stories_ask(struct stories *s, const struct why_question *question, uint64_t batch_last,
                 struct http_request *request) mustuse;

/* Answers the request with the journey's funnel of what happened at since_ms or later, by the log's result
 * blocks up to that batch. */
bool stories_ask_funnel(struct stories *s, struct str journey, int64_t since_ms,
                        uint64_t batch_last, struct http_request *request) mustuse;

/* What would be in a segment that nobody has saved; lives in the request's arena. */
struct preview_question {
    struct str when;
    uint32_t sample; /* people, at most PREVIEW_SAMPLE_MAX */
};

/* Answers the request with the size of such a segment and some of those in it. */
bool stories_ask_preview(struct stories *s, const struct preview_question *question,
                         struct http_request *request) mustuse;

/* Waits for the story that is being told; those that wait are answered 503. NULL is fine. */
void stories_free(struct stories *s);
