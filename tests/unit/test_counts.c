/* test_counts.c - count files: written from stores by sorting, merged, read back; damaged ones. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/hash.h"
#include "count/countmerge.h"
#include "support.h"

static pm_error err;
static pm_ticker ticker;

/* ---------------------------------------------------------------- words, and the slow twin ---- */

enum { MAX_WORDS = 3000 };

typedef struct word {
    pm_bytes text;
    uint64_t count, documents;
} word;

typedef struct words {
    word list[MAX_WORDS];
    size_t n;
    uint8_t bytes[MAX_WORDS * 64];
} words;

/* Words of few letters and many lengths, several times the same; zeros and bytes above 127 too. */
static void make_words(words *w, uint64_t *state, size_t n, bool heavy) {
    static const uint8_t letters[] = {0, 'a', 'b', 0xFF};
    uint8_t *p = w->bytes;
    w->n = n;
    for (size_t i = 0; i < n; i++) {
        size_t len = 1 + random_word(state) % (random_word(state) % 4 ? 6 : 64);
        for (size_t k = 0; k < len; k++) {
            p[k] = letters[random_word(state) % (k < 8 && len > 16 ? 1 : 4)];
        }
        uint64_t count = 1 + random_word(state) % 5;
        w->list[i] = (word){{p, len}, heavy ? count * UINT64_C(3000000000) : count, 1 + random_word(state) % 3};
        p += len;
    }
}

static int compare(const void *a, const void *b) {
    const word *x = a, *y = b;
    size_t n = x->text.len < y->text.len ? x->text.len : y->text.len;
    int order = memcmp(x->text.data, y->text.data, n);
    return order ? order : (x->text.len > y->text.len) - (x->text.len < y->text.len);
}

/* Sorts the words and adds up equal ones. */
static void add_up(words *w) {
    size_t n = 0;
    qsort(w->list, w->n, sizeof *w->list, compare);
    for (size_t i = 0; i < w->n; i++) {
        if (n && compare(&w->list[n - 1], &w->list[i]) == 0) {
            w->list[n - 1].count += w->list[i].count;
            w->list[n - 1].documents += w->list[i].documents;
        } else {
            w->list[n++] = w->list[i];
        }
    }
    w->n = n;
}

/* ---------------------------------------------------------------- stores ---- */

static void add_record(pm_records *records, const word *w, uint32_t weight, bool documents, uint64_t in_documents) {
    size_t bytes = pm_record_bytes(w->text.len, 1);
    pm_record *r = pm_records_reserve(records, bytes + 8);
    ck_assert_ptr_nonnull(r);
    r->weight = weight;
    r->n = (uint32_t)w->text.len;
    memcpy(pm_record_cells(r), w->text.data, r->n);
    if (documents) {
        memcpy((uint8_t *)r + bytes, &in_documents, 8);
    }
    records->last->used += bytes + (documents ? 8 : 0);
}

/* The words from..to as records, a new chunk every now and then; dead records between them. */
static pm_store *store_of(const words *w, size_t from, size_t to, bool documents, uint64_t memory, uint64_t seed) {
    pm_store *store;
    pm_records records = {0};
    for (size_t i = from; i < to; i++) {
        uint64_t left = w->list[i].count, in_documents = w->list[i].documents;
        for (; left; in_documents = 0) {
            uint32_t weight = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
            add_record(&records, &w->list[i], weight, documents, in_documents);
            left -= weight;
        }
        if (random_word(&seed) % 8 == 0) {
            add_record(&records, &w->list[i], 0, documents, 7); /* dead */
            ck_assert_ptr_nonnull(pm_records_add_chunk(&records, 1));
        }
    }
    assert_ok(pm_store_new(&store, memory, NULL, &err));
    assert_ok(pm_store_put_all(store, &records, &err));
    return store;
}

static pm_count_work work_of(unsigned threads, uint64_t memory) {
    pm_ticker_init(&ticker, NULL, NULL, 0);
    return (pm_count_work){threads, memory, NULL, &ticker};
}

static const char plain[] = "algorithm=bpe\n", with_documents[] = "algorithm=bpe\ndocuments=yes\n";

static void write_words(const char *path, const words *w, size_t from, size_t to, bool documents, unsigned threads, uint64_t memory, uint64_t seed) {
    pm_count_work work = work_of(threads, memory);
    pm_store *store = store_of(w, from, to, documents, memory, seed);
    pm_count_totals totals = {.documents = to - from, .bytes = 10 * (to - from), .lines_split = from == 0};
    assert_ok(pm_count_store_write(store, path, documents ? with_documents : plain, &totals, &work, &err));
    ck_assert_uint_eq(pm_store_size(store), 0);
    pm_store_free(store);
}

/* The file holds the twin's words. */
static void check_file(const char *path, const words *twin, bool documents) {
    pm_count_reader r;
    uint64_t sum = 0;
    assert_ok(pm_count_reader_open(&r, path, &err));
    ck_assert_uint_eq(r.totals.distinct, twin->n);
    for (size_t i = 0; i < twin->n; i++) {
        assert_ok(pm_count_reader_next(&r, &err));
        word got = {{r.word.data, r.word.len}, r.count, r.in_documents};
        ck_assert_int_eq(compare(&got, &twin->list[i]), 0);
        ck_assert_uint_eq(got.count, twin->list[i].count);
        ck_assert_uint_eq(got.documents, documents ? twin->list[i].documents : 0);
        sum += got.count;
    }
    ck_assert_uint_eq(r.totals.words, sum);
    for (int i = 0; i < 2; i++) { /* the end stays the end */
        assert_ok(pm_count_reader_next(&r, &err));
        ck_assert_uint_eq(r.word.len, 0);
    }
    pm_count_reader_close(&r);
}

static bool equal_files(const char *a, const char *b) {
    pm_buf x = read_file(a), y = read_file(b);
    bool equal = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    pm_buf_release(&x);
    pm_buf_release(&y);
    return equal;
}

static const char *path_of(int i) { return numbered_path("counts", i); }

/* ---------------------------------------------------------------- sorting ---- */

START_TEST(a_store_becomes_a_sorted_file) {
    static words w, twin;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t state = seed;
        bool documents = seed % 2;
        make_words(&w, &state, 1 + random_word(&state) % (seed % 4 ? 60 : MAX_WORDS), seed % 5 == 0);
        twin = w;
        add_up(&twin);
        write_words(path_of(0), &w, 0, w.n, documents, 1, UINT64_MAX, seed);
        check_file(path_of(0), &twin, documents);
        write_words(path_of(1), &w, 0, w.n, documents, 1 + (unsigned)(seed % 3), seed % 3 ? 0 : 3 << 20, seed + 1); /* through temporary files */
        ck_assert(equal_files(path_of(0), path_of(1)));
    }
}
END_TEST

/* With a megabyte a thread, four chunks make a run: these are more runs than are merged at once. */
START_TEST(more_runs_than_are_merged_at_once) {
    static words w, twin;
    uint64_t state = 9;
    make_words(&w, &state, MAX_WORDS, false);
    twin = w;
    add_up(&twin);
    write_words(path_of(0), &w, 0, w.n, true, 2, 0, 5);
    check_file(path_of(0), &twin, true);
}
END_TEST

START_TEST(words_of_a_megabyte_and_of_nothing_but_zeros) {
    enum { LONG = 1 << 20 };
    static words w, twin;
    uint8_t *text = calloc(1, LONG + 2);
    w.n = 40;
    for (size_t i = 0; i < w.n; i++) {
        w.list[i] = (word){{text, i < 36 ? 1 + i % 18 : LONG - i % 3}, 1, 1};
    }
    twin = w;
    add_up(&twin);
    write_words(path_of(0), &w, 0, w.n, false, 1, 0, 5);
    check_file(path_of(0), &twin, false);
    free(text);
}
END_TEST

/* Each run was a file that stayed open: a large corpus under a small limit had more of them than a process may open. */
START_TEST(runs_are_joined_before_they_are_too_many) {
    static words w, twin;
    struct rlimit old, few;
    uint64_t state = 11;
    make_words(&w, &state, MAX_WORDS, false);
    twin = w;
    add_up(&twin);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){85, old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    write_words(path_of(0), &w, 0, w.n, true, 1, 0, 5);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    check_file(path_of(0), &twin, true);
}
END_TEST

/* ---------------------------------------------------------------- merging ---- */

static void merge(const char *path, const char *const *paths, size_t n) {
    pm_count_work work = work_of(1, UINT64_MAX);
    pm_count_totals totals;
    assert_ok(pm_count_files_merge(path, paths, n, &totals, &work, &err));
}

/* However the words are shared out over files, and in whatever order and grouping these are merged: the bytes are those of one file. */
START_TEST(merging_is_associative_and_commutative) {
    static words w;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t state = seed;
        bool documents = seed % 2;
        make_words(&w, &state, 4 + random_word(&state) % (seed % 4 ? 60 : MAX_WORDS - 4), seed % 5 == 0);
        size_t a = random_word(&state) % w.n, b = a + random_word(&state) % (w.n - a);
        const char *one = path_of(0), *x = path_of(1), *y = path_of(2), *z = path_of(3), *xy = path_of(4), *xy_z = path_of(5), *zyx = path_of(6);
        write_words(one, &w, 0, w.n, documents, 1, UINT64_MAX, seed);
        write_words(x, &w, 0, a, documents, 1, UINT64_MAX, seed); /* may be without words */
        write_words(y, &w, a, b, documents, 2, UINT64_MAX, seed);
        write_words(z, &w, b, w.n, documents, 1, UINT64_MAX, seed);
        merge(xy, (const char *[]){x, y}, 2);
        merge(xy_z, (const char *[]){xy, z}, 2);
        merge(zyx, (const char *[]){z, y, x}, 3);
        ck_assert(equal_files(one, xy_z));
        ck_assert(equal_files(one, zyx));
        merge(x, (const char *[]){x, y, z}, 3); /* onto one of its own */
        ck_assert(equal_files(one, x));
        merge(y, (const char *[]){x}, 1);
        ck_assert(equal_files(one, y));
    }
}
END_TEST

START_TEST(merging_more_files_than_are_merged_at_once) {
    enum { FILES = 70 };
    static words w, twin;
    static char paths[FILES][512];
    const char *list[FILES];
    uint64_t state = 4;
    make_words(&w, &state, 20 * FILES, false);
    for (size_t i = 0; i < FILES; i++) {
        char name[32];
        snprintf(name, sizeof name, "part-%zu", i);
        snprintf(paths[i], sizeof paths[i], "%s", temporary_path(name));
        list[i] = paths[i];
        write_words(paths[i], &w, 20 * i, 20 * i + 20, true, 1, UINT64_MAX, i);
    }
    twin = w;
    add_up(&twin);
    merge(path_of(0), list, FILES);
    check_file(path_of(0), &twin, true);
    write_words(path_of(1), &w, 0, w.n, true, 1, UINT64_MAX, 1);
    ck_assert(equal_files(path_of(0), path_of(1)));
}
END_TEST

/* ---------------------------------------------------------------- back to a store ---- */

/* The store's words are the twin's that stand in `least` documents or more. */
static void check_store(pm_store *store, const words *twin, uint64_t least, uint64_t distinct) {
    pm_chunk *buffer = NULL;
    const pm_chunk *chunk;
    size_t i = 0;
    uint64_t seen = 0, left = 0;
    for (size_t c = 0; c < pm_store_size(store); c++) {
        assert_ok(pm_store_get(store, c, &buffer, &chunk, &err));
        for (size_t at = sizeof *chunk; at < chunk->used; at += pm_record_bytes(pm_record_at(chunk, at)->n, 1)) {
            const pm_record *r = pm_record_at(chunk, at);
            if (!left) {
                while (twin->list[i].documents < least) {
                    i++;
                }
                left = twin->list[i].count;
                seen++;
            }
            word got = {{pm_record_cells(r), r->n}, 0, 0};
            ck_assert_int_eq(compare(&got, &twin->list[i]), 0);
            ck_assert(r->weight > 0 && r->weight <= left);
            left -= r->weight;
            i += left == 0;
        }
    }
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(seen, distinct);
    for (; i < twin->n; i++) {
        ck_assert(twin->list[i].documents < least);
    }
    pm_chunk_free(buffer);
    pm_store_free(store);
}

/* The stream, which is freed, gives the twin's words. */
static void check_stream(pm_count_stream *stream, const words *twin) {
    pm_counted_word next;
    bool more;
    for (size_t i = 0; i < twin->n; i++) {
        assert_ok(pm_count_stream_next(stream, &next, &more, &err));
        ck_assert(more);
        word got = {next.text, next.count, next.documents};
        ck_assert_int_eq(compare(&got, &twin->list[i]), 0);
        ck_assert_uint_eq(got.count, twin->list[i].count);
        ck_assert_uint_eq(got.documents, twin->list[i].documents);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(pm_count_stream_next(stream, &next, &more, &err));
        ck_assert(!more && next.text.len == 0);
    }
    pm_count_stream_free(stream);
}

START_TEST(files_and_stores_become_filtered_stores) {
    static words w, twin;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t state = seed, least = seed % 5, expected = 0;
        pm_count_totals totals;
        make_words(&w, &state, 2 + random_word(&state) % (seed % 4 ? 60 : MAX_WORDS - 2), seed % 3 == 0);
        twin = w;
        add_up(&twin);
        for (size_t i = 0; i < twin.n; i++) {
            expected += twin.list[i].documents >= least;
        }
        write_words(path_of(0), &w, 0, w.n / 2, true, 1, UINT64_MAX, seed);
        write_words(path_of(1), &w, w.n / 2, w.n, true, 1, UINT64_MAX, seed);
        pm_count_work work = work_of(1, seed % 2 ? 0 : UINT64_MAX);
        pm_store *store, *from;
        assert_ok(pm_count_files_read(&store, (const char *[]){path_of(0), path_of(1)}, 2, least, seed % 2 ? 0 : UINT64_MAX, &totals, &work, &err));
        ck_assert_uint_eq(totals.distinct, twin.n);
        check_store(store, &twin, least, expected);
        from = store_of(&w, 0, w.n, true, UINT64_MAX, seed);
        assert_ok(pm_count_store_filter(&store, from, least, seed % 2 ? 0 : UINT64_MAX, &work, &err));
        check_store(store, &twin, least, expected);
        pm_store_free(from);
        pm_count_stream *stream;
        assert_ok(pm_count_stream_files(&stream, (const char *[]){path_of(0), path_of(1)}, 2, &totals, &work, &err));
        check_stream(stream, &twin);
        from = store_of(&w, 0, w.n, true, UINT64_MAX, seed);
        assert_ok(pm_count_stream_store(&stream, from, true, &work, &err));
        check_stream(stream, &twin);
        pm_store_free(from);
    }
}
END_TEST

static void write_one(const char *path, const char *text, size_t len, uint64_t count) {
    pm_count_writer writer;
    pm_count_totals totals = {0};
    assert_ok(pm_count_writer_open(&writer, path, NULL, plain, &err));
    assert_ok(pm_count_writer_add(&writer, (const uint8_t *)text, len, count, 0, &err));
    assert_ok(pm_count_writer_close(&writer, PM_OK, &totals, &err));
}

/* A few bytes must not ask for gigabytes of records, nor pairs be counted beyond 64 bits. */
START_TEST(counts_beyond_what_is_sane_are_refused) {
    static char text[100000];
    pm_count_totals totals;
    pm_count_work work = work_of(1, UINT64_MAX);
    pm_store *store;
    memset(text, 'a', sizeof text);
    write_one(path_of(0), text, 3, UINT64_C(1) << 61);
    assert_fails(pm_count_files_read(&store, (const char *[]){path_of(0)}, 1, 0, UINT64_MAX, &totals, &work, &err), PM_LIMIT, "2^62");
    ck_assert_ptr_null(store);
    write_one(path_of(0), text, sizeof text, UINT64_C(1) << 43);
    assert_fails(pm_count_files_read(&store, (const char *[]){path_of(0)}, 1, 0, UINT64_MAX, &totals, &work, &err), PM_LIMIT, "too large");
    write_one(path_of(0), text, 3, UINT64_C(1) << 50); /* a hundred terabytes are no problem */
    assert_ok(pm_count_files_read(&store, (const char *[]){path_of(0)}, 1, 0, UINT64_MAX, &totals, &work, &err));
    pm_store_free(store);
    write_one(path_of(1), text, 3, UINT64_MAX);
    assert_fails(pm_count_files_merge(path_of(10), (const char *[]){path_of(0), path_of(1)}, 2, &totals, &work, &err), PM_LIMIT, "2^64");
    ck_assert_int_ne(access(path_of(10), F_OK), 0);
}
END_TEST

/* ---------------------------------------------------------------- settings ---- */

START_TEST(settings_are_lines_and_the_first_that_differs_is_named) {
    pm_buf a = {0}, b = {0}, value = {0};
    bool found;
    assert_ok(pm_count_setting_add(&a, "pattern", "own", &err));
    assert_ok(pm_count_setting_add(&a, "regex", "(?x) a\nb\n\n\tc", &err));
    assert_ok(pm_count_setting_add(&a, "regex", "", &err));
    ck_assert_str_eq((char *)a.data, "pattern=own\nregex=(?x) a\n\tb\n\t\n\t\tc\nregex=\n");
    assert_ok(pm_count_setting_get((char *)a.data, "regex", 0, &value, &found, &err));
    ck_assert(found);
    ck_assert_str_eq((char *)value.data, "(?x) a\nb\n\n\tc");
    value.len = 0;
    assert_ok(pm_count_setting_get((char *)a.data, "regex", 1, &value, &found, &err));
    ck_assert(found && value.data[0] == 0);
    assert_ok(pm_count_setting_get((char *)a.data, "regex", 2, &value, &found, &err));
    ck_assert(!found);
    assert_ok(pm_count_settings_compare((char *)a.data, "x", (char *)a.data, "y", &err));
    assert_ok(pm_buf_printf(&b, &err, "pattern=own\nregex=(?x) a\n\tb\n\t\n\t\tcc\nregex=\n"));
    assert_fails(pm_count_settings_compare((char *)a.data, "x", (char *)b.data, "y", &err), PM_INVALID_ARGUMENT, "regex is '(?x) a\n\tb\n\t\n\t\tc' here and");
    ck_assert_str_eq(err.file, "x");
    assert_fails(pm_count_settings_compare("a=1\n", "x", "a=1\nb=2\n", "y", &err), PM_INVALID_ARGUMENT, "b=2 is true not here but in y");
    assert_fails(pm_count_settings_compare("a=1\nb=2\nc=3\n", "x", "a=1\nc=3\n", "y", &err), PM_INVALID_ARGUMENT, "b=2 is true here and not in y");
    assert_fails(pm_count_settings_compare("b=2\n", "x", "", "y", &err), PM_INVALID_ARGUMENT, "b=2 is true here and not in y");
    pm_buf_release(&a);
    pm_buf_release(&b);
    pm_buf_release(&value);
}
END_TEST

/* ---------------------------------------------------------------- the public side ---- */

/* The example of docs/FORMAT.md. */
START_TEST(the_example_of_the_description) {
    static const uint8_t expected[] = {
        0x89, 0x50, 0x4d, 0x43, 0x0d, 0x0a, 0x1a, 0x0a, 1, 0, 0, 0, 25, 0, 0, 0, /* head */
        'a', 'l', 'g', 'o', 'r', 'i', 't', 'h', 'm', '=', 'b', 'p', 'e', '\n', 's', 'p', 'l', 'i', 't', '=', 'l', 'i', 'n', 'e', '\n',
        0x2d, 0xb2, 0x9c, 0xa8, 0xb4, 0xbc, 0x42, 0xf9, 18, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, /* a block */
        0, 3, 't', 'h', 'e', 7, 3, 1, 'n', 1, 0, 5, 'z', 'e', 'b', 'r', 'a', 2, 0x14, 0xef, 0x6d, 0x73, 0x09, 0x8a, 0x15, 0x5f,
        48, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, /* totals */
        10, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xef, 0x6d, 0x73, 0x09, 0x8a, 0x15, 0x5f,
        0xdc, 0x16, 0xd0, 0xf8, 0x58, 0xfe, 0xe8, 0x2b};
    pm_count_writer w;
    pm_count_totals totals = {.documents = 3, .bytes = 40, .lines_split = true};
    const char *path = temporary_path("example.counts");
    assert_ok(pm_count_writer_open(&w, path, NULL, "algorithm=bpe\nsplit=line\n", &err));
    assert_ok(pm_count_writer_add(&w, (const uint8_t *)"the", 3, 7, 0, &err));
    assert_ok(pm_count_writer_add(&w, (const uint8_t *)"then", 4, 1, 0, &err));
    assert_ok(pm_count_writer_add(&w, (const uint8_t *)"zebra", 5, 2, 0, &err));
    assert_ok(pm_count_writer_close(&w, PM_OK, &totals, &err));
    pm_buf got = read_file(path);
    ck_assert_uint_eq(got.len, sizeof expected);
    ck_assert_int_eq(memcmp(got.data, expected, got.len), 0);
    pm_buf_release(&got);
}
END_TEST

static pm_corpus *corpus_of(const char *const *names, size_t n, pm_split split) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_corpus *corpus;
    options.split = split;
    assert_ok(pm_corpus_new(&corpus, &options, &err));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_corpus_add_file(corpus, source_path(names[i]), &err));
    }
    return corpus;
}

static const char *const both[] = {"corpora/zh.txt", "corpora/en.txt"};

static void count_to(const char *path, const char *const *names, size_t n, const pm_counts_options *options) {
    pm_corpus *corpus = corpus_of(names, n, PM_SPLIT_LINE);
    assert_ok(pm_count(path, corpus, options, &err));
    pm_corpus_free(corpus);
}

/* Trains from the corpus or from n count files, and saves. */
static pm_status train_to(const char *path, pm_corpus *corpus, const char *const *counts, size_t n, pm_train_options *o) {
    static const uint32_t size = 3000;
    pm_tokenizer *tok;
    o->algorithm = PM_ALGORITHM_BPE;
    o->vocab_sizes = &size;
    o->n_vocab_sizes = 1;
    o->counts = counts;
    o->n_counts = n;
    pm_status status = pm_train(&tok, 1, corpus, o, &err);
    if (status == PM_OK) {
        assert_ok(pm_tokenizer_save(tok, path, PM_FORMAT_NATIVE, &err));
    }
    pm_tokenizer_free(tok);
    pm_corpus_free(corpus);
    return status;
}

/* What is trained from counts, merged or given together, is what is trained from the text: to the byte of the model, settings included. */
START_TEST(training_from_counts_is_training_from_text) {
    static const char *const gpt2[] = {"gpt2"};
#ifdef PM_HAVE_PCRE2
    static const char *const own[] = {"[a-z]+|\\n", "a\nb|[e-k]"};
#endif
    const struct {
        const char *const *patterns;
        size_t n;
        uint64_t min_documents, max_count;
        bool scripts;
    } cases[] = {{NULL, 0, 0, 0, false}, {gpt2, 1, 3, 0, true}, {gpt2, 1, 0, 2, false},
#ifdef PM_HAVE_PCRE2
                 {own, 2, 0, 0, false}
#endif
    };
    const char *zh = path_of(0), *en = path_of(1), *all = path_of(2), *by_text = path_of(3), *by_counts = path_of(4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pm_counts_options c = PM_COUNTS_OPTIONS_INIT;
        pm_train_options o = PM_TRAIN_OPTIONS_INIT;
        pm_train_summary counted, summary, by_count;
        c.patterns = o.patterns = cases[i].patterns;
        c.n_patterns = o.n_patterns = cases[i].n;
        c.documents = cases[i].min_documents > 0;
        o.min_documents = cases[i].min_documents;
        c.max_count_per_document = o.max_count_per_document = cases[i].max_count;
        c.split_scripts = o.split_scripts = cases[i].scripts;
        c.threads = o.threads = 1 + (unsigned)(i % 2);
        c.summary = &counted;
        o.summary = &summary;
        count_to(zh, both, 1, &c);
        count_to(en, both + 1, 1, &c);
        assert_ok(pm_counts_merge(all, (const char *[]){en, zh}, 2, &c, &err));
        assert_ok(train_to(by_text, corpus_of(both, 2, PM_SPLIT_LINE), NULL, 0, &o));
        o.summary = &by_count;
        o.n_patterns = 0; /* the file has them */
        o.max_count_per_document = 0;
        assert_ok(train_to(by_counts, NULL, (const char *[]){all}, 1, &o));
        ck_assert(equal_files(by_text, by_counts));
        ck_assert(by_count.documents == summary.documents && by_count.bytes == summary.bytes);
        ck_assert(by_count.distinct == summary.distinct && by_count.lines_split && by_count.vocab_size == 3000);
        ck_assert(counted.distinct == summary.distinct && counted.words == by_count.words && counted.lines_split);
        assert_ok(train_to(by_counts, NULL, (const char *[]){zh, en}, 2, &o));
        ck_assert(equal_files(by_text, by_counts));
    }
}
END_TEST

/* The words of a file, each counted 2^shift times as often. */
static void write_scaled(const char *path, const char *from, unsigned shift) {
    pm_count_reader r;
    pm_count_writer writer;
    pm_counts *counts;
    pm_count_totals totals = {.documents = 1, .bytes = 1};
    assert_ok(pm_counts_open(&counts, from, &err));
    assert_ok(pm_count_reader_open(&r, from, &err));
    assert_ok(pm_count_writer_open(&writer, path, NULL, pm_counts_settings(counts), &err));
    for (;;) {
        assert_ok(pm_count_reader_next(&r, &err));
        if (!r.word.len) {
            break;
        }
        assert_ok(pm_count_writer_add(&writer, r.word.data, r.word.len, r.count << shift, 0, &err));
    }
    assert_ok(pm_count_writer_close(&writer, PM_OK, &totals, &err));
    pm_count_reader_close(&r);
    pm_counts_free(counts);
}

static pm_tokenizer *train_small(const char *counts, uint64_t memory) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    const uint32_t size = 300;
    pm_tokenizer *tok;
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.counts = &counts;
    o.n_counts = 1;
    o.memory_limit = memory;
    assert_ok(pm_train(&tok, 1, NULL, &o, &err));
    return tok;
}

/* The largest weight, 2^20, on as many as 2^44 of a word: the same merges, and counts that much higher. */
START_TEST(counts_of_two_to_the_sixtieth) {
    static const char text[] = "low low low lower lower newest newest newest newest newest newest widest widest widest slow slowest low lowly news";
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)text, sizeof text - 1}, &err));
    assert_ok(pm_count(path_of(0), corpus, NULL, &err));
    pm_corpus_free(corpus);
    for (unsigned shift = 30; shift <= 46; shift += 8) { /* the least number of words is 2^32 - 1 each */
        write_scaled(path_of(1), path_of(0), shift);
        pm_tokenizer *a = train_small(path_of(0), 0), *b = train_small(path_of(1), shift % 16 ? 0 : UINT64_C(32) << 20);
        ck_assert_uint_gt(pm_tokenizer_n_merges(a), 15);
        ck_assert_uint_eq(pm_tokenizer_n_merges(a), pm_tokenizer_n_merges(b));
        for (pm_id id = 0; id < pm_tokenizer_vocab_size(a); id++) {
            pm_bytes x = pm_tokenizer_piece(a, id), y = pm_tokenizer_piece(b, id);
            ck_assert(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
            ck_assert_uint_eq(pm_tokenizer_count(a, id) << shift, pm_tokenizer_count(b, id));
        }
        pm_tokenizer_free(a);
        pm_tokenizer_free(b);
    }
}
END_TEST

START_TEST(counts_are_read_word_by_word) {
    pm_counts *counts;
    pm_corpus *corpus;
    pm_counted_word w;
    bool more;
    pm_counts_options o = PM_COUNTS_OPTIONS_INIT;
    static const char *const gpt2[] = {"gpt2"};
    o.patterns = gpt2;
    o.n_patterns = 1;
    o.documents = true;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)"to be or not to be", 18}, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)"to be", 5}, &err));
    assert_ok(pm_count(path_of(0), corpus, &o, &err));
    pm_corpus_free(corpus);
    assert_ok(pm_counts_open(&counts, path_of(0), &err));
    pm_counts_totals t = pm_counts_get_totals(counts);
    ck_assert(t.documents == 2 && t.bytes == 23 && t.words == 8 && t.distinct == 5 && t.has_documents && !t.lines_split);
    ck_assert_ptr_nonnull(strstr(pm_counts_settings(counts), "algorithm=bpe\npattern=gpt2\nregex="));
    ck_assert_ptr_nonnull(strstr(pm_counts_settings(counts), "\ndocuments=yes\nsplit=line\n"));
    static const struct {
        const char *text;
        uint64_t count, documents;
    } expected[] = {{" be", 3, 2}, {" not", 1, 1}, {" or", 1, 1}, {" to", 1, 1}, {"to", 2, 2}};
    for (size_t i = 0; i < 5; i++) {
        assert_ok(pm_counts_next(counts, &w, &more, &err));
        ck_assert(more && w.text.len == strlen(expected[i].text) && memcmp(w.text.data, expected[i].text, w.text.len) == 0);
        ck_assert(w.count == expected[i].count && w.documents == expected[i].documents);
    }
    assert_ok(pm_counts_next(counts, &w, &more, &err));
    ck_assert(!more);
    pm_counts_free(counts);
    pm_counts_free(NULL);
}
END_TEST

START_TEST(wrong_calls_are_refused) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_counts_options c = PM_COUNTS_OPTIONS_INIT;
    static const char *const gpt2[] = {"gpt2"};
    const char *path = path_of(0), *list[] = {path};
    count_to(path, both, 1, NULL);
    assert_fails(train_to(path, corpus_of(both, 1, PM_SPLIT_LINE), list, 1, &o), PM_INVALID_ARGUMENT, "from one or the other");
    assert_fails(train_to(path, NULL, NULL, 0, &o), PM_INVALID_ARGUMENT, "no corpus");
    o.min_documents = 2;
    assert_fails(train_to(path, NULL, list, 1, &o), PM_INVALID_ARGUMENT, "documents were not counted");
    o.min_documents = 0;
    o.max_count_per_document = 3;
    assert_fails(train_to(path, NULL, list, 1, &o), PM_INVALID_ARGUMENT, "max_count_per_document=3 is true not here but in this call");
    o.max_count_per_document = 0;
    o.split_scripts = true;
    assert_fails(train_to(path, NULL, list, 1, &o), PM_INVALID_ARGUMENT, "it was counted without");
    o.split_scripts = false;
    o.patterns = gpt2;
    o.n_patterns = 1;
    assert_fails(train_to(path, NULL, list, 1, &o), PM_INVALID_ARGUMENT, "pattern is 'o200k_base' here and 'gpt2' in this call");
    ck_assert_str_eq(err.file, path);
    assert_fails(pm_count(path_of(9), NULL, &c, &err), PM_INVALID_ARGUMENT, "no corpus");
    assert_fails(pm_counts_merge(path_of(9), NULL, 0, &c, &err), PM_INVALID_ARGUMENT, "no count files");
    c.size = 3;
    assert_fails(pm_counts_merge(path_of(9), list, 1, &c, &err), PM_INVALID_ARGUMENT, "another version");
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_fails(pm_count(path_of(9), corpus, NULL, &err), PM_EMPTY_CORPUS, "holds no text");
    pm_corpus_free(corpus);
    ck_assert_int_ne(access(path_of(9), F_OK), 0);
}
END_TEST

/* Counted elsewhere, with another version of the library or of PCRE2: the words may not be those that this one would find. */
START_TEST(counts_of_another_unicode_are_refused) {
    static const char settings[] = "algorithm=bpe\npattern=none\nunicode=15.1.0\nsplit=line\n", later[] = "algorithm=bpe\npattern=none\nunicode=16.0.0\nnew=1\n";
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_count_totals totals = {0};
    const char *const all[] = {settings, later}, *const sentences[] = {"unicode is '15.1.0' here and '16.0.0' in this call", "new=1 is true here and not in this call"};
    for (int i = 0; i < 2; i++) {
        pm_count_writer w;
        assert_ok(pm_count_writer_open(&w, path_of(0), NULL, all[i], &err));
        assert_ok(pm_count_writer_add(&w, (const uint8_t *)"the", 3, 7, 0, &err));
        assert_ok(pm_count_writer_close(&w, PM_OK, &totals, &err));
        assert_fails(train_to(path_of(1), NULL, (const char *[]){path_of(0)}, 1, &o), PM_INVALID_ARGUMENT, sentences[i]);
    }
}
END_TEST

/* ---------------------------------------------------------------- damaged files ---- */

/* Opens and reads to the end. */
static pm_status read_all(const char *path) {
    pm_count_reader r;
    pm_status status = pm_count_reader_open(&r, path, &err);
    while (status == PM_OK) {
        status = pm_count_reader_next(&r, &err);
        if (status == PM_OK && !r.word.len) {
            break;
        }
    }
    pm_count_reader_close(&r);
    return status;
}

static pm_status read_bytes(const void *data, size_t len) { return read_all(temporary_file("damaged-counts", data, len)); }

START_TEST(no_change_goes_unnoticed) {
    static words w;
    uint64_t state = 3;
    make_words(&w, &state, 60, false);
    write_words(path_of(0), &w, 0, w.n, true, 1, UINT64_MAX, 1);
    pm_buf whole = read_file(path_of(0));
    ck_assert_int_eq(read_bytes(whole.data, whole.len), PM_OK);
    for (size_t i = 0; i < whole.len; i++) {
        for (int change = 1; change < 256; change *= 16) {
            whole.data[i] ^= (uint8_t)change;
            pm_status status = read_bytes(whole.data, whole.len);
            ck_assert_msg(status == PM_BAD_FORMAT || (status == PM_BAD_VERSION && i >= 8 && i < 12), "byte %zu: %s", i, pm_status_name(status));
            ck_assert(strstr(err.file, "damaged") && err.offset <= whole.len);
            whole.data[i] ^= (uint8_t)change;
        }
    }
    for (size_t len = 0; len < whole.len; len++) {
        ck_assert_int_eq(read_bytes(whole.data, len), PM_BAD_FORMAT);
        ck_assert(len < 8 || strstr(err.message, "truncated"));
    }
    assert_ok(pm_buf_append(&whole, "x", 1, &err));
    ck_assert_int_eq(read_bytes(whole.data, whole.len), PM_BAD_FORMAT);
    pm_buf_release(&whole);
}
END_TEST

static void put64(pm_buf *to, uint64_t n) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(n >> 8 * i);
    }
    assert_ok(pm_buf_append(to, bytes, 8, &err));
}

/* A frame with right checksum; returns that. */
static uint64_t put_frame(pm_buf *to, const void *payload, size_t len, uint64_t n, uint64_t seed) {
    size_t start = to->len;
    put64(to, len);
    put64(to, n);
    assert_ok(pm_buf_append(to, payload, len, &err));
    uint64_t sum = XXH3_64bits_withSeed(to->data + start, to->len - start, seed);
    put64(to, sum);
    return sum;
}

/* A file with one block, all checksums right. */
static pm_buf make_file(const char *settings, const void *payload, size_t len, uint64_t n, uint64_t sum_of_counts, uint64_t distinct, uint64_t flags) {
    pm_buf file = {0}, totals = {0};
    assert_ok(pm_buf_append(&file, "\x89PMC\r\n\x1A\n\1\0\0\0", 12, &err));
    uint8_t size[4] = {(uint8_t)strlen(settings), 0, 0, 0};
    assert_ok(pm_buf_append(&file, size, 4, &err));
    assert_ok(pm_buf_append(&file, settings, strlen(settings), &err));
    uint64_t sum = pm_hash(file.data, file.len);
    put64(&file, sum);
    if (len) {
        sum = put_frame(&file, payload, len, n, sum);
    }
    put64(&totals, 1);
    put64(&totals, 2);
    put64(&totals, sum_of_counts);
    put64(&totals, distinct);
    put64(&totals, flags);
    put64(&totals, sum);
    put_frame(&file, totals.data, totals.len, 0, sum);
    pm_buf_release(&totals);
    return file;
}

typedef struct bad_case {
    const char *settings, *payload;
    size_t len;
    uint64_t n, words, distinct, flags;
    pm_status status;
    const char *sentence;
} bad_case;

#define PAYLOAD(text) text, sizeof(text) - 1
static const bad_case bad_cases[] = {
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1c\1"), 2, 8, 2, 0, PM_OK, ""},
    {"", PAYLOAD("\0\2ab\7\1\1c\1"), 2, 8, 2, 1, PM_OK, ""},
    {"documents=yes\n", PAYLOAD("\0\2ab\7\2\1\1c\1\1"), 2, 8, 2, 0, PM_OK, ""},
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1c\1"), 2, 9, 2, 0, PM_BAD_FORMAT, "not as many"},
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1c\1"), 2, 8, 3, 0, PM_BAD_FORMAT, "not as many"},
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1c\1"), 2, 8, 2, 2, PM_BAD_VERSION, "later version"},
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1c\1"), 1, 8, 2, 0, PM_BAD_FORMAT, "behind the last word"},
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1c\1"), 9, 8, 2, 0, PM_BAD_FORMAT, "length of a block"},
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1b\1"), 2, 8, 2, 0, PM_BAD_FORMAT, "not in order"}, /* twice the same */
    {"a=1\n", PAYLOAD("\0\2ab\7\1\1a\1"), 2, 8, 2, 0, PM_BAD_FORMAT, "not in order"},
    {"a=1\n", PAYLOAD("\0\2ab\7\0\2ac\1"), 2, 8, 2, 0, PM_BAD_FORMAT, "not in order"}, /* it is, but more is shared than it says */
    {"a=1\n", PAYLOAD("\0\2ab\7\3\1c\1"), 2, 8, 2, 0, PM_BAD_FORMAT, "not coded"},
    {"a=1\n", PAYLOAD("\1\2ab\7\1\1c\1"), 2, 8, 2, 0, PM_BAD_FORMAT, "not coded"}, /* the first shares */
    {"a=1\n", PAYLOAD("\0\2ab\7\2\0\1 "), 2, 8, 2, 0, PM_BAD_FORMAT, "not coded"}, /* nothing follows */
    {"a=1\n", PAYLOAD("\0\0\7 "), 1, 7, 1, 0, PM_BAD_FORMAT, "not coded"},
    {"a=1\n", PAYLOAD("\0\200\1ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "not coded"}, /* 128 bytes */
    {"a=1\n", PAYLOAD("\0\202\0ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "not coded"}, /* 2 in two bytes */
    {"a=1\n", PAYLOAD("\0\2ab\0"), 1, 0, 1, 0, PM_BAD_FORMAT, "count is not coded"},
    {"a=1\n", PAYLOAD("\0\2ab\377\377\377\377\377\377\377\377\377\1"), 1, UINT64_MAX, 1, 0, PM_OK, ""},
    {"a=1\n", PAYLOAD("\0\2ab\377\377\377\377\377\377\377\377\377\1\1\1c\1"), 2, 0, 2, 0, PM_BAD_FORMAT, "count is not coded"}, /* above 2^64 in sum */
    {"a=1\n", PAYLOAD("\0\2ab\377\377\377\377\377\377\377\377\377\2"), 1, UINT64_MAX, 1, 0, PM_BAD_FORMAT, "count is not coded"},
    {"a=1\n", PAYLOAD("\0\2ab\377\377\377\377\377\377\377\377\377\201\0"), 1, UINT64_MAX, 1, 0, PM_BAD_FORMAT, "count is not coded"},
    {"documents=yes\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "count is not coded"},
    {"documents=yes\n", PAYLOAD("\0\2ab\7\0"), 1, 7, 1, 0, PM_BAD_FORMAT, "count is not coded"},
    {"a=1", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "key=value"},
    {"a\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "key=value"},
    {"=1\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "key=value"},
    {"\ta=1\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "key=value"},
    {"a=1\n\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0, PM_BAD_FORMAT, "key=value"},
};

/* Right checksums are no reason to believe what a file says. */
START_TEST(wrong_content_under_right_checksums) {
    for (size_t i = 0; i < sizeof bad_cases / sizeof *bad_cases; i++) {
        const bad_case *c = &bad_cases[i];
        pm_buf file = make_file(c->settings, c->payload, c->len, c->n, c->words, c->distinct, c->flags);
        pm_status status = read_bytes(file.data, file.len);
        ck_assert_msg(status == c->status, "case %zu: %s instead of %s (%s)", i, pm_status_name(status), pm_status_name(c->status), err.message);
        ck_assert_msg(status == PM_OK || strstr(err.message, c->sentence), "case %zu: '%s' does not hold '%s'", i, err.message, c->sentence);
        pm_buf_release(&file);
    }
}
END_TEST

START_TEST(what_is_no_count_file) {
    pm_count_reader r;
    assert_fails(pm_count_reader_open(&r, temporary_path("counts-not-there"), &err), PM_NOT_FOUND, "cannot open");
    assert_fails(pm_count_reader_open(&r, "/", &err), PM_IO, "is a folder");
    assert_fails(pm_count_reader_open(&r, "/dev/null", &err), PM_IO, "pipe or device");
    const char *path = temporary_path("counts-pipe");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_fails(pm_count_reader_open(&r, path, &err), PM_IO, "pipe or device");
    assert_fails(read_bytes("", 0), PM_BAD_FORMAT, "not a count file");
    assert_fails(read_bytes("hello, world, this is text", 26), PM_BAD_FORMAT, "not a count file");
    pm_buf file = make_file("a=1\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0);
    file.data[8] = 2;
    assert_fails(read_bytes(file.data, file.len), PM_BAD_VERSION, "version 2");
    ck_assert_uint_eq(err.offset, 8);
    pm_buf_release(&file);
}
END_TEST

START_TEST(other_settings_refuse_to_merge) {
    pm_buf a = make_file("algorithm=bpe\npattern=gpt2\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0);
    pm_buf b = make_file("algorithm=bpe\npattern=o200k_base\n", PAYLOAD("\0\2ab\7"), 1, 7, 1, 0);
    const char *x = path_of(0), *y = path_of(1);
    ck_assert_ptr_nonnull(temporary_file("counts-0", a.data, a.len));
    ck_assert_ptr_nonnull(temporary_file("counts-1", b.data, b.len));
    pm_count_work work = work_of(1, UINT64_MAX);
    pm_count_totals totals;
    assert_fails(pm_count_files_merge(path_of(10), (const char *[]){x, y}, 2, &totals, &work, &err), PM_INVALID_ARGUMENT, "pattern is 'o200k_base' here and 'gpt2' in ");
    ck_assert_str_eq(err.file, y);
    ck_assert_int_ne(access(path_of(10), F_OK), 0);
    pm_buf_release(&a);
    pm_buf_release(&b);
}
END_TEST

static int stop_at_merge(void *user, const pm_progress *p) {
    (void)user;
    return strcmp(p->phase, "merge words") == 0;
}

START_TEST(cancelling_leaves_nothing) {
    static words w;
    uint64_t state = 3;
    make_words(&w, &state, 600, false);
    pm_store *store = store_of(&w, 0, w.n, false, UINT64_MAX, 1);
    pm_count_totals totals = {0};
    pm_count_work work = work_of(2, 0);
    pm_ticker_init(&ticker, stop_at_merge, NULL, 0);
    assert_fails(pm_count_store_write(store, path_of(11), plain, &totals, &work, &err), PM_CANCELLED, "merge words");
    ck_assert_int_ne(access(path_of(11), F_OK), 0);
    pm_store_free(store);
}
END_TEST

Suite *suite_counts(void);
Suite *suite_counts(void) {
    Suite *s = suite_create("counts");
    TCase *t = tcase_create("counts");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_store_becomes_a_sorted_file);
    tcase_add_test(t, more_runs_than_are_merged_at_once);
    tcase_add_test(t, runs_are_joined_before_they_are_too_many);
    tcase_add_test(t, words_of_a_megabyte_and_of_nothing_but_zeros);
    tcase_add_test(t, merging_is_associative_and_commutative);
    tcase_add_test(t, merging_more_files_than_are_merged_at_once);
    tcase_add_test(t, files_and_stores_become_filtered_stores);
    tcase_add_test(t, counts_beyond_what_is_sane_are_refused);
    tcase_add_test(t, settings_are_lines_and_the_first_that_differs_is_named);
    tcase_add_test(t, the_example_of_the_description);
    tcase_add_test(t, training_from_counts_is_training_from_text);
    tcase_add_test(t, counts_of_two_to_the_sixtieth);
    tcase_add_test(t, counts_are_read_word_by_word);
    tcase_add_test(t, wrong_calls_are_refused);
    tcase_add_test(t, counts_of_another_unicode_are_refused);
    tcase_add_test(t, no_change_goes_unnoticed);
    tcase_add_test(t, wrong_content_under_right_checksums);
    tcase_add_test(t, what_is_no_count_file);
    tcase_add_test(t, other_settings_refuse_to_merge);
    tcase_add_test(t, cancelling_leaves_nothing);
    suite_add_tcase(s, t);
    return s;
}
