/* decompress.c - gzip members and zstd frames, one after the other, as a stream of text.
 *
 * Both formats allow a file to be several complete ones put together (log rotation, parallel compressors, `cat a.gz b.gz`), and a tool
 * that stops after the first silently loses the rest. So a file is read as
 *
 *     file = part part* end           a part: a gzip member, a zstd frame or a skippable zstd frame
 *
 * and everything else is an error with its position: an end inside a part is a truncated file, bytes between parts that do not begin
 * one are garbage, a part whose checksum or coding is wrong is damaged. `between` is true exactly when no part is open, so that an end of the file is
 * allowed there and nowhere else; an empty file has no part and is truncated too.
 *
 * Memory: 256 KiB of input, zlib's 32 KiB window, zstd's window (at most 2^window_log bytes: a frame that wants more is refused before it
 * is allocated). Output goes straight into the caller's memory, as much as was asked for, so a file that unpacks to a
 * million times its size costs no more than any other. */
#include "corpus/reader.h"

#ifdef PM_HAVE_ZLIB
#define ZLIB_CONST
#include <zlib.h>
#endif
#ifdef PM_HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

pm_packing pm_packing_guess(const uint8_t *data, size_t n) {
    if (n >= 3 && data[0] == 0x1F && data[1] == 0x8B && data[2] == 8) {
        return PM_PACKING_GZIP;
    }
    if (n >= 4 && memcmp(data, "\x28\xB5\x2F\xFD", 4) == 0) {
        return PM_PACKING_ZSTD;
    }
    /* A skippable frame first, as pzstd writes them. */
    if (n >= 4 && (data[0] & 0xF0) == 0x50 && memcmp(data + 1, "\x2A\x4D\x18", 3) == 0) {
        return PM_PACKING_ZSTD;
    }
    return PM_PACKING_NONE;
}

pm_status pm_packing_supported(pm_packing packing, const char *path, pm_error *err) {
    (void)path;
    (void)err;
#ifndef PM_HAVE_ZLIB
    if (packing == PM_PACKING_GZIP) {
        return pm_fail_file(err, PM_UNSUPPORTED, path, PM_NO_OFFSET,
                            "gzip files cannot be read: piecemill was built without zlib (install zlib1g-dev and build again)");
    }
#endif
#ifndef PM_HAVE_ZSTD
    if (packing == PM_PACKING_ZSTD) {
        return pm_fail_file(err, PM_UNSUPPORTED, path, PM_NO_OFFSET,
                            "zstd files cannot be read: piecemill was built without libzstd (install libzstd-dev and build again)");
    }
#endif
    (void)packing;
    return PM_OK;
}

#if defined(PM_HAVE_ZLIB) || defined(PM_HAVE_ZSTD)

/* A damaged file: the offset is that in the text, the sentence tells the byte of the file as well. */
static pm_status damaged(const pm_reader *r, const char *what, pm_error *err) {
    unsigned long long at = r->raw - (r->in_len - r->in_pos);
    return pm_fail_file(err, PM_BAD_INPUT, r->path, r->given, "%s (at byte %llu of the compressed file)", what, at);
}

/* The file ends: fine between parts, once there was one. */
static pm_status check_end(const pm_reader *r, const char *kind, pm_error *err) {
    if (r->between && r->raw > 0) {
        return PM_OK;
    }
    return damaged(r, r->raw ? "the compressed data ends too early" : kind, err);
}

#endif

/* ---------------------------------------------------------------- gzip ---- */

#ifdef PM_HAVE_ZLIB

static void *z_alloc(void *opaque, uInt n, uInt size) {
    (void)opaque;
    return pm_alloc(n, size);
}

static void z_free(void *opaque, void *p) {
    (void)opaque;
    pm_free(p);
}

static pm_status gzip_begin(pm_reader *r, pm_error *err) {
    z_stream *z = pm_calloc(1, sizeof *z);
    if (!z) {
        return pm_fail_memory(err);
    }
    z->zalloc = z_alloc;
    z->zfree = z_free;
    if (inflateInit2(z, 15 + 16) != Z_OK) { /* the largest window, gzip's header and checksum */
        pm_free(z);
        return pm_fail_memory(err);
    }
    r->state = z;
    return PM_OK;
}

static void gzip_release(pm_reader *r) {
    inflateEnd(r->state);
    pm_free(r->state);
}

/* One step: some input into some output. */
static pm_status gzip_step(pm_reader *r, uint8_t *out, size_t room, size_t *got, pm_error *err) {
    z_stream *z = r->state;
    size_t left = r->in_len - r->in_pos;
    z->next_in = r->in + r->in_pos;
    z->avail_in = (uInt)left; /* at most the buffer's 256 KiB */
    z->next_out = out;
    z->avail_out = (uInt)(room < (1u << 30) ? room : 1u << 30);
    size_t given = z->avail_out;
    if (r->between && left > 0) {
        if (r->in[r->in_pos] != 0x1F) {
            return damaged(r, r->given || r->in_pos ? "garbage follows the last gzip member" : "not a gzip file", err);
        }
        r->between = false;
    }
    int code = inflate(z, Z_NO_FLUSH);
    r->in_pos += left - z->avail_in;
    *got = given - z->avail_out;
    r->given += *got;
    switch (code) {
    case Z_OK:
    case Z_BUF_ERROR: /* no step possible: more input or more room is needed */ return PM_OK;
    case Z_STREAM_END:
        r->between = true;
        return inflateReset(z) == Z_OK ? PM_OK : pm_fail_memory(err);
    case Z_MEM_ERROR: return pm_fail_memory(err);
    default: return damaged(r, z->msg ? z->msg : "damaged gzip data", err);
    }
}

#endif

/* ---------------------------------------------------------------- zstd ---- */

#ifdef PM_HAVE_ZSTD

static pm_status zstd_begin(pm_reader *r, pm_error *err) {
    ZSTD_DCtx *d = ZSTD_createDCtx();
    if (!d) {
        return pm_fail_memory(err);
    }
    if (ZSTD_isError(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, (int)r->window_log))) {
        ZSTD_freeDCtx(d);
        return pm_fail_file(err, PM_UNSUPPORTED, r->path, PM_NO_OFFSET, "windows of 2^%u bytes are beyond this libzstd", r->window_log);
    }
    r->state = d;
    return PM_OK;
}

static pm_status zstd_failed(const pm_reader *r, size_t code, bool was_between, pm_error *err) {
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation: return pm_fail_memory(err);
    case ZSTD_error_frameParameter_windowTooLarge:
        return pm_fail_file(err, PM_LIMIT, r->path, r->given, "the zstd window is larger than the limit of %llu bytes (max_window)",
                            1ULL << r->window_log);
    case ZSTD_error_prefix_unknown:
        return damaged(r, was_between && r->raw == r->in_len && r->in_pos == 0 ? "not a zstd file" : "garbage follows the last zstd frame", err);
    default: return damaged(r, ZSTD_getErrorName(code), err);
    }
}

static pm_status zstd_step(pm_reader *r, uint8_t *out, size_t room, size_t *got, pm_error *err) {
    ZSTD_inBuffer in = {r->in, r->in_len, r->in_pos};
    ZSTD_outBuffer to = {out, room, 0};
    bool was_between = r->between;
    if (r->between && in.pos == in.size) {
        *got = 0; /* no frame is open and there is no byte of another: asking would open one */
        return PM_OK;
    }
    size_t code = ZSTD_decompressStream(r->state, &to, &in);
    *got = to.pos;
    r->given += to.pos;
    if (ZSTD_isError(code)) {
        return zstd_failed(r, code, was_between, err);
    }
    r->in_pos = in.pos;
    r->between = code == 0;
    return PM_OK;
}

#endif

/* ---------------------------------------------------------------- both ---- */

static pm_status begin(pm_reader *r, pm_error *err) {
    PM_TRY(pm_packing_supported(r->packing, r->path, err));
#ifdef PM_HAVE_ZLIB
    if (r->packing == PM_PACKING_GZIP) {
        return gzip_begin(r, err);
    }
#endif
#ifdef PM_HAVE_ZSTD
    if (r->packing == PM_PACKING_ZSTD) {
        return zstd_begin(r, err);
    }
#endif
    return PM_OK;
}

#if defined(PM_HAVE_ZLIB) || defined(PM_HAVE_ZSTD)

static pm_status step(pm_reader *r, uint8_t *out, size_t room, size_t *got, pm_error *err) {
#ifdef PM_HAVE_ZLIB
    if (r->packing == PM_PACKING_GZIP) {
        return gzip_step(r, out, room, got, err);
    }
#endif
#ifdef PM_HAVE_ZSTD
    if (r->packing == PM_PACKING_ZSTD) {
        return zstd_step(r, out, room, got, err);
    }
#endif
    (void)out, (void)room, (void)err;
    *got = 0;
    return PM_OK;
}

pm_status pm_unpack(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    if (!r->state) {
        PM_TRY(begin(r, err));
    }
    while (*n < cap) {
        size_t got = 0, before;
        PM_TRY(pm_reader_refill(r, err));
        before = r->in_pos;
        PM_TRY(step(r, out + *n, cap - *n, &got, err));
        *n += got;
        /* Nothing came out of nothing: the library holds nothing back. */
        if (got == 0 && before == r->in_pos && r->in_end && r->in_pos == r->in_len) {
            return check_end(r, r->packing == PM_PACKING_GZIP ? "an empty file is not a gzip file" : "an empty file is not a zstd file", err);
        }
    }
    return PM_OK;
}

#else

pm_status pm_unpack(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    (void)out, (void)cap, (void)n;
    return begin(r, err);
}

#endif

void pm_unpack_release(pm_reader *r) {
    if (!r->state) {
        return;
    }
#ifdef PM_HAVE_ZLIB
    if (r->packing == PM_PACKING_GZIP) {
        gzip_release(r);
    }
#endif
#ifdef PM_HAVE_ZSTD
    if (r->packing == PM_PACKING_ZSTD) {
        ZSTD_freeDCtx(r->state);
    }
#endif
    r->state = NULL;
}
