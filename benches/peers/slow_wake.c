/* Stands in for a host whose wake-ups are slow: loaded by LD_PRELOAD, it makes every call that has
   slept return SLOW_WAKE_US microseconds later, as if the processor had been in a deep sleep. The
   time passes in a busy loop, like that of a processor that wakes up. Calls that return at once are
   not delayed.
       cc -shared -fPIC -O2 -o slow_wake.so slow_wake.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A call that took longer than this has slept. */
#define SLEPT_NS 6000

static long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static long delay_ns(void) {
    static long delay = -1;
    if (delay < 0) {
        const char *text = getenv("SLOW_WAKE_US");
        delay = text == NULL ? 0 : atol(text) * 1000;
    }
    return delay;
}

static void wake_slowly(long began, long result) {
    long woken = now_ns();
    if (result <= 0 || woken - began < SLEPT_NS) {
        return;
    }
    int kept = errno;
    while (now_ns() - woken < delay_ns()) {
    }
    errno = kept;
}

#define SLOW(type, name, parameters, arguments)                       \
    type name parameters {                                            \
        static type(*real) parameters;                                \
        if (real == NULL) {                                           \
            real = (type(*) parameters)dlsym(RTLD_NEXT, #name);       \
        }                                                             \
        long began = now_ns();                                        \
        type result = real arguments;                                 \
        wake_slowly(began, (long)result);                             \
        return result;                                                \
    }

SLOW(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
SLOW(ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
SLOW(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
SLOW(int, poll, (struct pollfd *fds, nfds_t count, int timeout), (fds, count, timeout))
SLOW(int, ppoll,
     (struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
     (fds, count, timeout, mask))
SLOW(int, select,
     (int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout),
     (count, in, out, other, timeout))
SLOW(int, epoll_wait, (int fd, struct epoll_event *events, int count, int timeout),
     (fd, events, count, timeout))
