/* filter.c - see filter.h.
 *
 * Sampling. A text is taken when its hash, mixed with the seed, lies in the lowest part/whole of all 64-bit numbers. So
 * whether it is taken depends on nothing but itself, the seed and the share: not on threads, the order of files, or the
 * machine that reads this shard of the corpus; of each source the same share is taken; and equal texts are taken
 * together or not at all, which is why sampling and removing duplicates give the same in either order.
 *
 *     share 10 %, last = 0x1999999999999998:   "some line\n" -> 0x0AF3... taken       "other\n" -> 0x73B1... not
 *
 * Duplicates. Of equal texts the first in the order of the corpus is taken. Equal means an equal XXH3 of 128 bits:
 * among 10^12 texts two different ones meet with a chance of 1 in 10^15, unless somebody makes them to.
 *
 * Both are done on the reading thread, 64 documents at a time so that their places in the set of hashes are on their
 * way from memory when they are looked at. What is taken closes up to the left.
 *
 * Cost, measured: docs/LOG.md. */
#include "corpus/filter.h"

enum { GROUP = 64 };

typedef struct group {
    size_t n;
    pm_bytes texts[GROUP];
    bool taken[GROUP];
    XXH128_hash_t hashes[GROUP];
} group;

void pm_filter_set_share(pm_filter *filter, uint64_t part, uint64_t whole) {
    unsigned __int128 hashes = whole ? ((unsigned __int128)part << 64) / whole : 1;
    filter->sample = true;
    filter->last = part >= whole ? UINT64_MAX : hashes ? (uint64_t)(hashes - 1) : 0;
}

static bool in_sample(const pm_filter *filter, pm_bytes text) {
    return pm_hash_word(pm_hash(text.data, text.len) ^ pm_hash_word(filter->seed)) <= filter->last;
}

static void look_at(const pm_filter *filter, group *g) {
    for (size_t i = 0; i < g->n; i++) {
        g->taken[i] = !filter->sample || in_sample(filter, g->texts[i]);
        if (g->taken[i] && filter->unique) {
            g->hashes[i] = XXH3_128bits(g->texts[i].data, g->texts[i].len);
            pm_once_prefetch(&filter->seen, g->hashes[i]);
        }
    }
}

static pm_status take_first_ones(pm_filter *filter, group *g, pm_source_report *row, pm_error *err) {
    for (size_t i = 0; i < g->n; i++) {
        if (g->taken[i]) {
            PM_TRY(pm_once_add(&filter->seen, g->hashes[i], &g->taken[i], err));
            row->duplicates += !g->taken[i];
        }
    }
    return PM_OK;
}

/* Moves what is taken to the block's end, which is block->text.len and block->n. */
static void close_up(const group *g, pm_block *block, pm_source_report *row) {
    for (size_t i = 0; i < g->n; i++) {
        pm_bytes text = g->texts[i];
        row->documents++;
        row->bytes += text.len;
        if (g->taken[i]) {
            if (text.len && text.data != block->text.data + block->text.len) {
                memmove(block->text.data + block->text.len, text.data, text.len);
            }
            block->text.len += text.len;
            block->ends[block->n++] = block->text.len;
            row->taken_documents++;
            row->taken_bytes += text.len;
        }
    }
}

pm_status pm_filter_block(pm_filter *filter, pm_block *block, size_t first, pm_source_report *row, pm_error *err) {
    size_t n = block->n, begin = first ? block->ends[first - 1] : 0, end = block->text.len;
    if (!filter->sample && !filter->unique) {
        row->documents += n - first;
        row->bytes += end - begin;
        row->taken_documents += n - first;
        row->taken_bytes += end - begin;
        return PM_OK;
    }
    block->n = first;
    block->text.len = begin;
    for (size_t i = first; i < n;) {
        group g = {.n = 0};
        for (; i < n && g.n < GROUP; i++) {
            g.texts[g.n++] = (pm_bytes){block->text.data ? block->text.data + begin : NULL, block->ends[i] - begin};
            begin = block->ends[i];
        }
        look_at(filter, &g);
        if (filter->unique) {
            PM_TRY(take_first_ones(filter, &g, row, err));
        }
        close_up(&g, block, row);
    }
    return PM_OK;
}
