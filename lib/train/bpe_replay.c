/* bpe_replay.c - brings words to the symbols of a vocabulary that has merges already.
 *
 * Training may begin with merges: those of a tokenizer that is extended, those that make required pieces, those that a run had found when it was
 * stopped. The trainer would have made them one after another, each in all words, from the left. All at once and word by word that
 * is encoding: "join the leftmost pair of lowest rank, again and again" (encode/merge.c), since a merge can only make pairs of higher rank than its own
 * when the parts of each merge come before it, which pm_bpe_vocab_add makes sure of:
 *
 *     merges   256 l+o   257 lo+w   258 e+r      word   l o w e r  ->  lo w e r  ->  low e r  ->  low er      one look at the word, not three
 *
 * Short words go through the merging eight at a time, so that their cache misses overlap. Cost: a look-up for each pair that comes into being; memory:
 * the table of pairs, and for a word of n bytes, n above PM_MERGE_SHORT, 32 n. */
#include "train/bpe_replay.h"

#include "model/model.h"

pm_status pm_bpe_replay_init(pm_bpe_replay *replay, const pm_bpe_vocab *vocab, pm_error *err) {
    *replay = (pm_bpe_replay){0};
    if (pm_bpe_vocab_size(vocab) > PM_PAIR_LIMIT) {
        return pm_fail(err, PM_LIMIT, "a vocabulary of %zu symbols: %u is the limit", pm_bpe_vocab_size(vocab), (unsigned)PM_PAIR_LIMIT);
    }
    PM_TRY(pm_pairs_init(&replay->pairs, vocab->n_merges, vocab->n_merges, err));
    for (size_t i = 0; i < vocab->n_merges; i++) {
        pm_pairs_add(&replay->pairs, vocab->merges[i].left, vocab->merges[i].right, (uint32_t)i, 256 + (uint32_t)i);
    }
    for (unsigned i = 0; i < 256; i++) {
        replay->symbols[pm_byte_order[i]] = i;
    }
    return PM_OK;
}

void pm_bpe_replay_release(pm_bpe_replay *replay) { pm_pairs_release(&replay->pairs); }

void pm_bpe_replayer_release(pm_bpe_replayer *replayer) {
    pm_merge_scratch_release(&replayer->scratch);
    pm_free(replayer->symbols);
    *replayer = (pm_bpe_replayer){0};
}

static pm_status put_word(pm_records *out, const uint32_t *symbols, size_t n, uint32_t weight, unsigned width, pm_error *err) {
    if (n < 2) {
        return PM_OK;
    }
    pm_record *record = pm_records_reserve(out, pm_record_bytes(n, width));
    if (!record) {
        return pm_fail_memory(err);
    }
    *record = (pm_record){weight, (uint32_t)n};
    if (width == 4) {
        memcpy(pm_record_cells(record), symbols, n * sizeof *symbols);
    } else {
        uint16_t *cells = pm_record_cells(record);
        for (size_t i = 0; i < n; i++) {
            cells[i] = (uint16_t)symbols[i];
        }
    }
    out->last->used += pm_record_bytes(n, width);
    return PM_OK;
}

/* Merges the words that are in the lanes. */
static pm_status run_lanes(const pm_bpe_replay *replay, pm_bpe_replayer *k, unsigned width, pm_records *out, pm_error *err) {
    uint32_t symbols[PM_MERGE_SHORT];
    pm_merge_lanes(&replay->pairs, k->lanes, k->n_lanes);
    for (size_t i = 0; i < k->n_lanes; i++) {
        PM_TRY(put_word(out, symbols, pm_merge_lane_end(&k->lanes[i], symbols), k->weights[i], width, err));
    }
    k->n_lanes = 0;
    return PM_OK;
}

static void fill_lane(const pm_bpe_replay *replay, pm_bpe_replayer *k, const uint8_t *bytes, uint32_t n, uint32_t weight) {
    pm_merge_lane *lane = &k->lanes[k->n_lanes];
    pm_merge_lane_begin(lane, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t symbol = replay->symbols[bytes[i]];
        pm_merge_lane_set(lane, i, symbol, i + 1 < n ? pm_pairs_find(&replay->pairs, symbol, replay->symbols[bytes[i + 1]]) : PM_NO_RANK);
    }
    k->weights[k->n_lanes++] = weight;
}

static pm_status replay_long(const pm_bpe_replay *replay, pm_bpe_replayer *k, const pm_record *record, unsigned width, pm_records *out,
                             pm_error *err) {
    const uint8_t *bytes = pm_record_cells(record);
    size_t n;
    PM_TRY(pm_grow((void **)&k->symbols, &k->cap, record->n, sizeof *k->symbols, err));
    for (size_t i = 0; i < record->n; i++) {
        k->symbols[i] = replay->symbols[bytes[i]];
    }
    PM_TRY(pm_merge_word(&replay->pairs, &k->scratch, k->symbols, record->n, &n, err));
    return put_word(out, k->symbols, n, record->weight, width, err);
}

pm_status pm_bpe_replay_chunk(const pm_bpe_replay *replay, pm_bpe_replayer *replayer, const pm_chunk *chunk, unsigned width, pm_records *out,
                              pm_error *err) {
    replayer->n_lanes = 0; /* a call that failed may have left some */
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        at += pm_record_bytes(record->n, 1);
        if (!record->weight || record->n < 2) {
            continue;
        }
        if (record->n > PM_MERGE_SHORT) {
            PM_TRY(replay_long(replay, replayer, record, width, out, err));
            continue;
        }
        fill_lane(replay, replayer, pm_record_cells(record), record->n, record->weight);
        if (replayer->n_lanes == PM_MERGE_LANES) {
            PM_TRY(run_lanes(replay, replayer, width, out, err));
        }
    }
    return run_lanes(replay, replayer, width, out, err);
}
