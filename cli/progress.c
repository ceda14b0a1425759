/* progress.c - one line on a terminal that tells how far a call is.
 *
 *     count n-grams     [#######.........]  46%  31.5 MiB/s  0:12 left  412.0 MiB */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum { BAR = 16, LINE = 256 };

void cli_progress_begin(cli_progress *progress, bool quiet) {
    struct winsize size;
    *progress = (cli_progress){.bar = !quiet && isatty(STDERR_FILENO), .width = 80};
    if (progress->bar && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        progress->width = size.ws_col;
    }
}

static void add(char *line, const char *text) { strncat(line, text, LINE - 1 - strlen(line)); }

static void add_bar(char *line, double part) {
    char bar[96];
    int full = (int)(part * BAR);
    snprintf(bar, sizeof bar, "  [%.*s%.*s] %3d%%", full, "################", BAR - full, "................", (int)(part * 100));
    add(line, bar);
}

/* Bytes and things a second since the phase began. */
static void add_rate(char *line, const pm_progress *now, double each_second) {
    char text[48], rate[32];
    if (strcmp(now->unit, "bytes") == 0) {
        cli_format_bytes(rate, each_second);
        snprintf(text, sizeof text, "  %s/s", rate);
    } else {
        cli_format_count(rate, (uint64_t)each_second);
        snprintf(text, sizeof text, "  %s %.9s/s", rate, now->unit);
    }
    if (each_second < 100) { /* too early to tell, or a few big things: those left tell more */
        return;
    }
    add(line, text);
}

static void add_left(char *line, double seconds) {
    char text[48];
    unsigned long s = seconds < 1e7 ? (unsigned long)(seconds + 0.5) : 9999999;
    if (s >= 3600) {
        snprintf(text, sizeof text, "  %lu:%02lu:%02lu left", s / 3600, s / 60 % 60, s % 60);
    } else {
        snprintf(text, sizeof text, "  %lu:%02lu left", s / 60, s % 60);
    }
    add(line, text);
}

static void draw(cli_progress *progress, const pm_progress *now) {
    char line[LINE] = "", text[48], memory[32];
    double seconds = now->seconds - progress->phase_start, done = (double)(now->done - progress->phase_done);
    double each_second = seconds > 0.5 ? done / seconds : 0;
    snprintf(line, sizeof line, "%-16.32s", now->phase);
    if (now->total > 0) {
        double part = now->done < now->total ? (double)now->done / (double)now->total : 1;
        add_bar(line, part);
        add_rate(line, now, each_second);
        if (part > 0.01 && each_second > 0) {
            add_left(line, (1 - part) * (double)now->total / each_second);
        }
    } else if (now->done > 0) {
        cli_format_count(text, now->done);
        add(line, "  ");
        add(line, text);
        add(line, " ");
        add(line, now->unit);
        add_rate(line, now, each_second);
    }
    if (now->memory) {
        cli_format_bytes(memory, (double)now->memory);
        add(line, "  ");
        add(line, memory);
    }
    fprintf(stderr, "\r%.*s\033[K", progress->width - 1, line);
    fflush(stderr);
    progress->shown = true;
}

int cli_progress_step(void *user, const pm_progress *now) {
    cli_progress *progress = user;
    if (cli_signals_seen()) {
        return 1;
    }
    if (progress->phase != now->phase || now->done < progress->done) { /* a phase may come again */
        progress->phase = now->phase;
        progress->phase_start = now->seconds;
        progress->phase_done = now->done;
    }
    progress->done = now->done;
    if (progress->bar) {
        draw(progress, now);
    }
    return 0;
}

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void cli_progress_tick(cli_progress *progress, const char *phase, const pm_corpus *corpus) {
    pm_progress now = {.phase = phase, .unit = "bytes"};
    if (!progress->bar) {
        return;
    }
    double t = now_seconds();
    progress->start = progress->start > 0 ? progress->start : t;
    if (t - progress->last < 0.1) {
        return;
    }
    progress->last = t;
    now.seconds = t - progress->start;
    pm_corpus_position(corpus, &now.done, &now.total);
    (void)cli_progress_step(progress, &now);
}

void cli_progress_end(cli_progress *progress) {
    if (progress->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        progress->shown = false;
    }
}
