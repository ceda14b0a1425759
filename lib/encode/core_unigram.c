/* core_unigram.c - Unigram, as tokenizers has it and as sentencepiece has it, on the automaton of lattice.c.
 *
 * Both go through a word from the left, offer at each character the pieces that begin there to the places where they end, and offer the character itself as
 * unknown where it is no piece. A later offer replaces an earlier one if it is better: of equally good ones the longest last piece stays, as in
 * lattice.c. tokenizers adds in double precision (pm_lattice_best), sentencepiece in single (pm_lattice_best_in_floats).
 *
 * Unknown characters. The lattice can spell a character in its bytes. A byte that begins characters of several gets the unknown character's score, the bytes
 * behind it 0, so that the sum, score + unknown + 0 + 0, is the one addition that the libraries do; a byte that is a character, and no piece, is
 * a piece with that score. Both are given out as `mark`. Since an unknown character has 10 less than any piece, one that is a piece is never spelled on the
 * best path; lists and draws leave such spellings out (pm_lattice_spell_only_unknown).
 *
 *     vocabulary  <unk> 0   a -1   ab -1.5          unknown: -11.5
 *     bytes       c -11.5 (mark)   C3 -11.5   A9 0
 *     "abé"       ab, mark C3, mark A9  ->  ab at 0..2, <unk> at 2..4
 *
 * What is made of unknown characters:
 *   - tokenizers: those side by side, and with them the unknown token's own text where it is not special, are one stretch; it is its bytes' tokens,
 *     each at the whole stretch, if there is byte_fallback and all are there, else the unknown token. (The library then looks the stretch up, since it goes by
 *     texts; it cannot be a piece, which would have been better, unless scores are above 10: such are refused.)
 *   - sentencepiece: pm_core_add_unknown. The score of a user-defined symbol is made so as to win: 0.1 for each byte but the first. The lowest score is that of
 *     normal pieces, with tokenizers that of all.
 *
 * An unknown character where there is no unknown token is an error if it is on the best path; tokenizers stops earlier, at any place whose best path ends
 * with one. */
#include <float.h>
#include <math.h>

#include "encode/core_inside.h"
#include "text/utf8.h"

typedef struct unigram {
    pm_lattice *lattice;
    double unknown; /* log-probability of an unknown character */
    pm_id mark;     /* stands for a byte of one */
} unigram;

static const double penalty = 10.0;

/* ---------------------------------------------------------------- making it ---- */

typedef struct entries {
    pm_bytes *pieces;
    uint32_t *ids;
    double *scores;
    size_t n;
} entries;

static bool is_normal(const pm_core *core, pm_id id) {
    return pm_core_has(core, id) && !pm_core_is(core, id, PM_ADDED) && !pm_core_is(core, id, PM_UNUSED);
}

/* sentencepiece: the unknown character's score, as a float. */
static float unknown_of_normal(const pm_core *core) {
    float lowest = FLT_MAX;

    for (pm_id id = 0; id < core->model->vocab_size; id++) {
        if (is_normal(core, id) && (float)core->model->scores[id] < lowest) {
            lowest = (float)core->model->scores[id];
        }
    }
    return lowest - (float)penalty;
}

static double score_of(const pm_core *core, pm_id id) {
    if (!core->sentencepiece) {
        return core->model->scores[id];
    }
    return (float)(pm_core_is(core, id, PM_ADDED) ? 0.1 * ((double)core->model->pieces[id].len - 1) : core->model->scores[id]);
}

/* tokenizers: the lowest score in the vocabulary, of whatever, less the penalty. */
static double unknown_of_all(const pm_core *core) {
    const pm_model *model = core->model;
    double lowest = INFINITY;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        bool counts = model->kinds[id] != PM_KIND_HOLE && model->kinds[id] != PM_KIND_RESERVED && !pm_core_is(core, id, PM_ADDED_ALONE);
        lowest = counts && model->scores[id] < lowest ? model->scores[id] : lowest;
    }
    return lowest - penalty;
}

static pm_status check_scores(const pm_core *core, const unigram *u, pm_error *err) {
    const pm_model *model = core->model;

    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (!isfinite(model->scores[id])) {
            return pm_fail(err, PM_BAD_FORMAT, "the score of piece %u is no number", id);
        }
    }
    if (!isfinite(u->unknown)) {
        return pm_fail(err, PM_BAD_FORMAT, "the vocabulary has no piece");
    }
    if (!core->sentencepiece && u->unknown > 0) {
        return pm_fail(err, PM_UNSUPPORTED, "the lowest score is %g: scores that are all above 10 are not supported", u->unknown + penalty);
    }
    return PM_OK;
}

static bool is_utf8(pm_bytes text) {
    unsigned len;
    for (size_t at = 0; at < text.len; at += len) {
        uint32_t c = pm_utf8_read(text.data + at, text.data + text.len, &len);
        if (c == PM_BAD_BYTE && len == 1) {
            return false;
        }
    }
    return true;
}

/* The pieces that text can hold; of equal ones tokenizers knows the last, sentencepiece has none. */
static pm_status collect(const pm_core *core, entries *e, pm_error *err) {
    const pm_model *model = core->model;
    pm_texts seen = {0};
    pm_status status = pm_texts_init(&seen, model->pieces, model->vocab_size, err);

    for (pm_id id = model->vocab_size; id-- > 0 && status == PM_OK;) {
        pm_bytes piece = model->pieces[id];
        if (!pm_core_has(core, id) || (core->sentencepiece && pm_core_is(core, id, PM_UNUSED)) || pm_texts_add(&seen, id) != id) {
            continue;
        }
        if (!is_utf8(piece)) {
            status = pm_fail(err, PM_UNSUPPORTED, "piece %u of a Unigram model is not UTF-8", id);
        }
        e->scores[e->n] = score_of(core, id);
        e->pieces[e->n] = piece;
        e->ids[e->n++] = id;
    }
    pm_texts_release(&seen);
    return status;
}

/* The bytes that are no pieces, and the scores that make spelled characters unknown ones. */
static void add_bytes(const unigram *u, uint8_t bytes[256], entries *e) {
    bool is_piece[256] = {false};

    for (size_t i = 0; i < e->n; i++) {
        if (e->pieces[i].len == 1) {
            is_piece[e->pieces[i].data[0]] = true;
        }
    }
    for (unsigned b = 0; b < 256; b++) {
        bytes[b] = (uint8_t)b;
        if (!is_piece[b]) {
            e->scores[e->n] = b < 0x80 || b >= 0xC0 ? u->unknown : 0;
            e->pieces[e->n] = (pm_bytes){&bytes[b], 1};
            e->ids[e->n++] = u->mark;
        }
    }
}

static pm_status fill(const pm_core *core, unigram *u, entries *e, pm_error *err) {
    size_t most = (size_t)core->model->vocab_size + 256;
    uint8_t bytes[256];

    e->pieces = pm_alloc(most, sizeof *e->pieces);
    e->ids = pm_alloc(most, sizeof *e->ids);
    e->scores = pm_alloc(most, sizeof *e->scores);
    if (!e->pieces || !e->ids || !e->scores) {
        return pm_fail_memory(err);
    }
    u->mark = core->model->vocab_size;
    u->unknown = core->sentencepiece ? unknown_of_normal(core) : unknown_of_all(core);
    PM_TRY(check_scores(core, u, err));
    PM_TRY(collect(core, e, err));
    add_bytes(u, bytes, e);
    PM_TRY(pm_lattice_new(&u->lattice, e->pieces, e->ids, e->scores, e->n, err));
    pm_lattice_spell_only_unknown(u->lattice);
    return PM_OK;
}

static pm_status make(pm_core *core, pm_error *err) {
    entries e = {0};
    unigram *u = core->tables = pm_calloc(1, sizeof *u);

    if (!u) {
        return pm_fail_memory(err);
    }
    if (!core->model->scores) {
        return pm_fail(err, PM_BAD_FORMAT, "a Unigram model has no scores");
    }
    pm_status status = fill(core, u, &e, err);
    pm_free(e.pieces);
    pm_free(e.ids);
    pm_free(e.scores);
    return status;
}

static void release(void *tables) {
    unigram *u = tables;
    pm_lattice_free(u->lattice);
    pm_free(u);
}

/* ---------------------------------------------------------------- placing ---- */

/* Where a path's pieces go. */
typedef struct placing {
    const pm_core *core;
    pm_bytes word;
    size_t at; /* in the word */
    pm_core_tokens *out;
    size_t first;     /* the word's first token in *out */
    size_t stretch;   /* tokenizers: where a stretch of the unknown began; `at`: there is none */
    size_t in_stretch; /* pieces and characters in it */
    bool named;       /* one of them is the unknown token's own text */
} placing;

static pm_status end_stretch(placing *p, pm_error *err) {
    pm_bytes text = {p->word.data + p->stretch, p->at - p->stretch};
    size_t begin = p->stretch, end = p->at;
    bool alone = p->named && p->in_stretch == 1;
    pm_id id;

    p->stretch = p->at;
    p->in_stretch = 0;
    p->named = false;
    if (!alone && pm_core_has_bytes(p->core, text)) {
        for (size_t i = 0; i < text.len; i++) {
            PM_TRY(pm_core_add(p->out, p->core->byte_id[text.data[i]], begin, end, err));
        }
        return PM_OK;
    }
    PM_TRY(pm_core_unknown(p->core, begin, &id, err));
    return pm_core_add(p->out, id, begin, end, err);
}

static pm_status place_piece(placing *p, pm_id id, bool unknown, size_t len, pm_error *err) {
    if (unknown && !p->core->sentencepiece) {
        p->in_stretch++;
        p->at += len;
        return PM_OK;
    }
    if (p->in_stretch) {
        PM_TRY(end_stretch(p, err));
    }
    size_t begin = p->at;
    p->at = p->stretch = begin + len;
    return unknown ? pm_core_add_unknown(p->core, p->word, begin, p->at, p->first, p->out, err) : pm_core_add(p->out, id, begin, p->at, err);
}

/* Pieces of the path, all bytes of a character together. */
static pm_status place(void *user, const uint32_t *ids, size_t n, pm_error *err) {
    placing *p = user;
    const pm_model *model = p->core->model;
    const unigram *u = p->core->tables;

    for (size_t i = 0; i < n; i++) {
        if (ids[i] == PM_LATTICE_END) {
            continue;
        }
        if (ids[i] != u->mark) {
            bool unknown = !p->core->sentencepiece && model->has_unknown && ids[i] == model->unknown;
            p->named = p->named || unknown;
            PM_TRY(place_piece(p, ids[i], unknown, model->pieces[ids[i]].len, err));
            continue;
        }
        unsigned len;
        pm_utf8_read(p->word.data + p->at, p->word.data + p->word.len, &len);
        PM_TRY(place_piece(p, PM_ID_NONE, true, len, err));
        i += len - 1;
    }
    return PM_OK;
}

static pm_status encode(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, const pm_core_draw *draw, pm_core_tokens *out, pm_error *err) {
    const unigram *u = core->tables;
    placing p = {.core = core, .word = word, .out = out, .first = out->n};

    if (draw) {
        PM_TRY(pm_lattice_sample(u->lattice, scratch->lattice, word, draw->alpha, draw->key, place, &p, err));
    } else if (core->sentencepiece) {
        PM_TRY(pm_lattice_best_in_floats(u->lattice, scratch->lattice, &word, 1, (float)u->unknown, place, &p, err));
    } else {
        PM_TRY(pm_lattice_best(u->lattice, scratch->lattice, &word, 1, place, &p, err));
    }
    return p.in_stretch ? end_stretch(&p, err) : PM_OK;
}

/* ---------------------------------------------------------------- the n best ---- */

typedef struct listing {
    placing placing;
    pm_core_sink sink;
    void *user;
} listing;

static pm_status list(void *user, const uint32_t *ids, size_t n, double score, pm_error *err) {
    listing *l = user;
    placing p = l->placing;

    p.out->n = 0;
    PM_TRY(place(&p, ids, n, err));
    if (p.in_stretch) {
        PM_TRY(end_stretch(&p, err));
    }
    return l->sink(l->user, p.out->items, p.out->n, score, err);
}

static pm_status nbest(const pm_core *core, pm_core_scratch *scratch, pm_bytes word, size_t most, pm_core_sink sink, void *user, pm_error *err) {
    const unigram *u = core->tables;
    listing l = {{.core = core, .word = word, .out = &scratch->listed}, sink, user};

    return pm_lattice_nbest(u->lattice, scratch->lattice, word, most, list, &l, err);
}

const pm_core_algorithm pm_core_unigram = {make, release, encode, PM_ALPHA_MAX, nbest};
