/* version.c - which library this is, and what it was built with. */
#include "include/piecemill.h"

const char *pm_version(void) { return PM_VERSION_STRING; }

const char *pm_features(void) {
    return "threads"
#ifdef PM_HAVE_PCRE2
           " pcre2"
#endif
#ifdef PM_HAVE_ZLIB
           " zlib"
#endif
#ifdef PM_HAVE_ZSTD
           " zstd"
#endif
#ifdef PM_HAVE_YAJL
           " yajl"
#endif
#ifdef PM_HAVE_PROTOBUF
           " protobuf"
#endif
#ifdef PM_HAVE_UTF8PROC
           " utf8proc"
#endif
        ;
}
