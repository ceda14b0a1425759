/* nth_malloc.c - a library to preload: the n-th call of malloc and its kin fails, in a program that knows nothing of it.
 *
 *     cc -shared -fPIC -o nth_malloc.so tests/faults/nth_malloc.c
 *     PM_FAIL_AT=17 PM_FAIL_IN=piecemill PM_FAIL_LOG=log LD_PRELOAD=$PWD/nth_malloc.so piecemill encode ...
 *
 * Of programs that run under one environment only those whose name holds PM_FAIL_IN take part (libtool's wrapper is a
 * shell script). Counting begins at main; PM_FAIL_LOG, if set, exists afterwards when the n-th was reached. A process
 * that loads this library itself (tests/python) counts from nth_malloc_arm(n) on; nth_malloc_disarm() tells how many there were. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static atomic_long counter;
static atomic_long fail_at; /* 0: none */
static const char *log_path;

static int strike(void) {
    long at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0 || atomic_fetch_add(&counter, 1) + 1 != at) {
        return 0;
    }
    int fd = log_path ? open(log_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        close(fd);
    }
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return strike() ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return strike() ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return strike() ? NULL : __libc_realloc(p, size); }

void nth_malloc_arm(long n) {
    atomic_store(&counter, 0);
    atomic_store(&fail_at, n);
}

long nth_malloc_disarm(void) {
    atomic_store(&fail_at, 0);
    return atomic_load(&counter);
}

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("PM_FAIL_AT"), *in = getenv("PM_FAIL_IN");
    if (at && in && strstr(program_invocation_short_name, in)) {
        log_path = getenv("PM_FAIL_LOG");
        nth_malloc_arm(atol(at));
    }
}
