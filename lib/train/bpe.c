/* bpe.c - training byte-pair encoding: the plan, and the model that comes of it.
 *
 * The rule. Words are pre-tokens as sequences of bytes, each with its number of occurrences. Again and again the pair of neighbouring symbols
 * with the highest count over all words becomes a new symbol wherever it stands, from the left. Pairs are counted
 * overlapping (aaa has two); of pairs with equal counts the one with the smaller left symbol, then the smaller right symbol, goes first, symbols being
 * numbered: bytes in the order of pm_byte_order (the order in which byte-level vocabularies list them), then merges as they come. This is Hugging
 * Face tokenizers' BpeTrainer, merge for merge; one thing is different on purpose: a pair whose text is that of a
 * special token is never merged, because special tokens have ids of their own (there the merge would point at the special token). Further rules
 * about what may become a piece are in bpe_vocab.c, merges that are there before the first in bpe_begin.c.
 *
 * Phases. Recounting for every merge is out of the question, and so are lists of all places of all pairs: on 47 MB of Chinese 5 million pairs
 * are born and 8 thousand ever matter. Two facts make it small:
 *
 *   1. A pair's count never rises after its birth. So while the best count is at least T, pairs below T can be ignored altogether, those too
 *      that are born below T.
 *   2. If the pair (x, y) is below T, no pair that ever comes to stand across a border x|y reaches T. For let X be a symbol made in this
 *      phase that ends at the border. Between two borders the text is merged in the same way wherever it stands, so X always ends in the same
 *      symbol x of the phase's beginning, and Y begins with the same y: every meeting of X and Y was a meeting of x and y,
 *      and there are fewer than T of those.
 *
 * So a phase with threshold T cuts all words at pairs below T, adds up equal fragments (there are few: what is frequent repeats), merges them exactly until
 * no pair has T (bpe_merge.c), and in the words their numbers come to stand for the results (bpe_cut.c). Then T is lowered. The order of
 * merges is that of the rule since all pairs at or above T are seen with their true counts in every phase. The last phase has T = max(min_count, 1).
 *
 * Thresholds. A high T makes few fragments, a low T few phases. The first T is such that at most `share` of the pairs' counts lie
 * above it; each further one is a `ratio`-th of the last, and when the end is in sight, a little below the count that the last merge is
 * expected to have. With few cells steps are larger; small corpora are one phase.
 *
 * Characters. Words may be of characters (o.level; sentencepiece's BPE): then an alphabet is chosen first (alphabet.c), words come to consist of its symbols
 * (bpe_replay.c), and ties are decided by text (bpe_vocab.c). Both facts above speak of counts only, so the phases are the same.
 *
 * Memory. What the fragments of a phase may take is given (memory.c). A cut finds out with which T they fit (bpe_cut.c), so there are more
 * phases and smaller steps. Then words are shed: cut for good at half of the count that the last merge is expected to have, so that later phases pass
 * over a fraction of them. If the guess was wrong and merges with lower counts are wanted, the whole words come back, and the next guess is an eighth as bold.
 *
 * Cost: phases (about six, more under a small limit) times a pass over the distinct words, in parallel; the exact merging takes some ms a phase. No step depends on the order of
 * records, so the number of threads does not show in the result. */
#include <math.h>
#include "encode/engine.h"
#include "text/unicode.h"
#include "train/alphabet.h"
#include "train/bpe.h"
#include "train/bpe_begin.h"
#include "train/checkpoint.h"
#include "train/words.h"

const pm_bpe_plan pm_bpe_plan_default = {.share = 0.45, .ratio = 8, .small_cells = 1 << 15, .few_cells = 1500000, .shed = 0.5, .shed_share = 0.6};

/* ---------------------------------------------------------------- phases ---- */

/* How far it is. */
typedef struct course {
    uint32_t last, least; /* thresholds: of the phase before (0: none), and where it ends */
    size_t done, before;  /* merges at the end of the last phase, and of the one before it */
    size_t wanted;
    uint32_t last_but_one;
    bool tight;           /* for want of memory the last threshold was higher than it should have been */
    uint32_t bound;       /* words were shed at; 0: they are whole */
    double guess;         /* the bound is the count of the last merge times this */
} course;

/* Where the last wanted merge will be found, judging by the last two phases: the number of merges grows as a power of 1 / threshold. 0:
 * not to be said. */
static double last_count(const course *c) {
    if (!c->last_but_one || !c->before || c->done <= c->before) {
        return 0;
    }
    double slope = log((double)c->done / (double)c->before) / log((double)c->last_but_one / (double)c->last);
    return (double)c->last * pow((double)c->done / (double)c->wanted, 1 / slope);
}

/* A threshold for one last phase, if that is not much lower than a further one would be; else 0. */
static uint32_t in_sight(const course *c, const pm_bpe_plan *plan) {
    double end = 0.75 * last_count(c);
    return end < c->last && end * 1.6 * plan->ratio > c->last ? (uint32_t)end : 0;
}

/* What would be best if memory were no matter. */
static uint32_t wished_threshold(const pm_bpe_words *words, const pm_bpe_plan *plan, const course *c) {
    uint64_t all = pm_bpe_words_mass(words, 0);
    uint32_t highest = pm_bpe_words_highest(words), t = pm_bpe_words_threshold(words, (uint64_t)(plan->share * (double)all));
    if (c->last && t < c->last / plan->ratio) {
        t = c->last / plan->ratio;
    }
    if (in_sight(c, plan)) {
        t = in_sight(c, plan);
    }
    if (t > highest) {
        t = highest; /* above it there is nothing to do */
    }
    if (c->last && t > c->last / 2) {
        t = c->last / 2; /* what the shared slots promise may be nothing: go down in any case */
    }
    return t;
}

/* No pair has this count: where the next phase begins. */
static uint32_t phase_end(const course *c, const pm_bpe_words *words) {
    uint32_t highest = pm_bpe_words_highest(words), end = highest == UINT32_MAX ? highest : highest + 1;
    return c->last && c->last < end ? c->last : end;
}

/* Where phases end for now. */
static uint32_t floor_of(const course *c) { return c->bound > c->least ? c->bound : c->least; }

static uint32_t next_threshold(const pm_bpe_words *words, const pm_bpe_plan *plan, const course *c) {
    uint32_t t = pm_bpe_words_cells(words) < plan->small_cells ? 0 : wished_threshold(words, plan, c);
    return t > floor_of(c) ? t : floor_of(c);
}

/* The plan with so many cells. */
static pm_bpe_plan plan_for(const pm_bpe_plan *plan, uint64_t cells) {
    pm_bpe_plan now = *plan;
    if (cells < plan->few_cells) {
        now.share = 1 - (1 - plan->share) / 2;
        now.ratio = 4 * plan->ratio;
    }
    return now;
}

/* Where words may be shed: hardly any merge will be wanted below. 0: not to be said yet. */
static uint32_t shed_bound(const course *c) {
    double guess = c->done > c->wanted / 32 ? last_count(c) * c->guess : 0;
    uint32_t bound = guess < 1 ? 0 : guess < c->last ? (uint32_t)guess : c->last;
    bound = bound && bound < floor_of(c) ? floor_of(c) : bound;
    return bound < c->last ? bound : 0;
}

/* Sheds words, or brings them back, when it is time for that. */
static pm_status shed_or_restore(course *c, pm_bpe_words *words, const pm_bpe_plan *plan, pm_ticker *ticker, pm_error *err) {
    uint32_t next = c->last / plan->ratio, bound = shed_bound(c);
    uint64_t few = (uint64_t)(plan->shed_share * (double)pm_bpe_words_mass(words, 0));
    if (bound && pm_bpe_words_mass(words, bound) <= few && (c->tight || plan->shed_share >= 1)) {
        c->bound = bound;
        PM_TRY(pm_bpe_words_shed(words, bound, bound == c->least, c->last, next, ticker, err));
    }
    if (c->bound > c->least && (c->last <= c->bound || !pm_bpe_words_cells(words))) {
        c->last = c->last < c->bound ? c->last : c->bound;
        c->bound = 0;
        c->guess /= 8;
        return pm_bpe_words_restore(words, c->last, next, ticker, err);
    }
    return PM_OK;
}

/* Keeps the merges in `checkpoint` (NULL: nowhere) behind each phase. */
static pm_status run_phases(pm_bpe_vocab *vocab, pm_bpe_words *words, size_t wanted, uint64_t min_count, unsigned threads, const pm_bpe_plan *plan,
                            const pm_checkpoint *checkpoint, pm_ticker *ticker, pm_error *err) {
    course c = {.least = min_count > UINT32_MAX ? UINT32_MAX : min_count ? (uint32_t)min_count : 1,
                .wanted = wanted, .done = vocab->n_merges, .guess = plan->shed};
    pm_fragments *fragments;
    while (vocab->n_merges < wanted && pm_bpe_words_cells(words) && c.last != c.least) {
        const pm_bpe_plan now = plan_for(plan, pm_bpe_words_cells(words));
        uint32_t end = phase_end(&c, words), asked = next_threshold(words, &now, &c), threshold = asked, left_end;
        PM_TRY(pm_bpe_words_cut(words, &threshold, end, &left_end, ticker, &fragments, err));
        c.tight = threshold > asked || left_end != PM_BPE_ALL;
        PM_TRY(pm_bpe_merge_fragments(vocab, fragments, threshold < min_count ? min_count : threshold, left_end, wanted, threads, ticker, err));
        if (checkpoint && vocab->n_merges > c.done) {
            PM_TRY(pm_checkpoint_keep_merges(checkpoint, vocab, err));
        }
        if (left_end != PM_BPE_ALL) {
            c.last = end; /* there is more with this threshold */
        } else if (!c.last || threshold < c.last) {
            c.last_but_one = c.last;
            c.last = threshold;
            c.before = c.done;
            c.done = vocab->n_merges;
        }
        if (c.last != c.least && vocab->n_merges < wanted) {
            uint32_t next = in_sight(&c, &now);
            PM_TRY(pm_bpe_words_count(words, pm_bpe_vocab_size(vocab), c.last, next ? next : c.last / now.ratio, ticker, err));
            PM_TRY(shed_or_restore(&c, words, &now, ticker, err));
        }
        PM_TRY(pm_ticker_tick(ticker, vocab->n_merges, err));
    }
    return PM_OK;
}

static pm_status learn(pm_bpe_vocab *vocab, pm_store *store, size_t wanted, uint64_t min_count, unsigned threads, const pm_bpe_plan *plan,
                       const pm_bpe_memory *memory, const pm_checkpoint *checkpoint, pm_ticker *ticker, pm_error *err) {
    pm_bpe_words *words;
    pm_status reserved = pm_bpe_vocab_reserve(vocab, wanted, err);
    if (reserved != PM_OK) {
        pm_store_free(store);
        return reserved;
    }
    PM_TRY(pm_bpe_words_new(&words, store, vocab, threads, memory, ticker, err));
    pm_status status = run_phases(vocab, words, wanted, min_count, threads ? threads : 1, plan, checkpoint, ticker, err);
    pm_bpe_words_free(words);
    return status;
}

pm_status pm_bpe_learn(pm_bpe_vocab *vocab, pm_store *store, size_t wanted, uint64_t min_count, unsigned threads, const pm_bpe_plan *plan,
                       const pm_bpe_memory *memory, pm_ticker *ticker, pm_error *err) {
    return learn(vocab, store, wanted, min_count, threads, plan, memory, NULL, ticker, err);
}

/* ---------------------------------------------------------------- the model ---- */

/* Where symbols get their ids: words of bytes, all in their order; words of characters, merges before characters, as sentencepiece has them. */
static pm_id id_of(const pm_bpe_vocab *vocab, pm_id first, size_t symbol) {
    size_t base = pm_bpe_vocab_base(vocab);
    return first + (pm_id)(symbol < 256 || !vocab->rules.characters ? symbol : symbol >= base ? symbol - vocab->n_characters : symbol + vocab->n_merges);
}

static uint64_t count_of(const pm_bpe_vocab *vocab, size_t symbol) {
    size_t base = pm_bpe_vocab_base(vocab);
    return symbol < 256 ? 0 : symbol < base ? vocab->counts[symbol - 256] : vocab->merges[symbol - base].count;
}

/* Pieces and merges from id `first` on. Of words of characters, the bytes are not among them. */
static pm_status set_pieces(pm_model *model, const pm_bpe_vocab *vocab, pm_id first, pm_error *err) {
    size_t base = pm_bpe_vocab_base(vocab);
    for (size_t i = vocab->rules.characters ? 256 : 0; i < pm_bpe_vocab_size(vocab); i++) {
        PM_TRY(pm_model_set(model, id_of(vocab, first, i), PM_KIND_PIECE, vocab->texts[i], count_of(vocab, i), false, err));
    }
    for (size_t i = 0; i < vocab->n_merges; i++) {
        const pm_bpe_merge *m = &vocab->merges[i];
        PM_TRY(pm_model_add_merge(model, id_of(vocab, first, m->left), id_of(vocab, first, m->right), id_of(vocab, first, base + i), err));
    }
    return PM_OK;
}

/* Control tokens, special tokens, byte tokens, merges, characters: as sentencepiece numbers them. */
static pm_status set_character_ids(pm_model *model, const pm_bpe_vocab *vocab, const pm_train_options *o, pm_error *err) {
    for (pm_id id = 0; id < PM_N_TRAINED_CONTROLS; id++) {
        pm_bytes name = {(const uint8_t *)pm_control_names[id], strlen(pm_control_names[id])};
        PM_TRY(pm_model_set(model, id, PM_KIND_CONTROL, name, 0, false, err));
    }
    PM_TRY(pm_model_add_reserved(model, (uint32_t)o->n_special_tokens, err));
    PM_TRY(pm_model_add_special_tokens(model, o->special_tokens, o->n_special_tokens, err));
    for (pm_id id = 0; id < model->vocab_size; id++) {
        model->kinds[id] = pm_is_control_name(model->pieces[id]) ? PM_KIND_CONTROL : model->kinds[id];
    }
    pm_id first = model->vocab_size;
    for (unsigned b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        PM_TRY(pm_model_set(model, first + b, PM_KIND_BYTE, (pm_bytes){&byte, 1}, 0, false, err));
    }
    PM_TRY(set_pieces(model, vocab, first, err));
    return pm_model_add_reserved(model, o->reserve, err);
}

/* Slots for special tokens are reserved ones first, which pm_model_add_special_tokens then fills. */
static pm_status set_ids(pm_model *model, const pm_bpe_vocab *vocab, const pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    uint32_t n_special = (uint32_t)o->n_special_tokens;
    if (vocab->rules.characters) {
        PM_TRY(set_character_ids(model, vocab, o, err));
    } else if (o->layout == PM_LAYOUT_HF) {
        PM_TRY(pm_model_add_reserved(model, n_special, err));
        PM_TRY(pm_model_add_special_tokens(model, o->special_tokens, n_special, err));
        PM_TRY(set_pieces(model, vocab, n_special, err));
        PM_TRY(pm_model_add_reserved(model, o->reserve, err));
    } else {
        PM_TRY(set_pieces(model, vocab, 0, err));
        PM_TRY(pm_model_add_reserved(model, job->extra, err));
        PM_TRY(pm_model_add_special_tokens(model, o->special_tokens, n_special, err));
    }
    uint32_t over = o->round_to > 1 ? model->vocab_size % o->round_to : 0;
    return pm_model_add_reserved(model, over ? o->round_to - over : 0, err);
}

/* The rules that were given. */
static pm_status set_rules(pm_model *model, const pm_train_options *o, pm_error *err) {
    const struct {
        const char *name;
        uint64_t value;
    } rules[] = {{"min_documents", o->min_documents}, {"max_count_per_document", o->max_count_per_document}, {"max_piece_length", o->max_piece_length}, {"max_words", o->max_words}, {"utf8_boundaries", o->utf8_boundaries},
                 {"required_pieces", o->n_required_pieces}, {"excluded_pieces", o->n_excluded_pieces}};
    char hash[PM_HASH_HEX];
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].value) {
            PM_TRY(pm_model_setting_number(model, rules[i].name, rules[i].value, err));
        }
    }
    if (o->level == PM_LEVEL_CHARACTER) {
        PM_TRY(pm_model_setting(model, "level", "char", err));
        PM_TRY(pm_buf_printf(&model->settings, err, "character_coverage=%.9g\n", o->character_coverage));
    }
    if (!o->extend) {
        return PM_OK;
    }
    pm_tokenizer_hash(o->extend, hash);
    return pm_model_setting(model, "extends", hash, err);
}

static pm_status set_settings(pm_model *model, const pm_train_job *job, pm_error *err) {
    const char *name = pm_splitter_name(job->splitter);
    if (!name[0]) {
        name = pm_splitter_n_regexes(job->splitter) ? "own" : "none";
    }
    PM_TRY(pm_model_setting(model, "algorithm", "bpe", err));
    PM_TRY(pm_model_setting_number(model, "min_count", job->o.min_count / job->unit, err));
    PM_TRY(set_rules(model, &job->o, err));
    PM_TRY(pm_buf_append(&model->settings, job->corpus_settings.data, job->corpus_settings.len, err));
    PM_TRY(pm_model_setting(model, "pattern", name, err));
    PM_TRY(pm_model_setting(model, "unicode", pm_unicode_version, err));
    PM_TRY(pm_model_setting_number(model, "documents", job->summary.documents, err));
    return pm_model_setting_number(model, "bytes", job->summary.bytes, err);
}

/* What was learned encodes to itself: no merge crossed the ends of such a piece before it was made, so what stands in it was merged as if it stood alone,
 * runs too. Of a tokenizer that is extended nobody knows. */
static pm_status make_tokenizer(pm_tokenizer **out, const pm_bpe_vocab *vocab, pm_train_job *job, pm_error *err) {
    bool characters = vocab->rules.characters;
    pm_model model = {.algorithm = PM_ALGORITHM_BPE, .derived = !job->o.extend, .characters = characters, .normalize = characters};
    pm_status status = set_ids(&model, vocab, job, err);
    if (status == PM_OK) {
        status = set_settings(&model, job, err);
    }
    if (status != PM_OK) {
        pm_model_release(&model);
        return status;
    }
    model.splitter = job->splitter;
    job->splitter = NULL;
    return pm_tokenizer_make_trained(out, &model, err);
}

/* ---------------------------------------------------------------- the call ---- */

/* With words of characters: the alphabet, and how many merges there is room for beside it. */
static pm_status begin_characters(pm_bpe_vocab *vocab, pm_store *store, size_t *wanted, pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    PM_TRY(pm_bpe_alphabet(vocab, store, o->character_coverage, o->threads, &job->ticker, err));
    if (vocab->n_characters > *wanted) {
        return pm_fail(err, PM_INVALID_ARGUMENT,
                       "vocabulary size %u is too small: %zu characters of the text are in the alphabet, beside them there is room for %zu; "
                       "a lower character_coverage takes fewer",
                       o->vocab_sizes[0], vocab->n_characters, *wanted);
    }
    *wanted -= vocab->n_characters;
    return PM_OK;
}

/* With the vocabulary that it begins with, which tells early what cannot be. */
static pm_status train_from(pm_bpe_vocab *vocab, size_t wanted, pm_checkpoint *checkpoint, pm_tokenizer **out, pm_corpus *corpus,
                            pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    pm_store *store;
    PM_TRY(checkpoint && corpus ? pm_checkpoint_words(&store, checkpoint, corpus, job, err) : pm_train_words(&store, corpus, job, err));
    pm_store_set_memory(store, job->memory.later_store);
    pm_status status = vocab->rules.characters ? begin_characters(vocab, store, &wanted, job, err) : PM_OK;
    if (status == PM_OK && checkpoint) {
        status = pm_checkpoint_load_merges(checkpoint, vocab, wanted, err);
    }
    if (status == PM_OK) {
        status = pm_ticker_phase_from(&job->ticker, "merge", "merges", vocab->n_merges, wanted, err);
    }
    if (status != PM_OK) {
        pm_store_free(store);
        return status;
    }
    PM_TRY(learn(vocab, store, wanted, o->min_count, o->threads, &pm_bpe_plan_default, &job->memory.phases, checkpoint, &job->ticker, err));
    job->summary.smaller_than_asked = vocab->n_merges < wanted;
    return make_tokenizer(out, vocab, job, err);
}

pm_status pm_train_bpe(pm_tokenizer **out, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    size_t wanted = job->o.vocab_sizes[0] - 256 - job->extra; /* and characters, which are not known yet */
    pm_checkpoint *checkpoint = NULL;
    pm_bpe_vocab vocab;
    *out = NULL;
    job->count_documents |= job->o.min_documents > 0;
    PM_TRY(job->o.checkpoint ? pm_checkpoint_open(&checkpoint, job, err) : PM_OK);
    pm_status status = pm_bpe_begin(&vocab, wanted, job, err);
    if (status == PM_OK) {
        status = train_from(&vocab, wanted, checkpoint, out, corpus, job, err);
        pm_bpe_vocab_release(&vocab);
    }
    pm_checkpoint_close(checkpoint);
    return status;
}
