/* answer.h - what is saved of a call's answer: values picked out of JSON.
 *
 *     customer.tier     a member of a member
 *     items[0].sku      of a list, counted from 0
 *     $status           the HTTP status, as a number
 *
 * Texts, numbers and booleans are saved; what is absent, null, a list, a map, or a text of more than
 * ANSWER_TEXT_MAX bytes is not, and reads as missing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "model/plan.h"

#define ANSWER_BYTES_MAX (64 * 1024) /* of an answer's body */
#define ANSWER_TEXT_MAX  1024        /* of a text that is saved */
#define ANSWER_PATH_MAX  200         /* bytes of a path */

/* Is the path one that can be picked? False with the sentence in *f. */
bool answer_path_check(struct str path, struct fault *f) mustuse;

/* Appends to `out`, as fields of a body, what the errand saves of the answer. FIX_INPUT: it saves something
 * of the body, and that is no JSON; the fault quotes nothing of it. */
enum status answer_pick(const struct plan_errand *errand, int32_t status, struct str json,
                        struct buf *out, struct fault *f) mustuse;

/* The same of what people say about a task that they end: a JSON object whose members are properties that
 * the task saves; empty = nothing. FIX_INPUT: it is no object, a member is nothing that is saved, or its value is no
 * text, number or boolean that can be; the fault names it. */
enum status answer_said(const struct plan_errand *errand, struct str json, struct buf *out,
                        struct fault *f) mustuse;
