/* load.h - what the world tells: people's deeds, operators' commands, other programmes. Two generators,
 * written apart from each other: lives (people with habits, under programmes made of known pieces, so that
 * much can be claimed) and storm (whatever the programmes of tests/flow and examples/ listen to, at the
 * worst moments).
 *
 * A client keeps what it tells until it is told that it is durable, and tells it again if not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "model/control.h"
#include "programme/programme.h"
#include "simulator/sim.h"

enum fact_what { FACT_EVENT, FACT_COMMAND, FACT_PROGRAMME, FACT_ERASE };

struct fact {
    enum fact_what what;
    /* EVENT */
    enum event_kind kind;
    char who[40]; /* "ann", "~tablet", "ann~tablet", "" */
    char event[64];
    char fields[240]; /* "cart_id=1 value=80.0" */
    char previous[16];
    int64_t happened_ms; /* by the monotonic clock */
    uint64_t message;    /* its id */
    uint8_t flags;
    uint64_t cause;
    /* COMMAND */
    struct command_word word; /* its name is `event` */
    /* PROGRAMME */
    uint32_t programme;
    /* EVENT, ERASE */
    uint32_t guest; /* whose it is, plus one: load_guests.c */
    /* What the client knows. */
    int64_t tell_ms; /* when it is told (again); FOREVER_MS: it waits for an answer, or is done */
    uint32_t tries;
    bool is_answered;  /* it is durable */
    bool is_once_more; /* told again though it was answered */
};

#define PROGRAMMES_MAX 4
#define GUESTS_MAX     8
#define MARK_BEGINS    "Zq" /* and nobody else says so */

struct guest {
    char mark[24], phone[24];
    uint32_t facts;
    bool is_leaving, has_asked, is_gone;
};

/* A text that was somebody's who has been erased. */
struct gone {
    char text[24];
};

struct load {
    struct sim *sim;
    struct programme_folder programmes[PROGRAMMES_MAX];
    uint32_t programme_count;
    struct fact **facts; /* all that were told or are to be */
    uint32_t count, room;
    int64_t next_ms; /* when the next new fact is made; FOREVER_MS: there are none any more */
    int64_t told_ms; /* when one of those that there are is told (again); INT64_MIN: not known */
    uint32_t made;
    uint32_t programmes_told;
    /* Makes the next new fact. */
    void (*make)(struct load *l, struct fact *out);
    struct life *lives; /* load_lives.c */
    /* load_storm.c: what the programmes' own scenarios tell. */
    struct sample *samples;
    uint32_t sample_count;
    char (*journeys)[64];
    uint32_t journey_count;
    struct guest guests[GUESTS_MAX];
    uint32_t guest_count, marks;
    struct gone *gone; /* what must be nowhere any more */
    uint32_t gone_count, gone_room;
    int64_t edge_ms; /* if not FOREVER_MS: when the next fact comes, at the edge of a deadline */
};

struct load *load_new(struct sim *s);
void load_free(struct load *l);

void load_lives(struct load *l);
void load_storm(struct load *l);

/* Makes the next new fact a guest's. False: it is somebody else's. */
bool load_guest(struct load *l, struct fact *out);
void load_guest_is_gone(struct load *l, const struct fact *fact);

/* Tells the machine what is due, or makes a new fact. False: nothing is due. */
bool load_turn(struct load *l);

int64_t load_wake_ms(struct load *l);

/* Nothing new is made any more; what was told without an answer still is. */
void load_calm(struct load *l);

bool load_is_done(const struct load *l);

/* The answer to a fact, or that there was none. */
void load_answer(struct load *l, struct fact *fact, bool is_durable);

/* For generators: one more programme, as text. */
void load_add_programme(struct load *l, const char *text);
