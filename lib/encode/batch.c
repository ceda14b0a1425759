/* batch.c - many documents on several threads, into one array in document order.
 *
 * A document of n bytes gives at most so many ids (pm_plan_bound), so a place for every document can be set aside before any is encoded: address
 * space for all bounds, of which only the pages that ids are written to become memory. Documents are dealt out in slices of about equal bytes
 * (a large document is a slice of its own). A slice writes its ids one after another from the place where its first document's bound
 * begins; when all are done, the slices are moved together and the rest of the address space is given back:
 *
 *     bounds     |....doc 0....|..doc 1..|......doc 2......|...doc 3...|       slices: {0, 1}, {2, 3}
 *     written    |001|.........          |2222233|                             moved: 001 2222233, offsets 0 2 3 8 10
 *
 * With one thread there is one slice and nothing moves. Where the system refuses so much address space, the documents are encoded twice:
 * first to count, then, with an array of exactly the right length, to write; the same code, a slice's ids then begin where they stay.
 *
 * What fails is the same on any number of threads: slices begin in order, a slice behind one that failed is not begun, and of those that failed
 * the first counts. */
#include <pthread.h>
#include <unistd.h>

#include "base/thread.h"
#include "encode/inside.h"

enum { SLICES_A_THREAD = 16, SMALL_BATCH = 1 << 16 /* ids: below, plain memory */ };
static const size_t SLICE_BYTES_MIN = 1 << 16, SLICE_BYTES_MAX = 1 << 23;

typedef struct slice {
    size_t first, end; /* documents */
    size_t place, room;/* in ids */
    size_t n;          /* ids written */
} slice;

typedef struct batch_job {
    const pm_tokenizer *tok;
    const pm_bytes *docs;
    const pm_plan *plan;
    pm_batch *out;
    slice *slices;
    size_t n_slices, cap_slices;
    pm_encoder **encoders; /* one a thread, made when first needed */
    unsigned threads;
    pthread_mutex_t lock;
    size_t failed; /* first document that failed, SIZE_MAX: none */
    pm_status status;
    pm_error error;
} batch_job;

/* ---------------------------------------------------------------- slices ---- */

static pm_status add_slice(batch_job *job, size_t first, pm_error *err) {
    PM_TRY(pm_grow((void **)&job->slices, &job->cap_slices, job->n_slices + 1, sizeof *job->slices, err));
    job->slices[job->n_slices++] = (slice){.first = first, .end = first};
    return PM_OK;
}

/* Deals the documents out; each slice knows its room. *total: of all rooms. */
static pm_status cut_slices(batch_job *job, size_t n, size_t *total, pm_error *err) {
    size_t bytes = 0;
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += job->docs[i].len; /* of memory that exists: it fits */
    }
    size_t want = SIZE_MAX;
    if (job->threads > 1) {
        want = bytes / ((size_t)job->threads * SLICES_A_THREAD);
        want = want < SLICE_BYTES_MIN ? SLICE_BYTES_MIN : want > SLICE_BYTES_MAX ? SLICE_BYTES_MAX : want;
    }
    size_t in_slice = 0;
    for (size_t i = 0; i < n; i++) {
        if (job->n_slices == 0 || (in_slice > 0 && job->docs[i].len > want - (in_slice < want ? in_slice : want))) {
            PM_TRY(add_slice(job, i, err));
            job->slices[job->n_slices - 1].place = *total;
            in_slice = 0;
        }
        slice *s = &job->slices[job->n_slices - 1];
        size_t bound = pm_plan_bound(job->plan, job->docs[i].len);
        if (__builtin_add_overflow(*total, bound, total)) {
            return pm_fail_memory(err);
        }
        s->room += bound;
        s->end = i + 1;
        in_slice += job->docs[i].len + 1; /* + 1: empty documents take time too */
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- tasks ---- */

static void note_failure(batch_job *job, size_t doc, pm_status status, const pm_error *error) {
    pthread_mutex_lock(&job->lock);
    if (doc < job->failed) {
        job->failed = doc;
        job->status = status;
        job->error = *error;
    }
    pthread_mutex_unlock(&job->lock);
}

static bool is_behind_failure(batch_job *job, size_t doc) {
    pthread_mutex_lock(&job->lock);
    bool behind = doc > job->failed;
    pthread_mutex_unlock(&job->lock);
    return behind;
}

/* Leaves each document's number of ids in offsets[i + 1]. */
static pm_status encode_slice(batch_job *job, slice *s, pm_encoder *enc, size_t *doc, pm_error *err) {
    pm_out out = {job->out->ids ? job->out->ids + s->place : NULL, job->out->ids ? s->room : 0, 0};
    uint64_t with_special = 0;

    for (*doc = s->first; *doc < s->end; ++*doc) {
        size_t before = out.n;
        bool noticed;
        PM_TRY(pm_encode_document(enc, job->plan, job->docs[*doc], *doc, &out, &noticed, err));
        job->out->offsets[*doc + 1] = out.n - before;
        with_special += noticed;
    }
    s->n = out.n;
    pthread_mutex_lock(&job->lock);
    job->out->documents_with_special += with_special;
    pthread_mutex_unlock(&job->lock);
    return PM_OK;
}

static pm_status slice_task(void *ctx, unsigned thread, size_t i, pm_error *err) {
    batch_job *job = ctx;
    slice *s = &job->slices[i];
    pm_error error = {0};
    size_t doc = s->first;
    pm_status status = PM_OK;

    (void)err; /* failures are kept in the job, so that slices before this one go on */
    if (is_behind_failure(job, s->first)) {
        return PM_OK;
    }
    if (!job->encoders[thread]) {
        status = pm_encoder_new(&job->encoders[thread], job->tok, &error);
    }
    if (status == PM_OK) {
        status = encode_slice(job, s, job->encoders[thread], &doc, &error);
    }
    if (status != PM_OK) {
        note_failure(job, doc, status, &error);
    }
    return PM_OK;
}

static pm_status run_slices(batch_job *job, pm_error *err) {
    job->out->documents_with_special = 0;
    PM_TRY(pm_parallel(job->threads, job->n_slices, slice_task, job, NULL, err));
    if (job->failed == SIZE_MAX) {
        return PM_OK;
    }
    if (job->status == PM_NO_MEMORY) {
        return pm_fail_memory(err);
    }
    return pm_fail_at(err, job->status, job->error.offset, "document %zu: %s", job->failed, job->error.message);
}

/* ---------------------------------------------------------------- the result ---- */

static void add_up_offsets(pm_batch *out) {
    uint64_t sum = 0;
    out->offsets[0] = 0;
    for (size_t i = 1; i <= out->n_docs; i++) {
        sum += out->offsets[i];
        out->offsets[i] = sum;
    }
}

/* Moves the slices' ids together. */
static size_t close_up(batch_job *job) {
    size_t n = 0;
    for (size_t i = 0; i < job->n_slices; i++) {
        const slice *s = &job->slices[i];
        if (s->place != n && s->n) {
            memmove(job->out->ids + n, job->out->ids + s->place, s->n * sizeof *job->out->ids);
        }
        n += s->n;
    }
    return n;
}

/* Gives back what lies behind the n ids. */
static void shrink(pm_batch *out, size_t n) {
    if (!out->reserved_[0]) {
        pm_id *smaller = pm_realloc(out->ids, n, sizeof *smaller);
        out->ids = smaller ? smaller : out->ids;
        return;
    }
    long page = sysconf(_SC_PAGESIZE);
    size_t unit = page > 0 ? (size_t)page : 1 << 16, all = (size_t)out->reserved_[0];
    size_t used = (n * sizeof *out->ids + unit - 1) / unit * unit;
    used = used ? used : unit;
    if (used < all) {
        pm_pages_free((uint8_t *)out->ids + used, all - used);
        out->reserved_[0] = used;
    }
}

/* Memory for n ids; false when there is none. */
static bool reserve(pm_batch *out, size_t n) {
    out->reserved_[0] = 0;
    if (n <= SMALL_BATCH) {
        out->ids = pm_alloc(n, sizeof *out->ids);
    } else if (n <= PTRDIFF_MAX / sizeof *out->ids) {
        out->ids = pm_pages_alloc(n * sizeof *out->ids);
        out->reserved_[0] = out->ids ? n * sizeof *out->ids : 0;
    }
    return out->ids != NULL;
}

static pm_status encode_in_one_pass(batch_job *job, pm_error *err) {
    PM_TRY(run_slices(job, err));
    shrink(job->out, close_up(job));
    add_up_offsets(job->out);
    return PM_OK;
}

static pm_status encode_in_two_passes(batch_job *job, pm_error *err) {
    size_t n = 0;
    PM_TRY(run_slices(job, err)); /* without memory for ids it counts */
    for (size_t i = 0; i < job->n_slices; i++) {
        slice *s = &job->slices[i];
        s->place = n;
        s->room = s->n;
        n += s->n;
    }
    if (!reserve(job->out, n)) {
        return pm_fail_memory(err);
    }
    PM_TRY(run_slices(job, err));
    add_up_offsets(job->out);
    return PM_OK;
}

static pm_status run_job(batch_job *job, size_t n, pm_error *err) {
    size_t total;

    PM_TRY(cut_slices(job, n, &total, err));
    if (job->threads > job->n_slices) {
        job->threads = job->n_slices ? (unsigned)job->n_slices : 1;
    }
    job->encoders = pm_calloc(job->threads, sizeof *job->encoders);
    job->out->offsets = pm_calloc(n + 1, sizeof *job->out->offsets);
    if (!job->encoders || !job->out->offsets) {
        return pm_fail_memory(err);
    }
    job->out->n_docs = n;
    return reserve(job->out, total) ? encode_in_one_pass(job, err) : encode_in_two_passes(job, err);
}

static void release_job(batch_job *job) {
    for (unsigned i = 0; job->encoders && i < job->threads; i++) {
        pm_encoder_free(job->encoders[i]);
    }
    pm_free(job->encoders);
    pm_free(job->slices);
    pthread_mutex_destroy(&job->lock);
}

pm_status pm_encode_batch(const pm_tokenizer *tok, const pm_bytes *docs, size_t n, const pm_encode_options *options,
                          pm_batch *out, pm_error *err) {
    pm_plan plan;

    *out = (pm_batch){0};
    pm_status status = pm_plan_init(&plan, tok, options, true, err);
    if (status == PM_OK) {
        batch_job job = {.tok = tok, .docs = docs, .plan = &plan, .out = out, .threads = plan.threads, .failed = SIZE_MAX};
        pthread_mutex_init(&job.lock, NULL);
        status = run_job(&job, n, err);
        release_job(&job);
    }
    pm_plan_release(&plan);
    if (status != PM_OK) {
        pm_batch_release(out);
    }
    return status;
}

void pm_batch_release(pm_batch *batch) {
    if (batch) {
        if (batch->reserved_[0]) {
            pm_pages_free(batch->ids, (size_t)batch->reserved_[0]);
        } else {
            pm_free(batch->ids);
        }
        pm_free(batch->offsets);
        *batch = (pm_batch){0};
    }
}
