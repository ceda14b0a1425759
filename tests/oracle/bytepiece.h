/* bytepiece.h - BytePiece as bytepiece 0.6.3 reads: dictionaries are sorted arrays, everything is looked up one by one.
 */
#ifndef PM_ORACLE_BYTEPIECE_H
#define PM_ORACLE_BYTEPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/piecemill.h"

/* A dictionary from bytes to counts and values; the bytes lie elsewhere. */
typedef struct oracle_entry {
    pm_bytes key;
    uint64_t count;
    double value;
} oracle_entry;

typedef struct oracle_dict {
    oracle_entry *items; /* sorted by bytes after oracle_dict_settle */
    size_t n, cap;
} oracle_dict;

void oracle_dict_add(oracle_dict *d, pm_bytes key, uint64_t count); /* only noted: see settle */
void oracle_dict_settle(oracle_dict *d);                            /* sorts, adds the counts of equal keys up */
oracle_entry *oracle_dict_find(const oracle_dict *d, pm_bytes key); /* NULL: not there */
void oracle_dict_free(oracle_dict *d);

typedef struct oracle_options {
    unsigned order;
    uint64_t min_count;
    size_t max_piece_length;
    bool isolate_digits, ensure_unicode;
} oracle_options;

/* The chunks of a document, which is in NFC, by trying the pattern's alternatives at each place. Returns their number;
 * ends has room for len + 1. */
size_t oracle_chunks(const uint8_t *text, size_t len, bool isolate_digits, size_t *ends);

/* Trains on chunks; pieces[i] is the vocabulary of at most sizes[i] pieces; sizes go down. */
void oracle_train(const oracle_options *o, const pm_bytes *chunks, size_t n, const size_t *sizes, size_t n_sizes,
                  oracle_dict *pieces);

/* Sets the values of all pieces to log(count) - log(sum of counts). */
void oracle_set_logs(oracle_dict *pieces);

/* faster.pyx with alpha < 0: the ends of the pieces, in order. Returns their number; ends has room for len. */
size_t oracle_best(const oracle_dict *pieces, pm_bytes text, size_t *ends);

#endif
