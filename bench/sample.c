/* sample.c - a small sampling profiler: every so many microseconds a signal notes the address at which the program was
 * interrupted.
 *
 * The timer runs on the wall's clock because that of the processor ticks only 100 to 1,000 times a second; with one
 * thread at work on a machine that is not busy the two agree. Time in the kernel (page faults) is noted at the
 * instruction that asked for it. Addresses become names outside, by addr2line, which knows inlined functions too
 * (phases.py). */
#define _GNU_SOURCE
#include "tools.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

enum { MOST = 1 << 20 };
static uintptr_t *addresses;
static volatile size_t n_addresses;

static uintptr_t interrupted_at(const void *context) {
    const ucontext_t *u = context;
#if defined(__linux__) && defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__linux__) && defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return 0;
#endif
}

static void note(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)info;
    if (n_addresses < MOST) {
        addresses[n_addresses] = interrupted_at(context);
        n_addresses = n_addresses + 1;
    }
}

static void every(unsigned microseconds) {
    struct itimerval timer = {{0, (suseconds_t)microseconds}, {0, (suseconds_t)microseconds}};
    if (setitimer(ITIMER_REAL, &timer, NULL) != 0) {
        die("no timer");
    }
}

void sample_start(unsigned microseconds) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (!addresses) {
        addresses = must_alloc(MOST * sizeof *addresses);
    }
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, NULL) != 0) {
        die("no signal handler");
    }
    every(microseconds);
}

void sample_stop(void) { every(0); }

size_t sample_write(const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) {
        die("%s: cannot be written", path);
    }
    for (size_t i = 0; i < n_addresses; i++) {
        Dl_info info = {NULL, NULL, NULL, NULL};
        dladdr((void *)addresses[i], &info); /* NOLINT: the address of code */
        fprintf(f, "%s %lx %s\n", info.dli_fname ? info.dli_fname : "?",
                (unsigned long)(addresses[i] - (uintptr_t)info.dli_fbase), info.dli_sname ? info.dli_sname : "?");
    }
    if (fclose(f) != 0) {
        die("%s: cannot be written", path);
    }
    return n_addresses;
}
