"""An initramfs: cpio's "newc" format, uncompressed, which the kernel unpacks with the fewest instructions. All times are 0,
inode numbers count up."""


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def record(inode, path, mode, data=b"", links=1, device=(0, 0)):
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, device[0], device[1], len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return pad(header + name) + pad(data)


def write(image, output):
    # The root itself is there already, with the mode that it has.
    entries = [entry for entry in image.entries() if entry.path != "/"]
    archive = b"".join(record(inode, entry.path.lstrip("/"), entry.mode, entry.data, 2 if entry.is_directory() else 1,
                              entry.device) for inode, entry in enumerate(entries, 1))
    archive += record(0, "TRAILER!!!", 0)
    with open(output, "wb") as file:
        file.write(archive + b"\0" * (-len(archive) % 512))
