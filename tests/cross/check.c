/* check.c - see check.h. Each test runs in a process of its own, so that a crash is one failure. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 100 };

typedef struct planned {
    const TTest *test;
    int begin, end;
} planned;

struct TCase {
    void (*set_up)(void), (*tear_down)(void); /* NULL: nothing */
    planned tests[MOST];
    int n;
};

struct Suite {
    const char *name;
    TCase *tcases[MOST];
    int n;
};

struct SRunner {
    Suite *suites[MOST];
    int n, run, failed;
};

static void *new (size_t size) {
    void *p = calloc(1, size);
    if (!p) {
        abort();
    }
    return p;
}

static int next(int *n) {
    if (*n == MOST) {
        abort();
    }
    return (*n)++;
}

Suite *suite_create(const char *name) {
    Suite *suite = new (sizeof *suite);
    suite->name = name;
    return suite;
}

TCase *tcase_create(const char *name) {
    (void)name;
    return new (sizeof(TCase));
}

void tcase_set_timeout(TCase *tcase, double seconds) {
    (void)tcase;
    (void)seconds;
}

void tcase_add_checked_fixture(TCase *tcase, void (*set_up)(void), void (*tear_down)(void)) {
    tcase->set_up = set_up;
    tcase->tear_down = tear_down;
}

void suite_add_tcase(Suite *suite, TCase *tcase) { suite->tcases[next(&suite->n)] = tcase; }

void tcase_add_loop_test(TCase *tcase, const TTest *test, int begin, int end) {
    tcase->tests[next(&tcase->n)] = (planned){test, begin, end};
}

void srunner_add_suite(SRunner *runner, Suite *suite) { runner->suites[next(&runner->n)] = suite; }

SRunner *srunner_create(Suite *suite) {
    SRunner *runner = new (sizeof *runner);
    if (suite) {
        srunner_add_suite(runner, suite);
    }
    return runner;
}

void check_fail(const char *file, int line, const char *format, ...) {
    va_list args;
    fprintf(stderr, "%s:%d:F: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(1);
}

static void call(void (*fixture)(void)) {
    if (fixture) {
        fixture();
    }
}

static void run(SRunner *runner, const Suite *suite, const TCase *tcase, const TTest *test, int i) {
    int status;

    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        call(tcase->set_up);
        test->fn(i);
        call(tcase->tear_down);
        fflush(NULL);
        _exit(0);
    }
    runner->run++;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        runner->failed++;
        fprintf(stderr, "%s: %s (%d) FAILED\n", suite->name, test->name, i);
    }
}

void srunner_run_all(SRunner *runner, enum print_output output) {
    (void)output;
    for (int s = 0; s < runner->n; s++) {
        const Suite *suite = runner->suites[s];
        for (int c = 0; c < suite->n; c++) {
            const TCase *tcase = suite->tcases[c];
            for (const planned *p = tcase->tests; p < tcase->tests + tcase->n; p++) {
                for (int i = p->begin; i < p->end; i++) {
                    run(runner, suite, tcase, p->test, i);
                }
            }
        }
    }
}

int srunner_ntests_failed(SRunner *runner) { return runner->failed; }
int srunner_ntests_run(SRunner *runner) { return runner->run; }

void srunner_free(SRunner *runner) {
    for (int s = 0; s < runner->n; s++) {
        for (int c = 0; c < runner->suites[s]->n; c++) {
            free(runner->suites[s]->tcases[c]);
        }
        free(runner->suites[s]);
    }
    free(runner);
}
