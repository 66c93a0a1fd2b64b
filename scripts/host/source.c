// SPDX-License-Identifier: Apache-2.0
//
// Reading a source file whole, with a bound. Plain POSIX: it happens at load, where waiting for the
// disk is fine.
#include "scripts/host/source.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int source_read(const char *path, uint8_t *p, size_t max, size_t *n, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;

    *n = 0;
    if (fd < 0)
        return err_errno(e, errno, "cannot open %s", path);
    while (*n < max && got != 0) {
        got = read(fd, p + *n, max - *n);
        if (got < 0 && errno != EINTR)
            break;
        if (got > 0)
            *n += (size_t)got;
    }
    if (got < 0) {
        (void)err_errno(e, errno, "cannot read %s", path);
        (void)close(fd);
        return e != NULL ? e->code : LEAT_EIO;
    }
    (void)close(fd);
    return 0;
}
