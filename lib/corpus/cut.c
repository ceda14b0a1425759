/* cut.c - see cut.h. One pass of memchr; a piece of text that arrives in parts is never looked at twice.
 *
 * A paragraph ends with its whole run of newlines, so its end is known only at the first byte behind the run:
 *
 *     text  a \n b \n \n | \n c       two newlines at the end of the first part: not an end yet, `run` is 2
 *                          ^ end      the third belongs to the run; at c the paragraph "a\nb\n\n\n" is complete */
#include "corpus/cut.h"

pm_status pm_block_end(pm_block *block, size_t end, pm_error *err) {
    if (block->n == block->cap) {
        PM_TRY(pm_grow((void **)&block->ends, &block->cap, block->n + 1, sizeof *block->ends, err));
    }
    block->ends[block->n++] = end;
    return PM_OK;
}

static pm_status cut_lines(pm_block *block, pm_cut *cut, pm_error *err) {
    const uint8_t *data = block->text.data, *end = data + block->text.len, *p = data + cut->at;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        p++;
        PM_TRY(pm_block_end(block, (size_t)(p - data), err));
    }
    cut->at = block->text.len;
    return PM_OK;
}

static pm_status cut_paragraphs(pm_block *block, pm_cut *cut, pm_error *err) {
    const uint8_t *data = block->text.data;
    size_t len = block->text.len, at = cut->at;
    while (at < len) {
        while (at < len && data[at] == '\n') {
            at++;
            cut->run++;
        }
        if (at == len) {
            break;
        }
        if (cut->run >= 2) {
            PM_TRY(pm_block_end(block, at, err));
        }
        cut->run = 0;
        const uint8_t *newline = memchr(data + at, '\n', len - at);
        at = newline ? (size_t)(newline - data) : len;
    }
    cut->at = at;
    return PM_OK;
}

pm_status pm_cut_text(pm_block *block, pm_cut *cut, pm_split split, pm_error *err) {
    if (cut->at >= block->text.len) {
        return PM_OK;
    }
    switch (split) {
    case PM_SPLIT_LINE: return cut_lines(block, cut, err);
    case PM_SPLIT_PARAGRAPH: return cut_paragraphs(block, cut, err);
    case PM_SPLIT_DOCUMENT: break;
    }
    cut->at = block->text.len;
    return PM_OK;
}
