/* batch.c - many documents on several threads, into one array in document order.
 *
 * A document of n bytes gives at most so many ids (pm_plan_bound), so a place for all of a batch can be set aside before anything is encoded:
 * address space for all bounds, of which only the pages that ids are written to become memory. What is left over is given back at the end.
 *
 * One thread writes its ids there, one document after the other. With several threads documents are dealt out in slices of about equal bytes (a large
 * document is a slice of its own), and how many ids come before a slice is not known when it begins. Its ids go into a stage, memory of the
 * thread's that stays in its cache; when all slices before it are encoded, its place is known and it is copied there, by whichever thread closed the
 * last gap before it:
 *
 *     slice 0 encoded by A   -> copied to 0             slice 1 takes long (B)
 *     slice 2 encoded by A   -> waits in its stage      A goes on with slice 3 and another stage
 *     slice 1 encoded by B   -> B copies 1, and 2 behind it
 *
 * So threads never wait for each other, copying is shared out, the result's pages are touched once, and there are few stages, except behind a
 * document that takes long.
 *
 * Where the system refuses so much address space, the documents are encoded twice: first to count, then, with an array of exactly the right
 * length, to write each slice where it belongs.
 *
 * A general tokenizer has no such bound, since its steps may make a text longer as they like. There each slice has a stage of its own, which grows, and all are
 * copied together at the end.
 *
 * What fails is the same on any number of threads: slices begin in order, a slice behind one that failed is not begun, and of those that failed
 * the first counts. */
#include <pthread.h>

#include "base/thread.h"
#include "encode/inside.h"

enum { SLICES_A_THREAD = 16, SMALL_BATCH = 1 << 16 /* ids: below, plain memory */, FIRST_IDS = 1 << 10 /* of a stage that grows */ };
static const size_t SLICE_BYTES_MIN = 1 << 16, SLICE_BYTES_MAX = 1 << 18;

/* Memory for the ids of a slice that does not know its place yet. */
typedef struct stage {
    struct stage *next;
    size_t cap; /* ids */
    pm_id ids[];
} stage;

typedef struct slice {
    size_t first, end; /* documents */
    size_t room;       /* ids that it can give */
    size_t n, place;   /* ids that it gave, and how many come before them */
    stage *stage;      /* NULL: they are written where they belong */
    bool written;
} slice;

/* Documents as the caller has them: one of the two. */
typedef struct documents {
    const pm_bytes *bytes;
    const pm_text *texts;
    size_t n;
} documents;

typedef enum pass { STAGE, COUNT, WRITE /* straight to the place: it is known */, KEEP /* in a stage of its own that grows */ } pass;

typedef struct batch_job {
    const pm_tokenizer *tok;
    documents docs;
    const pm_plan *plan;
    pm_batch *out;
    pass pass;
    slice *slices;
    size_t n_slices, cap_slices;
    pm_encoder **encoders; /* one a thread, taken when first needed */
    unsigned threads;
    pthread_mutex_t lock; /* for what follows */
    stage *spare;
    unsigned n_spare;
    size_t settled, n_ids; /* slices whose place is known, and their ids */
    size_t failed;         /* first document that failed, SIZE_MAX: none */
    pm_status status;
    pm_error error;
} batch_job;

static pm_text document(const batch_job *job, size_t i) {
    const documents *d = &job->docs;
    return d->texts ? d->texts[i] : (pm_text){d->bytes[i].data, d->bytes[i].len, PM_TEXT_UTF8};
}

/* ---------------------------------------------------------------- slices ---- */

static pm_status add_slice(batch_job *job, size_t first, pm_error *err) {
    PM_TRY(pm_grow((void **)&job->slices, &job->cap_slices, job->n_slices + 1, sizeof *job->slices, err));
    job->slices[job->n_slices++] = (slice){.first = first, .end = first};
    return PM_OK;
}

/* Bytes of a slice; SIZE_MAX: all that there are. */
static size_t slice_bytes(const batch_job *job) {
    size_t bytes = 0;
    if (job->threads == 1) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i < job->docs.n; i++) {
        bytes += document(job, i).len; /* of memory that exists: it fits. Units are near enough */
    }
    bytes /= (size_t)job->threads * SLICES_A_THREAD;
    return bytes < SLICE_BYTES_MIN ? SLICE_BYTES_MIN : bytes > SLICE_BYTES_MAX ? SLICE_BYTES_MAX : bytes;
}

/* Deals the documents out; each slice knows its room. *total: of all rooms. */
static pm_status cut_slices(batch_job *job, size_t *total, pm_error *err) {
    size_t want = slice_bytes(job), in_slice = 0;

    *total = 0;
    for (size_t i = 0; i < job->docs.n; i++) {
        pm_text text = document(job, i);
        PM_TRY(pm_transcode_check(text, err));
        if (job->n_slices == 0 || (in_slice > 0 && text.len > want - (in_slice < want ? in_slice : want))) {
            PM_TRY(add_slice(job, i, err));
            in_slice = 0;
        }
        slice *s = &job->slices[job->n_slices - 1];
        size_t bound = pm_plan_bound(job->plan, pm_transcode_bound(text));
        if (__builtin_add_overflow(*total, bound, total)) {
            return pm_fail_memory(err);
        }
        s->room += bound;
        s->end = i + 1;
        in_slice += text.len + 1; /* + 1: empty documents take time too */
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- stages ---- */

/* A stage of at least `room` ids; NULL: no memory. */
static stage *take_stage(batch_job *job, size_t room) {
    pthread_mutex_lock(&job->lock);
    stage *st = job->spare;
    if (st) {
        job->spare = st->next;
        job->n_spare--;
    }
    pthread_mutex_unlock(&job->lock);
    if (st && st->cap >= room) {
        return st;
    }
    pm_free(st);
    if (room > (PTRDIFF_MAX - sizeof *st) / sizeof(pm_id)) {
        return NULL;
    }
    room = room < SLICE_BYTES_MAX ? SLICE_BYTES_MAX : room; /* will do for most slices; what is not written to is no memory */
    st = pm_alloc(1, sizeof *st + room * sizeof(pm_id));
    if (st) {
        st->cap = room;
    }
    return st;
}

/* A few stages are kept for the next slices. Small ones only: others belong to a long document. */
static void give_stage(batch_job *job, stage *st) {
    pthread_mutex_lock(&job->lock);
    bool keep = job->n_spare < 4 * job->threads && st->cap <= 4 * SLICE_BYTES_MAX;
    if (keep) {
        st->next = job->spare;
        job->spare = st;
        job->n_spare++;
    }
    pthread_mutex_unlock(&job->lock);
    if (!keep) {
        pm_free(st);
    }
}

/* Slice s is encoded: finds the place of those slices that have one now, and copies them there. */
static void settle(batch_job *job, slice *s, uint64_t with_special) {
    pthread_mutex_lock(&job->lock);
    size_t first = job->settled;
    s->written = true;
    while (job->settled < job->n_slices && job->slices[job->settled].written) {
        slice *next = &job->slices[job->settled++];
        next->place = job->n_ids;
        job->n_ids += next->n;
    }
    size_t end = job->settled;
    job->out->documents_with_special += with_special;
    pthread_mutex_unlock(&job->lock);
    for (size_t i = first; i < end; i++) {
        slice *next = &job->slices[i];
        if (next->stage && job->pass != KEEP) {
            memcpy(job->out->ids + next->place, next->stage->ids, next->n * sizeof(pm_id));
            give_stage(job, next->stage);
            next->stage = NULL;
        }
    }
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

/* A larger stage for the slice that owns `out`. */
static pm_status grow_stage(pm_out *out, size_t need, pm_error *err) {
    slice *s = out->owner;
    size_t cap = s->stage->cap + s->stage->cap / 2;
    cap = cap < need ? need : cap;
    if (cap > (PTRDIFF_MAX - sizeof *s->stage) / sizeof(pm_id)) {
        return pm_fail_memory(err);
    }
    stage *st = pm_realloc(s->stage, 1, sizeof *st + cap * sizeof(pm_id));
    if (!st) {
        return pm_fail_memory(err);
    }
    st->cap = cap;
    s->stage = st;
    out->ids = st->ids;
    out->cap = cap;
    return PM_OK;
}

/* Where a slice writes. */
static pm_status open_slice(batch_job *job, slice *s, pm_out *out, pm_error *err) {
    *out = (pm_out){0};
    if (job->pass == COUNT) {
        return PM_OK;
    }
    out->cap = s->room;
    if (job->pass == WRITE) {
        out->ids = job->out->ids + s->place;
        return PM_OK;
    }
    s->stage = job->pass == KEEP ? pm_alloc(1, sizeof *s->stage + FIRST_IDS * sizeof(pm_id)) : take_stage(job, s->room);
    if (!s->stage) {
        return pm_fail_memory(err);
    }
    out->ids = s->stage->ids;
    if (job->pass == KEEP) {
        s->stage->cap = out->cap = FIRST_IDS;
        out->grow = grow_stage;
        out->owner = s;
    }
    return PM_OK;
}

/* Leaves each document's number of ids in offsets[i + 1]. */
static pm_status encode_slice(batch_job *job, slice *s, pm_encoder *enc, size_t *doc, pm_error *err) {
    pm_out out;
    uint64_t with_special = 0;

    PM_TRY(open_slice(job, s, &out, err));
    for (*doc = s->first; *doc < s->end; ++*doc) {
        size_t before = out.n;
        bool noticed;
        PM_TRY(pm_encode_document(enc, job->plan, document(job, *doc), job->plan->document + *doc, &out, &noticed, err));
        job->out->offsets[*doc + 1] = out.n - before;
        with_special += noticed;
    }
    s->n = out.n;
    settle(job, s, with_special);
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

static pm_status run_slices(batch_job *job, pass how, pm_error *err) {
    job->pass = how;
    job->settled = job->n_ids = 0;
    job->out->documents_with_special = 0;
    for (size_t i = 0; i < job->n_slices; i++) {
        job->slices[i].written = false;
    }
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

/* A batch's reserved_: the bytes of its pages (0: plain memory), and the shelf that they go back to. */
static pm_shelf *shelf_of(const pm_batch *out) { return (pm_shelf *)(uintptr_t)out->reserved_[1]; }

/* Gives back what lies behind the n ids. */
static void shrink(pm_batch *out, size_t n) {
    if (out->reserved_[0]) {
        out->reserved_[0] = pm_shelf_shrink(out->ids, (size_t)out->reserved_[0], n * sizeof *out->ids);
        return;
    }
    pm_id *smaller = pm_realloc(out->ids, n, sizeof *smaller);
    out->ids = smaller ? smaller : out->ids;
}

/* Memory for n ids; false when there is none. */
static bool reserve(batch_job *job, size_t n) {
    const pm_engine *engine = job->tok->engine;
    pm_batch *out = job->out;
    size_t bytes = n * sizeof *out->ids;

    out->reserved_[0] = 0;
    if (n <= SMALL_BATCH) {
        out->ids = pm_alloc(n, sizeof *out->ids);
    } else if (n <= PTRDIFF_MAX / sizeof *out->ids && (out->ids = pm_shelf_take(engine->shelf, &bytes)) != NULL) {
        out->reserved_[0] = bytes;
        out->reserved_[1] = (uintptr_t)pm_shelf_hold(engine->shelf);
    }
    return out->ids != NULL;
}

static pm_status encode_in_one_pass(batch_job *job, pm_error *err) {
    PM_TRY(run_slices(job, job->n_slices > 1 ? STAGE : WRITE, err));
    shrink(job->out, job->n_ids);
    add_up_offsets(job->out);
    return PM_OK;
}

static pm_status encode_and_copy(batch_job *job, pm_error *err) {
    PM_TRY(run_slices(job, KEEP, err));
    if (!reserve(job, job->n_ids)) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < job->n_slices; i++) {
        slice *s = &job->slices[i];
        memcpy(job->out->ids + s->place, s->stage->ids, s->n * sizeof(pm_id));
        pm_free(s->stage);
        s->stage = NULL;
    }
    add_up_offsets(job->out);
    return PM_OK;
}

static pm_status encode_in_two_passes(batch_job *job, pm_error *err) {
    PM_TRY(run_slices(job, COUNT, err));
    for (size_t i = 0; i < job->n_slices; i++) {
        job->slices[i].room = job->slices[i].n;
    }
    if (!reserve(job, job->n_ids)) {
        return pm_fail_memory(err);
    }
    PM_TRY(run_slices(job, WRITE, err));
    add_up_offsets(job->out);
    return PM_OK;
}

static pm_status run_job(batch_job *job, pm_error *err) {
    size_t total, n = job->docs.n;

    PM_TRY(cut_slices(job, &total, err));
    if (job->threads > job->n_slices) {
        job->threads = job->n_slices ? (unsigned)job->n_slices : 1;
    }
    job->encoders = pm_calloc(job->threads, sizeof *job->encoders);
    job->out->offsets = n < SIZE_MAX ? pm_alloc(n + 1, sizeof *job->out->offsets) : NULL;
    if (!job->encoders || !job->out->offsets) {
        return pm_fail_memory(err);
    }
    job->out->n_docs = n;
    if (job->tok->model.general) {
        return encode_and_copy(job, err);
    }
    return reserve(job, total) ? encode_in_one_pass(job, err) : encode_in_two_passes(job, err);
}

static void release_job(batch_job *job) {
    for (unsigned i = 0; job->encoders && i < job->threads; i++) {
        pm_encoder_free(job->encoders[i]);
    }
    for (size_t i = 0; i < job->n_slices; i++) {
        pm_free(job->slices[i].stage); /* left when something failed */
    }
    while (job->spare) {
        stage *next = job->spare->next;
        pm_free(job->spare);
        job->spare = next;
    }
    pm_free(job->encoders);
    pm_free(job->slices);
    pthread_mutex_destroy(&job->lock);
}

static pm_status encode_batch(const pm_tokenizer *tok, documents docs, const pm_encode_options *options, pm_batch *out, pm_error *err) {
    pm_plan plan;

    *out = (pm_batch){0};
    pm_status status = pm_plan_init(&plan, tok, options, true, err);
    if (status == PM_OK) {
        batch_job job = {.tok = tok, .docs = docs, .plan = &plan, .out = out, .threads = plan.threads, .failed = SIZE_MAX};
        pthread_mutex_init(&job.lock, NULL);
        status = run_job(&job, err);
        release_job(&job);
    }
    pm_plan_release(&plan);
    if (status != PM_OK) {
        pm_batch_release(out);
    }
    return status;
}

pm_status pm_encode_batch(const pm_tokenizer *tok, const pm_bytes *docs, size_t n, const pm_encode_options *options,
                          pm_batch *out, pm_error *err) {
    return encode_batch(tok, (documents){.bytes = docs, .n = n}, options, out, err);
}

pm_status pm_encode_batch_texts(const pm_tokenizer *tok, const pm_text *docs, size_t n, const pm_encode_options *options,
                                pm_batch *out, pm_error *err) {
    return encode_batch(tok, (documents){.texts = docs, .n = n}, options, out, err);
}

void pm_batch_release(pm_batch *batch) {
    if (batch) {
        if (batch->reserved_[0]) {
            pm_shelf_give(shelf_of(batch), batch->ids, (size_t)batch->reserved_[0]);
            pm_shelf_drop(shelf_of(batch));
        } else {
            pm_free(batch->ids);
        }
        pm_free(batch->offsets);
        *batch = (pm_batch){0};
    }
}
