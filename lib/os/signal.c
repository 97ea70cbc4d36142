/* SPDX-License-Identifier: Apache-2.0 */
#include "os/signal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum status os_signals_init(struct os_signals *s, struct fault *f)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    must(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);

    s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->fd >= 0)
        return OK;
    char reason[128];
    fault_set(f, "cannot wait for signals: %s", strerror_r(errno, reason, sizeof(reason)));
    return GIVE_UP;
}

void os_signals_fini(struct os_signals *s)
{
    close(s->fd);
    s->fd = -1;
}

enum os_signal os_signals_wait(struct os_signals *s, int64_t timeout_ms)
{
    struct pollfd wait = {.fd = s->fd, .events = POLLIN};
    int wait_ms = timeout_ms == FOREVER_MS ? -1 : (int)min_of(max_of(timeout_ms, 0), INT_MAX);
    if (poll(&wait, 1, wait_ms) <= 0)
        return OS_SIGNAL_NONE;
    struct signalfd_siginfo info;
    if (read(s->fd, &info, sizeof(info)) != sizeof(info))
        return OS_SIGNAL_NONE;
    return info.ssi_signo == SIGHUP ? OS_SIGNAL_RELOAD : OS_SIGNAL_STOP;
}
