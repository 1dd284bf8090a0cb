/* Loaded before the C library (LD_PRELOAD): one of the calls that touch files below a folder fails,
   or kills the process. Which one says the environment variable FAULT, read by faults_arm():

     KINDS AT ERRNO STICKY PART BELOW

   KINDS: letters of the calls that count: o opens to read, c opens to write, w writes, s syncs,
   r renames or links, m makes folders, d removes or changes names. AT: the call, from 1; 0 for none.
   ERRNO: what it fails with; 0 kills by SIGKILL. STICKY: 1 if all later ones fail, too. PART: of the
   path of those that count; / for any. A write that is struck writes half. FAULT_LOG: a file that
   lists the calls. FAULT_COUNT: a file in which processes count together, so that a call is that of
   any of them. FAULT_CLOCK: seconds by which the time of day jumps to and fro. */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char kinds[16], part[256], below[PATH_MAX];
static long at, alone, *count = &alone, jump;
static int code, sticky, list = -1;
static __thread int inside;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

void faults_arm(void) {
    const char *text = getenv("FAULT"), *file = getenv("FAULT_LOG"), *clock = getenv("FAULT_CLOCK");
    const char *shared = getenv("FAULT_COUNT");
    below[0] = 0;
    if (shared) {
        int number = open(shared, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (ftruncate(number, sizeof *count)) abort();
        count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0);
        if (count == MAP_FAILED) abort();
        close(number);
    }
    jump = clock ? atol(clock) : 0;
    if (list >= 0) close(list);
    list = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (text) sscanf(text, "%15s %ld %d %d %255s %4095[^\n]", kinds, &at, &code, &sticky, part, below);
}

__attribute__((constructor)) static void begin(void) { faults_arm(); }

void faults_disarm(void) { below[0] = 0; jump = 0; }

/* Whether the call is struck; then errno is set, or the process is dead. */
static int struck(char kind, int folder, const char *path) {
    char name[3 * PATH_MAX], here[PATH_MAX] = "";
    if (!below[0] || inside || !path || !strchr(kinds, kind)) return 0;
    inside = 1;
    if (path[0] != '/') {
        char link[64];
        ssize_t size = 0;
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        if ((size = readlink(link, here, sizeof here - 1)) < 0) size = 0;
        here[size] = 0;
    }
    snprintf(name, sizeof name, here[0] ? "%s/%s" : "%s%s", here, path);
    int found = 0;
    if (!strncmp(name, below, strlen(below)) && strstr(name + strlen(below), part)) {
        long number = __sync_add_and_fetch(count, 1);
        if (list >= 0) dprintf(list, "%c %s\n", kind, name);
        found = at && (number == at || (sticky && number > at));
    }
    inside = 0;
    if (found && code) errno = code;
    return found;
}

static int strikes(char kind, int folder, const char *path) {
    int found = struck(kind, folder, path);
    if (found && !code) kill(getpid(), SIGKILL);
    return found;
}

static int of_descriptor(char kind, int descriptor) {
    char link[64], path[PATH_MAX];
    if (!below[0] || inside) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = before;
    if (size <= 0 || path[0] != '/') return 0; /* a pipe */
    path[size] = 0;
    return struck(kind, AT_FDCWD, path);
}

static int fails(char kind, int descriptor) {
    int found = of_descriptor(kind, descriptor);
    if (found && !code) kill(getpid(), SIGKILL);
    return found;
}

static char kind_of(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT ? 'c' : 'o';
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return strikes(kind_of(flags), AT_FDCWD, path) ? -1 : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, #name, int, const char *, int, ...); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return strikes(kind_of(flags), folder, path) ? -1 : real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(FILE *, #name, const char *, const char *); \
        char kind = strpbrk(mode, "wa+") ? 'c' : 'o'; \
        return strikes(kind, AT_FDCWD, path) ? NULL : real(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int to, const void *bytes, size_t all) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!of_descriptor('w', to)) return real(to, bytes, all);
    if (all > 1) (void)!real(to, bytes, all / 2);
    if (!code) kill(getpid(), SIGKILL);
    errno = code;
    return -1;
}

#define PWRITE(name) \
    ssize_t name(int to, const void *bytes, size_t all, off_t where) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        return fails('w', to) ? -1 : real(to, bytes, all, where); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

struct iovec;
ssize_t writev(int to, const struct iovec *parts, int n) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return fails('w', to) ? -1 : real(to, parts, n);
}

#define SENDFILE(name) \
    ssize_t name(int to, int from, off_t *where, size_t size) { \
        REAL(ssize_t, #name, int, int, off_t *, size_t); \
        return fails('w', to) ? -1 : real(to, from, where, size); \
    }
SENDFILE(sendfile)
SENDFILE(sendfile64)

ssize_t copy_file_range(int from, off_t *first, int to, off_t *second, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off_t *, int, off_t *, size_t, unsigned);
    return fails('w', to) ? -1 : real(from, first, to, second, size, flags);
}

#define OF_DESCRIPTOR(name, kind) \
    int name(int of) { \
        REAL(int, #name, int); \
        return fails(kind, of) ? -1 : real(of); \
    }
OF_DESCRIPTOR(fsync, 's')
OF_DESCRIPTOR(fdatasync, 's')

#define TRUNCATE(name) \
    int name(int of, off_t size) { \
        REAL(int, #name, int, off_t); \
        return fails('w', of) ? -1 : real(of, size); \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define OF_PATHS(name, kind) \
    int name(const char *from, const char *to) { \
        REAL(int, #name, const char *, const char *); \
        return strikes(kind, AT_FDCWD, to) ? -1 : real(from, to); \
    }
OF_PATHS(rename, 'r')
OF_PATHS(link, 'r')
OF_PATHS(symlink, 'r')

int renameat(int from, const char *old, int to, const char *new) {
    REAL(int, "renameat", int, const char *, int, const char *);
    return strikes('r', to, new) ? -1 : real(from, old, to, new);
}

#define OF_PATH(name) \
    int name(const char *path) { \
        REAL(int, #name, const char *); \
        return strikes('d', AT_FDCWD, path) ? -1 : real(path); \
    }
OF_PATH(unlink)
OF_PATH(rmdir)

#define WITH_MODE(name, kind) \
    int name(const char *path, mode_t mode) { \
        REAL(int, #name, const char *, mode_t); \
        return strikes(kind, AT_FDCWD, path) ? -1 : real(path, mode); \
    }
WITH_MODE(mkdir, 'm')
WITH_MODE(chmod, 'd')

int unlinkat(int folder, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    return strikes('d', folder, path) ? -1 : real(folder, path, flags);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    return strikes('m', folder, path) ? -1 : real(folder, path, mode);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    static long calls;
    int result = real(clock, time);
    if (jump && clock == CLOCK_REALTIME) time->tv_sec += calls++ / 3 % 2 ? jump : -jump;
    return result;
}
