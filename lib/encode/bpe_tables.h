/* bpe_tables.h - the tables of a BPE tokenizer, which bpe_tables.c fills and bpe.c reads. */
#ifndef PM_ENCODE_BPE_TABLES_H
#define PM_ENCODE_BPE_TABLES_H

#include "base/hash.h"
#include "encode/bpe.h"
#include "encode/breaks.h"
#include "encode/first.h"
#include "encode/merge.h"
#include "encode/words.h"

enum { PM_LONG_FILTER_BITS = 17, PM_LONG_FILTER_BYTES = (1 << PM_LONG_FILTER_BITS) / 8, PM_BYTE_PAIRS = 1 << 16 };

struct pm_bpe {
    const pm_tokenizer *tok;
    pm_words words;
    pm_pairs pairs;
    uint32_t *byte_pairs; /* the rank of the merge of bytes a, b at [a << 8 | b]; NULL where a text begins as characters: */
    pm_characters *characters; /* the pieces that are one, else NULL */
    pm_breaks *breaks;
    uint8_t *unreachable; /* a bit for each id: merging does not lead to this piece; NULL: to all */
    uint8_t *long_filter; /* a bit for each hash (long_hash) of a piece longer than PM_WORD_MAX */
    size_t longest;       /* piece */
    bool mapped;          /* the tables lie in a file */
    bool rising;          /* each merge has a higher rank than those that make its parts */
};

static inline bool pm_bpe_is_reachable(const pm_bpe *bpe, pm_id id) {
    return !bpe->unreachable || !(bpe->unreachable[id >> 3] >> (id & 7) & 1);
}

/* Whether a unit may be found as the piece `id`. `part`: it is a segment of a pre-token. */
static inline bool pm_bpe_may_look_up(const pm_bpe *bpe, pm_id id, bool part) {
    return pm_bpe_is_reachable(bpe, id) || (bpe->tok->model.whole_first && !part);
}

/* Of a word longer than PM_WORD_MAX, from its length, its first and its last eight bytes. */
static inline uint32_t pm_bpe_long_hash(const uint8_t *word, size_t len) {
    uint64_t first, last;
    memcpy(&first, word, sizeof first);
    memcpy(&last, word + len - sizeof last, sizeof last);
    return (uint32_t)(pm_hash_word(first + last * UINT64_C(0x9E3779B97F4A7C15) + len) >> (64 - PM_LONG_FILTER_BITS));
}

/* A unit's first tokens, and the ranks of the merges of neighbours; returns how many. Room for len of each. */
size_t pm_bpe_begin_unit(const pm_bpe *bpe, const uint8_t *unit, size_t len, pm_id *ids, uint32_t *ranks);

/* A unit of at most PM_MERGE_SHORT bytes. */
static inline void pm_bpe_begin_merge(const pm_bpe *bpe, const uint8_t *unit, size_t len, pm_merge_lane *lane) {
    const pm_id *byte_id = bpe->tok->byte_id;

    if (bpe->characters) {
        pm_id ids[PM_MERGE_SHORT];
        size_t n = pm_first_tokens(bpe->characters, byte_id, unit, len, ids);
        pm_merge_lane_begin(lane, n);
        for (size_t i = 0; i < n; i++) {
            pm_merge_lane_set(lane, i, ids[i], i + 1 < n ? pm_pairs_find(&bpe->pairs, ids[i], ids[i + 1]) : PM_NO_RANK);
        }
        return;
    }
    pm_merge_lane_begin(lane, len);
    for (size_t i = 0; i + 1 < len; i++) {
        pm_merge_lane_set(lane, i, byte_id[unit[i]], bpe->byte_pairs[(unsigned)unit[i] << 8 | unit[i + 1]]);
    }
    pm_merge_lane_set(lane, len - 1, byte_id[unit[len - 1]], PM_NO_RANK);
}

#endif
