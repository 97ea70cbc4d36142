/* signal.h - the operator's signals as a file descriptor to wait on; no handlers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/fault.h"

enum os_signal {
    OS_SIGNAL_NONE = 0,
    OS_SIGNAL_STOP,   /* SIGTERM, SIGINT: finish what is begun and end */
    OS_SIGNAL_RELOAD, /* SIGHUP: read the configuration again */
};

struct os_signals {
    int fd; /* readable when a signal waits: may be handed to poll() */
};

/* Blocks SIGTERM, SIGINT and SIGHUP in the calling thread (and those it starts later) and collects
 * them in s->fd; ignores SIGPIPE. To be called in main(), before any thread is started. */
enum status os_signals_init(struct os_signals *s, struct fault *f) mustuse;

/* Closes the descriptor; the signals stay blocked. */
void os_signals_fini(struct os_signals *s);

/* The next signal, waiting for at most `timeout_ms` (0: not at all, FOREVER_MS: as long as it
 * takes); OS_SIGNAL_NONE when none came. */
enum os_signal os_signals_wait(struct os_signals *s, int64_t timeout_ms);
