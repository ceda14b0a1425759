/* source.c - see source.h.
 *
 * A file that changes while it is read would give a vocabulary of a text that nobody has. So its size, its time of last
 * change and which file it is are noted at the first look, and looked at again when it is opened, and after each read
 * up to the one that found its end. What this cannot see: writing within one tick of the file system's clock (some
 * milliseconds) that leaves the size as it was, and times that are set back. */
#include "corpus/source.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes `ending` off the name[0 .. *len) if it ends so. */
static bool strip_ending(const char *name, size_t *len, const char *ending) {
    size_t n = strlen(ending);
    if (*len < n || strncasecmp(name + *len - n, ending, n) != 0) {
        return false;
    }
    *len -= n;
    return true;
}

/* What a file is, by its name. */
static void look_at_name(pm_file_source *file, const char *path) {
    size_t len = strlen(path);
    bool gz = strip_ending(path, &len, ".gz"), zst = !gz && strip_ending(path, &len, ".zst");
    file->jsonl = strip_ending(path, &len, ".jsonl") || strip_ending(path, &len, ".ndjson");
    bool text = strip_ending(path, &len, ".txt");
    file->packing = gz                    ? PM_PACKING_GZIP
                    : zst                 ? PM_PACKING_ZSTD
                    : file->jsonl || text ? PM_PACKING_NONE
                                          : PM_PACKING_GUESS;
}

static pm_status open_file(const char *path, int *fd, pm_error *err) {
    do {
        *fd = open(path, O_RDONLY | O_CLOEXEC |
                             O_NONBLOCK); /* a named pipe that nobody writes to yet is waited for when it is read */
    } while (*fd < 0 && errno == EINTR);
    if (*fd < 0) {
        return pm_fail_errno(err, path, errno, "cannot open");
    }
    int flags = fcntl(*fd, F_GETFL);
    (void)fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK);
    return PM_OK;
}

static pm_stamp stamp_of(const struct stat *info) {
    return (pm_stamp){info->st_dev, info->st_ino, info->st_size, info->st_mtim.tv_sec, info->st_mtim.tv_nsec};
}

static bool same_stamp(const pm_stamp *a, const pm_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->seconds == b->seconds &&
           a->nanoseconds == b->nanoseconds;
}

/* Looks at an open file: is it one that can be read, how long is it, must it stay open? */
static pm_status look_at_file(pm_file_source *file, pm_error *err) {
    struct stat info;
    if (fstat(file->fd, &info) != 0) {
        return pm_fail_errno(err, file->path, errno, "cannot look at");
    }
    if (S_ISDIR(info.st_mode)) {
        return pm_fail_file(err, PM_IO, file->path, PM_NO_OFFSET, "is a folder, not a file");
    }
    file->regular = S_ISREG(info.st_mode);
    if (!file->regular) {
        return PM_OK;
    }
    file->stamp = stamp_of(&info);
    off_t begun = file->keep_fd ? lseek(file->fd, 0, SEEK_CUR) : 0; /* standard input may be in the middle of a file */
    file->size = begun >= 0 && begun < info.st_size ? (uint64_t)(info.st_size - begun) : 0;
    if (!file->keep_fd) {
        close(file->fd);
        file->fd = -1;
    }
    return PM_OK;
}

static pm_status look(pm_file_source *file, const char *path, bool records, pm_error *err) {
    bool standard_input = strcmp(path, "-") == 0;
    file->fd = -1;
    file->path = pm_strdup(standard_input ? "standard input" : path);
    if (!file->path) {
        return pm_fail_memory(err);
    }
    if (standard_input) {
        file->fd = STDIN_FILENO;
        file->keep_fd = true;
        file->packing = PM_PACKING_GUESS;
        file->jsonl = records;
    } else {
        look_at_name(file, path);
        PM_TRY(pm_packing_supported(file->packing, path, err));
        PM_TRY(open_file(path, &file->fd, err));
    }
    return look_at_file(file, err);
}

pm_status pm_file_source_new(pm_file_source **out, const char *path, bool records, pm_error *err) {
    pm_file_source *file = pm_calloc(1, sizeof *file);
    *out = NULL;
    if (!file) {
        return pm_fail_memory(err);
    }
    pm_status status = look(file, path, records, err);
    if (status != PM_OK) {
        pm_file_source_free(file);
        return status;
    }
    *out = file;
    return PM_OK;
}

void pm_file_source_free(pm_file_source *file) {
    if (file) {
        if (file->fd >= 0 && !file->keep_fd) {
            close(file->fd);
        }
        pm_free(file->path);
        pm_free(file);
    }
}

pm_status pm_file_source_unchanged(const pm_file_source *file, int fd, pm_error *err) {
    struct stat info;
    if (!file->regular) {
        return PM_OK;
    }
    if (fstat(fd, &info) != 0) {
        return pm_fail_errno(err, file->path, errno, "cannot look at");
    }
    pm_stamp now = stamp_of(&info);
    if (same_stamp(&now, &file->stamp)) {
        return PM_OK;
    }
    return pm_fail_file(err, PM_BAD_INPUT, file->path, PM_NO_OFFSET, "was changed while the corpus was read");
}

pm_status pm_file_source_open(pm_file_source *file, pm_reader *reader, unsigned window_log, pm_error *err) {
    int fd = file->fd;
    if (fd < 0) {
        PM_TRY(open_file(file->path, &fd, err));
    }
    file->fd = -1; /* the reader's from now on */
    pm_reader_open(reader, fd, file->keep_fd, file->path, file->packing, window_log);
    return pm_file_source_unchanged(file, fd, err);
}
