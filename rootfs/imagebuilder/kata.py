"""A disk as Kata's runtimes take it for `image`: the root, as ext4 with a journal, in the first partition of an MBR.

The same file is a disk and persistent memory. For the latter it starts with what Linux calls an info block of a page map
(drivers/nvdimm/pfn.h), which makes an NVDIMM a mapped one (DAX) whose contents begin behind it: there a second MBR has the
same partition. So the root is /dev/vda1 of the one and /dev/pmem0p1 of the other.
"""
import os
import struct

from . import ext4

MIB = 1 << 20
SECTOR = 512
HEADER = 2 * MIB  # the info block's part; what is mapped begins behind it
BEFORE = MIB  # the partition, from the MBR that counts
# What is plugged in behind an NVDIMM has to start at one of memory's blocks.
ALIGNMENT = 128 * MIB
INFO_BLOCK = 4096  # both its place and its size
IN_MEMORY = 1  # where the map is
PAGE = 2 * MIB
LINUX = 0x83
LBA = b"\xfe\xff\xff"  # in place of cylinder, head and sector


def master_boot_record(signature, start, size):
    """One partition, in bytes from the MBR."""
    entry = struct.pack("<B3sB3sII", 0, LBA, LINUX, LBA, start // SECTOR, size // SECTOR)
    return b"\0" * 440 + signature + b"\0\0" + entry + b"\0" * 48 + b"\x55\xaa"


def fletcher64(data):
    low = high = 0
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) & 0xffffffff
        high += low
    return (high << 32 | low) & 0xffffffffffffffff


def info_block():
    # Signature, two UUIDs, flags, version 0.2, where the contents begin, number of pages, mode, padding at both ends, alignment.
    fields = struct.pack("<16s16s16sIHHQQIIII", b"NVDIMM_PFN_INFO", b"", b"", 0, 0, 2, HEADER, 0, IN_MEMORY, 0, 0, PAGE)
    block = fields.ljust(INFO_BLOCK, b"\0")
    return block[:-8] + struct.pack("<Q", fletcher64(block))


def write(image, output):
    root = output + ".root"
    try:
        ext4.write(image, root, journal=True)
        with open(root, "rb") as file:
            contents = file.read()
    finally:
        if os.path.exists(root):
            os.remove(root)
    place = HEADER + BEFORE
    size = -(-(place + len(contents)) // ALIGNMENT) * ALIGNMENT
    signature = image.digest().digest()[-4:]
    with open(output, "wb") as file:
        file.truncate(size)
        file.write(master_boot_record(signature, place, size - place))
        file.seek(INFO_BLOCK)
        file.write(info_block())
        file.seek(HEADER)
        file.write(master_boot_record(signature, BEFORE, size - place))
        for block in range(0, len(contents), INFO_BLOCK):
            part = contents[block:block + INFO_BLOCK]
            if part.strip(b"\0"):
                file.seek(place + block)
                file.write(part)
