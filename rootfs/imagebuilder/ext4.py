"""A root as ext4, without a journal where nobody asks for one: it is mounted read-only.

mke2fs makes an empty one, and debugfs fills it, so that owners and times are the image's and root's rights aren't needed
(mke2fs -d would take owners and change times from the disk)."""
import os
import stat
import tempfile

from .entries import ListError
from .tools import run

BLOCK = 4096
INODE = 256
JOURNAL = 4  # MiB, the least there is
# Not 0, which e2fsprogs takes for "now".
TIME = "1"


def blocks_of(entry):
    if entry.is_link() and len(entry.data) < 60:
        return 0
    # One more for an extent tree's block; a folder's entries take theirs.
    return -(-len(entry.data) // BLOCK) + 1


def size_of(entries):
    """Blocks: contents, inodes, descriptors and bitmaps, and a sixteenth more."""
    inodes = len(entries) + 32
    blocks = sum(blocks_of(entry) for entry in entries) + -(-inodes * INODE // BLOCK) + 64
    return blocks + blocks // 16, inodes


def quote(path):
    if '"' in path:
        raise ListError(f"{path}: a quotation mark in a name of an ext4 image")
    return f'"{path}"'


def commands_for(entry, content):
    path = quote(entry.path)
    if entry.is_directory():
        if entry.path != "/":
            yield f"mkdir {path}"
    elif entry.is_link():
        yield f"symlink {path} {quote(entry.data.decode())}"
    elif entry.is_file():
        yield f"write {content} {path}"
    else:
        kind = "c" if stat.S_ISCHR(entry.mode) else "b"
        yield f"mknod {path} {kind} {entry.device[0]} {entry.device[1]}"
    if not entry.is_link():
        yield f"sif {path} mode 0{entry.mode:o}"


def fill(image, output, folder, environment):
    script = []
    for number, entry in enumerate(image.entries()):
        content = os.path.join(folder, str(number))
        if entry.is_file():
            with open(content, "wb") as file:
                file.write(entry.data)
        script += commands_for(entry, content)
    with open(folder + "/commands", "w") as file:
        file.write("\n".join(script) + "\n")
    done = run("e2fsprogs", ["debugfs", "-w", "-f", folder + "/commands", output], environment)
    # debugfs ends with 0 whatever happens, and says its version first.
    problems = [line for line in done.stderr.splitlines() if line and not line.startswith("debugfs ")]
    if problems:
        raise ListError(f"debugfs: {problems[0]}")


def write(image, output, journal=False):
    environment = {"E2FSPROGS_FAKE_TIME": TIME, "MKE2FS_CONFIG": os.devnull, "SOURCE_DATE_EPOCH": TIME}
    blocks, inodes = size_of(image.entries())
    journaling = ["-J", f"size={JOURNAL}"] if journal else []
    if journal:
        blocks += (JOURNAL << 20) // BLOCK
    if os.path.exists(output):
        os.remove(output)
    features = ("none,dir_index,extent,filetype,flex_bg,huge_file,large_file,metadata_csum,sparse_super,64bit,dir_nlink,"
                "extra_isize" + (",has_journal" if journal else ""))
    run("e2fsprogs", ["mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-I", str(INODE), "-N", str(inodes), "-m", "0",
                      "-O", features, *journaling, "-U", image.uuid(),
                      "-E", f"hash_seed={image.uuid()},root_owner=0:0,lazy_itable_init=0,nodiscard", output,
                      str(blocks)], environment)
    with tempfile.TemporaryDirectory(prefix="nacre-image-") as folder:
        fill(image, output, folder, environment)
    run("e2fsprogs", ["e2fsck", "-fn", output], environment)
