/* bpe.c - pre-tokens to ids: what was seen before is one look-up; what is new is looked up in the vocabulary, and
 * merged if it is not there.
 *
 * Units. A pre-token is looked up as it is, or, where it is likely to be a clause (ideographs, kana and their
 * punctuation; longer ones of any script but ASCII), cut first where no piece reaches across (breaks.c). Pre-tokens
 * and segments are the units from here on, and nearly all units of a text came before.
 *
 * Three steps, each for many units, so that what one of them waits for is asked for while others are worked on:
 *
 *     1. The key of each unit (15 bytes and their number, or a hash); its line of the memo (memo.h) is asked for.
 *     2. The memo answers: 16 bytes are copied, the place in the output moves on by the number of ids. The only branch
 *        is "it is not there".
 *     3. What is not there is noted with its place in the output, and its line of the vocabulary's table (words.h) is
 *        asked for. When there are enough of them, or the block of pre-tokens ends, they are looked up, merged several
 *        at a time (merge.h) and kept in the memo, and the ids are moved apart to let theirs in:
 *
 *            ids     17 204 9 88 3 12                     new units at 2 (one id) and 3 (two ids)
 *            after   17 204 [5] 9 [61 70] 88 3 12
 *
 * When a unit may be found as a piece of the vocabulary:
 *
 *   - whole_first: the vocabulary's own library looks first (tiktoken, Hugging Face's ignore_merges), so every piece
 *     may be found so, whatever the merges say.
 *   - Otherwise when merging its bytes gives that piece and nothing else ("reachable"); then both ways give the same
 *     id. bpe_tables.c finds that out.
 *   - A segment must be found as reachable pieces only, whole_first or not; a pre-token that is a piece, reachable or
 *     not, has no place where it could be cut. So where a vocabulary has unreachable pieces, the keys of segments are
 *     others than those of pre-tokens.
 *
 * Pieces of up to 15 bytes are in the table of words.h, longer ones in the tokenizer's own hash table, if a small
 * filter does not rule them out. Merging begins with bytes; the ranks for pairs of two bytes come from a table of all
 * 65,536.
 *
 * Long units (a run of one letter, text without spaces) are merged in windows that overlap, so that memory stays near
 * and small. That is exact where ranks rise, i.e. each merge has a higher rank than those that made its parts, as in
 * all vocabularies that were learnt:
 *
 *     Merges are then done in rising order of rank. Two neighbours x y of an encoding give x y if they are encoded
 *     alone: the merges in their stretch are those that it would have alone, and none crosses the place between them.
 *     Conversely, if all neighbours in a sequence of tokens have that property, the sequence is the encoding: the
 *     first merge across the place between some x and y, of rank q, would find that stretch as the merges below q
 *     leave it, which is as x y alone has it then, and alone the merge would be done as well. (Encoding by such pairs:
 *     the crate bpe of github/rust-gems, 2024.)
 *
 *     window 1    t o k e n s | o f | t e x t . .        window 2 begins with the token "of"
 *     window 2                  o f | t e x t | a n d    its first token is "of" again: so each two neighbours of
 *                                                        tokens | of | text | and stand together in one of the two
 *
 * Should the first tokens differ, window 1 is made larger. Where ranks do not rise, the unit is merged as a whole, in
 * n log n. A window with the bytes of the one before it has its ids, so a run of one letter costs a comparison.
 *
 * Characters. A text may begin as characters instead of bytes (sentencepiece's BPE): each is its own piece, or, where it is none,
 * its bytes are tokens that merge with nothing (first.h). Nothing above asks what the first tokens are, but where a unit ends: between
 * characters always, since breaks lie there, and a window may begin inside a character only where that is byte tokens; then its
 * other bytes, which are no character by themselves, are the same byte tokens again. A window's end may cut a character; the tokens near it
 * are not kept.
 *
 * All else is linear in the bytes. A memo holds at most 24 MB. */
#include "encode/bpe_tables.h"
#include "encode/memo.h"
#include "encode/merge.h"
#include "text/utf8.h"

enum { GROUP = 64, NEW_UNITS = 24, WINDOW_OVERLAP = 64 };

/* A unit that the memo does not hold, of at most PM_MERGE_SHORT bytes. */
typedef struct new_unit {
    pm_word_key key;
    const uint8_t *text;
    size_t len, readable;
    size_t place; /* where in the output its ids belong, those of other new units not counted */
    size_t n;
    pm_id ids[PM_MERGE_SHORT];
} new_unit;

struct pm_bpe_scratch {
    pm_merge_scratch merge;
    pm_merge_window window;
    pm_memo memo;
    pm_id *spare; /* for the ids of a long unit that are only counted */
    size_t spare_cap;
    size_t n_new;
    new_unit new_units[NEW_UNITS];
    pm_merge_lane lanes[PM_MERGE_LANES];
    new_unit *merged[PM_MERGE_LANES]; /* whose the lanes are */
};

/* ---------------------------------------------------------------- one unit ---- */

size_t pm_bpe_begin_unit(const pm_bpe *bpe, const uint8_t *unit, size_t len, pm_id *ids, uint32_t *ranks) {
    const pm_id *byte_id = bpe->tok->byte_id;
    if (bpe->characters) {
        size_t n = pm_first_tokens(bpe->characters, byte_id, unit, len, ids);
        for (size_t i = 1; i < n; i++) {
            ranks[i - 1] = pm_pairs_find(&bpe->pairs, ids[i - 1], ids[i]);
        }
        return n;
    }
    ids[0] = byte_id[unit[0]];
    for (size_t i = 1; i < len; i++) {
        ids[i] = byte_id[unit[i]];
        ranks[i - 1] = bpe->byte_pairs[(unsigned)unit[i - 1] << 8 | unit[i]];
    }
    return len;
}

static pm_status merge_whole(const pm_bpe *bpe, pm_merge_scratch *scratch, const uint8_t *unit, size_t len, pm_id *ids,
                             size_t *n_ids, pm_error *err) {
    PM_TRY(pm_merge_reserve(scratch, len, err));
    size_t n = pm_bpe_begin_unit(bpe, unit, len, ids, scratch->ranks);
    *n_ids = pm_merge_long(&bpe->pairs, scratch, ids, n);
    return PM_OK;
}

/* How many of n tokens lie in the first `most` bytes; *bytes: theirs. */
static size_t tokens_within(const pm_bpe *bpe, const pm_id *ids, size_t n, size_t most, size_t *bytes) {
    size_t i = 0;
    for (*bytes = 0; i < n && *bytes + bpe->tok->model.pieces[ids[i]].len <= most; i++) {
        *bytes += bpe->tok->model.pieces[ids[i]].len;
    }
    return i;
}

/* The ids of a window of at most PM_MERGE_WINDOW bytes, into ids. */
static size_t merge_small_window(const pm_bpe *bpe, pm_merge_window *window, const uint8_t *unit, size_t len,
                                 pm_id *ids) {
    uint32_t ranks[PM_MERGE_WINDOW];

    size_t n = pm_bpe_begin_unit(bpe, unit, len, window->ids, ranks);
    n = pm_merge_in_window(&bpe->pairs, window, ranks, n);
    memcpy(ids, window->ids, n * sizeof *ids);
    return n;
}

/* Where the windows of a long unit stand. */
typedef struct walk {
    size_t start, n; /* unit[0..start) is done and gave n ids */
    pm_id expected;  /* the next one, as the window before has it; PM_ID_NONE: there is none */
    size_t size;     /* of the window that begins at `start` */
} walk;

/* The ids of the window. */
static pm_status merge_one_window(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *unit, walk at, pm_id *ids,
                                  size_t *n, pm_error *err) {
    if (at.size <= PM_MERGE_WINDOW) {
        *n = merge_small_window(bpe, &scratch->window, unit + at.start, at.size, ids + at.n);
        return PM_OK;
    }
    return merge_whole(bpe, &scratch->merge, unit + at.start, at.size, ids + at.n, n, err);
}

/* As merge_long; *agreed: false when the windows do not fit together, or cannot. A window with the bytes of the one
 * before it has its ids: a run of one letter costs little. Where two do not agree, the first is made larger. */
static pm_status merge_by_windows(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *unit, size_t len,
                                  pm_id *ids, size_t *n_ids, bool *agreed, pm_error *err) {
    walk at = {0, 0, PM_ID_NONE, PM_MERGE_WINDOW}, before = {0};
    size_t more = 0, bytes;

    for (*agreed = bpe->rising; *agreed;) {
        size_t left = len - at.start;
        at.size = at.size < left ? at.size : left;
        if (at.size == before.size && memcmp(unit + at.start, unit + before.start, at.size) == 0) {
            memmove(ids + at.n, ids + before.n, more * sizeof *ids);
        } else {
            PM_TRY(merge_one_window(bpe, scratch, unit, at, ids, &more, err));
        }
        if (at.expected != PM_ID_NONE && ids[at.n] != at.expected) {
            *agreed = before.size > 0;
            at = before;
            at.size *= 2;
            before.size = 0; /* there is none before that is known */
            continue;
        }
        if (at.size == left) {
            *n_ids = at.n + more;
            break;
        }
        size_t kept = tokens_within(bpe, ids + at.n, more, at.size - WINDOW_OVERLAP, &bytes);
        if (kept == 0) {
            at.size *= 2;
            before.size = 0;
            continue;
        }
        before = at;
        at = (walk){at.start + bytes, at.n + kept, ids[at.n + kept], PM_MERGE_WINDOW};
    }
    return PM_OK;
}

/* A unit of more than PM_MERGE_SHORT bytes that has to be merged. */
static pm_status merge_long(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *unit, size_t len, pm_id *ids,
                            size_t *n_ids, pm_error *err) {
    bool agreed;
    PM_TRY(merge_by_windows(bpe, scratch, unit, len, ids, n_ids, &agreed, err));
    return agreed ? PM_OK : merge_whole(bpe, &scratch->merge, unit, len, ids, n_ids, err);
}

/* The id of a word longer than PM_WORD_MAX that may be looked up, or PM_ID_NONE. Few are pieces, and the filter knows
 * most that are none. */
static pm_id find_long(const pm_bpe *bpe, const uint8_t *word, size_t len, bool part) {
    if (len > bpe->longest) {
        return PM_ID_NONE;
    }
    uint32_t hash = pm_bpe_long_hash(word, len);
    if (!(bpe->long_filter[hash >> 3] >> (hash & 7) & 1)) {
        return PM_ID_NONE;
    }
    pm_id id = pm_tokenizer_find_piece(bpe->tok, word, len);
    return id != PM_ID_NONE && pm_bpe_may_look_up(bpe, id, part) ? id : PM_ID_NONE;
}

/* The id of a unit that is a piece and may be found as such, or PM_ID_NONE. */
static pm_id find_piece(const pm_bpe *bpe, const uint8_t *unit, size_t len, size_t readable, bool part) {
    if (len > PM_WORD_MAX) {
        return find_long(bpe, unit, len, part);
    }
    pm_word_key key = pm_word_key_of(unit, len, readable);
    pm_id id = pm_words_find(&bpe->words, key, pm_words_bucket(&bpe->words, key));
    return id != PM_ID_NONE && pm_bpe_may_look_up(bpe, id, part) ? id : PM_ID_NONE;
}

/* ---------------------------------------------------------------- many ---- */

/* Pre-tokens that are not yet encoded. */
typedef struct source {
    const uint8_t *text;
    size_t len, start; /* of the first one, or of what is left of it */
    const size_t *ends, *ends_end;
    bool part; /* something of the first one is encoded */
} source;

/* Units: pre-tokens and segments of some. */
typedef struct group {
    size_t n, start;
    size_t ends[GROUP + 1];
    uint64_t low[GROUP], high[GROUP]; /* the keys; NO_KEY: too long to be kept */
    uint64_t hashes[GROUP];
} group;

static const pm_word_key NO_KEY = {0, UINT64_MAX >> 1}; /* no unit's, nor, as a segment's, any segment's */

/* Computes the key of unit i and asks for its cache line. */
static inline void prepare(const pm_bpe_scratch *scratch, group *g, size_t i, pm_word_key key) {
    g->low[i] = key.low;
    g->high[i] = key.high;
    g->hashes[i] = pm_memo_hash(key);
    pm_memo_prefetch(&scratch->memo, g->hashes[i]);
}

static inline pm_word_key key_of(const uint8_t *unit, size_t len, size_t readable) {
    if (__builtin_expect(len > PM_WORD_MAX, 0)) {
        return len > PM_MEMO_LONGEST ? NO_KEY : pm_memo_long_key(unit, len);
    }
    return pm_word_key_of(unit, len, readable);
}

/* Where a segment may have other ids than a pre-token, the keys tell. */
static void add_marked(const pm_bpe_scratch *scratch, group *g, size_t first, const source *s) {
    const size_t *word = s->ends;
    size_t start = s->start;
    bool part = s->part; /* the unit begins inside a pre-token */

    for (size_t i = first; i < g->n; i++) {
        bool ends_word = g->ends[i] == *word;
        pm_word_key key = key_of(s->text + start, g->ends[i] - start, s->len - start);
        prepare(scratch, g, i, part || !ends_word ? pm_memo_segment_key(key) : key);
        part = !ends_word;
        word += ends_word;
        start = g->ends[i];
    }
}

/* Cuts the first pre-token and those like it, as much of them as there is room for. */
static void add_segments(const pm_bpe *bpe, const pm_bpe_scratch *scratch, group *g, source *s) {
    size_t first = g->n, start = s->start, len = s->len, done;
    const uint8_t *text = s->text;

    g->n += pm_breaks_cut(bpe->breaks, text, len, start, s->ends, (size_t)(s->ends_end - s->ends), &done,
                          g->ends + first, GROUP - first);
    if (__builtin_expect(bpe->unreachable != NULL, 0)) {
        add_marked(scratch, g, first, s);
    } else {
        for (size_t i = first; i < g->n; i++) {
            prepare(scratch, g, i, key_of(text + start, g->ends[i] - start, len - start));
            start = g->ends[i];
        }
    }
    s->start = g->ends[g->n - 1];
    s->part = done == 0 || s->start > s->ends[done - 1];
    s->ends += done;
}

/* Whether a pre-token is looked up before it is cut. Short ones are mostly known as they are, except runs of
 * ideographs and kana: their first or second byte would be E3 to E9. Of long ones only those of ASCII are not cut,
 * while merging them is cheap. */
static inline bool is_likely_whole(const uint8_t *word, size_t len, size_t readable) {
    unsigned first = pm_breaks_cuts_first(word[0]) | (readable > 1 && pm_breaks_cuts_first(word[1]));
    return !first && (len <= PM_WORD_MAX || (len <= PM_MEMO_LONGEST && pm_utf8_skip_ascii(word, 0, len) == len));
}

/* Adds pre-tokens that are not cut, up to one that is. */
static void add_whole(const pm_bpe_scratch *scratch, group *g, source *s) {
    size_t n = g->n, start = s->start;
    const size_t *ends = s->ends, *ends_end = s->ends_end;
    const uint8_t *text = s->text;
    size_t len = s->len;

    for (; ends < ends_end && n < GROUP; ends++) {
        size_t end = *ends, size = end - start;
        if (!is_likely_whole(text + start, size, len - start)) {
            break;
        }
        prepare(scratch, g, n, key_of(text + start, size, len - start));
        g->ends[n++] = end;
        start = end;
    }
    g->n = n;
    s->start = start;
    s->ends = ends;
}

/* Fills a group with units, so that their cache lines come together. */
static void fill_group(const pm_bpe *bpe, const pm_bpe_scratch *scratch, group *g, source *s) {
    g->n = 0;
    g->start = s->start;
    while (s->ends < s->ends_end && g->n < GROUP) {
        if (!s->part) {
            add_whole(scratch, g, s);
        }
        if (s->ends < s->ends_end && g->n < GROUP) {
            add_segments(bpe, scratch, g, s);
        }
    }
}

/* ---------------------------------------------------------------- new units ---- */

static void end_merges(const pm_bpe *bpe, pm_bpe_scratch *scratch, size_t n_lanes) {
    pm_merge_lanes(&bpe->pairs, scratch->lanes, n_lanes);
    for (size_t i = 0; i < n_lanes; i++) {
        new_unit *u = scratch->merged[i];
        u->n = pm_merge_lane_end(&scratch->lanes[i], u->ids);
    }
}

/* Encodes the new units, several at once, and keeps them. */
static void encode_new(const pm_bpe *bpe, pm_bpe_scratch *scratch) {
    size_t n_lanes = 0;

    for (size_t i = 0; i < scratch->n_new; i++) {
        new_unit *u = &scratch->new_units[i];
        u->ids[0] = find_piece(bpe, u->text, u->len, u->readable, u->key.high >> 63);
        u->n = 1;
        if (u->ids[0] == PM_ID_NONE) {
            pm_bpe_begin_merge(bpe, u->text, u->len, &scratch->lanes[n_lanes]);
            scratch->merged[n_lanes++] = u;
        }
        if (n_lanes == PM_MERGE_LANES) {
            end_merges(bpe, scratch, n_lanes);
            n_lanes = 0;
        }
    }
    end_merges(bpe, scratch, n_lanes);
    for (size_t i = 0; i < scratch->n_new; i++) {
        const new_unit *u = &scratch->new_units[i];
        if (!pm_memo_find(&scratch->memo, u->key, pm_memo_hash(u->key))) { /* it may stand twice in the list */
            pm_memo_add(&scratch->memo, u->key, u->text, u->len, u->ids, u->n);
        }
    }
}

/* Puts the ids of the new units to their places among the n ids that are there (NULL: they are counted); returns how
 * many there are then. */
static size_t insert_new(pm_bpe_scratch *scratch, pm_id *ids, size_t n) {
    size_t from = n, to;

    for (size_t i = 0; i < scratch->n_new; i++) {
        n += scratch->new_units[i].n;
    }
    to = n;
    for (size_t i = ids ? scratch->n_new : 0; i-- > 0;) { /* from behind, since all moves to higher places */
        const new_unit *u = &scratch->new_units[i];
        size_t behind = from - u->place;
        to -= behind;
        memmove(ids + to, ids + u->place, behind * sizeof *ids);
        from = u->place;
        to -= u->n;
        memcpy(ids + to, u->ids, u->n * sizeof *ids);
    }
    scratch->n_new = 0;
    return n;
}

/* A unit longer than PM_MERGE_SHORT that the memo does not hold. */
static pm_status encode_long(const pm_bpe *bpe, pm_bpe_scratch *scratch, pm_word_key key, const uint8_t *unit,
                             size_t len, size_t readable, pm_id *ids, size_t *n_ids, pm_error *err) {
    ids[0] = find_piece(bpe, unit, len, readable, key.high >> 63);
    *n_ids = 1;
    if (ids[0] == PM_ID_NONE) {
        PM_TRY(merge_long(bpe, scratch, unit, len, ids, n_ids, err));
    }
    if (len <= PM_MEMO_LONGEST) {
        pm_memo_add(&scratch->memo, key, unit, len, ids, *n_ids);
    }
    return PM_OK;
}

/* A unit that the memo does not hold: a long one is encoded, others wait for more of their kind. */
static __attribute__((noinline)) pm_status take_new(const pm_bpe *bpe, pm_bpe_scratch *scratch, pm_word_key key,
                                                    const uint8_t *unit, size_t len, size_t readable, pm_id *ids,
                                                    size_t *n_ids, pm_error *err) {
    if (len > PM_MERGE_SHORT) {
        size_t more;
        if (!ids) {
            PM_TRY(pm_grow((void **)&scratch->spare, &scratch->spare_cap, len, sizeof *scratch->spare, err));
        }
        PM_TRY(encode_long(bpe, scratch, key, unit, len, readable, ids ? ids + *n_ids : scratch->spare, &more, err));
        *n_ids += more;
        return PM_OK;
    }
    if (scratch->n_new == NEW_UNITS) {
        encode_new(bpe, scratch);
        *n_ids = insert_new(scratch, ids, *n_ids);
    }
    new_unit *u = &scratch->new_units[scratch->n_new++];
    *u = (new_unit){.key = key, .text = unit, .len = len, .readable = readable, .place = *n_ids};
    if (len <= PM_WORD_MAX) {
        __builtin_prefetch(&bpe->words.buckets[pm_words_bucket(&bpe->words, key)]);
    }
    return PM_OK;
}

/* A unit whose slot does not hold its ids, or has none. */
static __attribute__((noinline)) pm_status encode_far(const pm_bpe *bpe, pm_bpe_scratch *scratch,
                                                      const pm_memo_slot *slot, pm_word_key key, const uint8_t *unit,
                                                      size_t len, size_t readable, pm_id *ids, size_t *n_ids,
                                                      pm_error *err) {
    const pm_memo *memo = &scratch->memo;
    if (!slot || (pm_memo_key_is_long(key) && !pm_memo_is(memo, slot, unit, len))) {
        return take_new(bpe, scratch, key, unit, len, readable, ids, n_ids, err);
    }
    if (ids) {
        memcpy(ids + *n_ids, memo->store + slot->ids[0], slot->ids[1] * sizeof *ids);
    }
    *n_ids += slot->ids[1];
    return PM_OK;
}

/* As pm_bpe_encode_words; `write`: ids is not NULL. */
static inline __attribute__((always_inline)) pm_status encode_units(const pm_bpe *bpe, pm_bpe_scratch *scratch,
                                                                    source s, pm_id *ids, size_t *n_ids, bool write,
                                                                    pm_error *err) {
    group g;
    size_t out = 0;

    scratch->n_new = 0;
    for (fill_group(bpe, scratch, &g, &s); g.n > 0; fill_group(bpe, scratch, &g, &s)) {
        size_t from = g.start;
        for (size_t i = 0; i < g.n; i++) {
            pm_word_key key = {g.low[i], g.high[i]};
            const pm_memo_slot *slot = pm_memo_find(&scratch->memo, key, g.hashes[i]);
            if (__builtin_expect(slot != NULL && slot->n <= PM_MEMO_NEAR, 1)) {
                if (write) {
                    memcpy(ids + out, slot->ids,
                           sizeof *ids * (PM_MEMO_NEAR + 1)); /* the number behind the ids as well: PM_BPE_SLACK */
                }
                out += slot->n;
            } else {
                PM_TRY(encode_far(bpe, scratch, slot, key, s.text + from, g.ends[i] - from, s.len - from,
                                  write ? ids : NULL, &out, err));
            }
            from = g.ends[i];
        }
    }
    if (scratch->n_new) {
        encode_new(bpe, scratch);
        out = insert_new(scratch, write ? ids : NULL, out);
    }
    *n_ids = out;
    return PM_OK;
}

pm_status pm_bpe_encode_words(const pm_bpe *bpe, pm_bpe_scratch *scratch, const uint8_t *text, size_t len, size_t start,
                              const size_t *ends, size_t n, pm_id *ids, size_t *n_ids, pm_error *err) {
    source s = {text, len, start, ends, ends + n, false};
    return ids ? encode_units(bpe, scratch, s, ids, n_ids, true, err)
               : encode_units(bpe, scratch, s, NULL, n_ids, false, err);
}

/* ---------------------------------------------------------------- scratch ---- */

pm_status pm_bpe_scratch_new(pm_bpe_scratch **out, pm_error *err) {
    *out = pm_calloc(1, sizeof **out);
    if (!*out) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_memo_init(&(*out)->memo, err);
    if (status != PM_OK) {
        pm_free(*out);
        *out = NULL;
    }
    return status;
}

void pm_bpe_scratch_trim(pm_bpe_scratch *scratch) {
    pm_merge_scratch_release(&scratch->merge);
    pm_free(scratch->spare);
    scratch->spare = NULL;
    scratch->spare_cap = 0;
}

void pm_bpe_scratch_free(pm_bpe_scratch *scratch) {
    if (scratch) {
        pm_bpe_scratch_trim(scratch);
        pm_memo_release(&scratch->memo);
        pm_free(scratch);
    }
}
