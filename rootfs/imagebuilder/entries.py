"""What is in an image: entries read from a list and from --add, before any format.

Everything belongs to root, and nothing but the list and the contents of files counts: neither the disk's times, owners,
order nor, but for the bit that makes a program, its modes.
"""
import hashlib
import os
import re
import stat
import uuid
from dataclasses import dataclass, field


class ListError(Exception):
    """One line for the user."""


@dataclass
class Entry:
    path: str  # absolute, normalized
    mode: int  # with the type
    data: bytes = b""  # a file's contents, a link's target
    device: tuple = (0, 0)
    source: str = field(default="", compare=False)  # the file of this machine

    def is_file(self):
        return stat.S_ISREG(self.mode)

    def is_directory(self):
        return stat.S_ISDIR(self.mode)

    def is_link(self):
        return stat.S_ISLNK(self.mode)


def read_file(source):
    with open(source, "rb") as file:
        return file.read()


def parse_mode(text):
    if not re.fullmatch(r"[0-7]{3,4}", text):
        raise ListError(f"{text}: not an octal mode")
    return int(text, 8)


def parse_path(path):
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise ListError(f"{path!r}: not an absolute path, or with .. in it")
    return os.path.normpath("/" + path.lstrip("/"))


class Image:
    def __init__(self):
        self.by_path = {}

    def entries(self):
        """Sorted, a folder before what is in it."""
        return [self.by_path[path] for path in sorted(self.by_path)]

    def digest(self):
        """A hash of all that is in it, for what has to be fixed and still differ from image to image."""
        digest = hashlib.sha256()
        for entry in self.entries():
            digest.update(repr((entry.path, entry.mode, hashlib.sha256(entry.data).hexdigest(), entry.device)).encode())
        return digest

    def uuid(self):
        return str(uuid.UUID(bytes=self.digest().digest()[:16], version=4))

    def put(self, entry):
        parent = os.path.dirname(entry.path)
        if parent != entry.path:
            if parent not in self.by_path:
                self.put(Entry(parent, stat.S_IFDIR | 0o755))
            if not self.by_path[parent].is_directory():
                raise ListError(f"{entry.path}: {parent} is not a folder in the image")
        present = self.by_path.get(entry.path)
        if present and present.is_directory() and not entry.is_directory():
            raise ListError(f"{entry.path}: a folder of the image, which {entry.source or 'this'} can't take the place of")
        self.by_path[entry.path] = entry

    # What a list's lines are ------------------------------------------------------------------------------------

    def put_dir(self, path, mode):
        self.put(Entry(parse_path(path), stat.S_IFDIR | parse_mode(mode)))

    def put_file(self, path, mode, source):
        self.put(Entry(parse_path(path), stat.S_IFREG | parse_mode(mode), read_file(source), source=source))

    def put_link(self, path, target):
        self.put(Entry(parse_path(path), stat.S_IFLNK | 0o777, target.encode()))

    def put_node(self, path, mode, kind, major, minor):
        types = {"c": stat.S_IFCHR, "b": stat.S_IFBLK}
        if kind not in types:
            raise ListError(f"{kind}: neither c nor b")
        self.put(Entry(parse_path(path), types[kind] | parse_mode(mode), device=(int(major), int(minor))))

    def put_links(self, source):
        for path in read_file(source).decode().split():
            if path != "/bin/busybox" and path not in self.by_path:
                self.put_link(path, "/bin/busybox")

    def put_tree(self, path, source, mode=None):
        """Files, links and folders below a folder; mode is for the files, by default 0755 for programs, else 0644."""
        if not os.path.isdir(source):
            return
        with os.scandir(source) as found:
            for item in found:
                self.put_any(os.path.join(path, item.name), item.path, mode)

    def put_any(self, path, source, mode=None):
        status = os.lstat(source)
        if stat.S_ISLNK(status.st_mode):
            self.put_link(path, os.readlink(source))
        elif stat.S_ISDIR(status.st_mode):
            path = parse_path(path)
            if path not in self.by_path:
                self.put_dir(path, "0755")
            self.put_tree(path, source, mode)
        elif stat.S_ISREG(status.st_mode):
            self.put_file(path, mode or ("0755" if status.st_mode & 0o111 else "0644"), source)
        else:
            raise ListError(f"{source}: neither a file nor a folder nor a link")

    PARSERS = {"dir": put_dir, "file": put_file, "link": put_link, "node": put_node, "links": put_links,
               "tree": put_tree}

    def read_list(self, name, variables):
        def value(found):
            if found.group(1) not in variables:
                raise ListError(f"$({found.group(1)}) is not set")
            return variables[found.group(1)]

        for number, line in enumerate(read_file(name).decode().splitlines(), 1):
            found = re.match(r"(?:\[(\w+)\]\s+)?([^#\s].*)$", line.strip())
            if not found or (found.group(1) and variables.get(found.group(1), "n") in ("n", "")):
                continue
            kind, *words = (re.sub(r"\$\((\w+)\)", value, word) for word in found.group(2).split())
            try:
                if kind not in self.PARSERS:
                    raise ListError(f"{kind}: not a type of entry")
                self.PARSERS[kind](self, *words)
            except (TypeError, ValueError) as error:
                raise ListError(f"{name}:{number}: {line.strip()}: not what {kind} takes") from error
            except OSError as error:
                raise ListError(f"{name}:{number}: {error.filename}: {error.strerror}") from error
            except ListError as error:
                raise ListError(f"{name}:{number}: {error}") from error

    def add(self, text):
        """SRC:DST[:MODE]."""
        words = text.split(":")
        if len(words) not in (2, 3) or not all(words):
            raise ListError(f"--add {text}: not SRC:DST[:MODE]")
        try:
            if len(words) == 3:
                parse_mode(words[2])
            source = words[0]
            # A link that was named is followed; those in a folder are kept.
            self.put_any(parse_path(words[1]), os.path.realpath(source), *words[2:])
        except OSError as error:
            raise ListError(f"--add {text}: {error.filename}: {error.strerror}") from error
        except ListError as error:
            raise ListError(f"--add {text}: {error}") from error
