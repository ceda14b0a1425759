/* bpe_replay.c - brings words to the symbols of a vocabulary that has merges already, or begins with characters.
 *
 * Training may begin with merges: those of a tokenizer that is extended, those that make required pieces, those that a run had found when it was
 * stopped. The trainer would have made them one after another, each in all words, from the left. All at once and word by word that
 * is encoding: "join the leftmost pair of lowest rank, again and again" (encode/merge.c), since a merge can only make pairs of higher rank than its own
 * when the parts of each merge come before it, which pm_bpe_vocab_add makes sure of:
 *
 *     merges   256 l+o   257 lo+w   258 e+r      word   l o w e r  ->  lo w e r  ->  low e r  ->  low er      one look at the word, not three
 *
 * Where words are of characters, a character's symbol is looked up in the alphabet. What is not in it can be in no pair, so the word is cut there and the
 * character left out: two words come of it, and the trainer needs no symbol for what is unknown.
 *
 * Short words go through the merging eight at a time, so that their cache misses overlap. Cost: a look-up for each pair that comes into being; memory:
 * the table of pairs, and for a word of n bytes, n above PM_MERGE_SHORT, 32 n. */
#include "train/bpe_replay.h"

#include "model/model.h"
#include "text/utf8.h"

static pm_status fill_alphabet(pm_bpe_replay *replay, const pm_bpe_vocab *vocab, pm_error *err) {
    for (size_t i = 256; i < pm_bpe_vocab_base(vocab); i++) {
        pm_bytes text = vocab->texts[i];
        unsigned n;
        uint32_t c = pm_utf8_read(text.data, text.data + text.len, &n);
        PM_TRY(pm_characters_set(&replay->alphabet, c, (uint32_t)i, err));
        PM_TRY(c == PM_BLANK ? pm_characters_set(&replay->alphabet, PM_BLANK_MARK, (uint32_t)i, err) : PM_OK);
    }
    return PM_OK;
}

pm_status pm_bpe_replay_init(pm_bpe_replay *replay, const pm_bpe_vocab *vocab, pm_error *err) {
    *replay = (pm_bpe_replay){.n_merges = vocab->n_merges, .base = pm_bpe_vocab_base(vocab), .characters = vocab->rules.characters};
    if (pm_bpe_vocab_size(vocab) > PM_PAIR_LIMIT) {
        return pm_fail(err, PM_LIMIT, "a vocabulary of %zu symbols: %u is the limit", pm_bpe_vocab_size(vocab), (unsigned)PM_PAIR_LIMIT);
    }
    PM_TRY(pm_pairs_init(&replay->pairs, vocab->n_merges, vocab->n_merges, err));
    for (size_t i = 0; i < vocab->n_merges; i++) {
        pm_pairs_add(&replay->pairs, vocab->merges[i].left, vocab->merges[i].right, (uint32_t)i, (uint32_t)(replay->base + i));
    }
    for (unsigned i = 0; i < 256; i++) {
        replay->symbols[pm_byte_order[i]] = i;
    }
    pm_status status = replay->characters ? fill_alphabet(replay, vocab, err) : PM_OK;
    if (status != PM_OK) {
        pm_bpe_replay_release(replay);
    }
    return status;
}

void pm_bpe_replay_release(pm_bpe_replay *replay) {
    pm_pairs_release(&replay->pairs);
    pm_characters_release(&replay->alphabet);
}

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

pm_status pm_bpe_replay_end(const pm_bpe_replay *replay, pm_bpe_replayer *k, unsigned width, pm_records *out, pm_error *err) {
    uint32_t symbols[PM_MERGE_SHORT];
    pm_merge_lanes(&replay->pairs, k->lanes, k->n_lanes);
    for (size_t i = 0; i < k->n_lanes; i++) {
        PM_TRY(put_word(out, symbols, pm_merge_lane_end(&k->lanes[i], symbols), k->weights[i], width, err));
    }
    k->n_lanes = 0;
    return PM_OK;
}

static void fill_lane(const pm_bpe_replay *replay, pm_bpe_replayer *k, const uint32_t *symbols, size_t n, uint32_t weight) {
    pm_merge_lane *lane = &k->lanes[k->n_lanes];
    pm_merge_lane_begin(lane, n);
    for (size_t i = 0; i < n; i++) {
        pm_merge_lane_set(lane, i, symbols[i], i + 1 < n ? pm_pairs_find(&replay->pairs, symbols[i], symbols[i + 1]) : PM_NO_RANK);
    }
    k->weights[k->n_lanes++] = weight;
}

pm_status pm_bpe_replay_room(pm_bpe_replayer *replayer, size_t n, pm_error *err) {
    return pm_grow((void **)&replayer->symbols, &replayer->cap, n, sizeof *replayer->symbols, err);
}

pm_status pm_bpe_replay_word(const pm_bpe_replay *replay, pm_bpe_replayer *k, size_t n, uint32_t weight, unsigned width, pm_records *out,
                             pm_error *err) {
    uint32_t *symbols = k->symbols;
    if (n < 2 || !replay->n_merges) {
        return put_word(out, symbols, n, weight, width, err);
    }
    if (n > PM_MERGE_SHORT) {
        PM_TRY(pm_merge_word(&replay->pairs, &k->scratch, symbols, n, &n, err));
        return put_word(out, symbols, n, weight, width, err);
    }
    fill_lane(replay, k, symbols, n, weight);
    return k->n_lanes == PM_MERGE_LANES ? pm_bpe_replay_end(replay, k, width, out, err) : PM_OK;
}

static pm_status replay_bytes(const pm_bpe_replay *replay, pm_bpe_replayer *k, const pm_record *record, unsigned width, pm_records *out,
                              pm_error *err) {
    const uint8_t *bytes = pm_record_cells(record);
    for (size_t i = 0; i < record->n; i++) {
        k->symbols[i] = replay->symbols[bytes[i]];
    }
    return pm_bpe_replay_word(replay, k, record->n, record->weight, width, out, err);
}

/* Cut where a character is not in the alphabet. */
static pm_status replay_characters(const pm_bpe_replay *replay, pm_bpe_replayer *k, const pm_record *record, unsigned width, pm_records *out,
                                   pm_error *err) {
    const uint8_t *at = pm_record_cells(record), *end = at + record->n;
    size_t n = 0;
    while (at < end) {
        unsigned bytes;
        uint32_t c = pm_utf8_read(at, end, &bytes);
        uint32_t symbol = c == PM_BAD_BYTE && bytes == 1 ? PM_NO_CHARACTER : pm_characters_get(&replay->alphabet, c);
        at += bytes;
        if (symbol != PM_NO_CHARACTER) {
            k->symbols[n++] = symbol;
            continue;
        }
        PM_TRY(pm_bpe_replay_word(replay, k, n, record->weight, width, out, err));
        n = 0;
    }
    return pm_bpe_replay_word(replay, k, n, record->weight, width, out, err);
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
        PM_TRY(pm_bpe_replay_room(replayer, record->n, err));
        PM_TRY(replay->characters ? replay_characters(replay, replayer, record, width, out, err)
                                  : replay_bytes(replay, replayer, record, width, out, err));
    }
    return pm_bpe_replay_end(replay, replayer, width, out, err);
}
