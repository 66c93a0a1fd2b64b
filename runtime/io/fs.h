// SPDX-License-Identifier: Apache-2.0
//
// The file seam: what partitions and metadata need of a file system, as a vtable, so that tests can
// run the same code over a disk that loses, tears and refuses. Calls block; they run on the thread
// that owns the file. Every call returns 0 (or a count) or a negative LEAT_E code with the path in
// the error's text.
#ifndef LEAT_IO_FS_H
#define LEAT_IO_FS_H

#include "runtime/base/bytes.h"
#include "runtime/base/err.h"

struct fs_file; // opaque, of the implementation

enum fs_mode { FS_READ, FS_WRITE /* read and write, created if absent */ };

struct fs {
    int (*open)(struct fs *fs, const char *path, enum fs_mode mode, struct fs_file **out,
                struct err *e);
    void (*close)(struct fs *fs, struct fs_file *f);
    // Reads up to n bytes at pos; returns the count, short only at the end of the file.
    int64_t (*read)(struct fs *fs, struct fs_file *f, void *p, size_t n, int64_t pos,
                    struct err *e);
    // Writes all or fails. After LEAT_ENOSPC a part may be in the file: truncate back.
    int (*write)(struct fs *fs, struct fs_file *f, const void *p, size_t n, int64_t pos,
                 struct err *e);
    int (*truncate)(struct fs *fs, struct fs_file *f, int64_t size, struct err *e);
    int64_t (*size)(struct fs *fs, struct fs_file *f, struct err *e);
    // fdatasync. A failure is final: the caller stops using the file (never retry).
    int (*sync)(struct fs *fs, struct fs_file *f, struct err *e);
    int (*sync_dir)(struct fs *fs, const char *dir, struct err *e);
    int (*mkdir)(struct fs *fs, const char *path, struct err *e); // existing is fine
    int (*rename)(struct fs *fs, const char *from, const char *to, struct err *e);
    int (*unlink)(struct fs *fs, const char *path, struct err *e); // absent is fine
    int (*rmdir)(struct fs *fs, const char *path, struct err *e);
    // Calls `each` per entry but "." and "..", in arbitrary order; a non-zero return stops and is
    // passed on.
    int (*list)(struct fs *fs, const char *dir, int (*each)(void *arg, const char *name), void *arg,
                struct err *e);
    // An advisory whole-file lock that dies with the process (OFD). LEAT_ELOCKED when held
    // elsewhere.
    int (*lock)(struct fs *fs, struct fs_file *f, struct err *e);
    // The descriptor for an event loop or sendfile; -1 where there is none.
    int (*fd)(struct fs *fs, struct fs_file *f);
};

// The real one. Shared and stateless.
struct fs *fs_posix(void);

#endif
