/* test_checkpoint.c - training that is stopped and goes on: same bytes; and what it refuses. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "support.h"
#include "train/checkpoint.h"

static pm_error err;

enum { TEXT = 5 << 19, LETTERS = 11 };

/* Lines of words, of which few are frequent and many are rare. */
static uint8_t *make_text(void) {
    uint8_t *text = malloc(TEXT);
    uint64_t state = 5;
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < TEXT;) {
        uint64_t x = random_word(&state), word = x % 3 ? x / 3 % 300 : x / 3 % 40000;
        for (uint64_t left = word + 12; left && i < TEXT; left /= LETTERS) {
            text[i++] = (uint8_t)('a' + left % LETTERS);
        }
        if (i < TEXT) {
            text[i++] = x >> 60 ? ' ' : '\n';
        }
    }
    return text;
}

typedef struct run {
    const char *corpus, *folder;
    uint32_t size;
    pm_train_options o;
} run;

static const char *const pattern = "gpt2";

static run new_run(const char *corpus, const char *folder) {
    run r = {corpus, folder, 1200, PM_TRAIN_OPTIONS_INIT};
    r.o.algorithm = PM_ALGORITHM_BPE;
    r.o.n_vocab_sizes = 1;
    r.o.patterns = &pattern;
    r.o.n_patterns = 1;
    r.o.threads = 2;
    return r;
}

static pm_status train(run *r, pm_tokenizer **tok) {
    pm_corpus *corpus;
    r->o.vocab_sizes = &r->size;
    r->o.checkpoint = r->folder;
    assert_ok(pm_corpus_new(&corpus, NULL, &err));
    assert_ok(pm_corpus_add_file(corpus, r->corpus, &err));
    pm_status status = pm_train(tok, 1, corpus, &r->o, &err);
    pm_corpus_free(corpus);
    return status;
}

/* The file that a tokenizer is saved to. */
static pm_buf bytes_of(const pm_tokenizer *tok) {
    const char *path = temporary_path("saved.piecemill");
    assert_ok(pm_tokenizer_save(tok, path, PM_FORMAT_NATIVE, &err));
    return read_file(path);
}

static void assert_same(const pm_tokenizer *tok, const pm_buf *expected) {
    pm_buf got = bytes_of(tok);
    ck_assert_uint_eq(got.len, expected->len);
    ck_assert(memcmp(got.data, expected->data, got.len) == 0);
    pm_buf_release(&got);
}

/* A fresh folder's name, and a corpus there. */
static char folder[512], corpus_path[512], file_path[1024];
static uint8_t *text;
static pm_buf expected;

/* What a run without a checkpoint gives. */
static void set_up(void) {
    pm_tokenizer *tok;
    static int number;
    char name[32];
    pm_checkpoint_round_bytes = 400000;
    snprintf(name, sizeof name, "checkpoint-%d", number++);
    snprintf(folder, sizeof folder, "%s", temporary_path(name));
    text = make_text();
    snprintf(corpus_path, sizeof corpus_path, "%s", temporary_file("corpus.txt", text, TEXT));
    run r = new_run(corpus_path, NULL);
    assert_ok(train(&r, &tok));
    ck_assert_uint_eq(pm_tokenizer_vocab_size(tok), 1200);
    expected = bytes_of(tok);
    pm_tokenizer_free(tok);
}

/* Not the helper's temporary folder itself: what is in it. */
static void empty_folder(void) {
    DIR *d = opendir(folder);
    struct dirent *entry;
    while (d && (entry = readdir(d)) != NULL) {
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d) {
        closedir(d);
        ck_assert_int_eq(rmdir(folder), 0);
    }
}

static void tear_down(void) {
    empty_folder();
    free(text);
    pm_buf_release(&expected);
    pm_checkpoint_round_bytes = UINT64_C(16) << 20;
    pm_ticker_seconds_between = 0.05;
}

static const char *in_folder(const char *name) {
    snprintf(file_path, sizeof file_path, "%s/%s", folder, name);
    return file_path;
}

static size_t count_rounds(void) {
    char name[64];
    for (size_t n = 0;; n++) {
        snprintf(name, sizeof name, "checkpoint-%04zu.counts", n + 1);
        if (access(in_folder(name), F_OK) != 0) {
            return n;
        }
    }
}

/* ---------------------------------------------------------------- going on ---- */

typedef struct stopper {
    unsigned calls, stop_at;
    const char *phase; /* the last one seen */
} stopper;

static int stop(void *user, const pm_progress *p) {
    stopper *s = user;
    s->phase = p->phase;
    return ++s->calls == s->stop_at;
}

/* Each run is stopped a little later than the one before, some of them at once, until one gets through. */
START_TEST(a_run_that_is_stopped_again_and_again_gives_the_same_bytes) {
    static const char *const phases[] = {"count words", "sort words", "merge words", "read again", "merge"};
    bool seen[sizeof phases / sizeof *phases] = {false};
    pm_tokenizer *tok;
    unsigned runs = 0;
    for (unsigned stop_at = 1;; stop_at += 1 + stop_at / 8, runs++) {
        run r = new_run(corpus_path, folder);
        stopper s = {0, runs % 4 ? stop_at : 2 + runs % 5, ""};
        r.o.threads = 1 + runs % 3;
        r.o.progress = stop;
        r.o.progress_user = &s;
        pm_ticker_seconds_between = 0; /* a callback at each look */
        pm_status status = train(&r, &tok);
        pm_ticker_seconds_between = 0.05;
        if (status == PM_OK) {
            break;
        }
        ck_assert_int_eq(status, PM_CANCELLED);
        for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
            seen[i] |= strcmp(phases[i], s.phase) == 0;
        }
    }
    ck_assert_uint_ge(runs, 20);
    ck_assert_uint_ge(count_rounds(), 4);
    ck_assert(seen[0] && seen[3] && seen[4]);
    assert_same(tok, &expected);
    pm_tokenizer_free(tok);
}
END_TEST

/* A finished folder gives smaller vocabularies and grows larger ones. */
START_TEST(the_size_of_the_vocabulary_is_not_a_setting) {
    static const uint32_t sizes[] = {700, 1200, 300, 1200};
    for (size_t i = 0; i < 4; i++) {
        pm_tokenizer *tok, *plain;
        run r = new_run(corpus_path, folder), without = new_run(corpus_path, NULL);
        r.size = without.size = sizes[i];
        assert_ok(train(&r, &tok));
        assert_ok(train(&without, &plain));
        pm_buf bytes = bytes_of(plain);
        assert_same(tok, &bytes);
        pm_buf_release(&bytes);
        pm_tokenizer_free(tok);
        pm_tokenizer_free(plain);
    }
}
END_TEST

START_TEST(summaries_are_the_same) {
    pm_train_summary plain, first, second;
    pm_train_summary *const to[] = {&plain, &first, &second};
    static const uint8_t special[] = "abc";
    const pm_special_token token = {{special, 3}, PM_ID_NONE};
    for (size_t i = 0; i < 3; i++) {
        pm_tokenizer *tok;
        run r = new_run(corpus_path, i ? folder : NULL);
        r.o.summary = to[i];
        r.o.special_tokens = &token;
        r.o.n_special_tokens = 1;
        assert_ok(train(&r, &tok));
        to[i]->seconds = 0;
        pm_tokenizer_free(tok);
        ck_assert_uint_eq(to[i]->documents, plain.documents);
        ck_assert_uint_eq(to[i]->bytes, plain.bytes);
        ck_assert_uint_eq(to[i]->words, plain.words);
        ck_assert_uint_eq(to[i]->distinct, plain.distinct);
        ck_assert_uint_eq(to[i]->documents_with_special, plain.documents_with_special);
        ck_assert(to[i]->vocab_size == plain.vocab_size && to[i]->lines_split == plain.lines_split);
    }
    ck_assert_uint_gt(plain.documents_with_special, 0);
}
END_TEST

/* In the middle of counting, or of merging when some merges were kept. */
static int stop_inside(void *user, const pm_progress *p) {
    const char *phase = user;
    return strcmp(p->phase, phase) == 0 && count_rounds() >= 2 &&
           (strcmp(phase, "merge") != 0 || access(in_folder("checkpoint-merges"), F_OK) == 0);
}

static void leave_begun(const char *phase) {
    pm_tokenizer *tok;
    run r = new_run(corpus_path, folder);
    r.o.progress = stop_inside;
    r.o.progress_user = (void *)(uintptr_t)phase;
    pm_ticker_seconds_between = 0;
    assert_fails(train(&r, &tok), PM_CANCELLED, phase);
    pm_ticker_seconds_between = 0.05;
}

/* ---------------------------------------------------------------- what is refused ---- */

START_TEST(a_corpus_that_changed_is_refused) {
    for (int i = 0; i < 10; i++) {
        pm_tokenizer *tok;
        bool counting = i < 5;
        if (i % 5 == 0) {
            empty_folder();
            (void)temporary_file("corpus.txt", text, TEXT);
            leave_begun(counting ? "count words" : "merge");
        }
        uint8_t *other = malloc(TEXT + 2);
        size_t len = TEXT;
        memcpy(other, text, TEXT);
        switch (i % 5) {
        case 0: other[100] ^= 1; break;
        case 1: other[500000] = other[500000] == ' ' ? 'x' : ' '; break;
        case 2: *(uint8_t *)memchr(other, '\n', TEXT) = ' '; break; /* another document less */
        case 3: len = 300000; break;
        default: /* a byte before all others */
            memmove(other + 1, other, TEXT);
            other[0] = '\n';
            len = TEXT + 1;
        }
        (void)temporary_file("corpus.txt", other, len);
        free(other);
        run r = new_run(corpus_path, folder);
        assert_fails(train(&r, &tok), PM_BAD_INPUT, "the corpus is not the one that this checkpoint was begun with");
        ck_assert_str_eq(err.file, folder);
    }
    /* Behind what was counted, a corpus may differ as long as it was not counted to its end. */
    pm_tokenizer *tok;
    (void)temporary_file("corpus.txt", text, TEXT);
    run r = new_run(corpus_path, folder);
    assert_ok(train(&r, &tok));
    assert_same(tok, &expected);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(a_corpus_that_grew_is_refused_when_it_was_counted_to_its_end) {
    pm_tokenizer *tok;
    uint8_t *longer = malloc(TEXT + 5);
    memcpy(longer, text, TEXT);
    memcpy(longer + TEXT, "\nmore", 5);
    run r = new_run(corpus_path, folder);
    assert_ok(train(&r, &tok));
    pm_tokenizer_free(tok);
    (void)temporary_file("corpus.txt", longer, TEXT + 5);
    assert_fails(train(&r, &tok), PM_BAD_INPUT, "the corpus is not the one");
    free(longer);
}
END_TEST

START_TEST(other_settings_are_refused_by_name) {
    static const char *const other_pattern = "cl100k_base";
    static const pm_special_token token = {{(const uint8_t *)"abc", 3}, PM_ID_NONE};
    static const pm_bytes piece = {(const uint8_t *)"aab", 3};
    pm_tokenizer *tok, *base;
    leave_begun("count words");
    run b = new_run(corpus_path, NULL);
    b.size = 300;
    assert_ok(train(&b, &base));
    for (int i = 0; i < 11; i++) {
        static const char *const names[] = {"pattern",         "special_tokens",  "min_count",       "min_documents|documents", "max_count_per_document", "max_piece_length",
                                            "required_pieces", "excluded_pieces", "max_words", "utf8_boundaries", "extends"};
        run r = new_run(corpus_path, folder);
        switch (i) {
        case 0: r.o.patterns = &other_pattern; break;
        case 1: r.o.special_tokens = &token, r.o.n_special_tokens = 1; break;
        case 2: r.o.min_count = 7; break;
        case 3: r.o.min_documents = 2; break;
        case 4: r.o.max_count_per_document = 3; break;
        case 5: r.o.max_piece_length = 9; break;
        case 6: r.o.required_pieces = &piece, r.o.n_required_pieces = 1; break;
        case 7: r.o.excluded_pieces = &piece, r.o.n_excluded_pieces = 1; break;
        case 8: r.o.max_words = 2; break;
        case 9: r.o.utf8_boundaries = true; break;
        default: r.o.extend = base;
        }
        const char *name = names[i], *bar = strchr(name, '|');
        assert_fails(train(&r, &tok), PM_INVALID_ARGUMENT, bar ? bar + 1 : name);
        ck_assert(strstr(err.file, "checkpoint") != NULL);
    }
    pm_tokenizer_free(base);
    run r = new_run(corpus_path, folder); /* nothing was changed by all that */
    assert_ok(train(&r, &tok));
    assert_same(tok, &expected);
    pm_tokenizer_free(tok);
}
END_TEST

/* Whatever happens to a byte of the folder: an error, or the same bytes. */
static void damage(const char *name, int steps) {
    pm_buf whole = read_file(in_folder(name));
    for (int i = 0; i <= steps; i++) {
        size_t at = i < steps ? (size_t)i * whole.len / (size_t)steps : whole.len - 1;
        uint8_t old = whole.data[at];
        pm_tokenizer *tok;
        FILE *f = fopen(in_folder(name), "wb");
        whole.data[at] ^= (uint8_t)(1 << i % 8);
        ck_assert_uint_eq(fwrite(whole.data, 1, whole.len, f), whole.len);
        fclose(f);
        whole.data[at] = old;
        run r = new_run(corpus_path, folder);
        pm_status status = train(&r, &tok);
        ck_assert_msg(status == PM_BAD_FORMAT || status == PM_BAD_VERSION, "%s, byte %zu: %s", name, at, pm_status_name(status));
        ck_assert_msg(strstr(err.file, name) != NULL, "%s instead of %s: %s", err.file, name, err.message);
    }
    for (int i = 0; i < 4; i++) { /* cut off */
        pm_tokenizer *tok;
        ck_assert_int_eq(truncate(in_folder(name), (off_t)((size_t)i * whole.len / 4)), 0);
        run r = new_run(corpus_path, folder);
        pm_status status = train(&r, &tok);
        ck_assert_msg(status == PM_BAD_FORMAT, "%s cut to %d/4: %s", name, i, pm_status_name(status));
        FILE *f = fopen(in_folder(name), "wb");
        ck_assert_uint_eq(fwrite(whole.data, 1, whole.len, f), whole.len);
        fclose(f);
    }
    pm_buf_release(&whole);
}

/* The line behind the settings is called [done], and this regex was taken for it. */
START_TEST(a_setting_that_ends_as_the_settings_do) {
    static const char *const own = "a|[done]";
    pm_tokenizer *tok;
    pm_buf first = {0};
    for (int i = 0; i < 2; i++) {
        run r = new_run(corpus_path, folder);
        r.o.patterns = &own;
        r.o.n_patterns = 1;
        assert_ok(train(&r, &tok));
        if (i == 0) {
            first = bytes_of(tok);
        } else {
            assert_same(tok, &first);
        }
        pm_tokenizer_free(tok);
    }
    pm_buf_release(&first);
}
END_TEST

START_TEST(damaged_files_are_refused) {
    pm_tokenizer *tok;
    leave_begun("merge");
    damage("checkpoint", quick() ? 3 : 12);
    damage("checkpoint-0001.counts", quick() ? 3 : 8);
    damage("checkpoint-merges", quick() ? 3 : 8);
    run r = new_run(corpus_path, folder);
    assert_ok(train(&r, &tok));
    assert_same(tok, &expected);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(files_that_are_gone_or_of_another_folder) {
    pm_tokenizer *tok;
    leave_begun("merge");
    run r = new_run(corpus_path, folder);
    char other[1024];
    snprintf(other, sizeof other, "%s", in_folder("checkpoint-0001.counts"));
    ck_assert_int_eq(rename(in_folder("checkpoint-0002.counts"), other), 0);
    assert_fails(train(&r, &tok), PM_BAD_FORMAT, "is not the file that was written here");
    ck_assert_int_eq(unlink(other), 0);
    assert_fails(train(&r, &tok), PM_NOT_FOUND, "cannot open");
    ck_assert(strstr(err.file, "checkpoint-0001.counts") != NULL);
    ck_assert_int_eq(unlink(in_folder("checkpoint")), 0); /* then it begins anew, and the merges that are there are nobody's */
    assert_ok(train(&r, &tok));
    assert_same(tok, &expected);
    pm_tokenizer_free(tok);
    ck_assert_int_eq(unlink(in_folder("checkpoint-merges")), 0);
    assert_ok(train(&r, &tok));
    assert_same(tok, &expected);
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(merges_of_another_corpus_are_refused) {
    pm_tokenizer *tok;
    run r = new_run(corpus_path, folder);
    assert_ok(train(&r, &tok));
    pm_tokenizer_free(tok);
    pm_buf merges = read_file(in_folder("checkpoint-merges"));
    empty_folder();
    text[0] ^= 1;
    (void)temporary_file("corpus.txt", text, TEXT);
    leave_begun("merge");
    FILE *f = fopen(in_folder("checkpoint-merges"), "wb");
    ck_assert_uint_eq(fwrite(merges.data, 1, merges.len, f), merges.len);
    fclose(f);
    pm_buf_release(&merges);
    assert_fails(train(&r, &tok), PM_BAD_FORMAT, "belongs to another checkpoint");
}
END_TEST

static int run_another(void *user, const pm_progress *p) {
    const run *outer = user;
    run r = new_run(outer->corpus, outer->folder);
    pm_tokenizer *tok;
    (void)p;
    assert_fails(train(&r, &tok), PM_IO, "another run is using this checkpoint");
    return 1;
}

START_TEST(a_folder_is_used_by_one_run_at_a_time) {
    pm_tokenizer *tok;
    run r = new_run(corpus_path, folder);
    r.o.progress = run_another;
    r.o.progress_user = &r;
    assert_fails(train(&r, &tok), PM_CANCELLED, "cancelled");
    r.o.progress = NULL;
    assert_ok(train(&r, &tok)); /* and by the next one after it */
    pm_tokenizer_free(tok);
}
END_TEST

START_TEST(folders_that_cannot_be_used) {
    pm_tokenizer *tok;
    run r = new_run(corpus_path, "/no/such/folder");
    assert_fails(train(&r, &tok), PM_NOT_FOUND, "cannot create this folder");
    r.folder = corpus_path;
    ck_assert(train(&r, &tok) == PM_IO && strstr(err.message, "Not a directory"));
    if (geteuid() != 0) {
        ck_assert_int_eq(mkdir(folder, 0500), 0);
        r.folder = folder;
        ck_assert(train(&r, &tok) == PM_IO && strstr(err.message, "Permission denied"));
    }
}
END_TEST

/* What was being written when a run was killed is not kept for ever, and nothing else is touched. */
START_TEST(left_over_files_are_removed) {
    pm_tokenizer *tok;
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(in_folder(i ? "mine.tmp" : "checkpoint-0007.counts.abcdef.tmp"), "wb");
        ck_assert_ptr_nonnull(f);
        fclose(f);
    }
    run r = new_run(corpus_path, folder);
    assert_ok(train(&r, &tok));
    pm_tokenizer_free(tok);
    ck_assert_int_eq(access(in_folder("checkpoint-0007.counts.abcdef.tmp"), F_OK), -1);
    ck_assert_int_eq(access(in_folder("mine.tmp"), F_OK), 0);
}
END_TEST

/* ---------------------------------------------------------------- the disk is full ---- */

static unsigned io_calls, io_fails_at;
static int fail_io(void) { return ++io_calls == io_fails_at ? ENOSPC : 0; }

START_TEST(a_full_disk_is_an_error_and_the_folder_stays_good) {
    pm_tokenizer *tok;
    unsigned failures = 0;
    for (io_fails_at = 1;; io_fails_at += 1 + io_fails_at / (quick() ? 2 : 6)) {
        run r = new_run(corpus_path, folder);
        io_calls = 0;
        pm_io_test_hook = fail_io;
        pm_status status = train(&r, &tok);
        pm_io_test_hook = NULL;
        if (status == PM_OK) {
            break;
        }
        ck_assert_msg(status == PM_IO, "%s: %s", pm_status_name(status), err.message);
        ck_assert(strstr(err.message, "No space left on device") != NULL && err.file[0]);
        failures++;
    }
    ck_assert_uint_ge(failures, quick() ? 3 : 8);
    assert_same(tok, &expected);
    pm_tokenizer_free(tok);
}
END_TEST

Suite *suite_checkpoint(void);
Suite *suite_checkpoint(void) {
    Suite *suite = suite_create("checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_run_that_is_stopped_again_and_again_gives_the_same_bytes);
    tcase_add_test(tests, the_size_of_the_vocabulary_is_not_a_setting);
    tcase_add_test(tests, summaries_are_the_same);
    tcase_add_test(tests, a_corpus_that_changed_is_refused);
    tcase_add_test(tests, a_corpus_that_grew_is_refused_when_it_was_counted_to_its_end);
    tcase_add_test(tests, other_settings_are_refused_by_name);
    tcase_add_test(tests, a_setting_that_ends_as_the_settings_do);
    tcase_add_test(tests, damaged_files_are_refused);
    tcase_add_test(tests, files_that_are_gone_or_of_another_folder);
    tcase_add_test(tests, merges_of_another_corpus_are_refused);
    tcase_add_test(tests, a_folder_is_used_by_one_run_at_a_time);
    tcase_add_test(tests, folders_that_cannot_be_used);
    tcase_add_test(tests, left_over_files_are_removed);
    tcase_add_test(tests, a_full_disk_is_an_error_and_the_folder_stays_good);
    suite_add_tcase(suite, tests);
    return suite;
}
