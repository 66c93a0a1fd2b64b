// SPDX-License-Identifier: Apache-2.0
#include "runtime/broker/datadir.h"

#include "runtime/base/heap.h"
#include "runtime/base/number.h"

#define VERSION_PREFIX "leat data "

static int version_write(struct datadir *d, const char *path, struct err *e)
{
    static const char text[] = VERSION_PREFIX "1\n";
    struct fs_file *f;
    int rc = d->fs->open(d->fs, path, FS_WRITE, &f, e);

    if (rc < 0)
        return rc;
    rc = d->fs->write(d->fs, f, text, sizeof text - 1, 0, e);
    if (rc == 0)
        rc = d->fs->sync(d->fs, f, e);
    d->fs->close(d->fs, f);
    return rc == 0 ? d->fs->sync_dir(d->fs, d->path, e) : rc;
}

static int version_parse(const struct datadir *d, struct bytes text, struct err *e)
{
    int64_t v;

    if (text.n > 0 && text.p[text.n - 1] == '\n')
        text.n--;
    if (!bytes_starts(text, BYTES_LIT(VERSION_PREFIX)) ||
        number_parse_int(
            bytes_of(text.p + sizeof VERSION_PREFIX - 1, text.n - (sizeof VERSION_PREFIX - 1)),
            &v) != 0)
        return err_set(e, LEAT_ECORRUPT, "%s/VERSION is not that of a leat data directory",
                       d->path);
    if (v > DATADIR_FORMAT)
        return err_set(
            e, LEAT_EUNSUPPORTED,
            "%s was written by a newer leat (format %d, this one knows %d): use that one", d->path,
            (int)v, DATADIR_FORMAT);
    return 0;
}

static int version_check(struct datadir *d, struct err *e)
{
    char *path = heap_printf("%s/VERSION", d->path), text[64];
    struct fs_file *f;
    int64_t n;
    int rc = d->fs->open(d->fs, path, FS_READ, &f, e);

    if (rc == LEAT_ENOTFOUND) {
        rc = version_write(d, path, e);
    } else if (rc == 0) {
        n = d->fs->read(d->fs, f, text, sizeof text, 0, e);
        d->fs->close(d->fs, f);
        // An empty file is a first start that was cut off before anything else was written.
        if (n == 0)
            rc = version_write(d, path, e);
        else
            rc = n < 0 ? (int)n : version_parse(d, bytes_of(text, (size_t)n), e);
    }
    heap_free(path);
    return rc;
}

static int make_dir(struct datadir *d, const char *name, struct err *e)
{
    char *path = heap_printf("%s/%s", d->path, name);
    int rc = d->fs->mkdir(d->fs, path, e);

    heap_free(path);
    return rc;
}

int datadir_open(struct datadir *d, struct fs *fs, const char *path, struct err *e)
{
    char *lock;
    int rc;

    *d = (struct datadir){.fs = fs, .path = heap_strdup(path), .lock = {.fd = -1}};
    rc = fs->mkdir(fs, path, e);
    if (rc < 0)
        return err_wrap(e, rc, "cannot make the data directory");
    lock = heap_printf("%s/LOCK", path);
    rc = db_lock_acquire(&d->lock, lock, e);
    heap_free(lock);
    if (rc == LEAT_ELOCKED)
        return err_set(
            e, rc, "the data directory %s is in use by another leat: stop that one first", path);
    if (rc == 0)
        rc = version_check(d, e);
    if (rc == 0)
        rc = make_dir(d, "topics", e);
    return rc == 0 ? fs->sync_dir(fs, path, e) : rc;
}

void datadir_close(struct datadir *d)
{
    db_lock_release(&d->lock);
    heap_free(d->path);
    d->path = NULL;
}
