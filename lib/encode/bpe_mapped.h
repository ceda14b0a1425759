/* bpe_mapped.h - the tables of BPE as bytes of a file, so that loading maps them instead of making them. */
#ifndef PM_ENCODE_BPE_MAPPED_H
#define PM_ENCODE_BPE_MAPPED_H

#include "encode/bpe.h"

/* Appends the tables; they are to be mapped at a multiple of 64. Errors: PM_UNSUPPORTED (a machine whose numbers are big-endian; BPE over characters),
 * PM_NO_MEMORY. */
pm_status pm_bpe_append_tables(const pm_bpe *bpe, pm_buf *out, pm_error *err);

/* pm_bpe_new with tables that were written so, which must live as long. *out is NULL without an error where they are not for this machine or this version of
 * the library: pm_bpe_new makes them. Whatever the bytes are, encoding with them stays within memory and ends: each index is checked here. Errors: PM_BAD_FORMAT,
 * PM_NO_MEMORY. */
pm_status pm_bpe_map(pm_bpe **out, const pm_tokenizer *tok, pm_bytes tables, pm_error *err);

#endif
