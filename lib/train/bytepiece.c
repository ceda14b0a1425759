/* bytepiece.c - training BytePiece vocabularies: Su Jianlin's method, with the result of his package bytepiece 0.6.3.
 *
 * The method (https://kexue.fm/archives/9752, /9768; code: github.com/bojone/bytepiece, bytepiece.py and faster.pyx of
 * 0.6.3):
 *
 *   1. Text is normalized (NFC) and cut into chunks (text/chunk.c); with a pattern, which bytepiece has not, its pre-tokens are (chunks.c).
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
 * One pass over the corpus: an iterator cannot be rewound (passes.c). Or none: pieces may have been counted elsewhere, on many machines (piece_counts.c).
 *
 * Beyond bytepiece: a pattern; documents that weigh more than others; pieces that are in few documents, or are to stay or to go whatever their
 * count; a bound on what one document counts for. */
#include "base/bytes.h"
#include "encode/engine.h"
#include "text/unicode.h"
#include "train/checkpoint.h"
#include "train/passes.h"
#include "train/prune.h"

enum { CONTROLS = 3 };

/* Where the pieces are. */
typedef struct trainer {
    pm_train_job *job;
    pm_store *pieces; /* of text; NULL: in count files */
    bool doubles;     /* a piece may stand there more than once */
    pm_checkpoint *checkpoint;
    pm_checkpoint_paths kept; /* its count files; else they are the caller's */
    pm_bytes *required, *excluded; /* the options', in order, each once, without single bytes */
    size_t n_required, n_excluded;
} trainer;

/* ---------------------------------------------------------------- required and excluded pieces ---- */

static int by_bytes(const void *left, const void *right) { return pm_bytes_compare(*(const pm_bytes *)left, *(const pm_bytes *)right); }

static pm_status copy_pieces(pm_bytes **out, size_t *n_out, const pm_bytes *pieces, size_t n, pm_error *err) {
    pm_bytes *copy = *out = pm_alloc(n, sizeof *copy);
    size_t left = 0;
    if (!copy) {
        return pm_fail_memory(err);
    }
    if (n) {
        memcpy(copy, pieces, n * sizeof *copy);
    }
    qsort(copy, n, sizeof *copy, by_bytes);
    for (size_t i = 0; i < n; i++) {
        if (copy[i].len > 1 && (left == 0 || !pm_bytes_equal(copy[left - 1], copy[i]))) {
            copy[left++] = copy[i];
        }
    }
    *n_out = left;
    return PM_OK;
}

static pm_status check_pieces(const trainer *t, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    for (size_t i = 0, k = 0; i < t->n_required; i++) {
        while (k < t->n_excluded && pm_bytes_compare(t->excluded[k], t->required[i]) < 0) {
            k++;
        }
        if (k < t->n_excluded && pm_bytes_equal(t->excluded[k], t->required[i])) {
            pm_bytes piece = t->required[i];
            return pm_fail(err, PM_INVALID_ARGUMENT, "the piece '%.*s' is required and excluded",
                           (int)(piece.len < 200 ? piece.len : 200), (const char *)piece.data);
        }
    }
    for (size_t i = 0; i < o->n_vocab_sizes; i++) {
        size_t room = o->vocab_sizes[i] - CONTROLS - t->job->extra - 256;
        if (t->n_required > room) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "%zu pieces are required; a vocabulary of %u has room for %zu", t->n_required,
                           o->vocab_sizes[i], room);
        }
    }
    return PM_OK;
}

static pm_status take_pieces(trainer *t, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    PM_TRY(copy_pieces(&t->required, &t->n_required, o->required_pieces, o->n_required_pieces, err));
    PM_TRY(copy_pieces(&t->excluded, &t->n_excluded, o->excluded_pieces, o->n_excluded_pieces, err));
    return check_pieces(t, err);
}

/* ---------------------------------------------------------------- the pieces of a text ---- */

static pm_status read_text(pm_passes *p, trainer *t, pm_error *err) {
    PM_TRY(pm_passes_read(p, UINT64_MAX, true, true, err));
    PM_TRY(pm_passes_ended(p, err));
    PM_TRY(pm_passes_model(p, err));
    PM_TRY(pm_store_new(&t->pieces, t->job->bytepiece_memory.store, t->job->o.tmpdir, err));
    return pm_passes_pieces(p, 0, UINT64_MAX, t->pieces, err);
}

/* With the checkpoint that the options name. */
static pm_status keep_pieces(trainer *t, pm_corpus *corpus, pm_error *err) {
    PM_TRY(pm_checkpoint_open(&t->checkpoint, t->job, err));
    return pm_checkpoint_pieces(&t->kept, t->checkpoint, corpus, t->job, err);
}

static pm_status find_pieces(trainer *t, pm_corpus *corpus, pm_error *err) {
    pm_passes passes;
    t->job->count_documents |= t->job->o.min_documents > 0;
    if (t->job->o.checkpoint) {
        return keep_pieces(t, corpus, err);
    }
    pm_status status = pm_passes_init(&passes, corpus, t->job, err);
    if (status == PM_OK) {
        status = read_text(&passes, t, err);
    }
    t->doubles = passes.pieces.doubles;
    t->job->summary.distinct = passes.pieces.distinct;
    pm_passes_release(&passes);
    return status;
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

/* Options that bytepiece has not stand there when they are used. */
static pm_status set_rules(pm_model *model, const pm_train_options *o, pm_error *err) {
    const struct {
        const char *name;
        uint64_t value;
    } rules[] = {{"min_documents", o->min_documents},
                 {"max_count_per_document", o->max_count_per_document},
                 {"required_pieces", o->n_required_pieces},
                 {"excluded_pieces", o->n_excluded_pieces}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        PM_TRY(rules[i].value ? pm_model_setting_number(model, rules[i].name, rules[i].value, err) : PM_OK);
    }
    return PM_OK;
}

static pm_status set_pattern(pm_model *model, const pm_splitter *splitter, pm_error *err) {
    const char *name = splitter ? pm_splitter_name(splitter) : "";
    return splitter ? pm_model_setting(model, "pattern", name[0] ? name : "own", err) : PM_OK;
}

static pm_status set_settings(pm_model *model, const trainer *t, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    PM_TRY(pm_model_setting(model, "algorithm", "bytepiece", err));
    PM_TRY(pm_model_setting_number(model, "ngram_order", o->ngram_order, err));
    PM_TRY(pm_model_setting_number(model, "min_count", o->min_count / t->job->unit, err));
    PM_TRY(pm_model_setting_number(model, "max_piece_length", o->max_piece_length, err));
    PM_TRY(pm_model_setting(model, "ensure_unicode", o->ensure_unicode ? "true" : "false", err));
    PM_TRY(pm_model_setting(model, "isolate_digits", o->isolate_digits ? "true" : "false", err));
    PM_TRY(set_rules(model, o, err));
    PM_TRY(pm_buf_printf(&model->settings, err, "%s", (const char *)t->job->corpus_settings.data));
    PM_TRY(set_pattern(model, t->job->splitter, err));
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

/* All pieces of the stream but those that are in too few documents; distinct is their number. */
static pm_status add_pieces(pm_pruner *pruner, pm_count_stream *stream, uint64_t min_documents, uint64_t *distinct, pm_error *err) {
    pm_counted_word word;
    bool more;
    for (*distinct = 0;; ++*distinct) {
        PM_TRY(pm_count_stream_next(stream, &word, &more, err));
        if (!more) {
            return PM_OK;
        }
        if (word.documents >= min_documents || word.text.len == 1) {
            PM_TRY(pm_pruner_add(pruner, word.text, word.count, err));
        }
    }
}

static pm_status open_stream(pm_count_stream **stream, trainer *t, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    const pm_count_work work = {o->threads, t->job->bytepiece_memory.sorting, o->tmpdir, &t->job->ticker};
    pm_train_summary *sum = &t->job->summary;
    pm_count_totals totals;
    if (t->pieces) {
        return pm_count_stream_store(stream, t->pieces, t->job->count_documents, &work, err);
    }
    PM_TRY(pm_ticker_phase(&t->job->ticker, "read pieces", "pieces", 0, err));
    if (t->kept.list) {
        return pm_count_stream_files(stream, (const char *const *)t->kept.list, t->kept.n, &totals, &work, err);
    }
    PM_TRY(pm_count_stream_files(stream, o->counts, o->n_counts, &totals, &work, err));
    sum->documents = totals.documents;
    sum->bytes = totals.bytes;
    sum->words = totals.words;
    sum->lines_split = totals.lines_split;
    return PM_OK;
}

/* All pieces to the pruner, each once. */
static pm_status feed_pruner(pm_pruner *pruner, trainer *t, pm_error *err) {
    pm_count_stream *stream;
    if (t->pieces && !t->doubles && !t->job->count_documents) {
        return pm_pruner_add_store(pruner, t->pieces, err);
    }
    PM_TRY(open_stream(&stream, t, err));
    pm_status status = add_pieces(pruner, stream, t->job->o.min_documents, &t->job->summary.distinct, err);
    pm_count_stream_free(stream);
    if (status == PM_OK && !t->job->summary.distinct && t->job->o.n_counts) {
        status = pm_fail_file(err, PM_EMPTY_CORPUS, t->job->o.counts[0], PM_NO_OFFSET, "no pieces were counted");
    }
    return status;
}

static pm_status prune(pm_pruned *out, trainer *t, const size_t *sizes, pm_error *err) {
    const pm_train_options *o = &t->job->o;
    pm_prune_options options = {.max_length = o->max_piece_length,
                                .min_count = o->min_count,
                                .required = t->required,
                                .n_required = t->n_required,
                                .excluded = t->excluded,
                                .n_excluded = t->n_excluded,
                                .threads = o->threads,
                                .memory = t->job->bytepiece_memory.dropped,
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
    trainer t = {.job = job};
    size_t n = job->o.n_vocab_sizes;

    for (size_t i = 0; i < n; i++) {
        out[i] = NULL;
    }
    pm_status status = take_pieces(&t, err);
    if (status == PM_OK && corpus) {
        status = find_pieces(&t, corpus, err);
    }
    if (status == PM_OK) {
        status = make_tokenizers(out, &t, err);
    }
    pm_store_free(t.pieces);
    pm_checkpoint_paths_free(&t.kept);
    pm_checkpoint_close(t.checkpoint);
    pm_free(t.required);
    pm_free(t.excluded);
    for (size_t i = 0; status != PM_OK && i < n; i++) {
        pm_tokenizer_free(out[i]);
        out[i] = NULL;
    }
    return status;
}
