/* reader.c - see reader.h. Plain files go straight into the caller's memory when the piece is big, through a buffer when it is small. */
#include "corpus/reader.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { IN_BYTES = 1 << 18, DIRECT_BYTES = 1 << 16, WAIT_MS = 50 };

void pm_reader_open(pm_reader *r, int fd, bool keep_fd, const char *path, pm_packing packing, unsigned window_log) {
    struct stat info;
    bool waits = fstat(fd, &info) == 0 && !S_ISREG(info.st_mode);
    *r = (pm_reader){.fd = fd, .waits = waits, .keep_fd = keep_fd, .path = path, .packing = packing, .window_log = window_log, .between = true};
}

void pm_reader_close(pm_reader *r) {
    pm_unpack_release(r);
    if (r->fd >= 0 && !r->keep_fd) {
        close(r->fd);
    }
    pm_free(r->in);
    *r = (pm_reader){.fd = -1};
}

/* Waits until a read will not wait, and lets the caller's ticker tick meanwhile. */
static pm_status wait_for_bytes(pm_reader *r, pm_error *err) {
    struct pollfd event = {.fd = r->fd, .events = POLLIN};
    int ready;
    do {
        if (r->ticker) {
            PM_TRY(pm_ticker_poll(r->ticker, 0, err));
        }
        ready = poll(&event, 1, r->ticker ? WAIT_MS : -1);
    } while (ready == 0 || (ready < 0 && errno == EINTR));
    return PM_OK; /* what else is wrong, reading will say */
}

/* As pm_read. */
static pm_status read_slowly(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    size_t got = 1;
    *n = 0;
    while (*n < cap && got) {
        PM_TRY(wait_for_bytes(r, err));
        PM_TRY(pm_read_some(r->fd, out + *n, cap - *n, &got, r->path, err));
        *n += got;
    }
    return PM_OK;
}

/* Says where in the text a failed read of the file was. */
static pm_status read_raw(pm_reader *r, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    pm_status status = r->waits ? read_slowly(r, out, cap, n, err) : pm_read(r->fd, out, cap, n, r->path, err);
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
