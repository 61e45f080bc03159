"""A read-only root as erofs, uncompressed: its pages are mapped from the page cache as they are.

mkfs.erofs takes contents and modes from a folder; owners, times and UUID are given to it."""
import os
import tempfile

from .entries import ListError
from .tools import run


def stage(image, folder):
    for entry in image.entries():
        path = folder + entry.path
        if entry.is_directory():
            os.makedirs(path, exist_ok=True)
        elif entry.is_link():
            os.symlink(entry.data, path)
        elif entry.is_file():
            with open(path, "wb") as file:
                file.write(entry.data)
            os.chmod(path, entry.mode & 0o7777)
        else:
            raise ListError(f"{entry.path}: a device node, which erofs images can't have (the guest has devtmpfs)")
    # Last, and from the deepest: a folder may be closed to who isn't root.
    for entry in reversed(image.entries()):
        if entry.is_directory():
            os.chmod(folder + entry.path, entry.mode & 0o7777)


def write(image, output):
    with tempfile.TemporaryDirectory(prefix="nacre-image-") as folder:
        stage(image, folder + "/root")
        run("erofs-utils", ["mkfs.erofs", "--quiet", "-x-1", "-T0", "--all-root", "-U", image.uuid(), output,
                            folder + "/root"])
        for entry in image.entries():
            if entry.is_directory():
                os.chmod(folder + "/root" + entry.path, 0o700)
