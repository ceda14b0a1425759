/* fuzz_counts.c - any bytes as a count file: it is refused with a sentence, or read to its end; then a merge of it alone has the same words, is
 * what a merge of that would be, and merged with itself every count is doubled. Training from it gives a tokenizer or an error.
 *
 * With the highest bit of the first byte the checksums are put right first: else no change gets past them. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 16, HEADER = 16, HEAD = 16, SUM = 8, CHAIN = 40 /* of the totals: the checksum before them */ };

static char paths[3][128];

static void must(bool good, const char *what, const pm_error *err) {
    if (!good) {
        fprintf(stderr, "fuzz_counts: %s: %s\n", what, err->message);
        abort();
    }
}

static void remove_files(void) {
    for (int i = 0; i < 3; i++) {
        unlink(paths[i]);
    }
}

static void name_files(void) {
    const char *dir = getenv("TMPDIR");
    for (int i = 0; i < 3 && !paths[i][0]; i++) {
        snprintf(paths[i], sizeof paths[i], "%.40s/fuzz-counts-%ld-%d", dir ? dir : "/tmp", (long)getpid(), i);
        if (i == 0) {
            atexit(remove_files);
        }
    }
}

static void write_file(const uint8_t *data, size_t size) {
    int fd = open(paths[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) {
        abort();
    }
}

/* ---------------------------------------------------------------- checksums ---- */

static uint64_t get(const uint8_t *p, size_t n) {
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) {
        x |= (uint64_t)p[i] << 8 * i;
    }
    return x;
}

static void set(uint8_t *p, uint64_t x) {
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(x >> 8 * i);
    }
}

/* Makes them right as far as the lengths lead. */
static void repair(uint8_t *data, size_t size) {
    if (size < HEADER + SUM || get(data + 12, 4) > size - HEADER - SUM) {
        return;
    }
    size_t at = HEADER + (size_t)get(data + 12, 4);
    uint64_t sum = pm_hash(data, at);
    set(data + at, sum);
    for (at += SUM; at + HEAD + SUM <= size;) {
        uint64_t len = get(data + at, 8), n = get(data + at + 8, 8);
        if (len > size - at - HEAD - SUM) {
            return;
        }
        if (n == 0 && len >= CHAIN + 8) {
            set(data + at + HEAD + CHAIN, sum);
        }
        sum = XXH3_64bits_withSeed(data + at, HEAD + (size_t)len, sum);
        set(data + at + HEAD + len, sum);
        at += HEAD + (size_t)len + SUM;
    }
}

/* ---------------------------------------------------------------- what must hold ---- */

/* Reads to the end; a hash of all words with their counts times `times`. Errors are returned. */
static pm_status read_words(const char *path, uint64_t times, uint64_t *hash, pm_error *err) {
    pm_counts *counts;
    pm_counted_word w;
    bool more = true;
    *hash = 0;
    pm_status status = pm_counts_open(&counts, path, err);
    while (status == PM_OK && more) {
        status = pm_counts_next(counts, &w, &more, err);
        if (status == PM_OK && more) {
            const uint64_t numbers[] = {w.count * times, w.documents * times};
            *hash = XXH3_64bits_withSeed(w.text.data, w.text.len, *hash);
            *hash = XXH3_64bits_withSeed(numbers, sizeof numbers, *hash);
        }
    }
    pm_counts_free(counts);
    return status;
}

static bool equal_files(const char *a, const char *b) {
    pm_file x, y;
    pm_error err;
    must(pm_file_open(&x, a, true, &err) == PM_OK && pm_file_open(&y, b, true, &err) == PM_OK, "a file is gone", &err);
    bool equal = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    pm_file_close(&x);
    pm_file_close(&y);
    return equal;
}

static void check_merging(uint64_t once, uint64_t twice) {
    pm_error err = {0};
    uint64_t hash;
    must(pm_counts_merge(paths[1], (const char *[]){paths[0]}, 1, NULL, &err) == PM_OK, "no merge of one", &err);
    must(read_words(paths[1], 1, &hash, &err) == PM_OK && hash == once, "the merge has other words", &err);
    must(pm_counts_merge(paths[2], (const char *[]){paths[1]}, 1, NULL, &err) == PM_OK, "no merge of the merge", &err);
    must(equal_files(paths[1], paths[2]), "the merge of a merge is another one", &err);
    pm_status status = pm_counts_merge(paths[2], (const char *[]){paths[0], paths[1]}, 2, NULL, &err);
    must(status == PM_OK || status == PM_LIMIT, "no merge of two", &err);
    if (status == PM_OK) {
        must(read_words(paths[2], 1, &hash, &err) == PM_OK && hash == twice, "twice is not the double", &err);
    }
}

static void check_training(void) {
    static const uint32_t size = 280;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_error err = {0};
    pm_tokenizer *tok;
    const char *path = paths[0];
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.counts = &path;
    o.n_counts = 1;
    o.threads = 1;
    must(pm_train(&tok, 1, NULL, &o, &err) == PM_OK || err.message[0], "no sentence", &err);
    pm_tokenizer_free(tok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t copy[LARGEST];
    pm_error err = {0};
    uint64_t once, twice;
    if (size < 1 || size > LARGEST) {
        return 0;
    }
    name_files();
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 0x80) {
        repair(copy, size - 1);
    }
    write_file(copy, size - 1);
    if (read_words(paths[0], 1, &once, &err) != PM_OK) {
        must(err.status != PM_OK && err.message[0], "no sentence", &err);
        return 0;
    }
    must(read_words(paths[0], 2, &twice, &err) == PM_OK, "not read a second time", &err);
    check_merging(once, twice);
    check_training();
    return 0;
}
