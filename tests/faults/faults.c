/* faults.c - every allocation and every read or write is made to fail, the n-th for every n.
 *
 * A scenario does one thing with the library from beginning to end. It is run once as it is, which tells what comes
 * out; then again and again: in run n the n-th allocation fails (alone, or with all after it), until a run has fewer
 * than n. Each run must end with PM_NO_MEMORY, or with the same result as ever where the library could do without.
 * Afterwards no block, mapping or file descriptor is left over, and a file that was to be replaced holds its old
 * content or the new one, with no temporary file beside it.
 *
 * Allocations are counted in two places: in malloc and its kin, which this program defines, so that those of PCRE2,
 * zlib, zstd, yajl and the C library count too; and at the library's own seam (pm_alloc_test_hook), which sees mapped
 * pages as well. Under sanitizers, which define malloc themselves, the seam alone is used: -DPM_FAULTS_SEAM_ONLY. Reads
 * and writes fail through pm_io_test_hook, as a full disk and a broken one. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "corpus/once.h"
#include "count/countmerge.h"
#include "encode/added.h"
#include "encode/core.h"
#include "encode/inside.h"
#include "encode/normalizer.h"
#include "pretok/pretokenizer.h"

#ifdef PM_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef PM_HAVE_ZSTD
#include <zstd.h>
#endif

/* ---------------------------------------------------------------- what fails ---- */

typedef enum where { NOWHERE, MALLOC, SEAM, IO } where;

static atomic_int armed;    /* a value of `where` */
static atomic_long counter; /* of events since arm() */
static long fail_at;        /* the first that fails */
static bool all_after;      /* and those behind it */
static int io_error;
static atomic_long live_blocks; /* of malloc */
static atomic_long live_mapped; /* bytes */

/* Counts one event; true: it is to fail. */
static bool strike(where w) {
    if (atomic_load(&armed) != (int)w) {
        return false;
    }
    long n = atomic_fetch_add(&counter, 1) + 1;
    return n == fail_at || (all_after && n > fail_at);
}

static bool seam_hook(void) { return !strike(SEAM); }
static int io_hook(void) { return strike(IO) ? io_error : 0; }

static void arm(where w, long n, bool after) {
    atomic_store(&counter, 0);
    fail_at = n;
    all_after = after;
    pm_alloc_test_hook = w == SEAM ? seam_hook : NULL;
    pm_io_test_hook = w == IO ? io_hook : NULL;
    atomic_store(&armed, (int)w);
}

static void disarm(void) {
    atomic_store(&armed, NOWHERE);
    pm_alloc_test_hook = NULL;
    pm_io_test_hook = NULL;
}

#ifndef PM_FAULTS_SEAM_ONLY

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static void *counted(void *p) {
    if (p) {
        atomic_fetch_add(&live_blocks, 1);
    }
    return p;
}

static bool no_memory(void) {
    if (strike(MALLOC)) {
        errno = ENOMEM;
        return true;
    }
    return false;
}

void *malloc(size_t size) { return no_memory() ? NULL : counted(__libc_malloc(size)); }
void *calloc(size_t n, size_t size) { return no_memory() ? NULL : counted(__libc_calloc(n, size)); }
void *memalign(size_t alignment, size_t size) { return no_memory() ? NULL : counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **p, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (!block) {
        return ENOMEM;
    }
    *p = block;
    return 0;
}

void free(void *p) {
    if (p) {
        atomic_fetch_sub(&live_blocks, 1);
    }
    __libc_free(p);
}

void *realloc(void *p, size_t size) {
    if (!p) {
        return malloc(size);
    }
    if (size == 0) {
        free(p);
        return NULL;
    }
    return no_memory() ? NULL : __libc_realloc(p, size);
}

/* The library's mappings; the C library's own (thread stacks) do not come here. */
void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    void *p = (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
    if (p != MAP_FAILED) {
        atomic_fetch_add(&live_mapped, (long)len);
    }
    return p;
}

/* With MREMAP_FIXED onto a mapping, which is what the library does: what was there is gone. */
void *mremap(void *old, size_t old_len, size_t len, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    void *to = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    void *p = (void *)syscall(SYS_mremap, old, old_len, len, flags, to);
    if (p != MAP_FAILED) {
        atomic_fetch_sub(&live_mapped, (long)old_len);
    }
    return p;
}

int munmap(void *p, size_t len) {
    atomic_fetch_sub(&live_mapped, (long)len);
    return (int)syscall(SYS_munmap, p, len);
}

#endif

/* ---------------------------------------------------------------- what the scenarios work on ---- */

static char folder[256]; /* for all files of this run */
static const char *source;
static pm_buf english, chinese; /* small texts */
static uint64_t result;         /* a hash of what a scenario gave */

static void die(const char *what) {
    fprintf(stderr, "faults: %s\n", what);
    exit(99);
}

static const char *path_of(const char *name) {
    static char path[2][512];
    static int which;
    which = !which;
    snprintf(path[which], sizeof path[which], "%s/%s", folder, name);
    return path[which];
}

static const char *model_of(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/models/%s", source, name);
    return path;
}

static void write_whole(const char *path, const void *data, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd) != 0) {
        die(path);
    }
}

static void mix(const void *data, size_t len) { result = XXH3_64bits_withSeed(data, len, result); }

static void mix_tokenizer(const pm_tokenizer *tok) {
    char hex[PM_HASH_HEX];
    pm_tokenizer_hash(tok, hex);
    mix(hex, 32);
}

static void append(pm_buf *buf, const char *text) {
    if (pm_buf_append(buf, text, strlen(text), NULL) != PM_OK) {
        die("no memory");
    }
}

static void make_texts(void) {
    static const char *const words[] = {"the ",      "cat ", "sat, ",  "on ",  "a mat ",
                                        "and it's ", "42 ",  "then\n", "THE ", "cats "};
    static const char *const characters[] = {"中", "国", "人", "的", "了", "。\n", "一", "不", "是", "e\u0301"};
    uint32_t state = 1;
    for (int i = 0; i < 1500; i++) {
        state = state * 1664525 + 1013904223;
        append(&english, words[(state >> 16) % 10]);
        append(&chinese, characters[(state >> 20) % 10]);
    }
}

/* Writes the English text as a plain, a compressed and a JSONL file. */
static void make_files(void) {
    write_whole(path_of("t.txt"), english.data, english.len);
    pm_buf json = {0};
    for (int i = 0; i < 200; i++) {
        append(&json, "{\"id\": 1, \"text\": \"a\\u00e9\\n the cat\"}\n");
    }
    write_whole(path_of("t.jsonl"), json.data, json.len);
    pm_buf_release(&json);
#ifdef PM_HAVE_ZLIB
    gzFile gz = gzopen(path_of("t.txt.gz"), "wb");
    if (!gz || gzwrite(gz, english.data, (unsigned)english.len) != (int)english.len || gzclose(gz) != Z_OK) {
        die("gz");
    }
#endif
#ifdef PM_HAVE_ZSTD
    size_t room = ZSTD_compressBound(english.len);
    void *packed = malloc(room);
    size_t len = packed ? ZSTD_compress(packed, room, english.data, english.len, 3) : 0;
    if (len == 0 || ZSTD_isError(len)) {
        die("zst");
    }
    write_whole(path_of("t.txt.zst"), packed, len);
    free(packed);
#endif
}

/* ---------------------------------------------------------------- scenarios ---- */

typedef struct scenario {
    const char *name;
    pm_status (*run)(const struct scenario *s, pm_error *err);
    const char *file; /* of tests/models, or made above */
    unsigned number;  /* threads, flags or format */
    const char *pattern;
    pm_tokenizer *tok; /* loaded before, for what works on one */
} scenario;

static pm_status run_load(const scenario *s, pm_error *err) {
    static const pm_special_token special = {{(const uint8_t *)"<|more|>", 8}, PM_ID_NONE};
    pm_load_options o = PM_LOAD_OPTIONS_INIT;
    pm_tokenizer *tok;
    o.flags = s->number;
    o.patterns = &s->pattern;
    o.n_patterns = s->pattern ? 1 : 0;
    o.special_tokens = &special;
    o.n_special_tokens = 1;
    PM_TRY(pm_tokenizer_load(&tok, model_of(s->file), &o, err));
    mix_tokenizer(tok);
    pm_tokenizer_free(tok);
    return PM_OK;
}

static pm_status run_save(const scenario *s, pm_error *err) {
    return pm_tokenizer_save(s->tok, path_of("saved"), (pm_format)s->number, err);
}

static pm_status read_corpus(pm_corpus *corpus, pm_error *err) {
    const pm_bytes *docs;
    size_t n;
    do {
        PM_TRY(pm_corpus_read(corpus, 4096, &docs, &n, err));
        for (size_t i = 0; i < n; i++) {
            mix(docs[i].data, docs[i].len);
        }
    } while (n > 0);
    return PM_OK;
}

static pm_status run_corpus(const scenario *s, pm_error *err) {
    pm_corpus *corpus;
    pm_corpus_options o = PM_CORPUS_OPTIONS_INIT;
    if (s->number) { /* all that chooses and tells, and a first reading that measures */
        o.sample_bytes = 20000;
        o.remove_duplicates = o.count_scripts = true;
    }
    PM_TRY(pm_corpus_new(&corpus, &o, err));
    pm_status status = pm_corpus_add_file(corpus, path_of(s->file), err);
    if (status == PM_OK) {
        status = read_corpus(corpus, err);
    }
    pm_corpus_free(corpus);
    return status;
}

/* A set of hashes that goes to disk, three times, and is asked for what is there. */
static pm_status run_hashes(const scenario *s, pm_error *err) {
    pm_once set = {.most = s->number};
    pm_status status = PM_OK;
    uint64_t found = 0;
    for (uint64_t i = 0; i < 6000 && status == PM_OK; i++) {
        uint64_t number = i % 10 ? i : i / 2;
        bool added;
        status = pm_once_add(&set, (XXH128_hash_t){pm_hash_word(number), pm_hash_word(~number)}, &added, err);
        found += status == PM_OK && !added;
    }
    mix(&found, sizeof found);
    pm_once_release(&set);
    return status;
}

/* base: a tokenizer to extend, or NULL */
static pm_status train(pm_corpus *corpus, pm_algorithm algorithm, const scenario *s, const pm_tokenizer *base, pm_error *err) {
    static const uint32_t sizes[] = {400, 300};
    static const pm_special_token special = {{(const uint8_t *)"<|end|>", 7}, PM_ID_NONE};
    static const pm_bytes pieces[] = {{(const uint8_t *)"sayings", 7}, {(const uint8_t *)"say", 3}};
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_tokenizer *out[2] = {NULL, NULL};
    size_t n = algorithm == PM_ALGORITHM_BYTEPIECE ? 2 : 1;
    o.algorithm = algorithm;
    o.vocab_sizes = sizes;
    o.n_vocab_sizes = n;
    o.threads = s->number;
    o.special_tokens = &special;
    o.n_special_tokens = 1;
    o.patterns = &s->pattern;
    o.n_patterns = s->pattern ? 1 : 0;
    o.extend = base;
    if (s->pattern && strcmp(s->pattern, "sentencepiece") == 0) {
        o.level = PM_LEVEL_CHARACTER;
        o.character_coverage = 0.5;
    }
    o.required_pieces = pieces;
    o.n_required_pieces = base ? 2 : 0;
    pm_status status = pm_train(out, n, corpus, &o, err);
    for (size_t i = 0; i < n; i++) {
        if (status == PM_OK) {
            mix_tokenizer(out[i]);
        } else if (out[i]) {
            die("a failed training left a tokenizer");
        }
        pm_tokenizer_free(out[i]);
    }
    return status;
}

static pm_status run_training(const scenario *s, pm_algorithm algorithm, const pm_tokenizer *base, pm_error *err) {
    pm_corpus *corpus;
    PM_TRY(pm_corpus_new(&corpus, NULL, err));
    pm_status status = s->file ? pm_corpus_add_file(corpus, path_of(s->file), err)
                               : pm_corpus_add_document(corpus, (pm_bytes){english.data, english.len}, err);
    if (status == PM_OK) {
        status = pm_corpus_add_document(corpus, (pm_bytes){chinese.data, chinese.len}, err);
    }
    if (status == PM_OK) {
        status = train(corpus, algorithm, s, base, err);
    }
    pm_corpus_free(corpus);
    return status;
}

static pm_status run_train_bpe(const scenario *s, pm_error *err) { return run_training(s, PM_ALGORITHM_BPE, NULL, err); }
static pm_status run_train_bytepiece(const scenario *s, pm_error *err) {
    return run_training(s, PM_ALGORITHM_BYTEPIECE, NULL, err);
}

static pm_status run_extend(const scenario *s, pm_error *err) {
    pm_tokenizer *base;
    PM_TRY(pm_tokenizer_load(&base, model_of("good-bpe.piecemill"), NULL, err));
    pm_status status = run_training(s, PM_ALGORITHM_BPE, base, err);
    pm_tokenizer_free(base);
    return status;
}

static pm_status count(const char *path, const pm_buf *text, unsigned threads, pm_error *err) {
    pm_counts_options o = PM_COUNTS_OPTIONS_INIT;
    pm_corpus *corpus;
    o.threads = threads;
    o.documents = true;
    PM_TRY(pm_corpus_new(&corpus, NULL, err));
    pm_status status = pm_corpus_add_document(corpus, (pm_bytes){text->data, text->len}, err);
    if (status == PM_OK) {
        status = pm_count(path, corpus, &o, err);
    }
    pm_corpus_free(corpus);
    return status;
}

static pm_status run_count(const scenario *s, pm_error *err) { return count(path_of("saved"), &chinese, s->number, err); }

/* A chunk for each record: with the least memory, several runs in temporary files. */
static pm_status fill_store(pm_store *store, pm_error *err) {
    pm_records records = {0};
    pm_status status = PM_OK;
    for (size_t i = 0; i < 24 && status == PM_OK; i++) {
        pm_chunk *chunk = pm_records_add_chunk(&records, 1);
        if (!chunk) {
            status = pm_fail_memory(err);
            break;
        }
        pm_record *r = pm_record_at(chunk, chunk->used);
        *r = (pm_record){1, 1 + (uint32_t)i % 7};
        memcpy(pm_record_cells(r), "abcdefg", 8);
        chunk->used += pm_record_bytes(r->n, 1);
    }
    if (status == PM_OK) {
        return pm_store_put_all(store, &records, err);
    }
    pm_records_release(&records);
    return status;
}

static pm_status run_sort(const scenario *s, pm_error *err) {
    pm_ticker ticker;
    pm_store *store;
    pm_count_totals totals = {0};
    pm_ticker_init(&ticker, NULL, NULL, 0);
    const pm_count_work work = {s->number, 0, folder, &ticker};
    PM_TRY(pm_store_new(&store, 0, folder, err));
    pm_status status = fill_store(store, err);
    if (status == PM_OK) {
        status = pm_count_store_write(store, path_of("saved"), "algorithm=bpe\n", &totals, &work, err);
    }
    pm_store_free(store);
    return status;
}

/* Two count files, made before. */
static const char *const *count_files(void) {
    static char paths[2][512];
    static const char *list[2];
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d.counts", folder, i);
        list[i] = paths[i];
    }
    return list;
}

static pm_status run_merge(const scenario *s, pm_error *err) {
    (void)s;
    return pm_counts_merge(path_of("saved"), count_files(), 2, NULL, err);
}

static pm_status run_train_counts(const scenario *s, pm_error *err) {
    static const uint32_t size = 300;
    pm_train_options o = PM_TRAIN_OPTIONS_INIT;
    pm_tokenizer *tok;
    o.algorithm = PM_ALGORITHM_BPE;
    o.vocab_sizes = &size;
    o.n_vocab_sizes = 1;
    o.threads = s->number;
    o.counts = count_files();
    o.n_counts = 2;
    o.min_documents = 1;
    PM_TRY(pm_train(&tok, 1, NULL, &o, err));
    mix_tokenizer(tok);
    pm_tokenizer_free(tok);
    return PM_OK;
}

static pm_status run_encode(const scenario *s, pm_error *err) {
    static pm_id ids[1 << 16];
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_encoder *enc;
    size_t n = 0;
    o.allowed = PM_SPECIAL_ALL;
    o.alpha = s->number ? 0.5 : -1;
    PM_TRY(pm_encoder_new(&enc, s->tok, err));
    pm_status status = pm_encode(enc, (pm_bytes){chinese.data, chinese.len}, &o, ids, 1 << 16, &n, err);
    if (status == PM_OK) {
        mix(ids, n * sizeof *ids);
        status = pm_encode(enc, (pm_bytes){english.data, english.len}, &o, ids, 1 << 16, &n, err);
        mix(ids, n * sizeof *ids);
    }
    pm_encoder_free(enc);
    return status;
}

static pm_status run_alternatives(const scenario *s, pm_error *err) {
    pm_text text = {chinese.data, chinese.len < 600 ? chinese.len : 600, PM_TEXT_UTF8};
    pm_encoder *enc;
    pm_batch batch;
    pm_marginals m;
    double scores[5];
    PM_TRY(pm_encoder_new(&enc, s->tok, err));
    pm_status status = pm_encode_nbest(enc, text, 5, NULL, &batch, scores, err);
    if (status == PM_OK) {
        mix(batch.ids, batch.offsets[batch.n_docs] * sizeof *batch.ids);
        mix(scores, batch.n_docs * sizeof *scores);
        pm_batch_release(&batch);
        status = pm_encode_marginals(enc, text, NULL, &m, err);
    }
    if (status == PM_OK) {
        for (size_t i = 0; i < m.n; i++) {
            mix(&m.items[i].probability, sizeof m.items[i].probability);
        }
        pm_marginals_release(&m);
    }
    pm_encoder_free(enc);
    return status;
}

/* A model of each algorithm with pieces of both texts; `number` is what it is. */
enum { CORE_UNIGRAM, CORE_FLOATS, CORE_WORDPIECE, CORE_WORDLEVEL, CORE_BPE, CORE_SCORED };

static pm_status fill_core_model(pm_model *m, unsigned kind, pm_error *err) {
    static const pm_algorithm algorithms[] = {PM_ALGORITHM_UNIGRAM, PM_ALGORITHM_UNIGRAM, PM_ALGORITHM_WORDPIECE, PM_ALGORITHM_WORDLEVEL, PM_ALGORITHM_BPE, PM_ALGORITHM_BPE};
    static const char *const pieces[] = {"<unk>", "t", "h", "e", "th", "the", "##e", "##at", "a", "at", " ", "中", "国", "中国", "人", "\xE2\x96\x81"};
    enum { N_PIECES = sizeof pieces / sizeof *pieces };
    m->algorithm = algorithms[kind];
    m->general = m->has_unknown = true;
    m->max_word = 100000;
    m->prefix = (pm_bytes){(const uint8_t *)"##", kind == CORE_WORDPIECE ? 2 : 0};
    m->scores = pm_calloc(N_PIECES, sizeof *m->scores);
    m->added = pm_calloc(N_PIECES, 1);
    m->normalizer.items = pm_calloc(1, sizeof *m->normalizer.items);
    if (!m->scores || !m->added || !m->normalizer.items) {
        return pm_fail_memory(err);
    }
    m->normalizer.items[0].type = PM_STEP_SENTENCEPIECE;
    m->normalizer.n = kind == CORE_FLOATS || kind == CORE_SCORED;
    for (pm_id i = 0; i < N_PIECES; i++) {
        PM_TRY(pm_model_set(m, i, i ? PM_KIND_PIECE : PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)pieces[i], strlen(pieces[i])}, 0, false, err));
        m->scores[i] = -(double)(i % 7);
    }
    m->added[12] = kind == CORE_SCORED ? PM_ADDED : 0;
    m->added[4] = kind == CORE_SCORED ? PM_UNUSED : 0;
    PM_TRY(pm_model_add_merge(m, 1, 2, 4, err));
    return pm_model_add_merge(m, 4, 3, 5, err);
}

static pm_status mix_list(void *user, const pm_core_token *tokens, size_t n, double score, pm_error *err) {
    (void)user;
    (void)err;
    mix(tokens, n * sizeof *tokens);
    mix(&score, sizeof score);
    return PM_OK;
}

static pm_status use_core(const pm_core *core, pm_core_scratch *scratch, pm_core_tokens *out, pm_error *err) {
    const pm_bytes texts[] = {{english.data, english.len}, {chinese.data, chinese.len}, {english.data, 3}, {(const uint8_t *)"\xE2\x96\x81the\xE2\x96\x81the", 12}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        PM_TRY(pm_core_encode(core, scratch, texts[i], out, err));
        PM_TRY(pm_core_sample(core, scratch, texts[i], 0.5, i, out, err));
    }
    mix(out->items, out->n * sizeof *out->items);
    pm_core_scratch_trim(scratch);
    pm_status status = pm_core_nbest(core, scratch, (pm_bytes){english.data, 40}, 5, mix_list, NULL, err);
    return status == PM_UNSUPPORTED ? PM_OK : status;
}

static pm_status run_core(const scenario *s, pm_error *err) {
    pm_model model = {0};
    pm_core *core = NULL;
    pm_core_scratch *scratch = NULL;
    pm_core_tokens out = {0};
    pm_status status = fill_core_model(&model, s->number, err);
    status = status == PM_OK ? pm_core_new(&core, &model, err) : status;
    status = status == PM_OK ? pm_core_scratch_new(&scratch, err) : status;
    status = status == PM_OK ? use_core(core, scratch, &out, err) : status;
    pm_free(out.items);
    pm_core_scratch_free(scratch);
    pm_core_free(core);
    pm_model_release(&model);
    return status;
}

static pm_status run_batch(const scenario *s, pm_error *err) {
    pm_text docs[20];
    pm_batch batch;
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    o.threads = s->number;
    for (size_t i = 0; i < 20; i++) {
        const pm_buf *text = i % 2 ? &english : &chinese;
        docs[i] = (pm_text){text->data, text->len / (i + 1), i % 5 ? PM_TEXT_UTF8 : PM_TEXT_LATIN1};
    }
    PM_TRY(pm_encode_batch_texts(s->tok, docs, 20, &o, &batch, err));
    mix(batch.offsets, 21 * sizeof *batch.offsets);
    mix(batch.ids, batch.offsets[20] * sizeof *batch.ids);
    pm_batch_release(&batch);
    return PM_OK;
}

static pm_status run_decode(const scenario *s, pm_error *err) {
    pm_id ids[300];
    uint8_t out[3000];
    size_t n;
    for (pm_id i = 0; i < 250; i++) {
        ids[i] = i;
    }
    PM_TRY(pm_decode(s->tok, ids, 250, out, sizeof out, &n, err));
    mix(out, n);
    return PM_OK;
}

/* A charsmap without a rule: a trie of one block, one empty text. */
static pm_bytes empty_charsmap(void) {
    static uint8_t blob[4 + 2048 + 1];
    blob[1] = 2048 >> 8;
    for (size_t i = 1; i < 512; i++) {
        blob[4 + 4 * i + 3] = 0x80; /* a value */
    }
    blob[4 + 1] = 256 << 10 >> 8 & 0xFF; /* the root's children: none, at 256 */
    blob[4 + 2] = 256 << 10 >> 16;
    return (pm_bytes){blob, sizeof blob};
}

static pm_status normalize(const pm_normalizer *normalizer, pm_error *err) {
    pm_normalizer_scratch *scratch;
    pm_normalized out = {0};
    static const char marks[] = "A e\u0301 \uFB01 a\u0301\u0323\u0301\u0323\u0301\u0323\u0301\u0323\u0301\u0323\u0301\u0323\u0301\u0323\u0301\u0323\u0301\u0323";
    PM_TRY(pm_normalizer_scratch_new(&scratch, normalizer, err));
    pm_status status = pm_normalize(normalizer, scratch, (pm_bytes){(const uint8_t *)marks, sizeof marks - 1}, 0, true, &out, err);
    if (status == PM_OK) {
        mix(out.text.data, out.text.len);
        status = pm_normalize(normalizer, scratch, (pm_bytes){chinese.data, chinese.len}, 0, true, &out, err);
    }
    if (status == PM_OK) {
        mix(out.text.data, out.text.len);
    }
    pm_normalized_release(&out);
    pm_normalizer_scratch_free(scratch);
    return status;
}

static pm_status run_normalize(const scenario *s, pm_error *err) {
    pm_bytes blank = {(const uint8_t *)" ", 1}, mark = {(const uint8_t *)"__", 2}, regex = {(const uint8_t *)"a+", 2};
    pm_step steps[] = {{.type = PM_STEP_PRECOMPILED, .a = empty_charsmap()}, {.type = PM_STEP_NFC}, {.type = PM_STEP_PREPEND, .a = mark},
                       {.type = PM_STEP_BERT, .flags = PM_STEP_CLEAN_TEXT | PM_STEP_CHINESE_CHARS | PM_STEP_LOWER},
                       {.type = PM_STEP_REPLACE, .a = blank, .b = mark},
#ifdef PM_HAVE_PCRE2
                       {.type = PM_STEP_REPLACE, .flags = PM_STEP_REGEX, .a = regex, .b = mark},
#endif
                       {.type = PM_STEP_BYTE_LEVEL_CHARS}};
    pm_step alone = {.type = PM_STEP_SENTENCEPIECE, .flags = PM_STEP_DUMMY_PREFIX | PM_STEP_ESCAPE_BLANKS, .a = empty_charsmap()};
    pm_steps list = {s->number ? &alone : steps, s->number ? 1 : sizeof steps / sizeof *steps, 0};
    pm_normalizer *normalizer;
    PM_TRY(pm_normalizer_new(&normalizer, &list, &regex, 1, err));
    pm_status status = normalize(normalizer, err);
    pm_normalizer_free(normalizer);
    return status;
}

/* All kinds of steps, with origins, over a text and over one that is not well-formed. */
static pm_status run_pretokenize(const scenario *s, pm_error *err) {
    pm_bytes mark = {(const uint8_t *)"_", 1}, blank = {(const uint8_t *)" ", 1};
    pm_step steps[] = {
#ifdef PM_HAVE_PCRE2
        {.type = PM_STEP_SPLIT, .flags = PM_STEP_REGEX, .n = PM_BEHAVIOR_MERGED_WITH_NEXT, .a = {(const uint8_t *)"(?i:[a-e])|\\d", 13}},
#endif
        {.type = PM_STEP_METASPACE, .flags = PM_STEP_SPLITS, .n = PM_PREPEND_FIRST, .a = mark},
        {.type = PM_STEP_SPLIT, .n = PM_BEHAVIOR_CONTIGUOUS, .a = blank},
        {.type = PM_STEP_WHITESPACE},
        {.type = PM_STEP_BYTE_LEVEL, .flags = PM_STEP_PREFIX_SPACE | PM_STEP_USE_REGEX},
    };
    pm_steps list = {steps, sizeof steps / sizeof *steps, 0};
    pm_stretch stretch = {.text = {english.data, english.len < 3000 ? english.len : 3000}, .with_origins = s->number};
    pm_pretokenizer *p;
    pm_pretokenizer_scratch *scratch = NULL;
    pm_pretokens out;

    PM_TRY(pm_pretokenizer_new(&p, &list, err));
    pm_status status = pm_pretokenizer_scratch_new(&scratch, p, err);
    for (int round = 0; round < 2 && status == PM_OK; round++) {
        status = pm_pretokenize(p, scratch, &stretch, &out, err);
        if (status == PM_OK) {
            mix(out.text.data, out.text.len);
            mix(out.spans, out.n * sizeof *out.spans);
        }
        stretch.text = (pm_bytes){chinese.data + 1, 2000};
    }
    pm_pretokenizer_scratch_free(scratch);
    pm_pretokenizer_free(p);
    return status;
}

static pm_status run_added(const scenario *s, pm_error *err) {
    const pm_special_token tokens[] = {{{(const uint8_t *)"the", 3}, 1}, {{(const uint8_t *)"them", 4}, 2}, {{(const uint8_t *)" a", 2}, 3}};
    const uint8_t flags[] = {PM_ADDED_SINGLE_WORD | PM_ADDED_LSTRIP, 0, PM_ADDED_RSTRIP};
    pm_special_rules rules = {NULL, (uint8_t)s->number};
    pm_added_place place = {0};
    pm_added_match match;
    pm_added *added;

    PM_TRY(pm_added_new(&added, tokens, flags, 3, err));
    while (pm_added_next(added, rules, (pm_bytes){english.data, english.len}, &place, &match)) {
        mix(&match.begin, sizeof match.begin);
    }
    pm_added_free(added);
    return PM_OK;
}

static scenario scenarios[] = {
    {"load native", run_load, "good-bpe.piecemill", 0, NULL, NULL},
    {"load native, copied", run_load, "good-two-regexes.piecemill", PM_LOAD_COPY, NULL, NULL},
    {"load native, BytePiece", run_load, "good-bytepiece.piecemill", 0, NULL, NULL},
    {"load tiktoken", run_load, "good-bpe.tiktoken", 0, "o200k_base", NULL},
    {"load tiktoken, a regex", run_load, "good-bpe.tiktoken", PM_LOAD_COPY, "[a-z]+|\\s+", NULL},
    {"load hf", run_load, "good-old.tokenizer.json", 0, NULL, NULL},
    {"load hf, regexes", run_load, "good-three.tokenizer.json", 0, NULL, NULL},
    {"load hf, characters", run_load, "good-characters-prefix.tokenizer.json", 0, NULL, NULL},
#ifdef PM_HAVE_PROTOBUF
    {"load sentencepiece", run_load, "good-prefix.model", 0, NULL, NULL},
    {"load gguf", run_load, "good-gpt2.gguf", 0, NULL, NULL},
    {"load gguf, scores", run_load, "good-llama.gguf", 0, NULL, NULL},
    {"save gguf", run_save, "good-gpt2.gguf", PM_FORMAT_GGUF, NULL, NULL},
    {"save gguf, scores", run_save, "good-llama.gguf", PM_FORMAT_GGUF, NULL, NULL},
    {"save sentencepiece", run_save, "good-characters.piecemill", PM_FORMAT_SENTENCEPIECE, NULL, NULL},
#endif
    {"load native, characters", run_load, "good-characters.piecemill", 0, NULL, NULL},
    {"load hf, malformed", run_load, "bad-truncated.tokenizer.json", 0, NULL, NULL},
    {"load bytepiece", run_load, "good-escaped.bytepiece.json", PM_LOAD_COPY, NULL, NULL},
    {"save native", run_save, "good-bpe.piecemill", PM_FORMAT_NATIVE, NULL, NULL},
    {"save tiktoken", run_save, "good-bpe.piecemill", PM_FORMAT_TIKTOKEN, NULL, NULL},
    {"save hf", run_save, "good-bpe.piecemill", PM_FORMAT_HF, NULL, NULL},
    {"save hf, characters", run_save, "good-characters.piecemill", PM_FORMAT_HF, NULL, NULL},
    {"save bytepiece", run_save, "good-bytepiece.piecemill", PM_FORMAT_BYTEPIECE, NULL, NULL},
    {"read text", run_corpus, "t.txt", 0, NULL, NULL},
    {"read JSONL", run_corpus, "t.jsonl", 0, NULL, NULL},
    {"hashes on disk", run_hashes, NULL, 20000, NULL, NULL},
    {"read a sample", run_corpus, "t.jsonl", 1, NULL, NULL},
#ifdef PM_HAVE_ZLIB
    {"read gz", run_corpus, "t.txt.gz", 0, NULL, NULL},
#endif
#ifdef PM_HAVE_ZSTD
    {"read zst", run_corpus, "t.txt.zst", 0, NULL, NULL},
#endif
    {"train bpe", run_train_bpe, NULL, 1, NULL, NULL},
    {"train bpe, 2 threads", run_train_bpe, NULL, 2, NULL, NULL},
    {"train bpe, a file and a regex", run_train_bpe, "t.txt", 1, "\\p{L}+|\\s+", NULL},
    {"train bpe, no splitting", run_train_bpe, "t.jsonl", 1, "", NULL},
    {"train bpe, characters", run_train_bpe, NULL, 2, "sentencepiece", NULL},
    {"extend bpe", run_extend, NULL, 1, NULL, NULL},
    {"train bytepiece", run_train_bytepiece, NULL, 1, NULL, NULL},
    {"train bytepiece, 2 threads", run_train_bytepiece, "t.txt", 2, NULL, NULL},
    {"count", run_count, NULL, 1, NULL, NULL},
    {"count, 2 threads", run_count, NULL, 2, NULL, NULL},
    {"count, sorted in files", run_sort, NULL, 1, NULL, NULL},
    {"merge counts", run_merge, NULL, 1, NULL, NULL},
    {"train from counts", run_train_counts, NULL, 1, NULL, NULL},
    {"encode bpe", run_encode, "good-bpe.piecemill", 0, NULL, NULL},
    {"encode bpe, characters", run_encode, "good-characters.piecemill", 0, NULL, NULL},
    {"encode bpe, regexes", run_encode, "good-two-regexes.piecemill", 0, NULL, NULL},
    {"encode bytepiece", run_encode, "good-bytepiece.piecemill", 0, NULL, NULL},
    {"encode bytepiece, sampled", run_encode, "good-bytepiece.piecemill", 1, NULL, NULL},
    {"core, Unigram", run_core, NULL, CORE_UNIGRAM, NULL, NULL},
    {"core, Unigram in floats", run_core, NULL, CORE_FLOATS, NULL, NULL},
    {"core, WordPiece", run_core, NULL, CORE_WORDPIECE, NULL, NULL},
    {"core, WordLevel", run_core, NULL, CORE_WORDLEVEL, NULL, NULL},
    {"core, BPE", run_core, NULL, CORE_BPE, NULL, NULL},
    {"core, BPE by scores", run_core, NULL, CORE_SCORED, NULL, NULL},
    {"alternatives", run_alternatives, "good-bytepiece.piecemill", 0, NULL, NULL},
    {"batch bpe", run_batch, "good-bpe.piecemill", 1, NULL, NULL},
    {"batch bpe, 2 threads", run_batch, "good-two-regexes.piecemill", 2, NULL, NULL},
    {"batch bytepiece, 2 threads", run_batch, "good-bytepiece.piecemill", 2, NULL, NULL},
    {"pretokenize", run_pretokenize, NULL, 0, NULL, NULL},
    {"pretokenize, with origins", run_pretokenize, NULL, 1, NULL, NULL},
    {"added tokens", run_added, NULL, PM_SPECIAL_MATCH, NULL, NULL},
    {"decode", run_decode, "good-bpe.piecemill", 0, NULL, NULL},
    {"normalize", run_normalize, NULL, 0, NULL, NULL},
    {"normalize, sentencepiece", run_normalize, NULL, 1, NULL, NULL},
};
enum { N_SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* ---------------------------------------------------------------- what must hold ---- */

/* What is there before a run and must be there after it. */
typedef struct inventory {
    long blocks, mapped;
    int descriptors, files;
} inventory;

static int entries_of(const char *path) {
    int n = 0;
    DIR *dir = opendir(path);
    if (!dir) {
        return -1;
    }
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static inventory take_inventory(void) {
    return (inventory){atomic_load(&live_blocks), atomic_load(&live_mapped), entries_of("/proc/self/fd"),
                       entries_of(folder)};
}

/* Those that write the file "saved" in the place of another. */
static bool writes(const scenario *s) { return s->run == run_save || s->run == run_count || s->run == run_sort || s->run == run_merge; }

/* A hash of the file that these write; 0 when it is not there. */
static uint64_t saved_file(void) {
    struct stat info;
    static uint8_t data[1 << 18];
    int fd = open(path_of("saved"), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        return 0;
    }
    ssize_t n = read(fd, data, sizeof data);
    close(fd);
    return n < 0 ? 0 : XXH3_64bits(data, (size_t)n);
}

static const char old_content[] = "old content";

typedef struct outcome {
    pm_status status;
    uint64_t result, file;
    inventory after;
    long events;
} outcome;

/* Encoders that a tokenizer keeps would spare the next run their allocations, and count as left over. */
static void forget_idle(const pm_tokenizer *tok) {
    if (tok) {
        pm_engine *engine = tok->engine;
        pm_idle_release(&engine->idle);
    }
}

static outcome run_once(const scenario *s, where w, long n, bool after) {
    pm_error err = {0};
    outcome o;
    if (writes(s)) {
        write_whole(path_of("saved"), old_content, sizeof old_content - 1);
    }
    result = 0;
    arm(w, n, after);
    o.status = s->run(s, &err);
    forget_idle(s->tok);
    disarm();
    o.events = atomic_load(&counter);
    o.result = result;
    o.file = writes(s) ? saved_file() : 0;
    o.after = take_inventory();
    return o;
}

static bool complain(const scenario *s, const char *how, long n, const char *what) {
    printf("%s, %s %ld: %s\n", s->name, how, n, what);
    return false;
}

/* Run n against the undisturbed one. */
static bool check(const scenario *s, const char *how, long n, const outcome *o, const outcome *good,
                  pm_status expected) {
    char what[200];
    if (o->status != good->status && o->status != expected) {
        snprintf(what, sizeof what, "ended with %s", pm_status_name(o->status));
        return complain(s, how, n, what);
    }
    if (o->status == good->status && (o->result != good->result || o->file != good->file)) {
        return complain(s, how, n, "succeeded with another result");
    }
    if (writes(s) && o->status != good->status &&
        o->file != XXH3_64bits(old_content, sizeof old_content - 1)) {
        return complain(s, how, n, "the old file is gone");
    }
    if (memcmp(&o->after, &good->after, sizeof o->after) != 0) {
        snprintf(what, sizeof what, "left over: %ld blocks, %ld mapped bytes, %d descriptors, %d files",
                 o->after.blocks - good->after.blocks, o->after.mapped - good->after.mapped,
                 o->after.descriptors - good->after.descriptors, o->after.files - good->after.files);
        return complain(s, how, n, what);
    }
    return true;
}

/* All n of one scenario in one way. `good` is the undisturbed run. */
static bool sweep(const scenario *s, const char *how, where w, bool after, pm_status expected, const outcome *good,
                  long *runs) {
    for (long n = 1;; n++) {
        outcome o = run_once(s, w, n, after);
        ++*runs;
        if (!check(s, how, n, &o, good, expected)) {
            return false;
        }
        if (o.events < n) {
            return o.status == good->status || complain(s, how, n, "failed though nothing did");
        }
    }
}

static void prepare(scenario *s) {
    pm_error err = {0};
    if ((s->run == run_save || s->run == run_encode || s->run == run_alternatives || s->run == run_batch || s->run == run_decode) &&
        pm_tokenizer_load(&s->tok, model_of(s->file), NULL, &err) != PM_OK) {
        die(err.message);
    }
    if ((s->run == run_merge || s->run == run_train_counts) &&
        (count(count_files()[0], &chinese, 1, &err) != PM_OK || count(count_files()[1], &english, 1, &err) != PM_OK)) {
        die(err.message);
    }
}

static int passed, failed;

static void judge(bool good) { *(good ? &passed : &failed) += 1; }

static void run_scenario(scenario *s) {
    long runs = 0;
    prepare(s);
    run_once(s, NOWHERE, 0, false); /* what the C library keeps for ever is made now */
    outcome good = run_once(s, NOWHERE, 0, false);
    if (good.status != PM_OK && good.status != PM_BAD_FORMAT) {
        printf("%s: ends with %s undisturbed\n", s->name, pm_status_name(good.status));
        judge(false);
        pm_tokenizer_free(s->tok);
        return;
    }
#ifndef PM_FAULTS_SEAM_ONLY
    judge(sweep(s, "malloc", MALLOC, false, PM_NO_MEMORY, &good, &runs));
    judge(sweep(s, "malloc and all after", MALLOC, true, PM_NO_MEMORY, &good, &runs));
#endif
    judge(sweep(s, "allocation", SEAM, false, PM_NO_MEMORY, &good, &runs));
    judge(sweep(s, "allocation and all after", SEAM, true, PM_NO_MEMORY, &good, &runs));
    io_error = ENOSPC;
    judge(sweep(s, "read or write, disk full,", IO, false, PM_IO, &good, &runs));
    io_error = EIO;
    judge(sweep(s, "read or write, broken,", IO, true, PM_IO, &good, &runs));
    pm_tokenizer_free(s->tok);
    printf("%-32s %6ld runs\n", s->name, runs);
}

static void remove_folder(void) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        unlink(path_of(entry->d_name));
    }
    if (dir) {
        closedir(dir);
    }
    rmdir(folder);
}

int main(int argc, char **argv) {
    static char buffer[1 << 16];
    const char *base = getenv("TMPDIR");
    source = getenv("PM_SOURCE") ? getenv("PM_SOURCE") : ".";
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    snprintf(folder, sizeof folder, "%.200s/piecemill-faults.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        die(folder);
    }
    make_texts();
    make_files();
    for (int i = 0; i < N_SCENARIOS; i++) {
        if (argc < 2 || strstr(scenarios[i].name, argv[1])) {
            run_scenario(&scenarios[i]);
        }
    }
    pm_buf_release(&english);
    pm_buf_release(&chinese);
    remove_folder();
    printf("faults: %d passed, %d failed\n", passed, failed);
    return failed || !passed ? 1 : 0;
}
