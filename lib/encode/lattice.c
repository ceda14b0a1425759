/* lattice.c - the best segmentation of bytes under a unigram model: an automaton that steps over characters, and a
 * Viterbi with its state in registers.
 *
 * Idea. score[e] is the best sum of log-probabilities of pieces that spell text[0 .. e). At each e all pieces that end
 * there are known from the automaton's state (Aho and Corasick, 1975), and score[e] is the highest of score[e - len] +
 * logp. The work is done in phases over blocks of symbols, so that no phase waits for another's mispredicted branches
 * or cache misses: reading (which state is reached behind each symbol), walking (score and choice at each position),
 * and giving out (the path, from the back).
 *
 * Equality with bytepiece's faster.pyx rests on four details:
 *   - the sum is in double precision, absolute from the start of the text, one addition a piece, never renormalized;
 *   - bytepiece walks ends and, for each, the pieces that end there from the longest down (the order of the automaton's
 *     suffix links), and one replaces what the end has only if it is strictly better: so of the highest sums it is the
 *     longest piece's that stays;
 *   - a log-probability is ln(count) - ln(sum of counts), both rounded, then the difference;
 *   - the highest of several doubles is the same in whatever order they are compared.
 *
 * Characters. A piece that is well-formed UTF-8 and stands in a text stands there on whole characters: its first byte
 * is not 80-BF, so no character of the text that is read from the left reaches into it. So when all pieces of two bytes
 * and more are well-formed, no piece but single bytes begins or ends inside a character, and the only path through such
 * a position is the character spelled in its bytes, which is offered to the end of the character as one more way to get
 * there, the last one: its last piece is the shortest. Most characters need not even that: where the character is a
 * piece and more likely than its bytes by more than rounding can be off (lattice_build.c, may_be_spelled), its bytes
 * can never win. Symbols are then characters; a byte outside well-formed text is a symbol too, and a character that
 * stands in no piece is "strange". Where some piece is not well-formed (BytePiece without ensure_unicode), symbols are
 * bytes. Everything below is the same for both.
 *
 * The automaton. A step is a cell of a double array: state + symbol, valid if its check is the state's base. Only
 * states of three symbols and more have steps of their own, to states of four and more (lattice_build.c). What is
 * reached otherwise depends on the last symbols alone: the state of the last three, else of two, else of one. These are
 * found by two look-ups of the same kind that do not depend on the state, so the chain from step to step is one load,
 * one comparison and one conditional move. Example, with the pieces AB, BCD, ABCDE, and behind "ABCD" an E:
 *
 *     pairs     of D: no piece begins DE            state of the last one symbol, E
 *     triples   of CD: no piece begins CDE
 *     more      of ABCD, found at its base + E      state ABCDE, which is taken; its ends: the pieces ABCDE, and E
 *
 * Walking. A state's record has the log-probabilities of the pieces of 1 and 2 symbols that end there and the number of
 * a row of eight, for lengths 3 to 10, minus infinity where there is none. The last ten scores stay in registers: eight
 * sums and their maximum have the time of three symbols, only the sum of length 1 follows from the score before. Which
 * length won is found by comparing all sums with the maximum; bit order makes it the longest. Longer pieces, strange
 * characters and those that may be spelled are rare and go through step_plain, which is the whole algorithm in plain
 * words.
 *
 * Memory. Of each symbol its state and choice are kept, 6 bytes. When a window is full, the best paths to the last
 * `longest` positions are followed back until they meet; what lies before is final and is given out. In real text they
 * meet within some tens of symbols. Where they do not (one character repeated: paths of odd and even positions may
 * differ all the way) the window doubles.
 *
 * Cost: for each symbol three cells, one record and one row, whatever the text. */
#include "encode/ten.h"
#include "encode/ways.h"


enum { WINDOW_KEPT = 8 * PM_LATTICE_WINDOW }; /* symbols: what a longer text needed is not kept */

/* A choice that cannot be predicted. */
#define EITHER(condition, yes, no) (__builtin_expect_with_probability((condition), 1, 0.5) ? (yes) : (no))

/* ---------------------------------------------------------------- reading ---- */

typedef struct reader {
    const pm_bytes *text, *texts_end; /* text: the next one */
    const uint8_t *next, *end;        /* of the text that is read; NULL: none */
    uint32_t base, triples, pairs;    /* of the state, of the last two symbols and of the last one */
} reader;

/* The symbol at r->next, which is passed over. */
static inline __attribute__((always_inline)) uint32_t next_symbol(const pm_lattice *l, reader *r, const bool characters,
                                                                  uint32_t *cp) {
    const uint8_t *p = r->next;
    uint32_t byte = *p;

    r->next = p + 1;
    if (!characters || byte < 0x80) {
        return byte;
    }
    unsigned len = 3;
    if (byte >= 0xE1 && byte < 0xF0 && byte != 0xED && r->end - p >= 3 && (p[1] & 0xC0) == 0x80 &&
        (p[2] & 0xC0) == 0x80) {
        *cp = (byte & 15) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
    } else {
        *cp = pm_utf8_read(p, r->end, &len);
        if (len == 1) {
            return byte;
        }
    }
    r->next = p + len;
    return l->symbols[(size_t)l->planes[*cp >> PM_LATTICE_PLANE_BITS] << PM_LATTICE_PLANE_BITS | (*cp & 63)];
}

/* The symbols of a text, up to `limit`: the ends of the states they lead to. Returns how many. */
static inline __attribute__((always_inline)) size_t read_text(const pm_lattice *l, reader *in, uint32_t *ends,
                                                              size_t limit, const bool characters) {
    reader r = *in;
    size_t n = 0;

    for (; n < limit && r.next < r.end; n++) {
        uint32_t cp = 0, symbol = next_symbol(l, &r, characters, &cp);
        if (characters && symbol == PM_LATTICE_STRANGE) {
            ends[n] = PM_LATTICE_RARE | cp;
            r.base = r.triples = r.pairs = 0;
            continue;
        }
        const uint8_t *cells = (const uint8_t *)(l->cells + symbol);
        const pm_lattice_cell *two = (const void *)(cells + r.pairs), *three = (const void *)(cells + r.triples),
                              *more = (const void *)(cells + r.base);
        uint64_t to = symbol, to_two = two->to, to_three = three->to, to_more = more->to;
        to_two = EITHER(two->check == r.pairs, to_two, to);
        to = EITHER(three->check == r.triples, to_three, (uint32_t)to_two);
        to = EITHER(more->check == r.base, to_more, to);
        ends[n] = (uint32_t)to;
        r.base = (uint32_t)(to >> 32);
        r.triples = (uint32_t)(to_two >> 32);
        r.pairs = l->pairs[symbol];
    }
    *in = r;
    return n;
}

/* The next symbols of the texts, with PM_LATTICE_STOP behind each text. */
static size_t read_block(const pm_lattice *l, reader *r, uint32_t *ends, size_t limit) {
    size_t n = 0;
    while (n < limit) {
        if (r->next == NULL) {
            if (r->text == r->texts_end) {
                break;
            }
            *r = (reader){r->text + 1, r->texts_end, r->text->data, r->text->data + r->text->len, 0, 0, 0};
        }
        n += l->characters ? read_text(l, r, ends + n, limit - n, true) : read_text(l, r, ends + n, limit - n, false);
        if (n < limit && r->next == r->end) {
            ends[n++] = PM_LATTICE_STOP;
            r->next = NULL;
        }
    }
    return n;
}

/* ---------------------------------------------------------------- the best ---- */

/* What the common steps leave out at a position with the state's record e: the end of a text, longer pieces, which win
 * where their sum is as high, and the last character in bytes, which wins where its sum is higher. scores[0] is this
 * position's. */
static inline double step_rare(const pm_lattice *l, uint32_t at, const pm_lattice_ends *e, const double *scores,
                               double best, pm_lattice_code *code) {
    double longest = -INFINITY;
    unsigned which = 0, k = 0;

    if (at == PM_LATTICE_STOP) {
        *code = PM_LATTICE_SPELLED;
        return 0;
    }
    for (uint32_t i = e->longer; i; i = l->longer[i].next) {
        double score = scores[-(ptrdiff_t)l->longer[i].len] + l->longer[i].logp;
        k++;
        which = score > longest ? k : which;
        longest = score > longest ? score : longest;
    }
    if (which && longest >= best) {
        best = longest;
        *code = (pm_lattice_code)(PM_LATTICE_SPELLED + which);
    }
    if (at & PM_LATTICE_RARE || !(e->last & PM_LATTICE_BYTE)) {
        double spelled = pm_lattice_spell(l, (at & PM_LATTICE_RARE ? at : e->last) & PM_LATTICE_CODE, scores[-1]);
        *code = spelled > best ? PM_LATTICE_SPELLED : *code;
        best = spelled > best ? spelled : best;
    }
    return best;
}

static void walk_plain(const pm_lattice *l, void *state, const uint32_t *ends, size_t n, pm_lattice_code *codes) {
    double *scores = (double *)state + pm_lattice_reach(l);

    for (size_t i = 0; i < n; i++) {
        const pm_lattice_ends *e = &l->ends[ends[i] & PM_LATTICE_RARE ? PM_LATTICE_STRANGE : ends[i]];
        double best = -INFINITY, two = scores[-1] + e->near[0], one = scores[0] + e->near[1];
        unsigned code = 0;
        for (unsigned k = 0; e->row && k < PM_LATTICE_ROW; k++) {
            double score = scores[(ptrdiff_t)k - 9] + l->rows[e->row][k];
            code = score > best ? k : code;
            best = score > best ? score : best;
        }
        code = two > best ? PM_LATTICE_ROW : code;
        best = two > best ? two : best;
        code = one > best ? PM_LATTICE_ROW + 1 : code;
        best = one > best ? one : best;
        codes[i] = (pm_lattice_code)(1u << code);
        scores++;
        *scores = e->last & PM_LATTICE_RARE ? step_rare(l, ends[i], e, scores, best, &codes[i]) : best;
    }
    pm_lattice_keep_scores(l, state, n);
}

#if defined(__x86_64__)
PM_TARGET_AVX2 static void walk_avx2(const pm_lattice *l, void *state, const uint32_t *ends, size_t n,
                                     pm_lattice_code *codes) {
    double *scores = (double *)state + pm_lattice_reach(l);
    pm_ten ten = pm_ten_load(scores);

    scores++;
    for (size_t i = 0; i < n; i++) {
        uint32_t at = ends[i];
        const pm_lattice_ends *e = &l->ends[at & PM_LATTICE_RARE ? PM_LATTICE_STRANGE : at];
        unsigned which;
        __m128d best = pm_ten_best(&ten, l->rows[e->row], e->near, &which);
        codes[i] = (pm_lattice_code)which;
        if (__builtin_expect((e->last & PM_LATTICE_RARE) != 0, 0)) {
            best = _mm_set_sd(step_rare(l, at, e, scores + i, _mm_cvtsd_f64(best), &codes[i]));
        }
        _mm_store_sd(scores + i, best);
        pm_ten_push(&ten, best);
    }
    pm_lattice_keep_scores(l, state, n);
}
#endif

/* The fastest of these for a processor. */
pm_lattice_walk pm_lattice_walk_for(pm_cpu cpu) {
#if defined(__x86_64__)
    if (cpu == PM_CPU_AVX2 || cpu == PM_CPU_AVX512) { /* eight lanes at once were 12 % slower */
        return walk_avx2;
    }
#endif
    (void)cpu;
    return walk_plain;
}

/* ---------------------------------------------------------------- the window ---- */

pm_status pm_lattice_scratch_new(pm_lattice_scratch **out, pm_error *err) {
    *out = pm_calloc(1, sizeof **out);
    return *out ? PM_OK : pm_fail_memory(err);
}

static void forget(pm_lattice_scratch *s) {
    pm_free(s->window.ends);
    pm_free(s->window.codes);
    pm_free(s->scores);
    pm_free(s->taken);
    pm_free(s->positions);
    pm_free(s->out);
    pm_free(s->marks);
    pm_free(s->ways);
    *s = (pm_lattice_scratch){0};
}

void pm_lattice_scratch_free(pm_lattice_scratch *s) {
    if (s) {
        forget(s);
        pm_free(s);
    }
}

static pm_status check(const pm_lattice *lattice, const pm_bytes *texts, size_t n, pm_error *err) {
    for (size_t t = 0; !lattice->every_byte && t < n; t++) {
        for (size_t i = 0; i < texts[t].len; i++) {
            uint8_t byte = texts[t].data[i];
            if (!(lattice->bytes[byte] > -INFINITY)) {
                return pm_fail_at(err, PM_INVALID_ARGUMENT, i, "byte 0x%02X is not a piece of the vocabulary", byte);
            }
        }
    }
    return PM_OK;
}

static pm_status room(pm_lattice_scratch *scratch, size_t need, pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    size_t cap = w->cap;
    if (need <= w->cap) {
        return PM_OK;
    }
    PM_TRY(pm_grow((void **)&w->codes, &cap, need, sizeof *w->codes, err));
    cap = w->cap;
    PM_TRY(pm_grow((void **)&w->ends, &cap, need, sizeof *w->ends, err));
    w->cap = cap;
    return PM_OK;
}

pm_status pm_lattice_make_room(pm_lattice_scratch *scratch, size_t n, pm_error *err) {
    size_t old = scratch->cap_out;

    if (old - n >= 4) {
        return PM_OK;
    }
    PM_TRY(pm_grow((void **)&scratch->out, &scratch->cap_out, n + 4, sizeof *scratch->out, err));
    memmove(scratch->out + scratch->cap_out - n, scratch->out + old - n, n * sizeof *scratch->out);
    return PM_OK;
}

/* Gives the pieces of the path to position `end` of the window to the sink and drops what lies before it. */
static pm_status emit(const pm_lattice *l, pm_lattice_scratch *scratch, size_t end, pm_lattice_sink sink, void *user,
                      pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    size_t n = 0;

    PM_TRY(pm_grow((void **)&scratch->out, &scratch->cap_out, end, sizeof *scratch->out, err));
    for (size_t at = end; at > 0;) {
        PM_TRY(pm_lattice_make_room(scratch, n, err));
        uint32_t *top = scratch->out + scratch->cap_out - n;
        uint32_t len = 1;
        if (w->ends[at - 1] == PM_LATTICE_STOP) {
            top[-1] = PM_LATTICE_END;
            n++;
        } else {
            n += pm_lattice_put(l, w->ends[at - 1], w->codes[at - 1], top, &len);
        }
        at -= len;
    }
    if (end < w->n) {
        memmove(w->ends, w->ends + end, (w->n - end) * sizeof *w->ends);
        memmove(w->codes, w->codes + end, (w->n - end) * sizeof *w->codes);
    }
    w->n -= end;
    return n ? sink(user, scratch->out + scratch->cap_out - n, n, err) : PM_OK;
}

/* The last position that the best paths to the last `longest` positions have in common; 0: none in the window. */
static pm_status meeting_point(const pm_lattice *l, pm_lattice_scratch *scratch, size_t *at, pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    size_t open = 0;

    PM_TRY(pm_grow((void **)&scratch->marks, &scratch->cap_marks, w->n + 1, 1, err));
    memset(scratch->marks, 0, w->n + 1);
    for (size_t i = 0; i < l->longest && i <= w->n; i++, open++) {
        scratch->marks[w->n - i] = 1;
    }
    *at = 0;
    for (size_t i = w->n; i > 0; i--) {
        uint32_t id;
        if (!scratch->marks[i]) {
            continue;
        }
        if (open == 1) {
            *at = i;
            return PM_OK;
        }
        pm_lattice_code code = w->codes[i - 1];
        uint8_t *from =
            &scratch->marks[i - (code == PM_LATTICE_SPELLED ? 1 : pm_lattice_piece(l, w->ends[i - 1], code, &id))];
        open -= *from;
        *from = 1;
    }
    return PM_OK;
}

pm_status pm_lattice_run(const pm_lattice *lattice, pm_lattice_scratch *scratch, const pm_bytes *texts, size_t n,
                         pm_lattice_walk walk, void *state, pm_lattice_sink sink, void *user, pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    size_t wanted = PM_LATTICE_WINDOW, block = pm_lattice_block(lattice), read, at;
    reader r = {texts, texts + n, NULL, NULL, 0, 0, 0};

    PM_TRY(check(lattice, texts, n, err));
    w->n = 0;
    do {
        PM_TRY(room(scratch, w->n + block, err));
        read = read_block(lattice, &r, w->ends + w->n, block);
        walk(lattice, state, w->ends + w->n, read, w->codes + w->n);
        w->n += read;
        if (w->n >= wanted) {
            PM_TRY(meeting_point(lattice, scratch, &at, err));
            PM_TRY(emit(lattice, scratch, at, sink, user, err));
            wanted = w->n > wanted / 2 ? 2 * wanted : wanted;
        }
    } while (read == block);
    PM_TRY(emit(lattice, scratch, w->n, sink, user, err));
    pm_lattice_forget_long(scratch);
    return PM_OK;
}

pm_status pm_lattice_read(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, pm_error *err) {
    pm_lattice_window *w = &scratch->window;
    size_t block = pm_lattice_block(lattice), read;
    reader r = {&text, &text + 1, NULL, NULL, 0, 0, 0};

    PM_TRY(check(lattice, &text, 1, err));
    w->n = 0;
    do {
        PM_TRY(room(scratch, w->n + block, err));
        read = read_block(lattice, &r, w->ends + w->n, block);
        w->n += read;
    } while (read == block);
    w->n--; /* PM_LATTICE_STOP */
    return PM_OK;
}

pm_status pm_lattice_room_for_ways(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_lattice_way **ways,
                                   pm_error *err) {
    PM_TRY(pm_grow(&scratch->ways, &scratch->cap_ways, pm_lattice_reach(lattice) + 2, sizeof **ways, err));
    *ways = scratch->ways;
    return PM_OK;
}

void pm_lattice_forget_long(pm_lattice_scratch *scratch) {
    if (scratch->window.cap > WINDOW_KEPT) {
        forget(scratch);
    }
}

pm_status pm_lattice_room_for_scores(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_error *err) {
    size_t before = pm_lattice_reach(lattice);

    PM_TRY(pm_grow((void **)&scratch->scores, &scratch->cap_scores, before + 1 + pm_lattice_block(lattice),
                   sizeof *scratch->scores, err));
    memset(scratch->scores, 0, (before + 1) * sizeof *scratch->scores);
    return PM_OK;
}

pm_status pm_lattice_best(const pm_lattice *lattice, pm_lattice_scratch *scratch, const pm_bytes *texts, size_t n,
                          pm_lattice_sink sink, void *user, pm_error *err) {
    PM_TRY(pm_lattice_room_for_scores(lattice, scratch, err));
    return pm_lattice_run(lattice, scratch, texts, n, lattice->walk, scratch->scores, sink, user, err);
}
