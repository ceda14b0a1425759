/* test_filter.c - which documents of a corpus are taken, what is told of them, and files that change meanwhile. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corpus/corpus.h"
#include "corpus/once.h"
#include "support.h"
#include "text/script.h"
#include "text/utf8.h"

#ifdef PM_HAVE_ZLIB
#include <zlib.h>
#endif

/* ---------------------------------------------------------------- reading ---- */

/* All documents that a corpus gives, one behind the other; the corpus is at its end. */
static pm_block read_all(pm_corpus *corpus, size_t want) {
    pm_error err = {0};
    pm_block all = {0}, block = {0};
    do {
        assert_ok(pm_corpus_fill(corpus, &block, want, &err));
        for (size_t i = 0; i < block.n; i++) {
            size_t begin = i ? block.ends[i - 1] : 0;
            assert_ok(pm_buf_append(&all.text, block.text.data + begin, block.ends[i] - begin, &err));
            assert_ok(pm_grow((void **)&all.ends, &all.cap, all.n + 1, sizeof *all.ends, &err));
            all.ends[all.n++] = all.text.len;
        }
        ck_assert(block.n == 0 || block.text.len == block.ends[block.n - 1]);
    } while (block.n);
    pm_block_release(&block);
    return all;
}

static pm_bytes document(const pm_block *all, size_t i) {
    size_t begin = i ? all->ends[i - 1] : 0;
    return (pm_bytes){all->text.data ? all->text.data + begin : NULL, all->ends[i] - begin};
}

static bool equal(pm_bytes a, pm_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void assert_same(const pm_block *a, const pm_block *b) {
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        ck_assert(equal(document(a, i), document(b, i)));
    }
}

static pm_corpus *open_files(const char *const *names, size_t n, const pm_corpus_options *options) {
    pm_error err = {0};
    pm_corpus *corpus;
    assert_ok(pm_corpus_new(&corpus, options, &err));
    for (size_t i = 0; i < n; i++) {
        assert_ok(pm_corpus_add_file(corpus, temporary_path(names[i]), &err));
    }
    return corpus;
}

static pm_block read_files(const char *const *names, size_t n, const pm_corpus_options *options, size_t want) {
    pm_corpus *corpus = open_files(names, n, options);
    pm_block all = read_all(corpus, want);
    pm_corpus_free(corpus);
    return all;
}

/* n lines, of which many are equal; some are empty. */
static void write_lines(const char *name, uint64_t seed, size_t n, unsigned different) {
    pm_buf text = {0};
    for (size_t i = 0; i < n; i++) {
        uint64_t w = random_word(&seed) % different;
        ck_assert(w ? pm_buf_printf(&text, NULL, "line %llx %.*s\n", (unsigned long long)w, (int)(w % 40),
                                    "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd") == PM_OK
                    : pm_buf_append(&text, "\n", 1, NULL) == PM_OK);
    }
    temporary_file(name, text.data, text.len);
    pm_buf_release(&text);
}

static const char *const three[] = {"f1.txt", "f2.txt", "f3.txt"};

static void write_three(unsigned different) {
    write_lines(three[0], 1, 700, different);
    write_lines(three[1], 2, 1, different);
    write_lines(three[2], 3, 400, different);
}

/* ---------------------------------------------------------------- duplicates ---- */

/* The obvious twin: of all documents those that equal none before. */
static pm_block oracle_first_ones(const pm_block *all) {
    pm_block first = {0};
    for (size_t i = 0; i < all->n; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = equal(document(all, i), document(all, k));
        }
        if (!seen) {
            pm_bytes d = document(all, i);
            ck_assert(pm_buf_append(&first.text, d.data, d.len, NULL) == PM_OK);
            ck_assert(pm_grow((void **)&first.ends, &first.cap, first.n + 1, sizeof *first.ends, NULL) == PM_OK);
            first.ends[first.n++] = first.text.len;
        }
    }
    return first;
}

START_TEST(duplicates_are_taken_once_whatever_the_blocks) {
    static const unsigned different[] = {1, 2, 100, 100000};
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    write_three(different[_i]);
    pm_block all = read_files(three, 3, NULL, 0), first = oracle_first_ones(&all);
    options.remove_duplicates = true;
    ck_assert_uint_eq(all.n, 1101);
    for (size_t want = 1; want < 100000; want += 1 + want / 2) {
        pm_corpus *corpus = open_files(three, 3, &options);
        pm_block taken = read_all(corpus, want);
        pm_source_report row;
        uint64_t read = 0, kept = 0, bytes = 0, kept_bytes = 0, duplicates = 0;
        assert_same(&taken, &first);
        for (size_t i = 0; pm_corpus_source(corpus, i, &row); i++) {
            ck_assert_str_eq(row.name, temporary_path(three[i]));
            read += row.documents;
            bytes += row.bytes;
            kept += row.taken_documents;
            kept_bytes += row.taken_bytes;
            duplicates += row.duplicates;
        }
        ck_assert_uint_eq(read, all.n);
        ck_assert_uint_eq(bytes, all.text.len);
        ck_assert_uint_eq(kept, first.n);
        ck_assert_uint_eq(kept_bytes, first.text.len);
        ck_assert_uint_eq(duplicates, all.n - first.n);
        pm_block_release(&taken);
        pm_corpus_free(corpus);
    }
    pm_block_release(&all);
    pm_block_release(&first);
}
END_TEST

/* Hashes that come once, twice and often, in a set that may take little memory: as one without a bound says. */
START_TEST(a_set_on_disk_is_one) {
    static const uint64_t bounds[] = {20000, 100000, 300000, 2000000};
    pm_once set = {.most = bounds[_i]}, unbound = {0};
    pm_error err = {0};
    uint64_t state = 3, n = quick() ? 30000 : 150000, found = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t which = random_word(&state), number = which & 64 ? i : which % (i + 1) >> which % 20;
        XXH128_hash_t hash = {pm_hash_word(number), pm_hash_word(~number)};
        bool added, wanted;
        if (number % 100 == 7) { /* equal in what pages are found by */
            hash = (XXH128_hash_t){number % 8, (UINT64_C(5) << 61) + number};
        }
        pm_once_prefetch(&set, hash);
        assert_ok(pm_once_add(&unbound, hash, &wanted, &err));
        assert_ok(pm_once_add(&set, hash, &added, &err));
        ck_assert_msg(added == wanted, "%llu", (unsigned long long)i);
        found += !added;
    }
    ck_assert_uint_eq(set.n, unbound.n);
    ck_assert_uint_gt(found, n / 10);
    ck_assert(set.runs || bounds[_i] == 2000000);
    ck_assert(set.bytes <= set.most / 2 || set.bytes == 8 * 4096);
    pm_once_release(&set);
    pm_once_release(&unbound);
    ck_assert(!set.runs);
}
END_TEST

START_TEST(a_set_on_disk_needs_memory_too) {
    pm_once set = {.most = 1};
    pm_error err = {0};
    uint64_t state = 1;
    pm_status status = PM_OK;
    bool added;
    for (int i = 0; status == PM_OK && i < 3000; i++) {
        status = pm_once_add(&set, (XXH128_hash_t){random_word(&state), random_word(&state)}, &added, &err);
    }
    assert_fails(status, PM_LIMIT, "memory_limit is too small for remove_duplicates: what tells where the hashes of more than");
    pm_once_release(&set);
    set = (pm_once){.most = 1, .tmpdir = "/nowhere"};
    for (status = PM_OK; status == PM_OK;) {
        status = pm_once_add(&set, (XXH128_hash_t){random_word(&state), random_word(&state)}, &added, &err);
    }
    assert_fails(status, PM_NOT_FOUND, "No such file");
    pm_once_release(&set);
}
END_TEST

START_TEST(the_set_of_hashes_is_one) {
    pm_once set = {0};
    pm_error err = {0};
    uint64_t state = 1;
    enum { N = 200000 };
    for (int round = 0; round < 2; round++) {
        state = 1;
        for (uint64_t i = 0; i < N; i++) { /* hashes that differ in one half only, and that of zeros */
            bool added;
            XXH128_hash_t hash = {i <= 3 && i % 3 == 0 ? i / 3 : random_word(&state), i % 3 == 1 ? i / 3
                                                                                      : i % 3 == 0
                                                                                          ? 0
                                                                                          : random_word(&state)};
            assert_ok(pm_once_add(&set, hash, &added, &err));
            ck_assert_msg(added == (round == 0 && i != 3), "%d %d", round,
                          (int)i); /* 3: 0 and 1, which stands for 0 and 0 */
        }
        ck_assert_uint_eq(set.n, N - 1);
    }
    ck_assert_uint_lt(set.bytes, 90 * N); /* what is put in above is far from evenly spread */
    pm_once_release(&set);
    ck_assert_uint_eq(set.bytes, 0);
    pm_once_release(&set);
}
END_TEST

START_TEST(hashes_go_to_disk) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_error err = {0};
    pm_block block = {0};
    write_lines("many.txt", 9, 6000, 20000);
    write_lines("more.txt", 11, 3000, 30000);
    static const char *const names[] = {"many.txt", "more.txt", "many.txt"};
    options.remove_duplicates = true;
    pm_block wanted = read_files(names, 3, &options, 0);
    pm_corpus *corpus = open_files(names, 3, &options);
    pm_corpus_limit_hashes(corpus, 20000, NULL);
    pm_block taken = read_all(corpus, 0);
    assert_same(&taken, &wanted);
    pm_corpus_free(corpus);
    corpus = open_files(names, 3, &options);
    pm_corpus_limit_hashes(corpus, 20000, "/nowhere");
    assert_fails(pm_corpus_fill(corpus, &block, 0, &err), PM_NOT_FOUND, "No such file");
    ck_assert_uint_eq(block.n, 0);
    assert_fails(pm_corpus_fill(corpus, &block, 0, &err), PM_NOT_FOUND, "No such file");
    pm_block_release(&block);
    pm_block_release(&taken);
    pm_block_release(&wanted);
    pm_corpus_free(corpus);
}
END_TEST

/* ---------------------------------------------------------------- samples ---- */

static bool holds(const pm_block *all, pm_bytes text) {
    for (size_t i = 0; i < all->n; i++) {
        if (equal(document(all, i), text)) {
            return true;
        }
    }
    return false;
}

/* What is taken is a matter of the text and the seed alone. */
START_TEST(a_sample_does_not_depend_on_what_stands_beside) {
    static const char *const turned[] = {"f3.txt", "f1.txt", "f2.txt"};
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    write_three(2000);
    pm_block all = read_files(three, 3, NULL, 0);
    options.sample_ppm = 250000;
    options.seed = (uint64_t)_i;
    pm_block taken = read_files(three, 3, &options, 0);
    ck_assert_uint_gt(taken.n, 1101 / 4 - 120);
    ck_assert_uint_lt(taken.n, 1101 / 4 + 120);
    size_t at = 0; /* in order, and equal texts together */
    for (size_t i = 0; i < all.n; i++) {
        bool is_taken = holds(&taken, document(&all, i));
        ck_assert(!is_taken || equal(document(&taken, at), document(&all, i)));
        at += is_taken;
    }
    ck_assert_uint_eq(at, taken.n);
    for (size_t want = 1; want < 100000; want += 1 + want) {
        pm_block again = read_files(three, 3, &options, want), other = read_files(turned, 3, &options, want);
        assert_same(&again, &taken);
        ck_assert_uint_eq(other.n, taken.n);
        for (size_t i = 0; i < other.n; i++) {
            ck_assert(holds(&taken, document(&other, i)));
        }
        pm_block_release(&again);
        pm_block_release(&other);
    }
    options.remove_duplicates = true; /* in either order the same */
    pm_block once = read_files(three, 3, &options, 0), first = oracle_first_ones(&taken);
    assert_same(&once, &first);
    options.remove_duplicates = false;
    options.sample_ppm = 500000; /* a larger one holds it */
    pm_block more = read_files(three, 3, &options, 0);
    ck_assert_uint_gt(more.n, taken.n);
    for (size_t i = 0; i < taken.n; i++) {
        ck_assert(holds(&more, document(&taken, i)));
    }
    options.seed += 100; /* another seed, another sample */
    pm_block another = read_files(three, 3, &options, 0);
    size_t common = 0;
    for (size_t i = 0; i < more.n; i++) {
        common += holds(&another, document(&more, i));
    }
    ck_assert_uint_lt(common, more.n * 3 / 4);
    pm_block_release(&all);
    pm_block_release(&taken);
    pm_block_release(&once);
    pm_block_release(&first);
    pm_block_release(&more);
    pm_block_release(&another);
}
END_TEST

START_TEST(shares_at_their_ends) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_error err = {0};
    pm_corpus *corpus;
    write_three(100000);
    pm_block all = read_files(three, 3, NULL, 0);
    options.sample_ppm = 1000000;
    pm_block whole = read_files(three, 3, &options, 0);
    assert_same(&whole, &all);
    options.sample_ppm = 1;
    pm_block least = read_files(three, 3, &options, 0);
    ck_assert_uint_le(least.n, 1);
    options.sample_ppm = 1000001;
    assert_fails(pm_corpus_new(&corpus, &options, &err), PM_INVALID_ARGUMENT, "1000001 documents of a million");
    options.sample_ppm = 1;
    options.sample_bytes = 1;
    assert_fails(pm_corpus_new(&corpus, &options, &err), PM_INVALID_ARGUMENT, "not both");
    pm_block_release(&all);
    pm_block_release(&whole);
    pm_block_release(&least);
}
END_TEST

static void write_jsonl(const char *name, const pm_block *all) {
    pm_buf text = {0};
    for (size_t i = 0; i < all->n; i++) {
        pm_bytes d = document(all, i);
        ck_assert(pm_buf_printf(&text, NULL, "{\"about\": \"something that is not counted\", \"text\": \"%.*s\\n\"}\n",
                                (int)(d.len - 1), (const char *)d.data) == PM_OK);
    }
    temporary_file(name, text.data, text.len);
    pm_buf_release(&text);
}

static void write_gzip(const char *name, pm_bytes text) {
#ifdef PM_HAVE_ZLIB
    gzFile file = gzopen(temporary_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(gzwrite(file, text.data, (unsigned)text.len), (int)text.len);
    gzclose(file);
#else
    temporary_file(name, text.data, text.len);
#endif
}

/* A number of bytes is a share of the text, as it lies in the documents: the same lines in other wrappings give the
 * same sample. */
START_TEST(a_sample_in_bytes_measures_the_text) {
    static const char *const plain[] = {"f1.txt", "f3.txt"}, *const wrapped[] = {"f1.jsonl", "f3.bin"};
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    write_three(1000);
    pm_block one = read_files(plain, 1, NULL, 0), two = read_files(plain + 1, 1, NULL, 0);
    write_jsonl("f1.jsonl", &one);
    write_gzip("f3.bin", (pm_bytes){two.text.data, two.text.len});
    uint64_t total = one.text.len + two.text.len;
    for (uint64_t bytes = 1; bytes < 2 * total; bytes += 1 + bytes * 2) {
        options.sample_bytes = bytes;
        pm_block a = read_files(plain, 2, &options, 0), b = read_files(wrapped, 2, &options, 0);
        assert_same(&a, &b);
        if (bytes >= total) {
            ck_assert_uint_eq(a.text.len, total);
        } else if (bytes > total / 8) {
            ck_assert_uint_gt(a.text.len, bytes - total / 10);
            ck_assert_uint_lt(a.text.len, bytes + total / 10);
        }
        pm_block_release(&a);
        pm_block_release(&b);
    }
    pm_corpus *corpus = open_files(wrapped, 2, &options); /* reading is told from the beginning again */
    uint64_t done;
    pm_source_report row;
    pm_block a = read_all(corpus, 0);
    pm_corpus_position(corpus, &done, NULL);
    pm_buf raw[2] = {read_file(temporary_path("f1.jsonl")), read_file(temporary_path("f3.bin"))};
    ck_assert_uint_eq(done, raw[0].len + raw[1].len);
    pm_buf_release(&raw[0]);
    pm_buf_release(&raw[1]);
    ck_assert(pm_corpus_source(corpus, 1, &row));
    ck_assert_uint_eq(row.bytes, two.text.len);
    pm_corpus_free(corpus);
    pm_block_release(&a);
    pm_block_release(&one);
    pm_block_release(&two);
}
END_TEST

static int give_nothing(void *user, pm_bytes *out) {
    (void)user;
    (void)out;
    return 0;
}

START_TEST(a_sample_in_bytes_needs_two_readings) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_error err = {0};
    pm_corpus *corpus;
    pm_block block = {0};
    options.sample_bytes = 100;
    assert_ok(pm_corpus_new(&corpus, &options, &err));
    assert_ok(pm_corpus_add_callback(corpus, give_nothing, NULL, &err));
    assert_fails(pm_corpus_fill(corpus, &block, 0, &err), PM_INVALID_ARGUMENT, "can be read twice");
    ck_assert_str_eq(err.file, "callback");
    pm_corpus_free(corpus);
    assert_ok(pm_corpus_new(&corpus, &options, &err));
    ck_assert_int_eq(mkfifo(temporary_path("pipe.txt"), 0600), 0);
    int end = open(temporary_path("pipe.txt"), O_RDWR | O_CLOEXEC);
    assert_ok(pm_corpus_add_file(corpus, temporary_path("pipe.txt"), &err));
    assert_fails(pm_corpus_fill(corpus, &block, 0, &err), PM_INVALID_ARGUMENT, "can be read twice");
    ck_assert_str_eq(err.file, temporary_path("pipe.txt"));
    close(end);
    pm_corpus_free(corpus);
    assert_ok(pm_corpus_new(&corpus, &options, &err)); /* nothing at all */
    assert_ok(pm_corpus_fill(corpus, &block, 0, &err));
    ck_assert_uint_eq(block.n, 0);
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){NULL, 0}, &err));
    pm_corpus_free(corpus);
    pm_block_release(&block);
}
END_TEST

static int cancel_at_third(void *user, const pm_progress *now) {
    int *calls = user;
    (void)now;
    return ++*calls == 3;
}

/* A million documents are read for a block that none of them fills: the ticker is asked all the same. */
START_TEST(a_small_sample_can_be_cancelled) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_error err = {0};
    pm_block block = {0};
    pm_ticker ticker;
    int calls = 0;
    write_lines("many.txt", 1, 100000, 1000000);
    options.sample_ppm = 1;
    const char *name = "many.txt";
    pm_corpus *corpus = open_files(&name, 1, &options);
    pm_ticker_init(&ticker, cancel_at_third, &calls, 0);
    assert_ok(pm_ticker_phase(&ticker, "count", "bytes", 0, &err));
    ticker.last = -1e9; /* it is long ago that it was asked */
    assert_ok(pm_ticker_poll(&ticker, 0, &err));
    ticker.last = -1e9;
    pm_corpus_watch(corpus, &ticker);
    assert_fails(pm_corpus_fill(corpus, &block, 4096, &err), PM_CANCELLED, "cancelled");
    ck_assert_int_eq(calls, 3);
    pm_corpus_watch(corpus, NULL);
    pm_corpus_free(corpus);
    pm_block_release(&block);
}
END_TEST

/* ---------------------------------------------------------------- what is told ---- */

static void assert_settings(const pm_corpus_options *options, const char *words) {
    pm_error err = {0};
    pm_corpus *corpus;
    pm_buf out = {0};
    assert_ok(pm_corpus_new(&corpus, options, &err));
    assert_ok(pm_corpus_settings(corpus, &out, &err));
    ck_assert_uint_eq(out.len, strlen(words));
    ck_assert_mem_eq(out.data, words, out.len);
    pm_buf_release(&out);
    pm_corpus_free(corpus);
}

START_TEST(settings_tell_what_is_taken) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    options.seed = 7; /* says nothing without a sample */
    assert_settings(&options, "split=line\n");
    options.split = PM_SPLIT_PARAGRAPH;
    options.sample_ppm = 125000;
    assert_settings(&options, "split=paragraph\nsample=125000 of 1000000\nseed=7\n");
    options.sample_ppm = 0;
    options.sample_bytes = 5000000000;
    options.remove_duplicates = true;
    assert_settings(&options, "split=paragraph\nsample=5000000000 bytes\nseed=7\nremove_duplicates=true\n");
}
END_TEST

START_TEST(rows_are_those_of_the_sources) {
    pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
    pm_error err = {0};
    pm_corpus *corpus;
    pm_source_report row;
    options.count_scripts = true;
    assert_ok(pm_corpus_new(&corpus, &options, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)"one", 3}, &err));
    assert_ok(pm_corpus_add_file_weighted(corpus, temporary_file("r.txt", "x 1\n\xE4\xB8\xAD\n\xFF", 9), 5, &err));
    assert_ok(pm_corpus_add_document(corpus, (pm_bytes){(const uint8_t *)"three", 5}, &err));
    assert_ok(pm_corpus_add_callback(corpus, give_nothing, NULL, &err));
    ck_assert_uint_eq(pm_corpus_scripts(corpus)[1], 0);
    pm_block all = read_all(corpus, 0);
    ck_assert(pm_corpus_source(corpus, 0, &row));
    ck_assert_str_eq(row.name, "documents in memory");
    ck_assert_uint_eq(row.documents, 2);
    ck_assert_uint_eq(row.bytes, 8);
    ck_assert(pm_corpus_source(corpus, 1, &row));
    ck_assert_str_eq(row.name, temporary_path("r.txt"));
    ck_assert_uint_eq(row.weight, 5);
    ck_assert_uint_eq(row.taken_documents, 3);
    ck_assert_uint_eq(row.taken_bytes, 9);
    ck_assert(pm_corpus_source(corpus, 2, &row));
    ck_assert_str_eq(row.name, "callback");
    ck_assert_uint_eq(row.documents, 0);
    ck_assert(!pm_corpus_source(corpus, 3, &row));
    uint64_t known = 0;
    for (unsigned s = 0; s < PM_SCRIPTS_MAX; s++) {
        uint64_t bytes = pm_corpus_scripts(corpus)[s];
        const char *name = pm_script_name(s);
        known += bytes;
        ck_assert(bytes == 0 || name);
        ck_assert_uint_eq(bytes, !name                            ? 0
                                 : strcmp(name, "Latin") == 0     ? 9 /* one, three, x */
                                 : strcmp(name, "Han") == 0       ? 3
                                 : strcmp(name, "Common") == 0    ? 4
                                 : strcmp(name, "not UTF-8") == 0 ? 1
                                                                  : 0);
    }
    ck_assert_uint_eq(known, 17);
    pm_block_release(&all);
    pm_corpus_free(corpus);
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    ck_assert_ptr_null(pm_corpus_scripts(corpus));
    pm_corpus_free(corpus);
}
END_TEST

/* ---------------------------------------------------------------- scripts ---- */

static void oracle_scripts(pm_bytes text, uint64_t bytes[PM_SCRIPTS_MAX]) {
    for (const uint8_t *p = text.data; p < text.data + text.len;) {
        unsigned len;
        uint32_t cp = pm_utf8_read(p, text.data + text.len, &len);
        bytes[len == 1 && *p >= 0x80 ? 0 : pm_script(cp)] += len;
        p += len;
    }
}

START_TEST(scripts_are_counted_as_by_their_twin) {
    static const char *const parts[] = {"a",
                                        "Zz09",
                                        " \n",
                                        "@[`{",
                                        "\xE4\xB8\xAD",
                                        "\xE5\x80\x80",
                                        "\xE9\xBF\xBF",
                                        "\xE5\x80",
                                        "\xE9",
                                        "\xC3\xA9",
                                        "\xD0\xB6",
                                        "\xE3\x81\x82",
                                        "\xE3\x83\xBC",
                                        "\xED\x95\x9C",
                                        "\xF0\xA0\x80\x80",
                                        "\xF0\x9F\x98\x80",
                                        "\xFF",
                                        "\xCC\x81",
                                        "abcdefghijklmnopqrstuvwxyz",
                                        "\xEF\xBF\xBD",
                                        "\xF4\x8F\xBF\xBF"};
    uint64_t state = 5;
    for (int round = 0; round < 3000; round++) {
        uint8_t text[600];
        size_t len = 0, few = 1 + random_word(&state) % (sizeof parts / sizeof *parts);
        for (size_t n = random_word(&state) % 20; n > 0; n--) {
            const char *part = parts[random_word(&state) % few];
            memcpy(text + len, part, strlen(part));
            len += strlen(part);
        }
        if (round % 4 == 0) {
            len = random_word(&state) % 100;
            for (size_t i = 0; i < len; i++) {
                text[i] = (uint8_t)random_word(&state);
            }
        }
        uint64_t got[PM_SCRIPTS_MAX] = {0}, wanted[PM_SCRIPTS_MAX] = {0};
        pm_text_scripts((pm_bytes){text, len}, got);
        oracle_scripts((pm_bytes){text, len}, wanted);
        ck_assert_mem_eq(got, wanted, sizeof got);
    }
    uint64_t none[PM_SCRIPTS_MAX] = {0};
    pm_text_scripts((pm_bytes){NULL, 0}, none);
    ck_assert_uint_eq(none[0], 0);
    for (unsigned byte = 0; byte < 256; byte++) { /* each at each place of a word */
        for (int at = 0; at < 9; at++) {
            uint8_t text[9] = "zzzzzzzz";
            text[at] = (uint8_t)byte;
            uint64_t got[PM_SCRIPTS_MAX] = {0}, wanted[PM_SCRIPTS_MAX] = {0};
            pm_text_scripts((pm_bytes){text, 9}, got);
            oracle_scripts((pm_bytes){text, 9}, wanted);
            ck_assert_mem_eq(got, wanted, sizeof got);
        }
    }
}
END_TEST

START_TEST(characters_have_the_script_of_unicode) {
    static const struct {
        uint32_t cp;
        const char *name;
    } cases[] = {{0, "Common"},         {'A', "Latin"},        {'Z', "Latin"},         {'[', "Common"},
                 {'z', "Latin"},        {'{', "Common"},       {0xAA, "Latin"},        {0xD7, "Common"},
                 {0xE9, "Latin"},       {0x301, "Inherited"},  {0x3B1, "Greek"},       {0x436, "Cyrillic"},
                 {0x531, "Armenian"},   {0x5D0, "Hebrew"},     {0x628, "Arabic"},      {0x60C, "Common"},
                 {0x905, "Devanagari"}, {0xE01, "Thai"},       {0x378, "Unknown"},     {0x10D0, "Georgian"},
                 {0x1100, "Hangul"},    {0x200D, "Inherited"}, {0x2E80, "Han"},        {0x3005, "Han"},
                 {0x3042, "Hiragana"},  {0x30A2, "Katakana"},  {0x30FC, "Common"},     {0x3105, "Bopomofo"},
                 {0x3400, "Han"},       {0x4DC0, "Common"},    {0x4E00, "Han"},        {0x5000, "Han"},
                 {0x9FFF, "Han"},       {0xAC00, "Hangul"},    {0xD7A4, "Unknown"},    {0xD800, "Unknown"},
                 {0xE000, "Unknown"},   {0xFF21, "Latin"},     {0xFF71, "Katakana"},   {0x1F600, "Common"},
                 {0x20000, "Han"},      {0x2A6E0, "Unknown"},  {0x16D40, "Kirat_Rai"}, {0xE0100, "Inherited"},
                 {0x10FFFF, "Unknown"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(strcmp(pm_script_name(pm_script(cases[i].cp)), cases[i].name) == 0, "U+%04X: %s", cases[i].cp,
                      pm_script_name(pm_script(cases[i].cp)));
    }
    unsigned n = 0;
    while (pm_script_name(n)) {
        n++;
    }
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        ck_assert(pm_script(cp) > 0 && pm_script(cp) < n);
    }
    for (uint32_t cp = 0x5000; cp < 0xA000; cp++) { /* what the fast way relies on */
        ck_assert_uint_eq(pm_script(cp), pm_script(0x4E00));
    }
}
END_TEST

/* ---------------------------------------------------------------- files that change ---- */

enum { CHANGING = 3000000 };

static void write_at(const char *path, int flags, off_t at, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, text, strlen(text), at), (int)strlen(text));
    close(fd);
}

/* Moves the time of the last change on, however coarse the file system's clock is. */
static void age(const char *path, long seconds) {
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    struct timespec times[2] = {info.st_mtim, info.st_mtim};
    times[1].tv_sec += seconds;
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void change(const char *path, int how) {
    switch (how) {
    case 0: write_at(path, 0, CHANGING, "more\n"); break;             /* grows */
    case 1: ck_assert_int_eq(truncate(path, CHANGING / 2), 0); break; /* shrinks */
    case 2: ck_assert_int_eq(truncate(path, 10), 0); break;           /* to less than what was read */
    case 3:
        write_at(path, 0, CHANGING - 9, "other");
        age(path, 1);
        break;                     /* the same size */
    default: age(path, -1); break; /* touched */
    }
}

/* At any time between adding it and having read its end. */
START_TEST(a_file_that_changes_is_an_error) {
    char *text = malloc(CHANGING);
    char path[512];
    memset(text, 'x', CHANGING);
    for (size_t i = 99; i < CHANGING; i += 100) {
        text[i] = '\n';
    }
    for (int how = 0; how < 5; how++) {
        for (size_t blocks = 0; blocks < 4; blocks++) { /* read before the change */
            pm_error err = {0};
            pm_corpus *corpus;
            pm_block block = {0};
            strcpy(path, temporary_file("changing.txt", text, CHANGING));
            assert_ok(pm_corpus_new(&corpus, NULL, &err));
            assert_ok(pm_corpus_add_file(corpus, path, &err));
            for (size_t i = 0; i < blocks; i++) {
                assert_ok(pm_corpus_fill(corpus, &block, 500000, &err));
                ck_assert_uint_gt(block.n, 0);
            }
            change(path, how);
            pm_status status;
            do {
                status = pm_corpus_fill(corpus, &block, 500000, &err);
            } while (status == PM_OK && block.n);
            assert_fails(status, PM_BAD_INPUT, "was changed while the corpus was read");
            ck_assert_str_eq(err.file, path);
            pm_block_release(&block);
            pm_corpus_free(corpus);
        }
    }
    free(text);
}
END_TEST

START_TEST(a_file_that_was_replaced_is_an_error_or_read_on) {
    char path[512], other[512];
    pm_error err = {0};
    pm_block block = {0};
    pm_corpus *corpus;
    const pm_bytes *docs;
    size_t n;
    strcpy(other, temporary_file("other.txt", "aaaa\nbbbb\n", 10));
    strcpy(path, temporary_file("replaced.txt", "aaaa\nbbbb\n", 10));
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_file(corpus, path, &err));
    ck_assert_int_eq(rename(other, path), 0); /* not yet opened: another file, even if it looks the same */
    assert_fails(pm_corpus_fill(corpus, &block, 0, &err), PM_BAD_INPUT, "was changed");
    pm_corpus_free(corpus);

    assert_ok(pm_corpus_new(&corpus, NULL, &err)); /* once it is open, what was under the name is read to its end */
    assert_ok(pm_corpus_add_file(corpus, path, &err));
    assert_ok(pm_corpus_read(corpus, 1, &docs, &n, &err));
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(unlink(path), 0);
    assert_ok(pm_corpus_read(corpus, 0, &docs, &n, &err));
    ck_assert_uint_eq(n, 1);
    pm_corpus_free(corpus);
    pm_block_release(&block);
}
END_TEST

/* ---------------------------------------------------------------- memory ---- */

static int memory_countdown;
static bool refuse_at_countdown(void) { return memory_countdown-- != 0; }

START_TEST(every_allocation_may_fail) {
    char paths[2][512];
    pm_block some = {0};
    write_lines("m1.txt", 1, 300, 200);
    strcpy(paths[0], temporary_path("m1.txt"));
    assert_same(&some, &some);
    strcpy(paths[1], temporary_file("m2.jsonl", "{\"text\":\"a\"}\n{\"text\":\"a\"}\n", 26));
    bool done = false;
    for (int nth = 0; !done; nth++) {
        pm_error err = {0};
        pm_corpus *corpus = NULL;
        pm_corpus_options options = PM_CORPUS_OPTIONS_INIT;
        pm_buf settings = {0};
        const pm_bytes *docs;
        size_t n = 1;
        options.sample_bytes = 100000;
        options.remove_duplicates = true;
        options.count_scripts = true;
        memory_countdown = nth;
        pm_alloc_test_hook = refuse_at_countdown;
        pm_status status = pm_corpus_new(&corpus, &options, &err);
        for (int i = 0; i < 2 && status == PM_OK; i++) {
            status = pm_corpus_add_file_weighted(corpus, paths[i], 2, &err);
        }
        status = status == PM_OK ? pm_corpus_settings(corpus, &settings, &err) : status;
        while (status == PM_OK && n > 0) {
            status = pm_corpus_read(corpus, 1000, &docs, &n, &err);
        }
        done = memory_countdown >= 0;
        pm_alloc_test_hook = NULL;
        pm_corpus_free(corpus);
        pm_buf_release(&settings);
        ck_assert_msg(status == (done ? PM_OK : PM_NO_MEMORY), "allocation %d: %s: %s", nth, pm_status_name(status),
                      err.message);
        ck_assert_int_lt(nth, 1000);
    }
}
END_TEST

Suite *suite_filter(void);
Suite *suite_filter(void) {
    Suite *suite = suite_create("filter");
    TCase *tests = tcase_create("filter");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, duplicates_are_taken_once_whatever_the_blocks, 0, 4);
    tcase_add_test(tests, the_set_of_hashes_is_one);
    tcase_add_loop_test(tests, a_set_on_disk_is_one, 0, 4);
    tcase_add_test(tests, a_set_on_disk_needs_memory_too);
    tcase_add_test(tests, hashes_go_to_disk);
    tcase_add_loop_test(tests, a_sample_does_not_depend_on_what_stands_beside, 0, 3);
    tcase_add_test(tests, shares_at_their_ends);
    tcase_add_test(tests, a_sample_in_bytes_measures_the_text);
    tcase_add_test(tests, a_sample_in_bytes_needs_two_readings);
    tcase_add_test(tests, a_small_sample_can_be_cancelled);
    tcase_add_test(tests, settings_tell_what_is_taken);
    tcase_add_test(tests, rows_are_those_of_the_sources);
    tcase_add_test(tests, scripts_are_counted_as_by_their_twin);
    tcase_add_test(tests, characters_have_the_script_of_unicode);
    tcase_add_test(tests, a_file_that_changes_is_an_error);
    tcase_add_test(tests, a_file_that_was_replaced_is_an_error_or_read_on);
    tcase_add_test(tests, every_allocation_may_fail);
    suite_add_tcase(suite, tests);
    return suite;
}
