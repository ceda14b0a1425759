/* signals.c - SIGINT and SIGTERM while a command runs.
 *
 * A handler may do little: it sets a flag, which the progress callback reads and so cancels the call, and puts /dev/null in the
 * place of standard input, so that a read that waits there (restarted by the library when interrupted) comes to an end. It is installed for
 * one signal: the next one of its kind kills, should cleaning up hang. What is cleaned up, the call's own failure path does. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

enum { N_WATCHED = 2 };
static const int watched[N_WATCHED] = {SIGINT, SIGTERM};

/* One process, one command: the only state of the program that is not on a stack. */
static volatile sig_atomic_t seen;
static volatile sig_atomic_t null_fd = -1;
static struct sigaction before[N_WATCHED];
static bool installed;

static void on_signal(int number) {
    seen = number;
    if (null_fd >= 0) {
        (void)dup2(null_fd, STDIN_FILENO);
    }
}

static void install(void (*handler)(int), int flags) {
    for (int i = 0; i < N_WATCHED; i++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = handler;
        action.sa_flags = flags;
        sigemptyset(&action.sa_mask);
        sigaction(watched[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) { /* nohup and shells that put us in the background ask for that */
            sigaction(watched[i], &action, NULL);
        }
    }
    installed = true;
}

void cli_signals_watch(void) {
    seen = 0;
    null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    install(on_signal, (int)SA_RESETHAND);
}

void cli_signals_default(void) {
    seen = 0;
    install(SIG_DFL, 0);
}

bool cli_signals_seen(void) { return seen != 0; }

void cli_signals_end(void) {
    if (!installed) {
        return;
    }
    if (seen) {
        signal(seen, SIG_DFL);
        raise(seen);
    }
    for (int i = 0; i < N_WATCHED; i++) {
        sigaction(watched[i], &before[i], NULL);
    }
    if (null_fd >= 0) {
        close(null_fd);
        null_fd = -1;
    }
    installed = false;
}
