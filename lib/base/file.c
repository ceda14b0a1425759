/* file.c - see file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mkostemps */
#endif
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int (*pm_io_test_hook)(void);

enum { BUFFER = 1 << 16, PIECE = 1 << 30 };

static int refused(void) { return pm_io_test_hook ? pm_io_test_hook() : 0; }

pm_status pm_read_some(int fd, void *data, size_t len, size_t *n, const char *path, pm_error *err) {
    *n = 0;
    for (;;) {
        int wrong = refused();
        ssize_t got = wrong ? -1 : read(fd, data, len < PIECE ? len : PIECE);
        if (got >= 0) {
            *n = (size_t)got;
            return PM_OK;
        }
        wrong = wrong ? wrong : errno;
        if (wrong != EINTR) {
            return pm_fail_errno(err, path, wrong, "cannot read");
        }
    }
}

pm_status pm_read(int fd, void *data, size_t len, size_t *n, const char *path, pm_error *err) {
    size_t got = 1;
    *n = 0;
    while (*n < len && got) {
        PM_TRY(pm_read_some(fd, (uint8_t *)data + *n, len - *n, &got, path, err));
        *n += got;
    }
    return PM_OK;
}

pm_status pm_write(int fd, const void *data, size_t len, const char *path, pm_error *err) {
    size_t done = 0;
    while (done < len) {
        int wrong = refused();
        size_t want = len - done < PIECE ? len - done : PIECE;
        ssize_t put = wrong ? -1 : write(fd, (const uint8_t *)data + done, want);
        if (put < 0) {
            wrong = wrong ? wrong : errno;
            if (wrong == EINTR) {
                continue;
            }
            return pm_fail_errno(err, path, wrong, "cannot write");
        }
        done += (size_t)put;
    }
    return PM_OK;
}

pm_status pm_read_at(int fd, void *data, size_t len, uint64_t offset, const char *path, pm_error *err) {
    for (size_t done = 0; done < len;) {
        int wrong = refused();
        size_t want = len - done < PIECE ? len - done : PIECE;
        ssize_t got = wrong ? -1 : pread(fd, (uint8_t *)data + done, want, (off_t)(offset + done));
        wrong = got < 0 && !wrong ? errno : wrong;
        if (got < 0 && wrong != EINTR) {
            return pm_fail_errno(err, path, wrong, "cannot read");
        }
        if (got == 0) {
            return pm_fail_file(err, PM_IO, path, offset + done, "is shorter than what was written");
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return PM_OK;
}

pm_status pm_write_at(int fd, const void *data, size_t len, uint64_t offset, const char *path, pm_error *err) {
    for (size_t done = 0; done < len;) {
        int wrong = refused();
        size_t want = len - done < PIECE ? len - done : PIECE;
        ssize_t put = wrong ? -1 : pwrite(fd, (const uint8_t *)data + done, want, (off_t)(offset + done));
        wrong = put < 0 && !wrong ? errno : wrong;
        if (put < 0 && wrong != EINTR) {
            return pm_fail_errno(err, path, wrong, "cannot write");
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return PM_OK;
}

/* Reads to the end of a file whose size may not be known. */
static pm_status read_to_end(pm_file *out, int fd, size_t guess, const char *path, pm_error *err) {
    pm_buf buf = {0};
    pm_status status;
    size_t got;
    do {
        size_t want = buf.len < guess ? guess - buf.len + 1 : BUFFER;
        status = pm_buf_reserve(&buf, want, err);
        got = 0;
        if (status == PM_OK) {
            status = pm_read(fd, buf.data + buf.len, want, &got, path, err);
            buf.len += got;
        }
    } while (status == PM_OK && got > 0);
    if (status != PM_OK) {
        pm_buf_release(&buf);
        return pm_error_in_file(err, status, path);
    }
    *out = (pm_file){buf.data, buf.len, 0, NULL};
    return PM_OK;
}

pm_status pm_file_open(pm_file *out, const char *path, bool copy, pm_error *err) {
    *out = (pm_file){0};
    int wrong = refused();
    int fd = wrong ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return pm_fail_errno(err, path, wrong ? wrong : errno, "cannot open");
    }
    struct stat info;
    pm_status status = PM_OK;
    if (fstat(fd, &info) != 0) {
        status = pm_fail_errno(err, path, errno, "cannot look at");
    } else if (S_ISDIR(info.st_mode)) {
        status = pm_fail_file(err, PM_IO, path, PM_NO_OFFSET, "is a folder, not a file");
    } else if (copy || !S_ISREG(info.st_mode) || info.st_size == 0) {
        status = read_to_end(out, fd, info.st_size > 0 ? (size_t)info.st_size : 0, path, err);
    } else {
        void *p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            status = pm_fail_errno(err, path, errno, "cannot map");
        } else {
            *out = (pm_file){p, (size_t)info.st_size, (size_t)info.st_size, NULL};
        }
    }
    close(fd);
    out->path = path;
    return status;
}

void pm_file_close(pm_file *file) {
    if (file->mapped) {
        munmap((void *)(uintptr_t)file->data, file->mapped);
    } else {
        pm_free((void *)(uintptr_t)file->data);
    }
    *file = (pm_file){0};
}

/* ---------------------------------------------------------------- outputs ---- */

static pm_status open_beside(pm_writer *w, pm_error *err) {
    size_t room = strlen(w->path) + sizeof ".XXXXXX.tmp";
    w->temporary = pm_alloc(room, 1);
    if (!w->temporary) {
        return pm_fail_memory(err);
    }
    snprintf(w->temporary, room, "%s.XXXXXX.tmp", w->path);
    w->fd = mkostemps(w->temporary, 4, O_CLOEXEC);
    if (w->fd < 0) {
        int wrong = errno;
        pm_free(w->temporary);
        w->temporary = NULL;
        return pm_fail_errno(err, w->path, wrong, "cannot create");
    }
    return PM_OK;
}

pm_status pm_writer_open(pm_writer *w, const char *path, pm_error *err) {
    struct stat info;
    *w = (pm_writer){.fd = -1};
    w->path = pm_strdup(path);
    if (!w->path) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_buf_reserve(&w->buf, BUFFER, err));
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
        return pm_fail_file(err, PM_IO, path, PM_NO_OFFSET, "is a folder, not a file");
    }
    if (!exists || S_ISREG(info.st_mode)) {
        PM_TRY(open_beside(w, err));
        /* mkostemps gives 0600: as open() would have, or as the file had that is replaced. */
        mode_t mask = umask(0);
        umask(mask);
        (void)fchmod(w->fd, exists ? info.st_mode & 0777 : 0666 & ~mask);
        return PM_OK;
    }
    w->fd = open(path, O_WRONLY | O_CLOEXEC);
    return w->fd < 0 ? pm_fail_errno(err, path, errno, "cannot open") : PM_OK;
}

static pm_status flush(pm_writer *w, pm_error *err) {
    size_t len = w->buf.len;
    w->buf.len = 0;
    return pm_write(w->fd, w->buf.data, len, w->path, err);
}

pm_status pm_writer_write(pm_writer *w, const void *data, size_t len, pm_error *err) {
    if (w->buf.len + len > BUFFER) {
        PM_TRY(flush(w, err));
        if (len > BUFFER) {
            return pm_write(w->fd, data, len, w->path, err);
        }
    }
    return pm_buf_append(&w->buf, data, len, err);
}

pm_status pm_writer_close(pm_writer *w, pm_status status, pm_error *err) {
    if (status == PM_OK) {
        status = flush(w, err);
    }
    if (w->fd >= 0) {
        /* A disk that fills up may say so only here. */
        if (status == PM_OK && w->temporary && fsync(w->fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
            status = pm_fail_errno(err, w->path, errno, "cannot write");
        }
        if (close(w->fd) != 0 && status == PM_OK && errno != EINTR) {
            status = pm_fail_errno(err, w->path, errno, "cannot write");
        }
    }
    if (w->temporary) {
        if (status == PM_OK && rename(w->temporary, w->path) != 0) {
            status = pm_fail_errno(err, w->path, errno, "cannot rename the finished file to its name");
        }
        if (status != PM_OK) {
            unlink(w->temporary);
        }
    }
    pm_free(w->temporary);
    pm_free(w->path);
    pm_buf_release(&w->buf);
    *w = (pm_writer){.fd = -1};
    return status;
}

const char *pm_temporary_folder(const char *dir) {
    if (!dir || !*dir) {
        dir = getenv("TMPDIR");
    }
    return dir && *dir ? dir : "/tmp";
}

pm_status pm_temporary_file(int *fd, const char *dir, pm_error *err) {
    dir = pm_temporary_folder(dir);
#ifdef O_TMPFILE
    *fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600); /* has no name at any moment */
    if (*fd >= 0) {
        return PM_OK;
    }
#endif
    size_t room = strlen(dir) + sizeof "/piecemill.XXXXXX";
    char *path = pm_alloc(room, 1);
    if (!path) {
        return pm_fail_memory(err);
    }
    snprintf(path, room, "%s/piecemill.XXXXXX", dir);
    *fd = mkostemp(path, O_CLOEXEC);
    pm_status status = *fd < 0 ? pm_fail_errno(err, dir, errno, "cannot create a temporary file in this folder") : PM_OK;
    if (*fd >= 0) {
        unlink(path);
    }
    pm_free(path);
    return status;
}

void pm_scratch_file_init(pm_scratch_file *f, const char *dir) {
    *f = (pm_scratch_file){.fd = -1, .dir = dir, .name = pm_temporary_folder(dir)};
    pthread_mutex_init(&f->lock, NULL);
}

void pm_scratch_file_release(pm_scratch_file *f) {
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = -1;
    pthread_mutex_destroy(&f->lock);
}

pm_status pm_scratch_file_reserve(pm_scratch_file *f, uint64_t bytes, uint64_t *offset, pm_error *err) {
    pthread_mutex_lock(&f->lock);
    pm_status status = f->fd < 0 ? pm_temporary_file(&f->fd, f->dir, err) : PM_OK;
    *offset = f->len;
    f->len += status == PM_OK ? bytes : 0;
    pthread_mutex_unlock(&f->lock);
    return status;
}

void pm_scratch_file_discard(const pm_scratch_file *f, uint64_t offset, uint64_t bytes) {
#ifdef FALLOC_FL_PUNCH_HOLE
    if (f->fd >= 0 && bytes) {
        (void)!fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    }
#else
    (void)f, (void)offset, (void)bytes;
#endif
}
