/* watch.h - what a monitor watches, declared in a programme and compiled: the terms that src/programme writes
 * and src/measure counts by.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/str.h"
#include "model/control.h"

#define MONITORS_MAX           64
#define MONITOR_PROPERTIES_MAX 32
#define MONITOR_TELLS_MAX      16
#define MONITOR_PAUSES_MAX     32 /* of one monitor; in a programme at most KILLS_BY_MONITORS_MAX */
#define MONITOR_PARTS          16 /* in which a window is counted */
#define MONITOR_AGAINST_MAX    32 /* so many windows a comparison goes back */

enum watch {
    WATCH_NONE = 0,
#define WATCH(symbol, name, about, measure, doc) WATCH_##symbol,
#include "model/watches.def"
#undef WATCH
    WATCH_END,
};

enum watch_about { WATCH_ABOUT_EVENTS, WATCH_ABOUT_MESSAGES, WATCH_ABOUT_ENTRIES };
enum watch_measure { WATCH_BY_SILENCE, WATCH_BY_COUNT, WATCH_BY_SHARE };

struct watch_term {
    struct str name;
    enum watch_about about;
    enum watch_measure measure;
};

const struct watch_term *watch_term(enum watch watch);
bool watch_find(struct str name, enum watch *out);

/* A property that an event is to have. */
struct plan_property {
    uint32_t name;
    uint8_t type; /* enum value_type: TEXT, DOUBLE (any number), BOOL, TIME; NONE = anything */
};

/* Compiled: model/plan.h has them. */
struct plan_monitor {
    uint32_t name;
    uint8_t watch;   /* enum watch */
    uint8_t channel; /* enum channel; 0 = all */
    bool is_below;   /* it is wrong below the limit; else above it */
    uint32_t event;  /* names; NAME_NONE = all */
    uint32_t source;
    uint32_t category;
    uint32_t journey;
    uint32_t message;
    uint64_t hash;   /* of what it counts: equal = it goes on counting */
    int64_t than_ms; /* LATE, SLOW */
    int64_t over_ms; /* the window; SILENCE: how long there may be none */
    int64_t
        against_ms;    /* > 0: the limit is a share of what it was in this time before the window */
    int64_t limit;     /* SHARE, or against a time before: millionths; COUNT: so many */
    uint64_t at_least; /* SHARE: fewer say nothing */
    uint32_t property_count;
    const struct plan_property *properties;
    uint32_t tell_count;
    const struct str *tells; /* user ids of people who hear Monitor Raised and Monitor Cleared */
    uint32_t pause_count;
    const struct kill *pauses; /* scope, name and channel: what waits while it is raised */
    uint32_t pace_count;       /* what waited goes on at a pace; 0 = all at once */
    int64_t pace_ms;
    struct str text; /* what it says, for people */
};
