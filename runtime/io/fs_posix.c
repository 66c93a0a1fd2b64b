// SPDX-License-Identifier: Apache-2.0
//
// The file seam over the real file system. Nothing is clever here: each hook is one system call,
// repeated when a signal interrupted it or when it moved fewer bytes than asked. Errors name the
// path. Locks are open-file- description locks (F_OFD_SETLK): they belong to the descriptor, so
// closing another descriptor of the same file does not drop them, and they die with the process.
#include "runtime/io/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/heap.h"

struct fs_file {
    int fd;
    char *path;
};

static int posix_open(struct fs *fs, const char *path, enum fs_mode mode, struct fs_file **out,
                      struct err *e)
{
    int flags = mode == FS_READ ? O_RDONLY : O_RDWR | O_CREAT;
    int fd;

    (void)fs;
    do
        fd = open(path, flags | O_CLOEXEC, 0644);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return err_errno(e, errno, "cannot open %s", path);
    *out = heap_alloc(sizeof **out);
    **out = (struct fs_file){fd, heap_strdup(path)};
    return 0;
}

static void posix_close(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    if (f == NULL)
        return;
    close(f->fd);
    heap_free(f->path);
    heap_free(f);
}

static int64_t posix_read(struct fs *fs, struct fs_file *f, void *p, size_t n, int64_t pos,
                          struct err *e)
{
    size_t done = 0;

    (void)fs;
    while (done < n) {
        ssize_t rc = pread(f->fd, (char *)p + done, n - done, pos + (int64_t)done);
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc < 0)
            return err_errno(e, errno, "cannot read %s at %lld", f->path, (long long)pos);
        if (rc == 0)
            break;
        done += (size_t)rc;
    }
    return (int64_t)done;
}

static int posix_write(struct fs *fs, struct fs_file *f, const void *p, size_t n, int64_t pos,
                       struct err *e)
{
    size_t done = 0;

    (void)fs;
    while (done < n) {
        ssize_t rc = pwrite(f->fd, (const char *)p + done, n - done, pos + (int64_t)done);
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc < 0)
            return err_errno(e, errno, "cannot write %s at %lld", f->path, (long long)pos);
        done += (size_t)rc;
    }
    return 0;
}

static int posix_truncate(struct fs *fs, struct fs_file *f, int64_t size, struct err *e)
{
    int rc;

    (void)fs;
    do
        rc = ftruncate(f->fd, size);
    while (rc < 0 && errno == EINTR);
    if (rc != 0)
        return err_errno(e, errno, "cannot truncate %s to %lld", f->path, (long long)size);
    return 0;
}

static int64_t posix_size(struct fs *fs, struct fs_file *f, struct err *e)
{
    struct stat st;

    (void)fs;
    if (fstat(f->fd, &st) != 0)
        return err_errno(e, errno, "cannot stat %s", f->path);
    return st.st_size;
}

static int posix_sync(struct fs *fs, struct fs_file *f, struct err *e)
{
    int rc;

    (void)fs;
    do
        rc = fdatasync(f->fd);
    while (rc < 0 && errno == EINTR);
    return rc == 0 ? 0 : err_errno(e, errno, "cannot sync %s", f->path);
}

static int posix_sync_dir(struct fs *fs, const char *dir, struct err *e)
{
    int rc, fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)fs;
    if (fd < 0)
        return err_errno(e, errno, "cannot open folder %s", dir);
    do
        rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        rc = err_errno(e, errno, "cannot sync folder %s", dir);
    close(fd);
    return rc;
}

static int posix_mkdir(struct fs *fs, const char *path, struct err *e)
{
    (void)fs;
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return err_errno(e, errno, "cannot make folder %s", path);
    return 0;
}

static int posix_rename(struct fs *fs, const char *from, const char *to, struct err *e)
{
    (void)fs;
    return rename(from, to) == 0 ? 0 : err_errno(e, errno, "cannot rename %s to %s", from, to);
}

static int posix_unlink(struct fs *fs, const char *path, struct err *e)
{
    (void)fs;
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(e, errno, "cannot remove %s", path);
    return 0;
}

static int posix_rmdir(struct fs *fs, const char *path, struct err *e)
{
    (void)fs;
    if (rmdir(path) != 0 && errno != ENOENT)
        return err_errno(e, errno, "cannot remove folder %s", path);
    return 0;
}

static int posix_list(struct fs *fs, const char *dir, int (*each)(void *arg, const char *name),
                      void *arg, struct err *e)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    int rc = 0;

    (void)fs;
    if (d == NULL)
        return err_errno(e, errno, "cannot list %s", dir);
    for (errno = 0; rc == 0 && (entry = readdir(d)) != NULL; errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = each(arg, entry->d_name);
    if (rc == 0 && errno != 0)
        rc = err_errno(e, errno, "cannot list %s", dir);
    closedir(d);
    return rc;
}

static int posix_lock(struct fs *fs, struct fs_file *f, struct err *e)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    (void)fs;
    if (fcntl(f->fd, F_OFD_SETLK, &whole) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return err_set(e, LEAT_ELOCKED, "%s is locked by another process", f->path);
    return err_errno(e, errno, "cannot lock %s", f->path);
}

static int posix_fd(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    return f->fd;
}

struct fs *fs_posix(void)
{
    static struct fs fs = {
        .open = posix_open,
        .close = posix_close,
        .read = posix_read,
        .write = posix_write,
        .truncate = posix_truncate,
        .size = posix_size,
        .sync = posix_sync,
        .sync_dir = posix_sync_dir,
        .mkdir = posix_mkdir,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .rmdir = posix_rmdir,
        .list = posix_list,
        .lock = posix_lock,
        .fd = posix_fd,
    };

    return &fs;
}
