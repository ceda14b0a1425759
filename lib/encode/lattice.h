/* lattice.h - the best (or a drawn) segmentation of a chunk under a unigram model. Used by the BytePiece encoder and by
 * the BytePiece trainer's pruning rounds. */
#ifndef PM_ENCODE_LATTICE_H
#define PM_ENCODE_LATTICE_H

#include "base/alloc.h"

typedef struct pm_lattice pm_lattice;                 /* automaton and log-probabilities */
typedef struct pm_lattice_scratch pm_lattice_scratch; /* one thread's */

/* An automaton over n distinct, non-empty pieces; piece i has log-probability logp[i] (-INFINITY: not there), and is
 * given out as ids[i], or as i when ids is NULL. */
pm_status pm_lattice_new(pm_lattice **out, const pm_bytes *pieces, const uint32_t *ids, const double *logp, size_t n,
                         pm_error *err);
/* Replaces all log-probabilities of a lattice without ids; for the trainer, between rounds, while no thread reads. */
void pm_lattice_set(pm_lattice *lattice, const double *logp);
/* From now on a character that is a piece is never spelled in its bytes, in what is drawn or listed either: bytes are for unknown characters alone. While no
 * other thread uses it. */
void pm_lattice_spell_only_unknown(pm_lattice *lattice);
void pm_lattice_free(pm_lattice *lattice);

pm_status pm_lattice_scratch_new(pm_lattice_scratch **out, pm_error *err);
void pm_lattice_scratch_free(pm_lattice_scratch *scratch);

/* Behind the last piece of each text. */
#define PM_LATTICE_END UINT32_MAX

/* Called with the ids of the next pieces of the segmentation, in order. */
typedef pm_status (*pm_lattice_sink)(void *user, const uint32_t *ids, size_t n, pm_error *err);

/* The segmentation of each text with the highest sum of log-probabilities, summed from the left in double precision; of
 * equal paths the one whose last piece is the longest, and so on to the left, as bytepiece does. PM_LATTICE_END goes to
 * the sink behind each text. Needs every single byte of the texts among the pieces: else PM_INVALID_ARGUMENT, with the
 * byte's place in its text. Memory does not grow with a text where the best paths to neighbouring positions have a
 * position in common. */
pm_status pm_lattice_best(const pm_lattice *lattice, pm_lattice_scratch *scratch, const pm_bytes *texts, size_t n,
                          pm_lattice_sink sink, void *user, pm_error *err);

/* The same as sentencepiece finds it, with sums in single precision: lattice_floats.c. Log-probabilities are floats; `unknown` is that of a character that is no
 * piece, whatever those of its bytes. */
pm_status pm_lattice_best_in_floats(const pm_lattice *lattice, pm_lattice_scratch *scratch, const pm_bytes *texts, size_t n, float unknown,
                                    pm_lattice_sink sink, void *user, pm_error *err);

/* The most that alpha may be: a log-probability times alpha stays exact to 2^-20, so draws are right. Larger ones would
 * draw the best segmentation but for ties. */
#define PM_ALPHA_MAX 1e6

/* A segmentation of one text, drawn with probability proportional to exp(alpha * sum of log-probabilities), 0 <= alpha
 * <= PM_ALPHA_MAX, and PM_LATTICE_END. `key` seeds the draws (a counter-based generator: the same key and text give the
 * same result). */
pm_status pm_lattice_sample(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, double alpha,
                            uint64_t key, pm_lattice_sink sink, void *user, pm_error *err);

/* Called with the next segmentation and its score. */
typedef pm_status (*pm_nbest_sink)(void *user, const uint32_t *ids, size_t n, double score, pm_error *err);

/* The `most` segmentations of one text with the highest scores, or all if there are fewer, best first; of equal ones as
 * pm_lattice_best chooses. Memory: 16 * most bytes for each symbol of the text. */
pm_status pm_lattice_nbest(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, size_t most,
                           pm_nbest_sink sink, void *user, pm_error *err);

/* Appends to *out each piece that can stand in a segmentation of one text, by place in the text, with the probability
 * that it does when segmentations are drawn as by pm_lattice_sample; ordered by end, then from the shortest. 0 <= alpha
 * <= PM_ALPHA_MAX. On failure some may have been appended. */
pm_status pm_lattice_marginals(const pm_lattice *lattice, pm_lattice_scratch *scratch, pm_bytes text, double alpha,
                               pm_marginals *out, pm_error *err);

#endif
