/* ngram_tables.c - see ngram_tables.h: from records to hash tables, all at once or in parts.
 *
 * A record becomes a slot: the codes of counts are replaced by their ranks (ngram_model.h has the layout). Tables are
 * made shard by shard, each in its part of one stretch of memory, half full.
 *
 * When the tables of all shards are more than the memory they may take, the model is in parts: shards one behind the
 * other, as many as fit. Records stay in the file then, and the tables of one part at a time are made of them
 * (pm_ngram_model_load); who looks up goes over the text once for each part (train/segment.c). The records of a shard
 * are read once whatever the number of parts. */
#include "count/ngram_tables.h"

enum { SHARDS = PM_NGRAM_SHARDS, READ = 1 << 11 /* records read at a time */ };

pm_status pm_ngram_records_new(pm_ngram_records **out, uint64_t memory, const char *tmpdir, pm_error *err) {
    pm_ngram_records *r = *out = pm_calloc(1, sizeof *r);
    if (!r) {
        return pm_fail_memory(err);
    }
    pm_scratch_file_init(&r->file, tmpdir);
    r->memory = memory;
    return PM_OK;
}

void pm_ngram_records_free(pm_ngram_records *r) {
    if (r) {
        for (size_t i = 0; i < SHARDS; i++) {
            for (int kind = 0; kind < 2; kind++) {
                pm_free(r->shards[i][kind].memory.items);
                pm_free(r->shards[i][kind].extents);
            }
        }
        pm_scratch_file_release(&r->file);
        pm_free(r->ranks);
        pm_free(r);
    }
}

pm_status pm_ngram_records_write(pm_ngram_records *r, pm_ngram_shard_records *s, pm_ngram_record_list *list,
                                 pm_error *err) {
    const uint64_t bytes = (uint64_t)list->n * sizeof *list->items;
    pm_ngram_extent extent = {.n = list->n};

    if (!list->n) {
        return PM_OK;
    }
    PM_TRY(pm_grow((void **)&s->extents, &s->cap_extents, s->n_extents + 1, sizeof *s->extents, err));
    PM_TRY(pm_scratch_file_reserve(&r->file, bytes, &extent.offset, err));
    PM_TRY(pm_write_at(r->file.fd, list->items, bytes, extent.offset, r->file.name, err));
    s->extents[s->n_extents++] = extent;
    s->n += list->n;
    list->n = 0;
    return PM_OK;
}

/* ---------------------------------------------------------------- a table ---- */

static void put_slot(uint8_t *slot, bool wide, const pm_ngram_record *r, const uint32_t *ranks) {
    memcpy(slot, &r->key, sizeof r->key);
    for (unsigned j = 0; j < (wide ? 6 : 5); j++) {
        uint32_t rank32 = ranks[r->codes[j]];
        uint16_t rank16 = (uint16_t)rank32;
        if (wide) {
            memcpy(slot + 8 + 4 * j, &rank32, sizeof rank32);
        } else {
            memcpy(slot + 6 + 2 * j, &rank16, sizeof rank16);
        }
    }
}

/* Buckets for n records: half full, so that few records lie behind their first bucket, and few searches in vain go
 * there. */
static uint64_t buckets_for(uint64_t n, bool wide) { return n ? n * (wide ? 32 : 16) / 32 + 1 : 0; }

static void put_records(uint8_t *table, uint32_t n, const pm_ngram_record *items, size_t n_items, bool wide,
                        const uint32_t *ranks) {
    const unsigned slot_bytes = wide ? 32 : 16;
    const uint8_t *end = table + (size_t)n * 64;

    for (size_t i = 0; i < n_items; i++) {
        uint8_t *bucket = pm_ngram_bucket(table, n, items[i].key);
        unsigned at = 0;
        while (pm_ngram_slot_rank(bucket + at, wide, 2)) {
            at += slot_bytes;
            if (at == 64) {
                at = 0;
                bucket = bucket + 64 == end ? table : bucket + 64;
            }
        }
        put_slot(bucket + at, wide, &items[i], ranks);
    }
}

static pm_status build_table(uint8_t *table, uint32_t n, const pm_ngram_records *r, const pm_ngram_shard_records *s,
                             bool wide, pm_error *err) {
    pm_ngram_record items[READ];

    put_records(table, n, s->memory.items, s->memory.n, wide, r->ranks);
    for (size_t i = 0; i < s->n_extents; i++) {
        const pm_ngram_extent *e = &s->extents[i];
        for (size_t at = 0, some; at < e->n; at += some) {
            some = e->n - at < READ ? e->n - at : READ;
            PM_TRY(
                pm_read_at(r->file.fd, items, some * sizeof *items, e->offset + at * sizeof *items, r->file.name, err));
            put_records(table, n, items, some, wide, r->ranks);
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- parts ---- */

/* Which part each shard is in, and how large each table will be. */
static pm_status plan(pm_ngram_model *m, const pm_ngram_records *r, pm_error *err) {
    const uint64_t room = r->memory == UINT64_MAX ? UINT64_MAX : r->memory / 4 * 3 / 64; /* buckets */
    uint64_t in_part = 0;

    m->n_parts = 1;
    for (size_t i = 0; i < SHARDS; i++) {
        uint64_t n[2];
        for (int kind = 0; kind < 2; kind++) {
            n[kind] = buckets_for(r->shards[i][kind].n + r->shards[i][kind].memory.n, m->wide);
            if (n[kind] > UINT32_MAX) {
                return pm_fail(err, PM_LIMIT, "too many distinct n-grams: more than 2^32 buckets in a shard");
            }
        }
        m->shards[i].n_whole = (uint32_t)n[0];
        m->shards[i].n_part = (uint32_t)n[1];
        if (in_part && in_part + n[0] + n[1] > room) {
            m->n_parts++;
            in_part = 0;
        }
        m->part_of[i] = (uint16_t)(m->n_parts - 1);
        in_part += n[0] + n[1];
    }
    return PM_OK;
}

/* Gives every shard of the part its part of one stretch of memory. */
static pm_status place_tables(pm_ngram_model *m, unsigned part, pm_error *err) {
    uint64_t total = 0;

    pm_ngram_model_unload(m);
    for (size_t i = 0; i < SHARDS; i++) {
        total += m->part_of[i] == part ? (uint64_t)m->shards[i].n_whole + m->shards[i].n_part : 0;
    }
    m->bytes = (total + 1) * 64; /* a shard without n-grams points at something too */
    m->memory = pm_pages_alloc(m->bytes);
    if (!m->memory) {
        m->bytes = 0;
        return pm_fail_memory(err);
    }
    uint8_t *at = m->memory;
    for (size_t i = 0; i < SHARDS; i++) {
        if (m->part_of[i] == part) {
            m->shards[i].whole = at;
            at += (size_t)m->shards[i].n_whole * 64;
            m->shards[i].part = at;
            at += (size_t)m->shards[i].n_part * 64;
        }
    }
    return PM_OK;
}

void pm_ngram_model_unload(pm_ngram_model *m) {
    if (m->memory) {
        pm_pages_free(m->memory, m->bytes);
        m->memory = NULL;
        m->bytes = 0;
    }
}

typedef struct building {
    pm_ngram_model *model;
    pm_ngram_records *records;
    unsigned part;
} building;

static pm_status task_build(void *ctx, unsigned thread, size_t i, pm_error *err) {
    const building *b = ctx;
    const pm_ngram_shard *sh = &b->model->shards[i];
    (void)thread;
    if (b->model->part_of[i] != b->part) {
        return PM_OK;
    }
    for (int kind = 0; kind < 2; kind++) {
        pm_ngram_shard_records *from = &b->records->shards[i][kind];
        PM_TRY(build_table(kind ? sh->part : sh->whole, kind ? sh->n_part : sh->n_whole, b->records, from,
                           b->model->wide, err));
        pm_free(from->memory.items); /* in parts: there are none */
        from->memory = (pm_ngram_record_list){0};
    }
    return PM_OK;
}

static pm_status load(pm_ngram_model *m, pm_ngram_records *r, unsigned part, const pm_count_work *work, pm_error *err) {
    building b = {m, r, part};
    PM_TRY(place_tables(m, part, err));
    return pm_parallel_part(work->threads, SHARDS, task_build, &b, work->ticker, err);
}

pm_status pm_ngram_model_load(pm_ngram_model *m, unsigned part, const pm_count_work *work, pm_error *err) {
    return load(m, m->records, part, work, err);
}

static pm_status task_write(void *ctx, unsigned thread, size_t i, pm_error *err) {
    const building *b = ctx;
    (void)thread;
    for (int kind = 0; kind < 2; kind++) {
        pm_ngram_shard_records *s = &b->records->shards[i][kind];
        PM_TRY(pm_ngram_records_write(b->records, s, &s->memory, err));
        pm_free(s->memory.items);
        s->memory = (pm_ngram_record_list){0};
    }
    return PM_OK;
}

/* Records and tables do not fit together: records go to the file. */
static pm_status make_room(pm_ngram_model *m, pm_ngram_records *r, const pm_count_work *work, pm_error *err) {
    building b = {.model = m, .records = r};
    uint64_t bytes = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        bytes += ((uint64_t)m->shards[i].n_whole + m->shards[i].n_part) * 64;
        for (int kind = 0; kind < 2; kind++) {
            bytes += r->shards[i][kind].memory.n * sizeof(pm_ngram_record);
        }
    }
    return bytes > r->memory ? pm_parallel_part(work->threads, SHARDS, task_write, &b, work->ticker, err) : PM_OK;
}

pm_status pm_ngram_tables_make(pm_ngram_model *m, pm_ngram_records **records, const pm_count_work *work,
                               pm_error *err) {
    PM_TRY(plan(m, *records, err));
    PM_TRY(make_room(m, *records, work, err));
    if (m->n_parts > 1) {
        m->records = *records;
        *records = NULL;
        return PM_OK;
    }
    PM_TRY(load(m, *records, 0, work, err));
    pm_ngram_records_free(*records);
    *records = NULL;
    return PM_OK;
}

void pm_ngram_model_free(pm_ngram_model *m) {
    if (m) {
        pm_ngram_model_unload(m);
        pm_ngram_records_free(m->records);
        pm_free(m->logs);
        pm_free(m);
    }
}
