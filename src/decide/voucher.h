/* voucher.h - codes that are given to one person each. Rule 13's side of a send's `voucher`.
 *
 * The codes of a pool stand in the programme (vouchers/NAME.csv), in their order. What is kept here is who
 * has which: a code is free, held by a decision whose message may still not go out, or gone for good. A
 * code is known by its text, so that another version of the file neither loses nor repeats one.
 *
 *     free ──grant──► held ──not sent──► free
 *                      └──── sent ─────► gone
 *
 * More codes may be loaded into a pool while the programme runs; they come behind those of the file, and
 * are of no version of it. One that is known, or was given out already, is not loaded again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "profile/person.h"
#include "store/before.h"
#include "store/index.h"

struct voucher_hint;

/* Codes that were loaded into a pool, in their order. */
struct voucher_stock {
    uint32_t pool; /* name */
    struct str *codes;
    uint32_t count, room;
    uint32_t from; /* no code before is free; derived */
    uint64_t sum;  /* of hashes of all of them and their places; derived */
};

struct vouchers {
    struct index codes;   /* of a pool and a code: the decision that holds it; 0 = it is gone */
    struct index holders; /* of a pool and a decision: hash of the code that it holds */
    struct voucher_hint *hints; /* no code before is free; derived */
    uint32_t hint_count;
    const struct keeper *keeper;  /* of codes; NULL = none */
    struct voucher_stock *stocks; /* in the order in which they came to be */
    uint32_t stock_count;
    struct index loaded; /* of a pool and a code: it is in its stock */
    struct arena text;   /* of loaded codes */
};

/* How many codes of a pool there are. */
struct voucher_counts {
    uint64_t file, loaded; /* in the programme's file, and loaded beside those */
    uint64_t free, held, gone;
};

void vouchers_init(struct vouchers *v);
void vouchers_fini(struct vouchers *v);

/* The code that the decision holds, or would get: the first that is free. False: none is. Takes nothing. */
bool voucher_look(struct vouchers *v, const struct plan_voucher *pool, uint64_t decision,
                  struct str *code) mustuse;

/* The decision holds the code that voucher_look() gave. */
void voucher_take(struct vouchers *v, const struct plan_voucher *pool, uint64_t decision,
                  struct str code);

/* The decision's message went out (true), or will not: its code is gone or free. Nothing if it holds none. */
void voucher_settle(struct vouchers *v, uint32_t pool, uint64_t decision, bool is_sent);

/* How many of the pool's codes are free. */
uint32_t voucher_free(const struct vouchers *v, const struct plan_voucher *pool);

struct voucher_counts voucher_count(const struct vouchers *v, const struct plan_voucher *pool);

/* Loads codes (model/codes.h) into the pool, whose file is `file` if the programme has one (else NULL). How many
 * are new: neither in the file, nor loaded, held or gone. */
uint32_t vouchers_load(struct vouchers *v, uint32_t pool, const struct plan_voucher *file,
                       struct str codes);

/* For snapshots: the stock of a pool, made if there is none; and one more code of it. */
struct voucher_stock *voucher_stock(struct vouchers *v, uint32_t pool);
void voucher_stock_add(struct vouchers *v, uint32_t pool, struct str code);

/* For snapshots: what is not free, in any order; and to put it back. */
bool voucher_next(const struct vouchers *v, uint32_t *place, struct id128 *code,
                  uint64_t *decision) mustuse;
void voucher_restore(struct vouchers *v, struct id128 code, uint64_t decision);
