// SPDX-License-Identifier: Apache-2.0
//
// A file system in memory that fails on demand and loses power.
//
// What is written goes to the live view at once and to a list of unsynced changes; sync moves a
// file's changes to its durable view, sync_dir a folder's entries. At a power cut each unsynced
// write is kept, dropped or torn by 512-byte sectors, and each folder forgets a tail of its
// unsynced creates, renames and unlinks; what is left becomes the live view and the same object can
// be opened again.
//
// Operations are counted from the last arming: open for writing, write, truncate, sync, sync_dir,
// rename, unlink, mkdir. The n-th (from 0) fails as asked; FS_FAULT_POWER fails it and everything
// after it.
#ifndef LEAT_TESTS_FS_FAKE_H
#define LEAT_TESTS_FS_FAKE_H

#include "runtime/base/buf.h"
#include "runtime/io/fs.h"

enum fs_fault {
    FS_FAULT_NONE,
    FS_FAULT_EIO,        // that operation alone
    FS_FAULT_ENOSPC,     // that operation alone
    FS_FAULT_SHORT,      // a write leaves half of its bytes, then ENOSPC
    FS_FAULT_FULL,       // ENOSPC from there on, a half-written write first
    FS_FAULT_POWER,      // EIO from there on, until fs_fake_crash
};

struct fs_fake;

struct fs_fake *fs_fake_new(void);
void fs_fake_free(struct fs_fake *f);
struct fs *fs_fake_fs(struct fs_fake *f);

// Restarts the count.
void fs_fake_arm(struct fs_fake *f, int64_t n, enum fs_fault kind);
bool fs_fake_fired(const struct fs_fake *f);
int64_t fs_fake_ops(const struct fs_fake *f);

// Power off and on. All files must be closed. seed 0 drops everything unsynced; else as drawn from
// the seed.
void fs_fake_crash(struct fs_fake *f, uint64_t seed);

// Test fixtures' hands on the live and durable bytes alike; NULL when there is no such file.
struct buf *fs_fake_contents(struct fs_fake *f, const char *path);
void fs_fake_set(struct fs_fake *f, const char *path, struct bytes contents);
void fs_fake_remove(struct fs_fake *f, const char *path);
// Lists the live files, in creation order.
const char *fs_fake_name(struct fs_fake *f, size_t i);

#endif
