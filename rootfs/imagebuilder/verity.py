"""dm-verity: the hash tree behind a disk's contents, and what the kernel's command line has to say to use it."""
import os
import re

from .tools import run

BLOCK = 4096
SECTOR = 512
# Where the guest finds the image.
DISK = "/dev/vda"
NAME = "nacre-root"


def append(image, path):
    """Appends the hash tree to the file, and returns the text for `dm-mod.create=`."""
    size = os.path.getsize(path)
    os.truncate(path, -(-size // BLOCK) * BLOCK)
    blocks = os.path.getsize(path) // BLOCK
    salt = image.digest().hexdigest()
    done = run("cryptsetup-bin", ["veritysetup", "format", path, path, "--hash=sha256", "--salt=" + salt,
                                  f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}", f"--data-blocks={blocks}",
                                  f"--hash-offset={blocks * BLOCK}", "--uuid=" + image.uuid()])
    root_hash = re.search(r"^Root hash:\s*([0-9a-f]{64})$", done.stdout, re.M).group(1)
    # The hash tree begins behind veritysetup's superblock, which has a block of its own.
    return (f"{NAME},,,ro,0 {blocks * BLOCK // SECTOR} verity 1 {DISK} {DISK} {BLOCK} {BLOCK} {blocks} {blocks + 1} "
            f"sha256 {root_hash} {salt}")
