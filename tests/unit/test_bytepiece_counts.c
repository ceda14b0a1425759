/* test_bytepiece_counts.c - BytePiece from count files, with weights, by documents, in little memory: the same bytes; and what it refuses. */
#include <stdio.h>
#include <unistd.h>

#include "count/countfile.h"
#include "support.h"
#include "train/checkpoint.h"
#include "train/train.h"

static pm_error err;

/* ---------------------------------------------------------------- texts ---- */

enum { DOCS = 400, LETTERS = 8, PARTS = 3 };

typedef struct document {
    uint8_t data[400];
    size_t len;
    uint32_t weight;
} document;

static document docs[DOCS];

/* Words of few letters, of which few are frequent; Chinese, digits, and a letter that NFC joins with the mark behind it. */
static void make_documents(uint64_t seed) {
    static const char *const letters[LETTERS] = {"a", "e", "中", "文", "t", "1", "e\xCC\x81", "x"};
    for (size_t d = 0; d < DOCS; d++) {
        document *doc = &docs[d];
        doc->len = 0;
        doc->weight = 1;
        for (uint64_t words = random_word(&seed) % 16; words; words--) {
            uint64_t x = random_word(&seed), word = x % 3 ? x / 3 % 40 : x / 3 % 4000;
            for (uint64_t left = word + LETTERS; left; left /= LETTERS) {
                const char *letter = letters[left % LETTERS];
                memcpy(doc->data + doc->len, letter, strlen(letter));
                doc->len += strlen(letter);
            }
            doc->data[doc->len++] = x >> 61 ? ' ' : '\n';
        }
    }
}

/* Files of one document each are what weights need. */
static void add(pm_corpus *corpus, size_t d) {
    char name[32];
    if (docs[d].weight == 1) {
        assert_ok(pm_corpus_add_document(corpus, (pm_bytes){docs[d].data, docs[d].len}, &err));
        return;
    }
    snprintf(name, sizeof name, "weighted-%zu.txt", d);
    assert_ok(pm_corpus_add_file_weighted(corpus, temporary_file(name, docs[d].data, docs[d].len), docs[d].weight, &err));
}

static pm_corpus *new_corpus(void) {
    pm_corpus_options o = PM_CORPUS_OPTIONS_INIT;
    pm_corpus *corpus;
    o.split = PM_SPLIT_DOCUMENT;
    assert_ok(pm_corpus_new(&corpus, &o, &err));
    return corpus;
}

/* Every step-th document from `first` on. */
static pm_corpus *corpus_of(size_t first, size_t step) {
    pm_corpus *corpus = new_corpus();
    for (size_t d = first; d < DOCS; d += step) {
        add(corpus, d);
    }
    return corpus;
}

static const char *path_of(int i) { return numbered_path("pieces", i); }

/* ---------------------------------------------------------------- training ---- */

static const uint32_t sizes[] = {420, 600, 300};
enum { SIZES = 3 };

typedef struct models {
    pm_buf files[SIZES];
} models;

static void free_models(models *m) {
    for (int i = 0; i < SIZES; i++) {
        pm_buf_release(&m->files[i]);
    }
}

static models save(pm_tokenizer **toks) {
    models m;
    for (int i = 0; i < SIZES; i++) {
        const char *path = temporary_path("saved.piecemill");
        assert_ok(pm_tokenizer_save(toks[i], path, PM_FORMAT_NATIVE, &err));
        m.files[i] = read_file(path);
        pm_tokenizer_free(toks[i]);
    }
    return m;
}

static void set_sizes(pm_train_options *o) {
    o->vocab_sizes = sizes;
    o->n_vocab_sizes = SIZES;
}

static models train(pm_corpus *corpus, pm_train_options o) {
    pm_tokenizer *toks[SIZES];
    set_sizes(&o);
    assert_ok(pm_train(toks, SIZES, corpus, &o, &err));
    pm_corpus_free(corpus);
    return save(toks);
}

/* Frees both. */
static void assert_same(models a, models b) {
    for (int i = 0; i < SIZES; i++) {
        ck_assert_uint_eq(a.files[i].len, b.files[i].len);
        ck_assert(memcmp(a.files[i].data, b.files[i].data, a.files[i].len) == 0);
    }
    free_models(&a);
    free_models(&b);
}

/* The options of a training as those of counting. */
static pm_counts_options counting(const pm_train_options *o, const char *ngrams) {
    pm_counts_options c = PM_COUNTS_OPTIONS_INIT;
    c.algorithm = PM_ALGORITHM_BYTEPIECE;
    c.threads = o->threads;
    if (!ngrams) {
        c.ngram_order = o->ngram_order;
        c.isolate_digits = o->isolate_digits;
        c.patterns = o->patterns;
        c.n_patterns = o->n_patterns;
        c.split_scripts = o->split_scripts;
    } else {
        c.ngrams = ngrams;
        c.min_count = o->min_count;
        c.ensure_unicode = o->ensure_unicode;
        c.documents = o->min_documents > 0;
        c.max_count_per_document = o->max_count_per_document;
    }
    return c;
}

/* Counts the corpus in parts, merges them at `path`. */
static void count_parts(const char *path, const pm_counts_options *c) {
    const char *parts[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        pm_corpus *corpus = corpus_of(i, PARTS);
        parts[i] = path_of((int)i);
        assert_ok(pm_count(parts[i], corpus, c, &err));
        pm_corpus_free(corpus);
    }
    assert_ok(pm_counts_merge(path, parts, PARTS, NULL, &err));
}

/* Trains from counts alone, whose settings say the rest. */
static models train_from(const char *const *paths, size_t n, const pm_train_options *like) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    o.counts = paths;
    o.n_counts = n;
    o.threads = like->threads;
    o.min_documents = like->min_documents;
    o.required_pieces = like->required_pieces;
    o.n_required_pieces = like->n_required_pieces;
    o.excluded_pieces = like->excluded_pieces;
    o.n_excluded_pieces = like->n_excluded_pieces;
    return train(NULL, o);
}

static const char *const gpt2[] = {"gpt2"}, *const own[] = {"[a-z]+|\n", "\\S|\\s+"};

static pm_train_options some_options(uint64_t i) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    o.threads = 1 + (unsigned)(i % 3);
    o.ngram_order = (uint32_t[]){6, 3, 7, 1, 5}[i % 5];
    o.patterns = i % 3 == 1 ? gpt2 : own;
    o.n_patterns = (size_t[]){0, 1, 2}[i % 3];
    o.split_scripts = i % 4 == 3;
    o.isolate_digits = i % 2;
    o.ensure_unicode = i % 5 != 4;
    o.min_count = (uint64_t[]){PM_MIN_COUNT_DEFAULT, 1, 3}[i % 3];
    o.min_documents = i % 4 == 2 ? 4 : 0;
    o.max_count_per_document = i % 3 == 0 ? 1 + i % 2 : 0;
    return o;
}

/* Counted whole or in parts, merged or given together: to the byte of the models, settings included. */
START_TEST(training_from_counts_is_training_from_text) {
    for (uint64_t i = 0; i < 8; i++) {
        pm_train_options o = some_options(i);
        const char *ngrams = path_of(PARTS), *pieces = path_of(PARTS + 1), *whole = path_of(PARTS + 2);
        make_documents(i);
        pm_counts_options c = counting(&o, NULL);
        count_parts(ngrams, &c);
        pm_corpus *corpus = corpus_of(0, 1);
        assert_ok(pm_count(whole, corpus, &c, &err));
        pm_corpus_free(corpus);
        pm_buf a = read_file(ngrams), b = read_file(whole);
        ck_assert(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
        pm_buf_release(&a);
        pm_buf_release(&b);
        c = counting(&o, ngrams);
        count_parts(pieces, &c);
        assert_same(train(corpus_of(0, 1), o), train_from(&pieces, 1, &o));
        const char *parts[PARTS] = {path_of(2), path_of(0), path_of(1)};
        assert_same(train(corpus_of(0, 1), o), train_from(parts, PARTS, &o));
    }
}
END_TEST

/* A document of weight n is n documents. */
START_TEST(weights_are_repetitions) {
    for (uint64_t i = 0; i < 3; i++) {
        pm_train_options o = some_options(i);
        pm_corpus *corpus = new_corpus();
        pm_tokenizer *toks[SIZES], *twins[SIZES];
        o.max_count_per_document = 0;
        set_sizes(&o);
        make_documents(i);
        for (size_t d = 0; d < DOCS; d++) {
            docs[d].weight = d % 7 == 0 ? 2 + (uint32_t)(d % 5) : 1;
            for (uint32_t w = 0; w < docs[d].weight; w++) {
                assert_ok(pm_corpus_add_document(corpus, (pm_bytes){docs[d].data, docs[d].len}, &err));
            }
        }
        assert_ok(pm_train(twins, SIZES, corpus, &o, &err));
        pm_corpus_free(corpus);
        corpus = corpus_of(0, 1);
        assert_ok(pm_train(toks, SIZES, corpus, &o, &err));
        pm_corpus_free(corpus);
        for (int k = 0; k < SIZES; k++) {
            char a[PM_HASH_HEX], b[PM_HASH_HEX];
            pm_tokenizer_hash(toks[k], a);
            pm_tokenizer_hash(twins[k], b);
            ck_assert_str_eq(a, b);
            pm_tokenizer_free(toks[k]);
            pm_tokenizer_free(twins[k]);
        }
    }
}
END_TEST

/* ---------------------------------------------------------------- documents ---- */

/* Pieces of the documents one by one, by the same model: in how many a piece is, and how often at most `most` a document. */
START_TEST(documents_and_most_are_counted_as_they_say) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    const char *ngrams = path_of(PARTS), *pieces = path_of(PARTS + 1), *one = path_of(PARTS + 2);
    const char *paths[60];
    static char names[60][600];
    enum { MOST = 2 };
    o.min_documents = 1;
    make_documents(3);
    pm_counts_options c = counting(&o, NULL);
    count_parts(ngrams, &c);
    for (size_t d = 0; d < 60; d++) {
        pm_counts_options whole = counting(&o, ngrams);
        pm_corpus *corpus = new_corpus();
        pm_count_reader r;
        pm_count_writer w;
        pm_count_totals totals = {0};
        docs[d].len += docs[d].len == 0; /* an empty corpus cannot be counted */
        docs[d].data[0] = docs[d].data[0] ? docs[d].data[0] : 'a';
        add(corpus, d);
        assert_ok(pm_count(one, corpus, &whole, &err));
        pm_corpus_free(corpus);
        snprintf(names[d], sizeof names[d], "%s-%zu", path_of(PARTS + 3), d);
        paths[d] = names[d];
        assert_ok(pm_count_reader_open(&r, one, &err)); /* rewritten with what the twin expects */
        assert_ok(pm_count_writer_open(&w, paths[d], NULL, "documents=yes\n", &err));
        for (;;) {
            assert_ok(pm_count_reader_next(&r, &err));
            if (!r.word.len) {
                break;
            }
            ck_assert_uint_eq(r.in_documents, 1);
            assert_ok(pm_count_writer_add(&w, r.word.data, r.word.len, r.count < MOST ? r.count : MOST, 1, &err));
        }
        assert_ok(pm_count_writer_close(&w, PM_OK, &totals, &err));
        pm_count_reader_close(&r);
    }
    assert_ok(pm_counts_merge(one, paths, 60, NULL, &err));
    pm_corpus *corpus = new_corpus();
    for (size_t d = 0; d < 60; d++) {
        add(corpus, d);
    }
    o.max_count_per_document = MOST;
    c = counting(&o, ngrams);
    assert_ok(pm_count(pieces, corpus, &c, &err));
    pm_corpus_free(corpus);
    pm_count_reader a, b;
    assert_ok(pm_count_reader_open(&a, one, &err));
    assert_ok(pm_count_reader_open(&b, pieces, &err));
    do {
        assert_ok(pm_count_reader_next(&a, &err));
        assert_ok(pm_count_reader_next(&b, &err));
        ck_assert(a.word.len == b.word.len && memcmp(a.word.data, b.word.data, a.word.len) == 0);
        ck_assert_uint_eq(a.count, b.count);
        ck_assert_uint_eq(a.in_documents, b.in_documents);
    } while (a.word.len);
    pm_count_reader_close(&a);
    pm_count_reader_close(&b);
}
END_TEST

/* ---------------------------------------------------------------- pieces that must and must not ---- */

static bool holds(const pm_tokenizer *tok, const char *piece) {
    return pm_tokenizer_find(tok, (pm_bytes){(const uint8_t *)piece, strlen(piece)}) != PM_ID_NONE;
}

static pm_bytes bytes_of(const char *s) { return (pm_bytes){(const uint8_t *)s, strlen(s)}; }

START_TEST(required_and_excluded_pieces) {
    const pm_bytes required[] = {bytes_of("never seen"), bytes_of("中文中文中文中文中文中文中文中文中文"), bytes_of("q"), bytes_of("never seen")};
    pm_tokenizer *toks[SIZES], *plain[SIZES];
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    set_sizes(&o);
    make_documents(9);
    pm_corpus *corpus = corpus_of(0, 1);
    assert_ok(pm_train(plain, SIZES, corpus, &o, &err));
    pm_corpus_free(corpus);
    pm_bytes frequent = {NULL, 0};
    uint64_t most = 0;
    for (pm_id id = 0; id < pm_tokenizer_vocab_size(plain[0]); id++) {
        pm_bytes piece = pm_tokenizer_piece(plain[0], id);
        if (pm_tokenizer_kind(plain[0], id) == PM_KIND_PIECE && piece.len > 1 && pm_tokenizer_count(plain[0], id) > most) {
            most = pm_tokenizer_count(plain[0], id);
            frequent = piece;
        }
    }
    o.required_pieces = required;
    o.n_required_pieces = 4;
    o.excluded_pieces = &frequent;
    o.n_excluded_pieces = 1;
    corpus = corpus_of(0, 1);
    assert_ok(pm_train(toks, SIZES, corpus, &o, &err));
    pm_corpus_free(corpus);
    for (int i = 0; i < SIZES; i++) {
        ck_assert(holds(toks[i], "never seen") && holds(toks[i], "中文中文中文中文中文中文中文中文中文"));
        ck_assert(!holds(plain[i], "never seen"));
        ck_assert_uint_eq(pm_tokenizer_find(toks[i], frequent), PM_ID_NONE);
        ck_assert_uint_le(pm_tokenizer_vocab_size(toks[i]), sizes[i]);
    }
    for (int i = 0; i < SIZES; i++) {
        pm_tokenizer_free(toks[i]);
        if (i) {
            pm_tokenizer_free(plain[i]);
        }
    }
    pm_bytes both[] = {bytes_of("ab"), bytes_of("cd")};
    o.required_pieces = both;
    o.n_required_pieces = 2;
    o.excluded_pieces = &both[1];
    corpus = corpus_of(0, 1);
    assert_fails(pm_train(toks, SIZES, corpus, &o, &err), PM_INVALID_ARGUMENT, "'cd' is required and excluded");
    pm_corpus_free(corpus);
    pm_tokenizer_free(plain[0]);
    uint32_t small = 260;
    o.n_excluded_pieces = 0;
    o.vocab_sizes = &small;
    o.n_vocab_sizes = 1;
    corpus = corpus_of(0, 1);
    assert_fails(pm_train(toks, 1, corpus, &o, &err), PM_INVALID_ARGUMENT, "2 pieces are required; a vocabulary of 260 has room for 1");
    pm_corpus_free(corpus);
}
END_TEST

/* ---------------------------------------------------------------- little memory ---- */

/* Shares that are far too small for the text, so that everything goes through files. */
START_TEST(little_memory_gives_the_same_bytes) {
    for (uint64_t i = 0; i < 6; i++) {
        pm_train_options o = some_options(i);
        pm_train_job job = {0};
        pm_tokenizer *toks[SIZES];
        make_documents(i);
        set_sizes(&o);
        job.o = o;
        job.o.algorithm = PM_ALGORITHM_BYTEPIECE;
        job.o.max_piece_length = 36;
        job.o.min_count = o.min_count == PM_MIN_COUNT_DEFAULT ? 2 : o.min_count;
        pm_corpus *corpus = corpus_of(0, 1);
        assert_ok(pm_train_job_begin(&job, corpus, &err));
        job.unit = 1;
        job.window = 2000 * i + 1; /* of some 10 KB */
        job.bytepiece_memory = (pm_bytepiece_memory){1, 1, 1, 1, 1, 1, 1};
        job.o.memory_limit = 1; /* the spool's share counts; the ticker looked at the limit before */
        assert_ok(pm_train_bytepiece(toks, corpus, &job, &err));
        pm_train_job_end(&job, corpus);
        pm_corpus_free(corpus);
        assert_same(save(toks), train(corpus_of(0, 1), o));
    }
}
END_TEST

START_TEST(too_little_memory_is_told_at_once) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_tokenizer *toks[SIZES];
    set_sizes(&o);
    o.threads = 2;
    o.memory_limit = 1 << 20;
    make_documents(1);
    pm_corpus *corpus = corpus_of(0, 1);
    assert_fails(pm_train(toks, SIZES, corpus, &o, &err), PM_LIMIT, "it must be 50331648 at least");
    pm_corpus_free(corpus);
    o.memory_limit = 50331648;
    assert_same(train(corpus_of(0, 1), o), train(corpus_of(0, 1), (pm_train_options)PM_TRAIN_OPTIONS_INIT));
}
END_TEST

/* ---------------------------------------------------------------- checkpoints ---- */

static int steps; /* until a run is stopped */

static int stop_after(void *user, const pm_progress *progress) {
    (void)user;
    (void)progress;
    return --steps < 0;
}

static const char *new_folder(const char *test, uint64_t number) {
    char name[64];
    snprintf(name, sizeof name, "%s-%llu", test, (unsigned long long)number);
    return temporary_path(name);
}

static void small_rounds(void) {
    pm_checkpoint_round_bytes = 6000;
    pm_ticker_seconds_between = 0;
}

static void usual_rounds(void) {
    pm_checkpoint_round_bytes = UINT64_C(16) << 20;
    pm_ticker_seconds_between = 0.05;
}

/* A run that is stopped again and again, each time somewhat later, with other threads, gives the same bytes in the end. */
START_TEST(a_run_that_is_stopped_again_and_again) {
    for (uint64_t i = 1; i < 3; i++) {
        pm_train_options o = some_options(i);
        pm_tokenizer *toks[SIZES];
        pm_train_summary summary = {0}, whole = {0};
        pm_status status = PM_CANCELLED;
        char folder[512];
        int stopped = 0;
        snprintf(folder, sizeof folder, "%s", new_folder("stopped", i));
        make_documents(i);
        docs[7].weight = 3;
        o.summary = &whole;
        models expected = train(corpus_of(0, 1), o);
        set_sizes(&o);
        o.checkpoint = folder;
        o.progress = stop_after;
        o.summary = &summary;
        for (int most = 3; status == PM_CANCELLED; most += 1 + most / 5, stopped++) {
            pm_corpus *corpus = corpus_of(0, 1);
            o.threads = 1 + (unsigned)most % 3;
            steps = most;
            status = pm_train(toks, SIZES, corpus, &o, &err);
            pm_corpus_free(corpus);
        }
        assert_ok(status);
        ck_assert_int_gt(stopped, 10);
        assert_same(save(toks), expected);
        ck_assert_uint_eq(summary.documents, whole.documents);
        ck_assert_uint_eq(summary.bytes, whole.bytes);
        ck_assert_uint_eq(summary.words, whole.words);
        ck_assert_uint_eq(summary.distinct, whole.distinct);
        o.progress = NULL; /* and once more, from what is there */
        assert_same(train(corpus_of(0, 1), o), train(corpus_of(0, 1), some_options(i)));
    }
}
END_TEST

static void refuse_folder(pm_corpus *corpus, const pm_train_options *o, pm_status status, const char *words) {
    pm_tokenizer *toks[SIZES];
    assert_fails(pm_train(toks, SIZES, corpus, o, &err), status, words);
    pm_corpus_free(corpus);
}

/* Some steps after this file of the checkpoint is there. */
static int stop_after_round(void *user, const pm_progress *progress) {
    (void)progress;
    return access(user, F_OK) == 0 && --steps < 0;
}

/* A run that was stopped after a round of n-grams, at once or in what comes next: another text is refused, the same one goes on to the same bytes. */
START_TEST(a_text_that_changed_meanwhile_is_refused) {
    for (int i = 0; i < 2; i++) {
        pm_train_options o = some_options(1);
        pm_tokenizer *toks[SIZES];
        char folder[512], round[600];
        snprintf(folder, sizeof folder, "%s", new_folder("changed", (uint64_t)i));
        snprintf(round, sizeof round, "%s/checkpoint-0001.counts", folder);
        make_documents(1);
        models expected = train(corpus_of(0, 1), o);
        set_sizes(&o);
        o.checkpoint = folder;
        o.progress = stop_after_round;
        o.progress_user = round;
        steps = 30 * i;
        refuse_folder(corpus_of(0, 1), &o, PM_CANCELLED, "cancelled");
        ck_assert_int_eq(access(round, F_OK), 0);
        o.progress = NULL;
        docs[0].weight = 2;
        refuse_folder(corpus_of(0, 1), &o, PM_BAD_INPUT, "not the one that this checkpoint was begun with");
        docs[0].weight = 1;
        pm_corpus *corpus = corpus_of(0, 1);
        assert_ok(pm_train(toks, SIZES, corpus, &o, &err));
        pm_corpus_free(corpus);
        assert_same(save(toks), expected);
    }
}
END_TEST

START_TEST(a_folder_of_another_run_is_refused) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT, other;
    char folder[512], file[600];
    snprintf(folder, sizeof folder, "%s", new_folder("refused", 0));
    set_sizes(&o);
    o.checkpoint = folder;
    make_documents(4);
    models m = train(corpus_of(0, 1), o);
    free_models(&m);
    refuse_folder(corpus_of(0, 2), &o, PM_BAD_INPUT, "not the one that this checkpoint was begun with");
    docs[3].weight = 2;
    refuse_folder(corpus_of(0, 1), &o, PM_BAD_INPUT, "not the one that this checkpoint was begun with");
    docs[3].weight = 1;
    other = o;
    other.min_count = 3;
    refuse_folder(corpus_of(0, 1), &other, PM_INVALID_ARGUMENT, "min_count is '2' here and '3' in this call");
    other = o;
    other.patterns = gpt2;
    other.n_patterns = 1;
    refuse_folder(corpus_of(0, 1), &other, PM_INVALID_ARGUMENT, "pattern=gpt2");
    other = o;
    other.min_documents = 3;
    refuse_folder(corpus_of(0, 1), &other, PM_INVALID_ARGUMENT, "documents=yes");
    pm_bytes piece = {(const uint8_t *)"anything", 8}; /* what is done with pieces is not a setting */
    other = o;
    other.required_pieces = &piece;
    other.n_required_pieces = 1;
    pm_train_options alone = other;
    alone.checkpoint = NULL;
    assert_same(train(corpus_of(0, 1), other), train(corpus_of(0, 1), alone));
    other = o;
    other.counts = (const char *[]){"x"};
    other.n_counts = 1;
    refuse_folder(NULL, &other, PM_INVALID_ARGUMENT, "nothing to keep");
    snprintf(file, sizeof file, "%s/checkpoint-pieces-0002.counts", folder);
    pm_buf bytes = read_file(file);
    FILE *f = fopen(file, "wb");
    ck_assert_ptr_nonnull(f);
    bytes.data[bytes.len / 2] ^= 1;
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    ck_assert_int_eq(fclose(f), 0);
    pm_buf_release(&bytes);
    refuse_folder(corpus_of(0, 1), &o, PM_BAD_FORMAT, "");
    ck_assert_int_eq(remove(file), 0);
    refuse_folder(corpus_of(0, 1), &o, PM_NOT_FOUND, "");
}
END_TEST

/* ---------------------------------------------------------------- what is refused ---- */

static void refuse_count(const pm_counts_options *c, pm_status status, const char *words) {
    pm_corpus *corpus = corpus_of(0, 1);
    assert_fails(pm_count(path_of(9), corpus, c, &err), status, words);
    pm_corpus_free(corpus);
}

static void refuse_train(const char *path, const pm_train_options *like, const char *words) {
    pm_train_options o = *like;
    pm_tokenizer *toks[SIZES];
    set_sizes(&o);
    o.counts = &path;
    o.n_counts = 1;
    assert_fails(pm_train(toks, SIZES, NULL, &o, &err), PM_INVALID_ARGUMENT, words);
    ck_assert_ptr_null(toks[0]);
}

START_TEST(what_does_not_fit_is_refused_by_name) {
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    const char *ngrams = path_of(0), *pieces = path_of(1), *words = path_of(2), *others = path_of(3), *other_pieces = path_of(4);
    make_documents(2);
    pm_counts_options c = counting(&o, NULL), bad, by = counting(&o, ngrams);
    pm_corpus *corpus = corpus_of(0, 1);
    assert_ok(pm_count(ngrams, corpus, &c, &err));
    pm_corpus_free(corpus);
    corpus = corpus_of(0, 2);
    assert_ok(pm_count(others, corpus, &c, &err));
    pm_corpus_free(corpus);
    corpus = corpus_of(0, 1);
    assert_ok(pm_count(pieces, corpus, &by, &err));
    pm_corpus_free(corpus);
    corpus = corpus_of(0, 1);
    by.ngrams = others;
    assert_ok(pm_count(other_pieces, corpus, &by, &err));
    pm_corpus_free(corpus);
    corpus = corpus_of(0, 1);
    assert_ok(pm_count(words, corpus, NULL, &err));
    pm_corpus_free(corpus);

    assert_fails(pm_counts_merge(path_of(9), (const char *[]){pieces, other_pieces}, 2, NULL, &err), PM_INVALID_ARGUMENT, "ngrams is");
    assert_fails(pm_counts_merge(path_of(9), (const char *[]){ngrams, pieces}, 2, NULL, &err), PM_INVALID_ARGUMENT, "counts is");
    bad = c;
    bad.documents = true;
    refuse_count(&bad, PM_INVALID_ARGUMENT, "documents is an option of counting pre-tokens and pieces, not of n-grams");
    bad = c;
    bad.min_count = 3;
    refuse_count(&bad, PM_INVALID_ARGUMENT, "min_count is an option of counting BytePiece's pieces");
    bad = c;
    bad.algorithm = PM_ALGORITHM_BPE;
    bad.ngram_order = 3;
    refuse_count(&bad, PM_INVALID_ARGUMENT, "ngram_order is an option of counting BytePiece");
    bad = c;
    bad.ngram_order = 8;
    refuse_count(&bad, PM_INVALID_ARGUMENT, "it is 1 to 7");
    by.ngrams = pieces;
    refuse_count(&by, PM_INVALID_ARGUMENT, "holds pieces, not n-grams");
    by.ngrams = words;
    refuse_count(&by, PM_INVALID_ARGUMENT, "holds pre-tokens for BPE");
    by.ngrams = path_of(10);
    refuse_count(&by, PM_NOT_FOUND, "");
    by.ngrams = ngrams;
    by.ngram_order = 5;
    refuse_count(&by, PM_INVALID_ARGUMENT, "ngram_order is '6' here and '5' in this call");
    by.ngram_order = 0;
    by.patterns = gpt2;
    by.n_patterns = 1;
    refuse_count(&by, PM_INVALID_ARGUMENT, "pattern=gpt2 is true not here but in this call");

    refuse_train(ngrams, &o, "holds n-grams: count pieces with them first");
    refuse_train(words, &o, "holds pre-tokens for BPE");
    o.min_documents = 2;
    refuse_train(pieces, &o, "documents were not counted");
    o.min_documents = 0;
    o.min_count = 7;
    refuse_train(pieces, &o, "min_count is '2' here and '7' in this call");
    o.min_count = PM_MIN_COUNT_DEFAULT;
    o.ensure_unicode = false;
    refuse_train(pieces, &o, "ensure_unicode is 'true' here and 'false' in this call");
    o.ensure_unicode = true;
    o.isolate_digits = true;
    refuse_train(pieces, &o, "isolate_digits is 'false' here and 'true' in this call");
    o.isolate_digits = false;
    o.algorithm = PM_ALGORITHM_BPE;
    pm_train_options bpe = o;
    uint32_t size = 300;
    pm_tokenizer *tok;
    bpe.vocab_sizes = &size;
    bpe.n_vocab_sizes = 1;
    bpe.counts = &pieces;
    bpe.n_counts = 1;
    assert_fails(pm_train(&tok, 1, NULL, &bpe, &err), PM_INVALID_ARGUMENT, "algorithm is 'bytepiece' here and 'bpe' in this call");
}
END_TEST

Suite *suite_bytepiece_counts(void);
Suite *suite_bytepiece_counts(void) {
    Suite *suite = suite_create("bytepiece_counts");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, training_from_counts_is_training_from_text);
    tcase_add_test(tc, weights_are_repetitions);
    tcase_add_test(tc, documents_and_most_are_counted_as_they_say);
    tcase_add_test(tc, required_and_excluded_pieces);
    tcase_add_test(tc, little_memory_gives_the_same_bytes);
    tcase_add_test(tc, too_little_memory_is_told_at_once);
    tcase_add_test(tc, what_does_not_fit_is_refused_by_name);
    suite_add_tcase(suite, tc);
    tc = tcase_create("checkpoints");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, small_rounds, usual_rounds);
    tcase_add_test(tc, a_run_that_is_stopped_again_and_again);
    tcase_add_test(tc, a_text_that_changed_meanwhile_is_refused);
    tcase_add_test(tc, a_folder_of_another_run_is_refused);
    suite_add_tcase(suite, tc);
    return suite;
}
