/* starts_body.h - the algebra of starts.c, on one word of the bitmaps at a time or on several side by side.
 *
 * Who includes this has defined
 *   INLINE               what stands before a function that becomes part of its callers
 *   LANES, set           how many words at a time, and the type of so many: an unsigned integer, or a vector of them
 *   load_sets(words)     reads LANES words into a `sets`
 *   before(x, past)      for each word the one before it: lanes move up, into the first comes the last of `past`
 *   behind(x, past, n)   bytes that stand n behind one of the set: x << n, with the highest bits of the words before
 *   any(x)               is a bit set?
 *   less(a, b)           all bits of each lane where a < b
 *   bytes_below(len, k)  in words from k on, the bytes of the window before len
 *   is_last_in(x, len)   x is of the last words: does it have the window's last byte?
 *   load_words(p)        reads LANES words
 *   put(p, x)            writes LANES words
 *   put_starts(p, starts, back)   the same, and the bytes before `back`
 *   count_bits(x), without(x, gaps)   of one word: its bits; those that are not in `gaps`, moved together */
#include "pretok/starts.h"

#include <string.h>

/* What the next words need of those before: their last bits. */
typedef struct past {
    set inside, blank, space, white, newline, tail, other, cjk, number, number_starts;
    set punct, taker, taken, free, han, letters, attached, word, lower, both, both_lower, upper_run, ascii_word, over;
    set rare[PM_N_RARE], hard; /* all so far */
} past;

/* ---- runs ---- */

/* The bytes of `run` from each byte of `from`, a subset of it, to the end of its run: the sum's carry clears them. */
INLINE set fill_word(set from, set run) { return (run & ~(run + from)) | from; }

/* The same with runs that go on in the next word; `past` is the result for the words before. */
INLINE set fill(set from, set run, set past_filled) {
#if LANES == 1
    return fill_word(from | (run & past_filled >> 63), run);
#else
    set filled = fill_word(from, run), more;
    while (more = run & ~filled & before(filled, past_filled) >> 63, any(more)) {
        filled |= fill_word(more, run);
    }
    return filled;
#endif
}

/* The first bytes of the characters behind those that begin at `characters`. */
INLINE set next_characters(set characters, set inside, past *p) {
    set second = behind(characters, p->free, 1), sum = inside + second, over = less(sum, second);
    sum -= before(over, p->over); /* a character that ends in the next word; it has no run to fill that */
    p->over = over;
    return sum & ~inside;
}

/* Groups of three in runs of numbers of one byte each: the first of each run and each third from there on. */
INLINE set groups_of_three(set number, past *p) {
    set second = number & behind(number, p->number, 1), starts = number & ~second;
    set later = second & behind(number, p->number, 2) & behind(number, p->number, 3); /* three stand before it */
    if (any(later)) {
        set more = later & before(starts, p->number_starts) >> 61;
        do {
            set run = later;
            starts |= more;
#pragma GCC unroll 5
            for (int step = 3; step < 64; step *= 2) { /* `run` has `step` numbers before it */
                starts |= starts << step & run;
                run &= run << step;
            }
            more = later & ~starts & before(starts, p->number_starts) >> 61;
        } while (any(more));
    }
    p->number_starts = starts;
    return starts;
}

/* ---- words of bitmaps ---- */

/* The starts in words k to k + LANES - 1 of the window; what is rare goes to rare[] and hard[]. */
INLINE void find_in_words(pm_starts *s, size_t k, set valid, past *p, const pm_rules *r) {
    const bool gpt2 = r->family == PM_FAMILY_GPT2, zones = r->family == PM_FAMILY_DEEPSEEK;
    const set none = {0};
    const sets c = load_sets(&s->words[k]);
    valid &= ~load_words(&s->gaps[k]);
    set both = c.letter, mark = c.mark, number = c.number, newline = c.newline, cjk = zones ? c.cjk : none;
    set starts = none, hard = none, han = none;

    if (r->han_apart) {
        han = fill(c.han & both, c.han, p->han);
        hard |= c.han & ~han & ~c.inside;
        both &= ~c.han;
        mark &= ~c.han;
        number &= ~c.han;
        starts |= han & ~behind(han, p->han, 1);
        p->han = han;
    }

    /* words */
    set word = c.upper | c.lower | both;
    if (r->cased) {
        set attached = fill(mark & behind(word, p->letters, 1), mark, p->attached);
        hard |= mark & ~attached & ~c.inside;
        p->letters = word;
        p->attached = attached;
        both |= attached;
        word |= attached;
    } else if (zones) {
        word |= mark;
    }
    set word_before = behind(word, p->word, 1);
    set same_zone = zones ? ~(cjk ^ behind(cjk, p->cjk, 1)) : ~none;
    set word_starts = word & ~(word_before & same_zone);

    /* punctuation, with the line ends that it takes */
    set punct = zones ? c.punct : valid & ~(word | number | c.space | newline | han);
    set taken = none;
    if (!gpt2) {
        set takes = r->slash ? newline | c.slash : newline, taker = punct & ~cjk;
        taken = fill(newline & behind(taker, p->taker, 1), takes, p->taken);
        newline &= ~taken;
        punct &= ~taken;
        p->taker = taker;
        p->taken = taken;
    }
    set blank_before = behind(c.blank, p->blank, 1) & ~cjk;
    set free = punct & ~(behind(punct, p->punct, 1) & same_zone) & ~blank_before;
    starts |= free;

    /* numbers */
    if (r->digits == 1) {
        starts |= number & ~c.inside;
    } else if (r->digits == 0) {
        starts |= number & ~behind(number, p->number, 1) & ~blank_before;
    } else {
        starts |= groups_of_three(number, p);
        hard |= number & c.inside;
    }

    /* words behind their prefixes */
    set space_before = behind(c.space, p->space, 1), back = none;
    if (gpt2) {
        word_starts &= ~blank_before;
    } else if (zones) {
        set ascii_word = word & ~c.high, ascii_free = free & ~c.high;
        set prefixed = ascii_word & behind(ascii_free, p->free, 1);
        set other = valid & ~(word | number | punct | c.space | newline | taken);
        set other_before = behind(other, p->other, 1) & same_zone;
        set ascii_run = fill(prefixed, ascii_word, p->ascii_word);
        starts |= other & ~other_before;
        starts |= word & c.high & behind(ascii_run, p->ascii_word, 1);
        back = word_starts & other_before;
        word_starts &= ~(prefixed | other_before | (space_before & ~cjk));
        p->ascii_word = ascii_run;
        p->free = ascii_free;
        p->other = other;
    } else {
        word_starts &= ~(space_before | next_characters(free, c.inside, p));
        p->free = free;
    }
    starts |= word_starts;

    /* white space */
    set white = c.space | newline, white_before = behind(white, p->white, 1), tail_undone = none;
    starts |= white & ~white_before;
    if (gpt2) {
        back = white_before & valid & ~white;
    } else {
        set tail_starts = c.space & behind(newline, p->newline, 1);
        set tail = fill(tail_starts, c.space, p->tail);
        starts |= tail_starts;
        tail_undone = newline & behind(tail, p->tail, 1);
        back |= space_before & valid & ~white & ~(zones ? number | cjk : none);
        p->tail = tail;
    }

    /* cased words */
    set upper_last = none;
    if (r->cased) {
        set lower_before = behind(c.lower, p->lower, 1);
        set both_lower = fill(both & lower_before, both, p->both_lower);
        set both_only = both & ~both_lower;
        set upper_run = fill(c.upper & behind(both_only, p->both, 1), c.upper, p->upper_run);
        starts |= c.upper & (lower_before | behind(both_lower, p->both_lower, 1));
        upper_last = behind(upper_run, p->upper_run, 1) & ~word;
        p->lower = c.lower;
        p->both = both_only;
        p->both_lower = both_lower;
        p->upper_run = upper_run;
    }

    /* what moves back: by a byte here, by more later */
    set wide = behind(c.inside, p->inside, 1), one = back & ~wide;
    set contractions = none;
    if (r->contraction != PM_CONTRACTION_NONE) {
        contractions = c.apostrophe & (r->contraction == PM_CONTRACTION_FIRST ? free : word_before);
    }
    put_starts(&s->bits[k + 1], starts, one);
    put(&s->hard[k], hard);
    p->hard |= hard;
    const set rare[PM_N_RARE] = {back & wide, tail_undone, upper_last, contractions};
#pragma GCC unroll 4
    for (int i = 0; i < PM_N_RARE; i++) {
        put(&s->rare[i][k], rare[i]);
        p->rare[i] |= rare[i];
    }

    p->inside = c.inside;
    p->blank = c.blank;
    p->space = c.space;
    p->white = white;
    p->newline = newline;
    p->cjk = cjk;
    p->number = number;
    p->punct = punct;
    p->word = word;
}

/* ---- windows ---- */

/* Looks at the window and sets its starts; returns s->stop. */
INLINE size_t find_window(pm_starts *s, const pm_rules *r, pm_scan_fn scan) {
    size_t len = s->len < s->window ? s->len : s->window;
    bool last = len == s->len; /* the document ends with the window: then its end is looked at too, as one byte more */
    size_t n = last ? len / 64 + 1 : (len + 63) / 64, filled = (len + 63) / 64;
    past p;

    memset(&p, 0, sizeof p);
    s->classes(s->text, len, s->len, s->words);
    memset(&s->words[filled], 0, ((n + LANES - 1) / LANES * LANES - filled) * sizeof *s->words);
    for (size_t k = 0; k < n; k += LANES) {
        find_in_words(s, k, bytes_below(len, k), &p, r);
    }
    pm_unsettled u = {.len = len, .n_words = n, .last = last, .hard = any(p.hard)};
#pragma GCC unroll 4
    for (int i = 0; i < PM_N_RARE; i++) {
        u.rare[i] = any(p.rare[i]);
    }
    u.tail_open = is_last_in(p.tail, len);
    u.upper_open = is_last_in(p.upper_run, len);
    return pm_starts_settle(s, &u, r, scan);
}

/* ---- documents ---- */

/* Brings the starts from where they are in the packed text to where they are in the documents. */
INLINE void unpack_documents(pm_starts *s, size_t len) {
    uint64_t word = 0;
    unsigned filled = 0;
    size_t out = 1;
    for (size_t k = 0; k <= len / 64; k++) {
        uint64_t bits = without(s->bits[k + 1], s->gaps[k]);
        unsigned more = 64 - (unsigned)count_bits(s->gaps[k]);
        word |= bits << filled;
        if (filled + more >= 64) {
            s->bits[out++] = word;
            word = filled ? bits >> (64 - filled) : 0;
            filled -= 64;
        }
        filled += more;
        s->gaps[k] = 0;
    }
    s->bits[out] = word;
}
