// SPDX-License-Identifier: Apache-2.0
//
// Inodes and names are kept apart, as on a disk:
//
//   inode   live bytes, durable bytes, and the unsynced changes that lead from the second to the
//           first
//   name    path -> inode, in a live table; a list of name changes since each folder's last sync
//           leads there from the durable table
//
// A crash replays for each file a random part of its changes, for each folder a random prefix of
// its name changes (journals keep the order of those), over the durable state.
#include "tests/support/fs_fake.h"

#include <pthread.h>

#include "runtime/base/heap.h"
#include "runtime/base/list.h"
#include "runtime/base/random.h"

enum { SECTOR = 512 };

struct change {
    struct link link;
    int64_t pos;
    struct bytes data; // p NULL: truncate to pos
};

struct inode {
    struct link link;
    struct buf live, durable;
    struct link changes;
    int opened;
    struct fs_file *locked_by;
};

struct name {
    struct link link;
    char *path;
    struct inode *inode;
};

struct move { // a name change: from NULL = create, to NULL = unlink
    struct link link;
    char *from, *to;
    struct inode *inode;
};

struct fs_file {
    struct inode *inode;
    char *path;
    bool writable;
};

struct fs_fake {
    struct fs base;
    pthread_mutex_t lock;
    struct link inodes, names, durable_names, moves;
    int64_t ops, fault_at;
    enum fs_fault fault;
    bool fired;
};

static struct fs_fake *fake_of(struct fs *fs)
{
    return container_of(fs, struct fs_fake, base);
}

// --- faults ---

static int fault_code(struct fs_fake *f)
{
    int64_t op = f->ops++;

    if (f->fault == FS_FAULT_NONE || op < f->fault_at)
        return 0;
    if (op > f->fault_at && f->fault != FS_FAULT_POWER && f->fault != FS_FAULT_FULL)
        return 0;
    f->fired = true;
    return f->fault == FS_FAULT_EIO || f->fault == FS_FAULT_POWER ? LEAT_EIO : LEAT_ENOSPC;
}

// A full disk refuses only what needs space: new names and bytes beyond a file's end.
static int fault_unless(struct fs_fake *f, bool no_space_needed, const char *what, const char *path,
                        struct err *e)
{
    int rc = f->fault == FS_FAULT_FULL && no_space_needed ? 0 : fault_code(f);

    return rc == 0 ? 0 : err_set(e, rc, "%s %s: injected %s", what, path, err_name(rc));
}

static int fault(struct fs_fake *f, const char *what, const char *path, struct err *e)
{
    return fault_unless(f, false, what, path, e);
}

void fs_fake_arm(struct fs_fake *f, int64_t n, enum fs_fault kind)
{
    pthread_mutex_lock(&f->lock);
    f->ops = 0;
    f->fault_at = n;
    f->fault = kind;
    f->fired = false;
    pthread_mutex_unlock(&f->lock);
}

bool fs_fake_fired(const struct fs_fake *f)
{
    return f->fired;
}

int64_t fs_fake_ops(const struct fs_fake *f)
{
    return f->ops;
}

// --- bytes ---

static void bytes_resize(struct buf *b, size_t n)
{
    if (n > b->n) {
        buf_reserve(b, n - b->n);
        memset(b->p + b->n, 0, n - b->n);
    }
    b->n = n;
}

static void bytes_put(struct buf *b, size_t pos, const void *p, size_t n)
{
    if (pos + n > b->n)
        bytes_resize(b, pos + n);
    if (n > 0)
        memcpy(b->p + pos, p, n);
}

static void change_apply(struct buf *b, const struct change *c)
{
    if (c->data.p == NULL)
        bytes_resize(b, (size_t)c->pos);
    else
        bytes_put(b, (size_t)c->pos, c->data.p, c->data.n);
}

static void change_add(struct inode *i, int64_t pos, const void *p, size_t n)
{
    struct change *c = heap_zalloc(sizeof *c + n);

    c->pos = pos;
    if (p != NULL) {
        memcpy(c + 1, p, n);
        c->data = bytes_of(c + 1, n);
    }
    list_push(&i->changes, &c->link);
    change_apply(&i->live, c);
}

static void changes_clear(struct inode *i, bool apply)
{
    struct link *l;

    while ((l = list_pop(&i->changes)) != NULL) {
        struct change *c = container_of(l, struct change, link);
        if (apply)
            change_apply(&i->durable, c);
        heap_free(c);
    }
}

// --- names ---

static struct name *name_find(struct link *table, const char *path)
{
    for (struct link *l = table->next; l != table; l = l->next) {
        struct name *n = container_of(l, struct name, link);
        if (strcmp(n->path, path) == 0)
            return n;
    }
    return NULL;
}

static void name_remove(struct link *table, const char *path)
{
    struct name *n = name_find(table, path);

    if (n == NULL)
        return;
    list_remove(&n->link);
    heap_free(n->path);
    heap_free(n);
}

static void name_add(struct link *table, const char *path, struct inode *inode)
{
    struct name *n = heap_zalloc(sizeof *n);

    name_remove(table, path);
    n->path = heap_strdup(path);
    n->inode = inode;
    list_push(table, &n->link);
}

static void move_apply(struct link *table, const struct move *m)
{
    if (m->from != NULL)
        name_remove(table, m->from);
    if (m->to != NULL)
        name_add(table, m->to, m->inode);
}

static void move_add(struct fs_fake *f, const char *from, const char *to, struct inode *inode)
{
    struct move *m = heap_zalloc(sizeof *m);

    m->from = from != NULL ? heap_strdup(from) : NULL;
    m->to = to != NULL ? heap_strdup(to) : NULL;
    m->inode = inode;
    list_push(&f->moves, &m->link);
    move_apply(&f->names, m);
}

static void move_free(struct move *m)
{
    list_remove(&m->link);
    heap_free(m->from);
    heap_free(m->to);
    heap_free(m);
}

static bool in_dir(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static bool move_in_dir(const struct move *m, const char *dir)
{
    return in_dir(m->to != NULL ? m->to : m->from, dir);
}

// --- hooks ---

static struct inode *inode_new(struct fs_fake *f)
{
    struct inode *i = heap_zalloc(sizeof *i);

    list_init(&i->changes);
    list_push(&f->inodes, &i->link);
    return i;
}

static int fake_open(struct fs *fs, const char *path, enum fs_mode mode, struct fs_file **out,
                     struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    struct name *n;
    struct inode *inode;
    int rc = 0;

    pthread_mutex_lock(&f->lock);
    n = name_find(&f->names, path);
    inode = n != NULL ? n->inode : NULL;
    if (mode == FS_WRITE)
        rc = fault_unless(f, inode != NULL, "open", path, e);
    if (rc == 0 && inode == NULL && mode == FS_READ)
        rc = err_set(e, LEAT_ENOTFOUND, "cannot open %s: no such file", path);
    if (rc == 0 && inode == NULL) {
        inode = inode_new(f);
        move_add(f, NULL, path, inode);
    }
    if (rc == 0) {
        inode->opened++;
        *out = heap_alloc(sizeof **out);
        **out = (struct fs_file){inode, heap_strdup(path), mode == FS_WRITE};
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static void fake_close(struct fs *fs, struct fs_file *file)
{
    struct fs_fake *f = fake_of(fs);

    if (file == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    ASSERT(file->inode->opened > 0);
    file->inode->opened--;
    if (file->inode->locked_by == file)
        file->inode->locked_by = NULL;
    pthread_mutex_unlock(&f->lock);
    heap_free(file->path);
    heap_free(file);
}

static int64_t fake_read(struct fs *fs, struct fs_file *file, void *p, size_t n, int64_t pos,
                         struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    const struct buf *b = &file->inode->live;
    size_t left;

    (void)e;
    pthread_mutex_lock(&f->lock);
    left = (size_t)pos < b->n ? b->n - (size_t)pos : 0;
    if (n > left)
        n = left;
    if (n > 0)
        memcpy(p, b->p + pos, n);
    pthread_mutex_unlock(&f->lock);
    return (int64_t)n;
}

static int fake_write(struct fs *fs, struct fs_file *file, const void *p, size_t n, int64_t pos,
                      struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    bool half;
    int rc;

    ASSERT(file->writable);
    pthread_mutex_lock(&f->lock);
    rc = fault_unless(f, (size_t)pos + n <= file->inode->live.n, "write", file->path, e);
    half = rc != 0 && (f->fault == FS_FAULT_SHORT || f->fault == FS_FAULT_POWER ||
                       (f->fault == FS_FAULT_FULL && f->ops == f->fault_at + 1));
    if (rc == 0)
        change_add(file->inode, pos, p, n);
    else if (half && f->ops == f->fault_at + 1)
        change_add(file->inode, pos, p, n / 2);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_truncate(struct fs *fs, struct fs_file *file, int64_t size, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = fault_unless(f, true, "truncate", file->path, e);
    if (rc == 0)
        change_add(file->inode, size, NULL, 0);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int64_t fake_size(struct fs *fs, struct fs_file *file, struct err *e)
{
    (void)fs;
    (void)e;
    return (int64_t)file->inode->live.n;
}

static int fake_sync(struct fs *fs, struct fs_file *file, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = fault_unless(f, true, "sync", file->path, e);
    if (rc == 0)
        changes_clear(file->inode, true);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_sync_dir(struct fs *fs, const char *dir, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = fault_unless(f, true, "sync_dir", dir, e);
    for (struct link *l = f->moves.next, *next; rc == 0 && l != &f->moves; l = next) {
        struct move *m = container_of(l, struct move, link);
        next = l->next;
        if (!move_in_dir(m, dir))
            continue;
        move_apply(&f->durable_names, m);
        move_free(m);
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_mkdir(struct fs *fs, const char *path, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = fault(f, "mkdir", path, e);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_rename(struct fs *fs, const char *from, const char *to, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    struct name *n;
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = fault(f, "rename", from, e);
    n = name_find(&f->names, from);
    if (rc == 0 && n == NULL)
        rc = err_set(e, LEAT_ENOTFOUND, "cannot rename %s: no such file", from);
    if (rc == 0)
        move_add(f, from, to, n->inode);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_unlink(struct fs *fs, const char *path, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    int rc;

    pthread_mutex_lock(&f->lock);
    rc = fault_unless(f, true, "unlink", path, e);
    if (rc == 0 && name_find(&f->names, path) != NULL)
        move_add(f, path, NULL, NULL);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_rmdir(struct fs *fs, const char *path, struct err *e)
{
    return fake_mkdir(fs, path, e);
}

static int fake_list(struct fs *fs, const char *dir, int (*each)(void *arg, const char *name),
                     void *arg, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    int rc = 0;

    (void)e;
    pthread_mutex_lock(&f->lock);
    for (struct link *l = f->names.next; rc == 0 && l != &f->names; l = l->next) {
        struct name *n = container_of(l, struct name, link);
        if (in_dir(n->path, dir))
            rc = each(arg, n->path + strlen(dir) + 1);
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_lock(struct fs *fs, struct fs_file *file, struct err *e)
{
    struct fs_fake *f = fake_of(fs);
    bool taken;

    pthread_mutex_lock(&f->lock);
    taken = file->inode->locked_by != NULL && file->inode->locked_by != file;
    if (!taken)
        file->inode->locked_by = file;
    pthread_mutex_unlock(&f->lock);
    return taken ? err_set(e, LEAT_ELOCKED, "%s is locked", file->path) : 0;
}

static int fake_fd(struct fs *fs, struct fs_file *file)
{
    (void)fs;
    (void)file;
    return -1;
}

// --- power ---

enum { KEEP_NONE, KEEP_ALL, KEEP_SOME };

static void change_tear(struct buf *b, const struct change *c, struct random *r)
{
    size_t at = 0;

    if (c->data.p == NULL) {
        if (random_below(r, 2))
            change_apply(b, c);
        return;
    }
    while (at < c->data.n) { // sector by sector of the disk, not of the write
        size_t n = SECTOR - ((size_t)c->pos + at) % SECTOR;
        if (n > c->data.n - at)
            n = c->data.n - at;
        if (random_below(r, 2))
            bytes_put(b, (size_t)c->pos + at, c->data.p + at, n);
        at += n;
    }
}

static void inode_crash(struct inode *i, struct random *r, bool drop)
{
    struct link *l;
    int mode = drop ? KEEP_NONE : (int)random_below(r, 3);

    while ((l = list_pop(&i->changes)) != NULL) {
        struct change *c = container_of(l, struct change, link);
        int one = mode == KEEP_SOME ? (int)random_below(r, 3) : mode;
        if (one == KEEP_ALL)
            change_apply(&i->durable, c);
        else if (one == KEEP_SOME)
            change_tear(&i->durable, c, r);
        heap_free(c);
    }
    buf_clear(&i->live);
    buf_append_bytes(&i->live, buf_bytes(&i->durable));
}

// One folder's moves are one journal: a prefix survives.
static void moves_crash(struct fs_fake *f, struct random *r, bool drop)
{
    while (!list_empty(&f->moves)) {
        struct move *first = container_of(f->moves.next, struct move, link);
        char *dir = heap_strdup(first->to != NULL ? first->to : first->from);
        bool lost = drop;
        *strrchr(dir, '/') = 0;
        for (struct link *l = f->moves.next, *next; l != &f->moves; l = next) {
            struct move *m = container_of(l, struct move, link);
            next = l->next;
            if (!move_in_dir(m, dir))
                continue;
            lost = lost || random_below(r, 3) == 0;
            if (!lost)
                move_apply(&f->durable_names, m);
            move_free(m);
        }
        heap_free(dir);
    }
}

static void names_clear(struct link *table)
{
    while (!list_empty(table))
        name_remove(table, container_of(table->next, struct name, link)->path);
}

static void names_copy(struct link *from, struct link *to)
{
    names_clear(to);
    for (struct link *l = from->next; l != from; l = l->next) {
        struct name *n = container_of(l, struct name, link);
        name_add(to, n->path, n->inode);
    }
}

void fs_fake_crash(struct fs_fake *f, uint64_t seed)
{
    struct random r;

    random_seed(&r, seed);
    fs_fake_arm(f, 0, FS_FAULT_NONE);
    for (struct link *l = f->inodes.next; l != &f->inodes; l = l->next) {
        struct inode *i = container_of(l, struct inode, link);
        ASSERT(i->opened == 0);
        inode_crash(i, &r, seed == 0);
    }
    moves_crash(f, &r, seed == 0);
    names_copy(&f->durable_names, &f->names);
}

// --- fixtures ---

struct buf *fs_fake_contents(struct fs_fake *f, const char *path)
{
    struct name *n = name_find(&f->names, path);

    return n != NULL ? &n->inode->live : NULL;
}

void fs_fake_set(struct fs_fake *f, const char *path, struct bytes contents)
{
    struct name *n = name_find(&f->names, path);
    struct inode *i = n != NULL ? n->inode : inode_new(f);
    struct buf copy = BUF_EMPTY;

    buf_append_bytes(&copy, contents); // contents may be the file's own
    changes_clear(i, false);
    buf_clear(&i->live);
    buf_clear(&i->durable);
    buf_append_bytes(&i->live, buf_bytes(&copy));
    buf_append_bytes(&i->durable, buf_bytes(&copy));
    buf_deinit(&copy);
    if (n == NULL) {
        name_add(&f->names, path, i);
        name_add(&f->durable_names, path, i);
    }
}

void fs_fake_remove(struct fs_fake *f, const char *path)
{
    name_remove(&f->names, path);
    name_remove(&f->durable_names, path);
}

const char *fs_fake_name(struct fs_fake *f, size_t i)
{
    for (struct link *l = f->names.next; l != &f->names; l = l->next)
        if (i-- == 0)
            return container_of(l, struct name, link)->path;
    return NULL;
}

struct fs_fake *fs_fake_new(void)
{
    struct fs_fake *f = heap_zalloc(sizeof *f);

    f->base = (struct fs){
        .open = fake_open,
        .close = fake_close,
        .read = fake_read,
        .write = fake_write,
        .truncate = fake_truncate,
        .size = fake_size,
        .sync = fake_sync,
        .sync_dir = fake_sync_dir,
        .mkdir = fake_mkdir,
        .rename = fake_rename,
        .unlink = fake_unlink,
        .rmdir = fake_rmdir,
        .list = fake_list,
        .lock = fake_lock,
        .fd = fake_fd,
    };
    pthread_mutex_init(&f->lock, NULL);
    list_init(&f->inodes);
    list_init(&f->names);
    list_init(&f->durable_names);
    list_init(&f->moves);
    return f;
}

void fs_fake_free(struct fs_fake *f)
{
    struct link *l;

    if (f == NULL)
        return;
    names_clear(&f->names);
    names_clear(&f->durable_names);
    while (!list_empty(&f->moves))
        move_free(container_of(f->moves.next, struct move, link));
    while ((l = list_pop(&f->inodes)) != NULL) {
        struct inode *i = container_of(l, struct inode, link);
        changes_clear(i, false);
        buf_deinit(&i->live);
        buf_deinit(&i->durable);
        heap_free(i);
    }
    pthread_mutex_destroy(&f->lock);
    heap_free(f);
}

struct fs *fs_fake_fs(struct fs_fake *f)
{
    return &f->base;
}
