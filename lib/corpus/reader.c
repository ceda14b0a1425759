/* reader.c - see reader.h. Plain files go straight into the caller's memory when the piece is big, through a buffer when it is small. */
#include "corpus/reader.h"

#include <unistd.h>

#include "base/file.h"

enum { IN_BYTES = 1 << 18, DIRECT_BYTES = 1 << 16 };

void pm_reader_open(pm_reader *r, int fd, bool keep_fd, const char *path, pm_packing packing, unsigned window_log) {
    *r = (pm_reader){.fd = fd, .keep_fd = keep_fd, .path = path, .packing = packing, .window_log = window_log, .between = true};
}

void pm_reader_close(pm_reader *r) {
    pm_unpack_release(r);
    if (r->fd >= 0 && !r->keep_fd) {
        close(r->fd);
    }
    pm_free(r->in);
    *r = (pm_reader){.fd = -1};
}

/* Says where in the text a failed read of the file was. */
static pm_status read_raw(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    pm_status status = pm_read(r->fd, out, cap, n, r->path, err);
    if (status != PM_OK && err) {
        err->offset = r->given;
    }
    r->raw += *n;
    r->in_end = *n < cap;
    return status;
}

pm_status pm_reader_refill(pm_reader *r, pm_error *err) {
    if (r->in_pos < r->in_len || r->in_end) {
        return PM_OK;
    }
    if (!r->in) {
        r->in = pm_alloc(IN_BYTES, 1);
        if (!r->in) {
            return pm_fail_memory(err);
        }
    }
    r->in_pos = 0;
    r->in_len = 0;
    return read_raw(r, r->in, IN_BYTES, &r->in_len, err);
}

static pm_status read_plain(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    while (*n < cap) {
        if (r->in_pos < r->in_len) {
            size_t left = r->in_len - r->in_pos, take = left < cap - *n ? left : cap - *n;
            memcpy(out + *n, r->in + r->in_pos, take);
            r->in_pos += take;
            r->given += take;
            *n += take;
        } else if (r->in_end) {
            break;
        } else if (cap - *n >= DIRECT_BYTES) {
            size_t got;
            PM_TRY(read_raw(r, out + *n, cap - *n, &got, err));
            r->given += got;
            *n += got;
        } else {
            PM_TRY(pm_reader_refill(r, err));
        }
    }
    return PM_OK;
}

pm_status pm_reader_read(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    *n = 0;
    if (r->ended || cap == 0) {
        return PM_OK;
    }
    if (r->packing == PM_PACKING_GUESS) {
        PM_TRY(pm_reader_refill(r, err));
        r->packing = pm_packing_guess(r->in, r->in_len);
    }
    PM_TRY((r->packing == PM_PACKING_NONE ? read_plain : pm_unpack)(r, out, cap, n, err));
    r->ended = *n < cap;
    return PM_OK;
}
