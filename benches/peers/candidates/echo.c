/* echo BYTES COUNT: two processes and a socketpair. For each byte on stdin it makes COUNT round trips of
 * BYTES bytes and writes their times to stdout, in nanoseconds as 64-bit integers. Ends with stdin. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int put(int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n <= 0) return 0;
        data += n;
        size -= (size_t)n;
    }
    return 1;
}

static int take(int fd, char *data, size_t size) {
    while (size > 0) {
        ssize_t n = read(fd, data, size);
        if (n <= 0) return 0;
        data += n;
        size -= (size_t)n;
    }
    return 1;
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    size_t bytes = strtoul(argv[1], NULL, 10), count = strtoul(argv[2], NULL, 10);
    char *there = malloc(bytes), *back = malloc(bytes), order;
    uint64_t *times = malloc(count * sizeof *times);
    int pair[2];
    if (!there || !back || !times || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
    for (size_t i = 0; i < bytes; i++) there[i] = (char)(i * 31 + 7);
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
        close(pair[0]);
        while (take(pair[1], back, bytes) && put(pair[1], back, bytes)) {
        }
        return 0;
    }
    close(pair[1]);
    while (read(STDIN_FILENO, &order, 1) == 1) {
        for (size_t i = 0; i < count; i++) {
            uint64_t start = now();
            if (!put(pair[0], there, bytes) || !take(pair[0], back, bytes)) return 1;
            times[i] = now() - start;
            if (memcmp(there, back, bytes) != 0) return 3;
        }
        if (!put(STDOUT_FILENO, (const char *)times, count * sizeof *times)) return 1;
    }
    return 0;
}
