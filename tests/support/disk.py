# SPDX-License-Identifier: Apache-2.0
"""A file system in a file: it can be full, and its power can be cut.

    with Disk("ext4", 64) as disk:
        ...                     # use disk.mount
        disk.cut()              # end its users first: fdatasync lies to those who are alive
"""

import os
import shutil
import subprocess
import tempfile


def no_disk_here(fs="ext4"):
    """Why there can be no disk: a sentence, or None."""
    if os.geteuid() != 0:
        return "loop mounts need root"
    missing = [p for p in ("mkfs." + fs, "mount", "xfs_io") if shutil.which(p) is None]
    if missing:
        return f"{' and '.join(missing)} not found (packages e2fsprogs, mount, xfsprogs)"
    if not os.path.exists("/dev/loop-control"):
        return "this machine has no loop devices"
    return None


class Disk:
    def __init__(self, fs, mib):
        self.folder = tempfile.mkdtemp(prefix="leat-disk-", dir="/var/tmp")
        self.image, self.mount = f"{self.folder}/image", f"{self.folder}/mount"
        os.mkdir(self.mount)
        with open(self.image, "wb") as f:
            f.truncate(mib << 20)
        force = "-f" if fs == "xfs" else "-F"
        subprocess.run(["mkfs." + fs, "-q", force, self.image], check=True, capture_output=True)
        self.attach()

    def attach(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True)

    def cut(self):
        """What was not synced is gone; the journal is replayed."""
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", self.mount], check=True)
        subprocess.run(["umount", self.mount], check=True)
        self.attach()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
