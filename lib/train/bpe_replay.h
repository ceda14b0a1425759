/* bpe_replay.h - brings words to the symbols of a vocabulary that has merges already, or begins with characters. See bpe_replay.c. */
#ifndef PM_TRAIN_BPE_REPLAY_H
#define PM_TRAIN_BPE_REPLAY_H

#include "count/records.h"
#include "encode/merge.h"
#include "text/characters.h"
#include "train/bpe_vocab.h"

/* A vocabulary's merges, for looking up. Any number of threads use it at once; later merges of the vocabulary are not in it. */
typedef struct pm_bpe_replay {
    pm_pairs pairs;
    size_t n_merges, base;    /* the symbol of the first merge */
    uint32_t symbols[256];    /* of each byte, */
    bool characters;          /* or words are of characters: */
    pm_characters alphabet;   /* their symbols */
} pm_bpe_replay;

/* Errors: PM_LIMIT (2^21 symbols or more), PM_NO_MEMORY. Nothing is to be released on failure. */
pm_status pm_bpe_replay_init(pm_bpe_replay *replay, const pm_bpe_vocab *vocab, pm_error *err);
void pm_bpe_replay_release(pm_bpe_replay *replay);

/* One thread's memory. {0} is an empty one. */
typedef struct pm_bpe_replayer {
    pm_merge_scratch scratch;
    pm_merge_lane lanes[PM_MERGE_LANES];
    uint32_t weights[PM_MERGE_LANES];
    size_t n_lanes;
    uint32_t *symbols; /* of a word */
    size_t cap;
} pm_bpe_replayer;

void pm_bpe_replayer_release(pm_bpe_replayer *replayer);

/* Appends to `out` what the chunk's words, records of bytes (width 1), are in symbols: records of cells of `width` bytes, 2 (all symbols below 65,536)
 * or 4. Words that are one symbol, and those of weight 0, are left out; a word that holds what is not in the alphabet becomes those on both sides of it. Errors: PM_LIMIT (a word of 4 GiB), PM_NO_MEMORY; then `out` may
 * hold a part. */
pm_status pm_bpe_replay_chunk(const pm_bpe_replay *replay, pm_bpe_replayer *replayer, const pm_chunk *chunk, unsigned width, pm_records *out,
                              pm_error *err);

/* The same for single words of n symbols: make room, write them to replayer->symbols, call pm_bpe_replay_word. Words may wait in the lanes
 * until pm_bpe_replay_end. */
pm_status pm_bpe_replay_room(pm_bpe_replayer *replayer, size_t n, pm_error *err);
pm_status pm_bpe_replay_word(const pm_bpe_replay *replay, pm_bpe_replayer *replayer, size_t n, uint32_t weight, unsigned width, pm_records *out,
                             pm_error *err);
pm_status pm_bpe_replay_end(const pm_bpe_replay *replay, pm_bpe_replayer *replayer, unsigned width, pm_records *out, pm_error *err);

#endif
