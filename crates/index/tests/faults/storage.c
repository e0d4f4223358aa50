/* A disk that fails on command, between a program and the C library (LD_PRELOAD).
 *
 * Every call that changes a file at or below FAULT_DIR is numbered from 1. Call FAULT_AT
 *
 *   error   fails with EIO, and does nothing;
 *   full    fails with ENOSPC after half of its bytes, as does every writing call after it;
 *   short   writes half of its bytes and says so; the next writing call fails with ENOSPC;
 *   kill    writes half of its bytes, and the process is killed.
 *
 * With FAULT_AT=0 nothing fails. At the end the number of calls goes to the file FAULT_COUNT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long calls, fault_at = -1;
static const char *dir, *kind;
static int full, fail_next;

static void settle(void) {
    if (fault_at >= 0) return;
    const char *at = getenv("FAULT_AT");
    dir = getenv("FAULT_DIR");
    kind = getenv("FAULT_KIND");
    fault_at = at ? atol(at) : 0;
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("FAULT_COUNT");
    if (!path) return;
    dir = NULL;
    FILE *out = fopen(path, "w");
    if (out) { fprintf(out, "%ld\n", calls); fclose(out); }
}

static int below(const char *path) {
    settle();
    return dir && path && !strncmp(path, dir, strlen(dir));
}

static int fd_below(int fd) {
    char link[64], path[PATH_MAX];
    settle();
    if (!dir) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

enum verdict { GO, FAIL, HALF_FAIL, HALF, HALF_KILL };

static enum verdict ask(int writes) {
    long n = __sync_add_and_fetch(&calls, 1);
    if (writes && (full || fail_next)) { fail_next = 0; errno = ENOSPC; return FAIL; }
    if (n != fault_at) return GO;
    if (!strcmp(kind, "kill")) { if (writes) return HALF_KILL; kill(getpid(), SIGKILL); }
    if (!strcmp(kind, "full")) { full = 1; errno = ENOSPC; return writes ? HALF_FAIL : FAIL; }
    if (!strcmp(kind, "short") && writes) { fail_next = 1; return HALF; }
    errno = EIO;
    return FAIL;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define WRITE(name, signature, arguments, halved)                                                       \
    ssize_t name signature {                                                                            \
        REAL(name);                                                                                     \
        if (!fd_below(fd)) return real arguments;                                                       \
        switch (ask(1)) {                                                                               \
        case GO: return real arguments;                                                                 \
        case FAIL: return -1;                                                                           \
        case HALF: if (count > 1) return real halved; errno = ENOSPC; return -1;                        \
        case HALF_FAIL: real halved; errno = ENOSPC; return -1;                                         \
        default: real halved; kill(getpid(), SIGKILL); return -1;                                       \
        }                                                                                               \
    }

WRITE(write, (int fd, const void *bytes, size_t count), (fd, bytes, count), (fd, bytes, count / 2))
WRITE(pwrite, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at), (fd, bytes, count / 2, at))
WRITE(pwrite64, (int fd, const void *bytes, size_t count, off64_t at), (fd, bytes, count, at), (fd, bytes, count / 2, at))

#define CALL(name, signature, arguments, is_below, writes)                                              \
    int name signature {                                                                                \
        REAL(name);                                                                                     \
        if (!(is_below)) return real arguments;                                                         \
        switch (ask(writes)) {                                                                          \
        case GO: return real arguments;                                                                 \
        case HALF_KILL: kill(getpid(), SIGKILL); return -1;                                             \
        default: return -1;                                                                             \
        }                                                                                               \
    }

CALL(fsync, (int fd), (fd), fd_below(fd), 0)
CALL(fdatasync, (int fd), (fd), fd_below(fd), 0)
CALL(ftruncate, (int fd, off_t length), (fd, length), fd_below(fd), 1)
CALL(ftruncate64, (int fd, off64_t length), (fd, length), fd_below(fd), 1)
CALL(rename, (const char *from, const char *to), (from, to), below(from), 0)
CALL(unlink, (const char *path), (path), below(path), 0)

#define OPEN(name, signature, path, passed)                                                             \
    int name signature {                                                                                \
        REAL(name);                                                                                     \
        int mode = 0;                                                                                   \
        if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); } \
        if ((flags & O_CREAT) && below(path) && access(path, F_OK)) {                                   \
            enum verdict verdict = ask(1);                                                              \
            if (verdict == HALF_KILL) { real passed; kill(getpid(), SIGKILL); }                         \
            if (verdict == HALF) errno = ENOSPC;                                                        \
            if (verdict != GO) return -1;                                                               \
        }                                                                                               \
        return real passed;                                                                             \
    }

OPEN(open, (const char *path, int flags, ...), path, (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), path, (path, flags, mode))
OPEN(openat, (int folder, const char *path, int flags, ...), path, (folder, path, flags, mode))
OPEN(openat64, (int folder, const char *path, int flags, ...), path, (folder, path, flags, mode))
