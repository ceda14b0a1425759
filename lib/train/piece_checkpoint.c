/* piece_checkpoint.c - BytePiece's counting in rounds: pm_checkpoint_pieces. See checkpoint.c.
 *
 *     read again     what rounds of n-grams have already: its chunks are kept for the second pass, n-grams are not counted
 *     n-grams        the rest, round by round; the chunks are kept
 *     pieces         sections whose pieces no round has: a model of all rounds' n-grams, then round by round
 *
 * A run that finds all pieces counted reads the corpus to see that it is the same and does nothing else. Which chunks belong to a section, where rounds end
 * and what they hold depends neither on threads nor on memory, so a run with others of them may go on. Only a model in parts, which is used up by one pass over
 * the text, takes all sections that are left as one round. */
#include "count/countmerge.h"
#include "train/checkpoint.h"
#include "train/passes.h"
#include "train/piece_counts.h"

/* ---------------------------------------------------------------- n-grams ---- */

static pm_status write_ngrams(pm_passes *p, pm_checkpoint *c, pm_count_totals *totals, pm_error *err) {
    pm_buf settings = {0};
    char *path;
    PM_TRY(pm_checkpoint_new_round(c, PM_CHECKPOINT_TEXT, &path, err));
    pm_status status = pm_train_ngram_settings(&settings, p->job, err);
    if (status == PM_OK) {
        status = pm_passes_write_ngrams(p, path, (const char *)settings.data, totals, err);
    }
    if (status == PM_OK) {
        status = pm_checkpoint_keep_round(c, PM_CHECKPOINT_TEXT, 0, path, err);
    }
    pm_buf_release(&settings);
    pm_free(path);
    return status;
}

static pm_status count_round(pm_passes *p, pm_checkpoint *c, pm_error *err) {
    const pm_chunker *read = &p->chunker;
    pm_checkpoint_text text = *pm_checkpoint_text_of(c);
    uint64_t chunks = read->chunks, with_special = read->with_special;
    PM_TRY(pm_passes_read(p, pm_checkpoint_next_stop(c), true, true, err));
    if (read->bytes > text.bytes) {
        pm_count_totals totals = {
            .documents = read->documents - text.documents, .bytes = read->bytes - text.bytes, .lines_split = p->job->summary.lines_split};
        PM_TRY(write_ngrams(p, c, &totals, err));
    }
    text.documents = read->documents;
    text.bytes = read->bytes;
    text.words += read->chunks - chunks;
    text.documents_with_special += read->with_special - with_special;
    text.hash = XXH3_64bits_digest(read->hash);
    text.ended = read->ended;
    return pm_checkpoint_keep_text(c, &text, err);
}

static pm_status read_again(pm_passes *p, const pm_checkpoint *c, bool keep, pm_error *err) {
    const pm_checkpoint_text *text = pm_checkpoint_text_of(c);
    PM_TRY(pm_passes_read(p, text->ended ? UINT64_MAX : text->bytes, false, keep, err));
    return pm_checkpoint_same_text(c, p->chunker.documents, p->chunker.bytes, XXH3_64bits_digest(p->chunker.hash), err);
}

/* Reads the corpus, until all its n-grams are counted and the chunks of sections without pieces are kept. */
static pm_status read_text(pm_passes *p, pm_checkpoint *c, pm_error *err) {
    const pm_checkpoint_text *text = pm_checkpoint_text_of(c);
    p->first_section = pm_checkpoint_end(c, PM_CHECKPOINT_PIECES);
    PM_TRY(text->documents ? read_again(p, c, p->first_section < UINT64_MAX, err) : PM_OK);
    while (!text->ended) {
        PM_TRY(count_round(p, c, err));
    }
    return pm_checkpoint_summary(c, p->job, err);
}

/* ---------------------------------------------------------------- pieces ---- */

static pm_status make_model(pm_passes *p, const pm_checkpoint *c, pm_error *err) {
    pm_checkpoint_paths paths;
    PM_TRY(pm_checkpoint_paths_of(c, PM_CHECKPOINT_TEXT, &paths, err));
    pm_train_name_ngrams(p->job, paths.sums, paths.n);
    pm_status status = pm_passes_model_from(p, (const char *const *)paths.list, paths.n, err);
    pm_checkpoint_paths_free(&paths);
    return status;
}

/* The first section that the next round does not have; UINT64_MAX: it has all. */
static uint64_t end_of_round(const pm_passes *p, uint64_t from) {
    uint64_t bytes = pm_checkpoint_section_bytes(), to = pm_checkpoint_after(from * bytes) / bytes;
    return p->model->n_parts > 1 || to * bytes >= p->chunker.bytes ? UINT64_MAX : to;
}

/* Documents and bytes are said once for all rounds. */
static pm_status write_pieces(pm_passes *p, pm_store *store, bool first, const char *path, pm_error *err) {
    const pm_train_job *job = p->job;
    const pm_train_summary *sum = &job->summary;
    const pm_count_work work = {job->o.threads, job->bytepiece_memory.sorting, job->o.tmpdir, &p->job->ticker};
    pm_count_totals totals = {first ? sum->documents : 0, first ? sum->bytes : 0, .lines_split = sum->lines_split};
    pm_buf settings = {0};
    pm_status status = pm_train_piece_settings(&settings, job, err);
    if (status == PM_OK) {
        status = pm_count_store_write(store, path, (const char *)settings.data, &totals, &work, err);
    }
    pm_buf_release(&settings);
    return status;
}

static pm_status count_pieces(pm_passes *p, pm_checkpoint *c, pm_store *store, uint64_t from, pm_error *err) {
    uint64_t to = end_of_round(p, from);
    pm_checkpoint_text text = *pm_checkpoint_text_of(c);
    char *path;
    PM_TRY(pm_passes_pieces(p, from, to, store, err));
    PM_TRY(pm_checkpoint_new_round(c, PM_CHECKPOINT_PIECES, &path, err));
    pm_status status = write_pieces(p, store, from == 0, path, err);
    if (status == PM_OK) {
        status = pm_checkpoint_keep_round(c, PM_CHECKPOINT_PIECES, to, path, err);
    }
    pm_free(path);
    return status == PM_OK ? pm_checkpoint_keep_text(c, &text, err) : status;
}

static pm_status cut_text(pm_passes *p, pm_checkpoint *c, pm_error *err) {
    uint64_t from = pm_checkpoint_end(c, PM_CHECKPOINT_PIECES);
    PM_TRY(from < UINT64_MAX ? make_model(p, c, err) : PM_OK);
    while ((from = pm_checkpoint_end(c, PM_CHECKPOINT_PIECES)) < UINT64_MAX) {
        pm_store *store;
        PM_TRY(pm_store_new(&store, p->job->bytepiece_memory.store, p->job->o.tmpdir, err));
        pm_status status = count_pieces(p, c, store, from, err);
        pm_store_free(store);
        PM_TRY(status);
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the call ---- */

pm_status pm_checkpoint_pieces(pm_checkpoint_paths *out, pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    XXH3_state_t hash;
    pm_passes passes;
    *out = (pm_checkpoint_paths){0};
    XXH3_64bits_reset(&hash);
    pm_status status = pm_passes_init(&passes, corpus, job, err);
    passes.chunker.hash = &hash;
    passes.chunker.section_bytes = pm_checkpoint_section_bytes();
    if (status == PM_OK) {
        status = read_text(&passes, c, err);
    }
    if (status == PM_OK) {
        status = cut_text(&passes, c, err);
    }
    pm_passes_release(&passes);
    return status == PM_OK ? pm_checkpoint_paths_of(c, PM_CHECKPOINT_PIECES, out, err) : status;
}
