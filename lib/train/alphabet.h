/* alphabet.h - which characters BPE over characters begins with. See alphabet.c. */
#ifndef PM_TRAIN_ALPHABET_H
#define PM_TRAIN_ALPHABET_H

#include "base/thread.h"
#include "count/store.h"
#include "train/bpe_vocab.h"

/* Adds the characters of the words, records of bytes, to a vocabulary without merges: the most frequent ones, until they are `coverage` of all (above 0,
 * at most 1), and a blank. Errors: those of pm_store_get, PM_CANCELLED, PM_NO_MEMORY. */
pm_status pm_bpe_alphabet(pm_bpe_vocab *vocab, pm_store *store, double coverage, unsigned threads, pm_ticker *ticker, pm_error *err);

#endif
