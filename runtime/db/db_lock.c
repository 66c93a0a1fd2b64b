// SPDX-License-Identifier: Apache-2.0
//
// One owner per file. SQLite's own locks are POSIX locks of the process: closing any descriptor of
// the database file drops them. So ownership is an open-file-description lock on a file beside it,
// which nobody else opens.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "runtime/db/db.h"

int db_lock_acquire(struct db_lock *l, const char *path, struct err *e)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (l->fd < 0)
        return err_errno(e, errno, "%s", path);
    if (fcntl(l->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        err_set(e, LEAT_ELOCKED, "%s: another process (or another job) holds the lock", path);
    else
        err_errno(e, errno, "%s: cannot be locked", path);
    db_lock_release(l);
    return e != NULL ? e->code : LEAT_ELOCKED;
}

void db_lock_release(struct db_lock *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
}
