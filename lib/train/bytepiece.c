/* bytepiece.c - training BytePiece vocabularies: Su Jianlin's method, with the result of his package bytepiece 0.6.3.
 *
 * The method (https://kexue.fm/archives/9752, /9768; code: github.com/bojone/bytepiece, bytepiece.py and faster.pyx of
 * 0.6.3):
 *
 *   1. Text is normalized (NFC) and cut into chunks (text/chunk.c); with a pattern, which bytepiece has not, its
 * pre-tokens are (chunks.c).
 *   2. All n-grams of 0 .. order bytes are counted, and become conditional log-probabilities (count/ngrams.c).
 *   3. Each chunk is cut where, by those probabilities, beginning anew is likelier than going on (segment.c). The parts
 *     are counted: they are the pieces (count/word_tables.c).
 *   4. Rare and superfluous pieces are split into others until a vocabulary of the wanted size is left (prune.c).
 *
 * What equality with bytepiece depends on, beside what segment.c, prune.c and encode/lattice.c list:
 *   - chunks: `.{,10000}\n{1,100}|.{1,10000}` on characters after NFC; with isolate_digits a digit (category Nd) is a
 *     chunk of its own and ends the one before. No n-gram and no piece crosses the end of a chunk. (Python 3.11 has the
 *     digits and compositions of Unicode 14, newer ones of later versions: for characters assigned since, bytepiece
 *     itself differs between Pythons.)
 *   - the n-gram of j bytes that begins at i is text[i:i+j], and where the chunk ends sooner it is shorter: those are
 *     counted and then removed, so a count is the number of places where all j bytes lie in the chunk. The empty n-gram
 *     is counted once a byte: its count is the number of bytes.
 *   - a byte that never occurs gets count 1, and the count of the empty n-gram grows by 1 for each such byte, before
 *     any logarithm.
 *   - min_count removes n-grams of two bytes and more. A longer n-gram is never more frequent than its prefix, so the
 *     prefix is always there.
 *   - values are log(count(k)) - log(count(k without its last byte)): two rounded doubles and one subtraction, not the
 *     log of a quotient. The logarithm here is correctly rounded (base/log.c); NumPy's, which bytepiece uses, is not
 *     everywhere (it differs in the last bit for some hundred of the integers below two million, and between
 *     processors); no model was seen where that made a difference.
 *   - vocabulary sizes: bytepiece keeps max_vocab_size - 3 pieces; here special tokens and reserved slots count too, so
 *     size - 3 - those.
 *   - ids: 0 <pad>, 1 <bos>, 2 <eos>, then pieces by (length, bytes).
 *
 * Text that is no UTF-8, which bytepiece refuses: NFC works on the well-formed stretches, any other byte is a character
 * of its own.
 *
 * One pass over the corpus: an iterator cannot be rewound, so chunks are spooled (count/spool.c) for step 3. Threads
 * take blocks of documents, and later runs of chunks, in any order; all that comes of it are sums of integers and sets,
 * so the model does not depend on it. */
#include "count/ngram_model.h"
#include "count/spool.h"
#include "count/word_tables.h"
#include "encode/engine.h"
#include "text/unicode.h"
#include "train/chunks.h"
#include "train/prune.h"
#include "train/segment.h"

enum { CONTROLS = 3 };
static const uint64_t spool_memory = UINT64_C(1) << 30; /* without a limit */

typedef struct trainer {
    pm_corpus *corpus;
    pm_train_job *job;
    pm_ngram_counter *counter;
    pm_ngram_model *model;
    pm_spool *spool;
    pm_word_tables tables; /* of pieces */
    pm_store *pieces;
    bool doubles; /* a piece may stand there more than once */
} trainer;

/* What n-grams may use. */
static pm_count_work work_of(trainer *t) {
    const pm_train_options *o = &t->job->o;
    return (pm_count_work){o->threads, o->memory_limit ? o->memory_limit / 4 : UINT64_MAX, o->tmpdir, &t->job->ticker};
}

/* ---------------------------------------------------------------- reading and counting n-grams ---- */

static pm_status take_run(void *ctx, unsigned thread, pm_chunks *run, pm_error *err) {
    trainer *t = ctx;
    PM_TRY(pm_ngram_count(t->counter, thread, run, err));
    return pm_spool_put(t->spool, run, err);
}

static pm_status count_ngrams(trainer *t, pm_error *err) {
    pm_train_summary *sum = &t->job->summary;
    pm_chunker chunker;

    PM_TRY(pm_ticker_phase(&t->job->ticker, "count n-grams", "bytes", 0, err));
    pm_status status = pm_chunker_init(&chunker, t->corpus, t->job, err);
    if (status == PM_OK) {
        status = pm_chunker_read(&chunker, UINT64_MAX, take_run, t, err);
    }
    sum->documents = chunker.documents;
    sum->bytes = chunker.bytes;
    sum->words = chunker.chunks;
    sum->documents_with_special = chunker.with_special;
    pm_chunker_release(&chunker);
    PM_TRY(status);
    return sum->bytes ? PM_OK
                      : pm_fail(err, PM_EMPTY_CORPUS, "the corpus holds no text: %llu documents, all empty",
                                (unsigned long long)sum->documents);
}

/* ---------------------------------------------------------------- counting pieces ---- */

static pm_status take_spans(void *ctx, unsigned thread, const pm_chunks *run, const pm_span *spans, size_t n,
                            pm_error *err) {
    trainer *t = ctx;
    return pm_word_table_add_spans(&t->tables.list[thread], run->text, run->text + run->len + PM_CHUNKS_PAD, spans, n,
                                   pm_chunks_weight(run), false, err);
}

static pm_status count_pieces(trainer *t, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    const pm_count_work work = work_of(t);
    pm_count_options options = {.threads = o->threads};
    pm_word_counts counts = {0};

    PM_TRY(pm_ngram_model_new(&t->model, t->counter, o->min_count, &work, err));
    pm_ngram_counter_free(t->counter);
    t->counter = NULL;
    PM_TRY(pm_store_new(&t->pieces, UINT64_MAX, o->tmpdir, err));
    PM_TRY(pm_word_tables_init(&t->tables, t->pieces, &options, &t->job->ticker, err));
    PM_TRY(pm_segment_spool(t->model, t->spool, NULL, 0, o->ensure_unicode, &work, take_spans, t, err));
    PM_TRY(pm_word_tables_finish(&t->tables, &counts, err));
    t->doubles = counts.doubles;
    t->job->summary.distinct = counts.distinct;
    return PM_OK;
}

/* All that is not needed for pruning. */
static void release_text(trainer *t) {
    pm_word_tables_release(&t->tables);
    pm_ngram_counter_free(t->counter);
    pm_ngram_model_free(t->model);
    pm_spool_free(t->spool);
    t->counter = NULL;
    t->model = NULL;
    t->spool = NULL;
}

static pm_status find_pieces(trainer *t, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    const pm_count_work work = work_of(t);

    PM_TRY(pm_spool_new(&t->spool, o->memory_limit ? o->memory_limit / 4 : spool_memory, o->tmpdir, err));
    PM_TRY(pm_ngram_counter_new(&t->counter, o->ngram_order, &work, err));
    PM_TRY(count_ngrams(t, err));
    return count_pieces(t, err);
}

/* ---------------------------------------------------------------- the models ---- */

typedef struct entry {
    pm_bytes piece;
    uint64_t count;
} entry;

static int by_length(const void *left, const void *right) {
    const entry *a = left, *b = right;
    return a->piece.len != b->piece.len ? (a->piece.len > b->piece.len ? 1 : -1)
                                        : memcmp(a->piece.data, b->piece.data, a->piece.len);
}

static pm_status set_ids(pm_model *model, const pm_train_options *o, const entry *entries, size_t n, pm_error *err) {
    static const char *const controls[CONTROLS] = {"<pad>", "<bos>", "<eos>"};
    for (pm_id id = 0; id < CONTROLS; id++) {
        PM_TRY(pm_model_set(model, id, PM_KIND_CONTROL, (pm_bytes){(const uint8_t *)controls[id], 5}, 0, false, err));
    }
    for (size_t i = 0; i < n; i++) {
        PM_TRY(pm_model_set(model, CONTROLS + (pm_id)i, PM_KIND_PIECE, entries[i].piece, entries[i].count, false, err));
    }
    PM_TRY(pm_model_add_reserved(model, (uint32_t)o->n_special_tokens + o->reserve, err));
    PM_TRY(pm_model_add_special_tokens(model, o->special_tokens, o->n_special_tokens, err));
    uint32_t over = o->round_to > 1 ? model->vocab_size % o->round_to : 0;
    return pm_model_add_reserved(model, over ? o->round_to - over : 0, err);
}

static pm_status set_settings(pm_model *model, const trainer *t, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    PM_TRY(pm_model_setting(model, "algorithm", "bytepiece", err));
    PM_TRY(pm_model_setting_number(model, "ngram_order", o->ngram_order, err));
    PM_TRY(pm_model_setting_number(model, "min_count", o->min_count, err));
    PM_TRY(pm_model_setting_number(model, "max_piece_length", o->max_piece_length, err));
    PM_TRY(pm_model_setting(model, "ensure_unicode", o->ensure_unicode ? "true" : "false", err));
    PM_TRY(pm_model_setting(model, "isolate_digits", o->isolate_digits ? "true" : "false", err));
    PM_TRY(pm_corpus_settings(t->corpus, &model->settings, err));
    PM_TRY(pm_model_setting(model, "unicode", pm_unicode_version, err));
    PM_TRY(pm_model_setting_number(model, "documents", t->job->summary.documents, err));
    return pm_model_setting_number(model, "bytes", t->job->summary.bytes, err);
}

/* Each tokenizer has a pattern of its own. */
static pm_status copy_splitter(pm_model *model, const pm_splitter *splitter, pm_error *err) {
    const char *name = splitter ? pm_splitter_name(splitter) : "";
    size_t n = splitter ? pm_splitter_n_regexes(splitter) : 0;
    if (!n || name[0]) {
        return n ? pm_splitter_new(&model->splitter, &name, 1, err) : PM_OK;
    }
    const char **regexes = pm_alloc(n, sizeof *regexes);
    if (!regexes) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        regexes[i] = pm_splitter_regex(splitter, i);
    }
    pm_status status = pm_splitter_new(&model->splitter, regexes, n, err);
    pm_free(regexes);
    return status;
}

static pm_status make_tokenizer(pm_tokenizer **out, const trainer *t, const pm_pruned *pruned, const uint64_t *counts,
                                size_t size, pm_error *err) {
    pm_model model = {
        .algorithm = PM_ALGORITHM_BYTEPIECE, .normalize = true, .isolate_digits = t->job->o.isolate_digits};
    entry *entries = pm_alloc(pruned->n, sizeof *entries);
    size_t n = 0;

    if (!entries) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < pruned->n; i++) {
        if (counts[i]) {
            entries[n++] = (entry){pruned->pieces[i], counts[i]};
        }
    }
    t->job->summary.smaller_than_asked |= n < size;
    qsort(entries, n, sizeof *entries, by_length);
    pm_status status = set_ids(&model, &t->job->o, entries, n, err);
    pm_free(entries);
    if (status == PM_OK) {
        status = copy_splitter(&model, t->job->splitter, err);
    }
    if (status == PM_OK) {
        status = set_settings(&model, t, err);
    }
    if (status != PM_OK) {
        pm_model_release(&model);
        return status;
    }
    return pm_tokenizer_make(out, &model, err);
}

/* The sizes asked for as numbers of pieces, largest first; which[i] is the place of the i-th in the caller's order. */
static void sort_sizes(const pm_train_job *job, size_t *sizes, size_t *which) {
    size_t n = job->o.n_vocab_sizes;
    for (size_t i = 0; i < n; i++) {
        size_t size = job->o.vocab_sizes[i] - CONTROLS - job->extra, k = i;
        for (; k > 0 && sizes[k - 1] < size; k--) {
            sizes[k] = sizes[k - 1];
            which[k] = which[k - 1];
        }
        sizes[k] = size;
        which[k] = i;
    }
}

static pm_status feed_words(pm_pruner *pruner, pm_count_stream *words, pm_error *err) {
    pm_counted_word word;
    for (bool more = true; more;) {
        PM_TRY(pm_count_stream_next(words, &word, &more, err));
        if (more) {
            PM_TRY(pm_pruner_add(pruner, word.text, word.count, err));
        }
    }
    return PM_OK;
}

/* All pieces to the pruner, each once. */
static pm_status feed_pruner(pm_pruner *pruner, trainer *t, pm_error *err) {
    pm_count_work work = {t->job->o.threads, UINT64_MAX, t->job->o.tmpdir, &t->job->ticker};
    pm_count_stream *words;
    if (!t->doubles) {
        return pm_pruner_add_store(pruner, t->pieces, err);
    }
    PM_TRY(pm_count_stream_store(&words, t->pieces, false, &work, err));
    pm_status status = feed_words(pruner, words, err);
    pm_count_stream_free(words);
    return status;
}

static pm_status prune(pm_pruned *out, trainer *t, const size_t *sizes, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    pm_prune_options options = {.max_length = o->max_piece_length,
                                .min_count = o->min_count,
                                .threads = o->threads,
                                .memory = UINT64_MAX,
                                .tmpdir = o->tmpdir};
    pm_pruner *pruner;
    PM_TRY(pm_pruner_new(&pruner, &options, &t->job->ticker, err));
    pm_status status = feed_pruner(pruner, t, err);
    if (status == PM_OK) {
        status = pm_ticker_phase(&t->job->ticker, "prune pieces", "tasks", 0, err);
    }
    if (status == PM_OK) {
        status = pm_pruner_run(pruner, out, sizes, o->n_vocab_sizes, err);
    }
    pm_pruner_free(pruner);
    return status;
}

static pm_status make_all(pm_tokenizer **out, trainer *t, size_t *sizes, size_t *which, pm_error *err) {
    pm_pruned pruned;
    pm_status status = PM_OK;

    sort_sizes(t->job, sizes, which);
    PM_TRY(prune(&pruned, t, sizes, err));
    for (size_t i = 0; status == PM_OK && i < t->job->o.n_vocab_sizes; i++) {
        status = make_tokenizer(&out[which[i]], t, &pruned, pruned.counts[i], sizes[i], err);
    }
    pm_pruned_release(&pruned);
    return status;
}

static pm_status make_tokenizers(pm_tokenizer **out, trainer *t, pm_error *err) {
    size_t n = t->job->o.n_vocab_sizes;
    size_t *sizes = pm_alloc(n, sizeof *sizes), *which = pm_alloc(n, sizeof *which);
    pm_status status = sizes && which ? make_all(out, t, sizes, which, err) : pm_fail_memory(err);
    pm_free(sizes);
    pm_free(which);
    return status;
}

pm_status pm_train_bytepiece(pm_tokenizer **out, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    trainer t = {.corpus = corpus, .job = job};
    size_t n = job->o.n_vocab_sizes;

    for (size_t i = 0; i < n; i++) {
        out[i] = NULL;
    }
    pm_status status = find_pieces(&t, err);
    release_text(&t);
    if (status == PM_OK) {
        status = make_tokenizers(out, &t, err);
    }
    pm_store_free(t.pieces);
    for (size_t i = 0; status != PM_OK && i < n; i++) {
        pm_tokenizer_free(out[i]);
        out[i] = NULL;
    }
    return status;
}
