/* error.c - see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Copies the end of `file` when it is longer than the field. */
static void set_file(pm_error *err, const char *file) {
    size_t room = sizeof err->file;
    size_t len = file ? strlen(file) : 0;

    if (len < room) {
        memcpy(err->file, file ? file : "", len + 1);
        return;
    }
    memcpy(err->file, "...", 3);
    memcpy(err->file + 3, file + len - (room - 4), room - 3);
}

static pm_status fail(pm_error *err, pm_status status, const char *file, uint64_t offset, const char *format, va_list args) {
    if (err) {
        /* Into a copy first: an argument may be the error's own text. */
        char message[sizeof err->message];
        if (vsnprintf(message, sizeof message, format, args) < 0) {
            message[0] = '\0';
        }
        set_file(err, file);
        err->status = status;
        err->offset = offset;
        memcpy(err->message, message, sizeof message);
    }
    return status;
}

pm_status pm_fail(pm_error *err, pm_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail(err, status, NULL, PM_NO_OFFSET, format, args);
    va_end(args);
    return status;
}

pm_status pm_fail_at(pm_error *err, pm_status status, uint64_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail(err, status, NULL, offset, format, args);
    va_end(args);
    return status;
}

pm_status pm_fail_file(pm_error *err, pm_status status, const char *file, uint64_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail(err, status, file, offset, format, args);
    va_end(args);
    return status;
}

pm_status pm_fail_memory(pm_error *err) { return pm_fail(err, PM_NO_MEMORY, "out of memory"); }

pm_status pm_fail_errno(pm_error *err, const char *file, int errno_value, const char *what) {
    char reason[128];
    pm_status status = errno_value == ENOENT ? PM_NOT_FOUND : errno_value == ENOMEM ? PM_NO_MEMORY : PM_IO;

    /* The XSI strerror_r: returns 0 and fills the buffer. */
    if (strerror_r(errno_value, reason, sizeof reason) != 0) {
        snprintf(reason, sizeof reason, "error %d", errno_value);
    }
    return pm_fail_file(err, status, file, PM_NO_OFFSET, "%s: %s", what, reason);
}

pm_status pm_error_in_file(pm_error *err, pm_status status, const char *file) {
    if (err && status != PM_OK && err->file[0] == '\0') {
        set_file(err, file);
    }
    return status;
}

const char *pm_status_name(pm_status status) {
    switch (status) {
    case PM_OK: return "PM_OK";
    case PM_INVALID_ARGUMENT: return "PM_INVALID_ARGUMENT";
    case PM_NO_MEMORY: return "PM_NO_MEMORY";
    case PM_IO: return "PM_IO";
    case PM_NOT_FOUND: return "PM_NOT_FOUND";
    case PM_BAD_FORMAT: return "PM_BAD_FORMAT";
    case PM_BAD_VERSION: return "PM_BAD_VERSION";
    case PM_BAD_PATTERN: return "PM_BAD_PATTERN";
    case PM_LIMIT: return "PM_LIMIT";
    case PM_BAD_ID: return "PM_BAD_ID";
    case PM_SPECIAL_IN_TEXT: return "PM_SPECIAL_IN_TEXT";
    case PM_EMPTY_CORPUS: return "PM_EMPTY_CORPUS";
    case PM_CANCELLED: return "PM_CANCELLED";
    case PM_BAD_INPUT: return "PM_BAD_INPUT";
    case PM_UNSUPPORTED: return "PM_UNSUPPORTED";
    case PM_NO_SPACE: return "PM_NO_SPACE";
    }
    return "PM_?";
}
