#!/usr/bin/python3
"""make_gpt.py DISK FILE...: a disk with a GUID partition table (UEFI specification, chapter 5), one partition a file."""

import struct
import sys
import uuid
import zlib

SECTOR = 512
ALIGNMENT = 2048  # sectors
ENTRIES, ENTRY = 128, 128
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def header(own, other, last, array, crc):
    """A header in sector `own`, its copy in `other`, with its array of entries from sector `array` on."""
    def pack(check):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, check, 0, own, other, 34, last - 33,
                           uuid.UUID(int=1).bytes_le, array, ENTRIES, ENTRY, crc)
    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")


def main(disk, *files):
    contents = [open(name, "rb").read() for name in files]
    table, start, places = b"", ALIGNMENT, []
    for number, content in enumerate(contents, 1):
        sectors = -(-len(content) // SECTOR)
        table += struct.pack("<16s16sQQQ72s", LINUX.bytes_le, uuid.UUID(int=number + 1).bytes_le, start,
                             start + sectors - 1, 0, b"")
        places.append(start)
        start = -(-(start + sectors) // ALIGNMENT) * ALIGNMENT
    table = table.ljust(ENTRIES * ENTRY, b"\0")
    last, crc = start + 33, zlib.crc32(table)
    protective = struct.pack("<446xBBBBBBBBII48xH", 0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, last, 0xaa55)
    with open(disk, "wb") as out:
        out.write(protective + header(1, last, last, 2, crc) + table)
        for place, content in zip(places, contents):
            out.seek(place * SECTOR)
            out.write(content)
        out.seek((last - 32) * SECTOR)
        out.write(table + header(last, 1, last, last - 32, crc))


main(*sys.argv[1:])
