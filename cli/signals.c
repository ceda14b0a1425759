/* signals.c - SIGINT and SIGTERM while a command runs.
 *
 * A handler may do little: it sets a flag, which the progress callback reads and so cancels the call; what is cleaned up, the call's own failure
 * path does. It is installed for one signal: the next one of its kind kills, should cleaning up hang.
 *
 * Training has nothing to clean up: its temporary files have no names, a checkpoint may be left at any moment, and the output is begun later. So
 * there the handler wipes the bar and lets the signal kill at once, whatever the library is in (a user's regex on a line of a gigabyte). */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

enum { N_WATCHED = 2 };
static const int watched[N_WATCHED] = {SIGINT, SIGTERM};

/* One process, one command: the only state of the program that is not on a stack. */
static volatile sig_atomic_t seen;
static volatile sig_atomic_t at_once; /* 2: with a bar on the terminal */
static struct sigaction before[N_WATCHED];
static bool installed;

static void on_signal(int number) {
    seen = number;
    if (at_once) {
        if (at_once == 2) {
            ssize_t ignored = write(STDERR_FILENO, "\r\033[K", 4);
            (void)ignored;
        }
        raise(number); /* when the handler returns: SA_RESETHAND has put the default back */
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
    install(on_signal, (int)SA_RESETHAND);
}

void cli_signals_default(void) {
    seen = 0;
    install(SIG_DFL, 0);
}

void cli_signals_at_once(bool on, bool bar) { at_once = on ? 1 + bar : 0; }

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
    installed = false;
}
