/* train.c - pm_train: checks the options once for both trainers, sets the scene and calls one of them. */
#include "train/train.h"

#include "base/bytes.h"
#include "base/cpu.h"
#include "encode/pairs.h"
#include "train/piece_counts.h"
#include "train/words.h"

enum { MAX_VOCAB_SIZE = 1 << 30 };

/* ---------------------------------------------------------------- checks ---- */

static pm_status check_special_tokens(const pm_train_options *o, pm_error *err) {
    if (o->n_special_tokens > MAX_VOCAB_SIZE || o->reserve > MAX_VOCAB_SIZE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "more than %d special tokens or reserved slots", MAX_VOCAB_SIZE);
    }
    for (size_t i = 0; i < o->n_special_tokens; i++) {
        const pm_special_token *a = &o->special_tokens[i];
        if (!a->text.len) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "special token %zu is empty", i);
        }
        for (size_t k = 0; k < i; k++) {
            const pm_special_token *b = &o->special_tokens[k];
            if (pm_bytes_equal(a->text, b->text)) {
                return pm_fail(err, PM_INVALID_ARGUMENT, "special token '%.*s' is given twice",
                               (int)(a->text.len < 200 ? a->text.len : 200), (const char *)a->text.data);
            }
            if (a->id != PM_ID_NONE && a->id == b->id) {
                return pm_fail(err, PM_INVALID_ARGUMENT, "two special tokens have the id %u", a->id);
            }
        }
    }
    return PM_OK;
}

/* Ids that special tokens ask for must be where the layout has them. */
static pm_status check_special_ids(const pm_train_options *o, uint32_t extra, pm_error *err) {
    for (size_t size = 0; size < o->n_vocab_sizes; size++) {
        bool front = o->layout == PM_LAYOUT_HF || o->level == PM_LEVEL_CHARACTER;
        uint32_t first = !front ? o->vocab_sizes[size] - extra : o->level == PM_LEVEL_CHARACTER ? PM_N_TRAINED_CONTROLS : 0;
        uint32_t end = front ? first + (uint32_t)o->n_special_tokens : o->vocab_sizes[size];
        for (size_t i = 0; i < o->n_special_tokens; i++) {
            pm_id id = o->special_tokens[i].id;
            if (id != PM_ID_NONE && (id < first || id >= end)) {
                return pm_fail(err, PM_INVALID_ARGUMENT, "special token %zu asks for id %u; with this layout and size they lie from %u to %u", i, id,
                               first, end - 1);
            }
        }
    }
    return PM_OK;
}

static pm_status check_sizes(const pm_train_options *o, uint32_t extra, pm_error *err) {
    uint64_t least = 256 + (uint64_t)extra + (o->algorithm == PM_ALGORITHM_BYTEPIECE ? 3 : 0);
    if (!o->n_vocab_sizes) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "no vocabulary size is given");
    }
    if (o->algorithm == PM_ALGORITHM_BPE && o->n_vocab_sizes != 1) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "BPE takes one vocabulary size, not %zu", o->n_vocab_sizes);
    }
    if (o->algorithm == PM_ALGORITHM_BPE && o->vocab_sizes[0] > PM_PAIR_LIMIT) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a BPE vocabulary of %u entries: %u is the limit", o->vocab_sizes[0],
                       (unsigned)PM_PAIR_LIMIT);
    }
    for (size_t i = 0; i < o->n_vocab_sizes; i++) {
        if (o->vocab_sizes[i] < least || o->vocab_sizes[i] > MAX_VOCAB_SIZE) {
            return pm_fail(err, PM_INVALID_ARGUMENT,
                           "vocabulary size %u is out of range: with %zu special tokens and %u reserved slots it is at least %llu, at most %d",
                           o->vocab_sizes[i], o->n_special_tokens, o->reserve, (unsigned long long)least, MAX_VOCAB_SIZE);
        }
    }
    return PM_OK;
}

static pm_status check_rest(const pm_train_options *o, pm_error *err) {
    if (o->ngram_order > 7) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "ngram_order is %u; it is 1 to 7", o->ngram_order);
    }
    if (o->round_to > MAX_VOCAB_SIZE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "round_to is %u; it is at most %d", o->round_to, MAX_VOCAB_SIZE);
    }
    if (o->layout != PM_LAYOUT_DEFAULT && (o->layout != PM_LAYOUT_HF || o->algorithm != PM_ALGORITHM_BPE)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "layout %d is not known for this algorithm", (int)o->layout);
    }
    return PM_OK;
}

static pm_status check_bpe_only(const pm_train_options *o, pm_error *err) {
    const struct {
        const char *name;
        bool given;
    } options[] = {{"extend", o->extend != NULL}, {"level", o->level != PM_LEVEL_BYTE}, {"max_words", o->max_words > 0},
                   {"utf8_boundaries", o->utf8_boundaries}};
    for (size_t i = 0; o->algorithm != PM_ALGORITHM_BPE && i < sizeof options / sizeof *options; i++) {
        if (options[i].given) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "%s is an option of BPE, not of BytePiece", options[i].name);
        }
    }
    return PM_OK;
}

/* What goes with words of characters. */
static pm_status check_level(const pm_train_options *o, pm_error *err) {
    if (o->level != PM_LEVEL_BYTE && o->level != PM_LEVEL_CHARACTER) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "level %d is not known", (int)o->level);
    }
    if (o->level == PM_LEVEL_BYTE) {
        return o->character_coverage == 0 ? PM_OK : pm_fail(err, PM_INVALID_ARGUMENT, "character_coverage is an option of level char");
    }
    if (!(o->character_coverage > 0 && o->character_coverage <= 1)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "character_coverage is %g; it is above 0 and at most 1", o->character_coverage);
    }
    if (o->extend || o->n_required_pieces || o->layout != PM_LAYOUT_DEFAULT) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "%s is an option of level byte, not of level char",
                       o->extend ? "extend" : o->n_required_pieces ? "required_pieces" : "layout");
    }
    for (size_t i = 0; i < o->n_special_tokens; i++) {
        for (size_t k = 0; k < PM_N_TRAINED_CONTROLS; k++) {
            if (pm_bytes_equal(o->special_tokens[i].text, (pm_bytes){(const uint8_t *)pm_control_names[k], strlen(pm_control_names[k])})) {
                return pm_fail(err, PM_INVALID_ARGUMENT, "special token '%s': at level char it is in every vocabulary", pm_control_names[k]);
            }
        }
    }
    return PM_OK;
}

static pm_status check_pieces(const pm_train_options *o, pm_error *err) {
    enum { LONGEST = 1 << 16 };
    for (size_t i = 0; i < o->n_required_pieces; i++) {
        if (!o->required_pieces[i].len || o->required_pieces[i].len > LONGEST) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "required piece %zu has %zu bytes; it is 1 to %d", i, o->required_pieces[i].len, LONGEST);
        }
    }
    for (size_t i = 0; i < o->n_excluded_pieces; i++) {
        if (o->excluded_pieces[i].len < 2) {
            return pm_fail(err, PM_INVALID_ARGUMENT, "excluded piece %zu is %s", i,
                           o->excluded_pieces[i].len ? "a single byte: those are in every vocabulary" : "empty");
        }
    }
    return PM_OK;
}

/* What the tokenizer that is extended says where the options are silent: its pattern, its special tokens. */
static pm_status inherit(pm_train_job *job, pm_error *err) {
    pm_train_options *o = &job->o;
    if (pm_tokenizer_algorithm(o->extend) != PM_ALGORITHM_BPE || o->extend->model.characters) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "extend: the tokenizer is not a BPE one over bytes");
    }
    if (!o->n_patterns && !o->n_counts) { /* count files have theirs */
        size_t n = pm_tokenizer_n_patterns(o->extend);
        const char *name = pm_tokenizer_pattern_name(o->extend);
        job->patterns = pm_alloc(n + 1, sizeof *job->patterns);
        if (!job->patterns) {
            return pm_fail_memory(err);
        }
        job->patterns[0] = name; /* "": no splitting, when there are no regexes */
        for (size_t i = 0; i < n && !name[0]; i++) {
            job->patterns[i] = pm_tokenizer_pattern(o->extend, i);
        }
        o->patterns = job->patterns;
        o->n_patterns = n && !name[0] ? n : 1;
    }
    if (!o->n_special_tokens) {
        size_t n = pm_tokenizer_n_special_tokens(o->extend);
        job->specials = pm_alloc(n, sizeof *job->specials);
        if (!job->specials) {
            return pm_fail_memory(err);
        }
        for (size_t i = 0; i < n; i++) {
            job->specials[i] = (pm_special_token){pm_tokenizer_special_token(o->extend, i).text, PM_ID_NONE};
        }
        o->special_tokens = job->specials;
        o->n_special_tokens = n;
    }
    return PM_OK;
}

/* What count files of pieces say stays open. */
static void fill_defaults(pm_train_options *o) {
    bool bpe = o->algorithm == PM_ALGORITHM_BPE;
    o->threads = o->threads ? o->threads : pm_default_threads();
    if (!bpe) {
        o->max_piece_length = o->max_piece_length ? o->max_piece_length : 36;
    }
    if (o->level == PM_LEVEL_CHARACTER) { /* sentencepiece's */
        o->max_piece_length = o->max_piece_length ? o->max_piece_length : 16;
        o->character_coverage = o->character_coverage != 0 ? o->character_coverage : 0.9995;
    }
    if (!bpe && o->n_counts) {
        return;
    }
    if (o->min_count == PM_MIN_COUNT_DEFAULT) {
        o->min_count = bpe ? 0 : 2;
    }
    o->ngram_order = o->ngram_order ? o->ngram_order : 6;
}

/* One source of words. */
static pm_status check_source(const pm_train_options *o, const pm_corpus *corpus, pm_error *err) {
    if (o->n_counts && corpus) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a corpus and count files are given: training is from one or the other");
    }
    if (!o->n_counts && !corpus) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "no corpus is given");
    }
    if (o->n_counts && o->checkpoint && o->algorithm == PM_ALGORITHM_BYTEPIECE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "checkpoint: training BytePiece from count files has nothing to keep");
    }
    return PM_OK;
}

static pm_status check(pm_train_job *job, const pm_train_options *options, const pm_corpus *corpus, size_t n_out, pm_error *err) {
    pm_train_options defaults = PM_TRAIN_OPTIONS_INIT;
    pm_train_options *o = &job->o;
    *o = defaults;
    if (!options || options->size < sizeof options->size + sizeof options->algorithm || options->size > sizeof *o) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "the options are missing or of another version: begin with PM_TRAIN_OPTIONS_INIT");
    }
    memcpy(o, options, options->size);
    o->size = sizeof *o;
    if (o->algorithm != PM_ALGORITHM_BPE && o->algorithm != PM_ALGORITHM_BYTEPIECE) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "algorithm %d is not known", (int)o->algorithm);
    }
    PM_TRY(check_bpe_only(o, err));
    fill_defaults(o);
    if (o->extend) {
        PM_TRY(inherit(job, err));
    }
    PM_TRY(check_special_tokens(o, err));
    PM_TRY(check_level(o, err));
    job->extra = (uint32_t)o->n_special_tokens + o->reserve + (o->level == PM_LEVEL_CHARACTER ? PM_N_TRAINED_CONTROLS : 0);
    PM_TRY(check_sizes(o, job->extra, err));
    if (n_out != o->n_vocab_sizes) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "room for %zu tokenizers, but %zu vocabulary sizes", n_out, o->n_vocab_sizes);
    }
    PM_TRY(check_rest(o, err));
    PM_TRY(check_pieces(o, err));
    PM_TRY(check_source(o, corpus, err));
    pm_cpu cpu;
    PM_TRY(pm_cpu_choose(&cpu, err)); /* now, not when the model is made */
    return check_special_ids(o, job->extra, err);
}

/* ---------------------------------------------------------------- the call ---- */

static bool is_scripts(const char *pattern) { return strcmp(pattern, "scripts") == 0 || strcmp(pattern, pm_pattern_regex("scripts", 0)) == 0; }

/* With split_scripts, the pattern `scripts` comes behind those that are given, unless it is their last. */
static pm_status make_splitter(pm_train_job *job, pm_error *err) {
    static const char *const usual[] = {"o200k_base", "sentencepiece"}, *const none[] = {""};
    const pm_train_options *o = &job->o;
    bool bpe = o->algorithm == PM_ALGORITHM_BPE;
    const char *const *given = o->n_patterns ? o->patterns : bpe ? &usual[o->level == PM_LEVEL_CHARACTER] : none;
    size_t n = o->n_patterns ? o->n_patterns : 1;
    if (!bpe && !o->split_scripts && n == 1 && !given[0][0]) {
        return PM_OK; /* BytePiece without a pattern has no splitter */
    }
    if (!o->split_scripts || is_scripts(given[n - 1])) {
        return pm_splitter_new(&job->splitter, given, n, err);
    }
    const char **patterns = pm_alloc(n + 1, sizeof *patterns);
    if (!patterns) {
        return pm_fail_memory(err);
    }
    n -= n == 1 && !given[0][0]; /* no splitting: scripts alone */
    memcpy(patterns, given, n * sizeof *patterns);
    patterns[n] = "scripts";
    pm_status status = pm_splitter_new(&job->splitter, patterns, n + 1, err);
    pm_free(patterns);
    return status;
}

/* How words or chunks are made, or were made for the count files. */
static pm_status prepare_words(pm_train_job *job, const pm_corpus *corpus, pm_error *err) {
    if (job->o.algorithm == PM_ALGORITHM_BYTEPIECE) {
        PM_TRY(make_splitter(job, err)); /* NULL where no pattern is given */
        return job->o.n_counts ? pm_train_open_pieces(job, err) : pm_corpus_settings(corpus, &job->corpus_settings, err);
    }
    if (job->o.n_counts && !job->o.n_patterns) {
        return pm_train_open_counts(job, err);
    }
    PM_TRY(make_splitter(job, err));
    return job->o.n_counts ? pm_train_open_counts(job, err) : pm_corpus_settings(corpus, &job->corpus_settings, err);
}

static pm_status share_memory(pm_train_job *job, bool halved, pm_error *err) {
    const pm_train_options *o = &job->o;
    return o->algorithm == PM_ALGORITHM_BPE
               ? pm_train_memory_share(&job->memory, o->memory_limit, halved, o->threads, o->n_vocab_sizes ? o->vocab_sizes[0] : 0, err)
               : pm_bytepiece_memory_share(&job->bytepiece_memory, o->memory_limit, halved, o->threads, err);
}

/* Weights that come of a temperature are whole numbers in a smaller unit. */
static void set_unit(pm_train_job *job, const pm_corpus *corpus) {
    job->unit = corpus && pm_corpus_has_temperature(corpus) ? PM_TEMPERATURE_UNIT : 1;
    if (__builtin_mul_overflow(job->o.min_count, (uint64_t)job->unit, &job->o.min_count)) {
        job->o.min_count = UINT64_MAX;
    }
}

pm_status pm_train_job_begin(pm_train_job *job, pm_corpus *corpus, pm_error *err) {
    bool halved = corpus && pm_corpus_removes_duplicates(corpus);
    pm_ticker_init(&job->ticker, job->o.progress, job->o.progress_user, job->o.memory_limit);
    set_unit(job, corpus);
    job->window = UINT64_C(1) << 30;
    if (corpus) {
        pm_corpus_limit_documents(corpus, job->o.memory_limit / 8); /* a line of JSON and its text are held at once, beside tables */
        pm_corpus_watch(corpus, &job->ticker);
        if (halved) { /* a half for the hashes of documents, a half for the trainer */
            job->o.memory_limit /= 2;
            pm_corpus_limit_hashes(corpus, job->o.memory_limit, job->o.tmpdir);
        }
        job->summary.lines_split = pm_corpus_splits_lines(corpus);
    }
    PM_TRY(share_memory(job, halved, err));
    return prepare_words(job, corpus, err);
}

void pm_train_job_end(pm_train_job *job, pm_corpus *corpus) {
    if (corpus) {
        pm_corpus_watch(corpus, NULL);
    }
    pm_splitter_free(job->splitter);
    pm_buf_release(&job->corpus_settings);
}

static void fill_summary(pm_train_job *job, pm_tokenizer *const *out) {
    const pm_train_options *o = &job->o;
    job->summary.vocab_size = pm_tokenizer_vocab_size(out[0]);
    for (size_t i = 0; i < o->n_vocab_sizes; i++) {
        job->summary.smaller_than_asked |= pm_tokenizer_vocab_size(out[i]) < o->vocab_sizes[i];
    }
    job->summary.seconds = pm_ticker_seconds(&job->ticker);
    if (o->summary) {
        *o->summary = job->summary;
    }
}

/* With checked options. */
static pm_status train(pm_tokenizer **out, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    pm_status status = pm_train_job_begin(job, corpus, err);
    if (status == PM_OK) {
        status = job->o.algorithm == PM_ALGORITHM_BPE ? pm_train_bpe(out, corpus, job, err) : pm_train_bytepiece(out, corpus, job, err);
    }
    if (status == PM_OK) {
        fill_summary(job, out);
    }
    pm_train_job_end(job, corpus);
    return status;
}

pm_status pm_train(pm_tokenizer **out, size_t n_out, pm_corpus *corpus, const pm_train_options *options, pm_error *err) {
    pm_train_job job = {0};
    for (size_t i = 0; i < n_out; i++) {
        out[i] = NULL;
    }
    pm_status status = check(&job, options, corpus, n_out, err);
    if (status == PM_OK) {
        status = train(out, corpus, &job, err);
    }
    pm_free(job.patterns);
    pm_free(job.specials);
    return status;
}
