/* main.c - runs every suite of suites.h (or those named as arguments, or in PM_SUITES), then prints one closing line.
 *
 * With CK_FORK=no (sanitizers) the tests run in this process; otherwise each in a child, so that a crash is one failure. Skipped tests are written to a
 * file that the children share. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"
#include "text/utf8.h"

#define SUITE(name) Suite *suite_##name(void);
#include "suites.h"
#undef SUITE

static char folder[64];
static char skips[80];

static void path_of(char *out, size_t room, const char *base, const char *name) { snprintf(out, room, "%s/%s", base, name); }

const char *shared(const char *name) {
    static char path[4096];
    struct stat info;
    const char *base = getenv("PM_SHARED");
    path_of(path, sizeof path, base ? base : "../shared", name);
    if (stat(path, &info) == 0) {
        return path;
    }
    char reason[5000];
    snprintf(reason, sizeof reason, "%s is not here", path);
    skipped(reason);
    return NULL;
}

void skipped(const char *reason) {
    fprintf(stderr, "SKIPPED: %s\n", reason);
    int fd = open(skips, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    ck_assert(fd >= 0 && write(fd, "s", 1) == 1);
    close(fd);
}

bool quick(void) { return getenv("PM_QUICK") != NULL; }

const char *source_path(const char *name) {
    static char path[4096];
    const char *base = getenv("PM_SOURCE");
    path_of(path, sizeof path, base ? base : ".", name);
    return path;
}

const char *temporary_path(const char *name) {
    static char path[512];
    path_of(path, sizeof path, folder, name);
    return path;
}

const char *numbered_path(const char *prefix, int i) {
    static char paths[16][512];
    char name[32];
    snprintf(name, sizeof name, "%s-%d", prefix, i);
    snprintf(paths[i], sizeof paths[i], "%s", temporary_path(name));
    return paths[i];
}

const char *temporary_file(const char *name, const void *data, size_t len) {
    const char *path = temporary_path(name);
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
    return path;
}

pm_buf read_file(const char *path) {
    pm_buf buf = {0};
    uint8_t piece[65536];
    size_t n;
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        ck_assert(pm_buf_append(&buf, piece, n, NULL) == PM_OK);
    }
    fclose(f);
    return buf;
}

size_t unescape(const char **from, uint8_t *out, char until) {
    const char *s = *from;
    size_t n = 0;

    while (*s && *s != until) {
        if (*s != '\\') {
            out[n++] = (uint8_t)*s++;
        } else if (s[1] == 'u') {
            n += pm_utf8_write((uint32_t)strtoul(s + 3, NULL, 16), out + n);
            s = strchr(s, '}') + 1;
        } else {
            out[n++] = s[1] == 'n' ? '\n' : s[1] == 't' ? '\t' : s[1] == 'r' ? '\r' : (uint8_t)s[1];
            s += 2;
        }
    }
    *from = s;
    return n;
}

uint64_t random_word(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Is `name` one of the words of a list? */
static bool listed(const char *list, const char *name) {
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += len) {
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool wanted(const char *name, int argc, char **argv) {
    const char *list = getenv("PM_SUITES");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return true;
        }
    }
    return argc < 2 && (!list || !*list || listed(list, name));
}

int main(int argc, char **argv) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.30s/piecemill-tests.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return 99;
    }
    snprintf(skips, sizeof skips, "%s/skips", folder);

    SRunner *runner = srunner_create(NULL);
#define SUITE(name)                                    \
    if (wanted(#name, argc, argv)) {                   \
        srunner_add_suite(runner, suite_##name());     \
    }
#include "suites.h"
#undef SUITE
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);

    struct stat info;
    int n_skipped = stat(skips, &info) == 0 ? (int)info.st_size : 0;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) {
        fprintf(stderr, "could not remove %s\n", folder);
    }
    printf("unit: %d passed, %d failed, %d skipped\n", run - failed - n_skipped, failed, n_skipped);
    return run == 0 || failed ? 1 : 0;
}
