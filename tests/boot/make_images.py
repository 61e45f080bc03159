#!/usr/bin/python3
"""make_images.py good ROOTFS FOLDER | hostile FOLDER: container images for the tests, of all kinds and sorts, made here.

good: layout/ (OCI, three layers), many/ (OCI, tags "one" and "two", an index for several platforms), docker.tar, oci.tar,
plain.tar and its compressed fellows. hostile: one file or folder for each thing that must be refused.
"""

import gzip
import hashlib
import io
import json
import lzma
import os
import platform
import shutil
import subprocess
import sys
import tarfile

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def member(name, text=None, **fields):
    """One member of a layer: a file with that text, or whatever the fields say."""
    info = tarfile.TarInfo(name)
    data = text.encode() if text is not None else None
    info.mode = 0o644
    if data is not None:
        info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def layer(members, base=None):
    """A layer's tar: a folder as it is, and these members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        if base:
            for name in sorted(os.listdir(base)):
                tar.add(os.path.join(base, name), name)
        for info, data in members:
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


class Layout:
    """A folder which becomes an OCI image layout."""

    def __init__(self, path):
        self.path = path
        self.manifests = []
        os.makedirs(path + "/blobs/sha256", exist_ok=True)
        self.write("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())

    def write(self, name, data):
        with open(os.path.join(self.path, name), "wb") as file:
            file.write(data)

    def blob(self, data, media_type, **more):
        self.write("blobs/sha256/" + digest(data)[7:], data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}

    def image(self, layers, config, media_type=LAYER + "+gzip", pack=lambda data: gzip.compress(data, mtime=0)):
        document = {"architecture": ARCHITECTURE, "os": "linux", "config": config,
                    "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]}}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": self.blob(json.dumps(document).encode(), CONFIG),
                    "layers": [self.blob(pack(data), media_type) for data in layers]}
        return self.blob(json.dumps(manifest).encode(), MANIFEST)

    def add(self, descriptor, tag=None):
        if tag:
            descriptor = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
        self.manifests.append(descriptor)

    def finish(self):
        self.write("index.json", json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode())


def usual_layers(root):
    folder = dict(type=tarfile.DIRTYPE, mode=0o755)
    first = layer([
        member("etc/version", "one\n"), member("etc/gone", "gone\n"), member("srv/old/a", "a\n"),
        member("srv/old/b", "b\n"), member("opt", **folder), member("opt/kept", "kept\n"),
        member("usr/lib64", type=tarfile.SYMTYPE, linkname="../opt"),
        member("home/user", type=tarfile.DIRTYPE, mode=0o700, uid=1000, gid=1000),
        member("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n"),
        member("etc/group", "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n"),
        member("srv/original", "linked\n"), member("srv/link", type=tarfile.LNKTYPE, linkname="srv/original"),
        member("srv/set-user-id", "", mode=0o4755),
        member("srv/attributed", "", pax_headers={"SCHILY.xattr.user.colour": "red"}),
        member("srv/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        member("srv/" + "long-" * 40 + "name", "long\n"), member("srv/\u00fcml\u00e4ut", "named\n"),
    ], root)
    second = layer([
        member("etc/version", "two\n"), member("etc/.wh.gone", ""), member("srv/old/new", "new\n"),
        member("srv/old/.wh..wh..opq", ""), member("usr/lib64/through", "through a symlink\n"),
    ])
    third = layer([member("srv/original", "another\n"), member("opt/.wh.nothing", "")])
    return [first, second, third]


USUAL_CONFIG = {"Env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "COLOUR=green", "SHAPE=round"],
                "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["one", "two"], "WorkingDir": "/work/here",
                "User": "user", "StopSignal": "SIGUSR1"}


def pack_tar(folder, path):
    with tarfile.open(path, "w") as tar:
        for name in sorted(os.listdir(folder)):
            tar.add(os.path.join(folder, name), name)


def docker_archive(path, layers, config, names):
    document = json.dumps({"architecture": ARCHITECTURE, "os": "linux", "config": config,
                           "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]}}).encode()
    config_name = digest(document)[7:] + ".json"
    members, paths = [], []
    for number, data in enumerate(layers):
        paths.append("%d/layer.tar" % number)
        info = tarfile.TarInfo("%d/real.tar" % number if number == 1 else paths[-1])
        info.size = len(data)
        members.append((info, data))
    # What docker writes for a layer that it has written already.
    members.append(member("1/layer.tar", type=tarfile.SYMTYPE, linkname="../1/real.tar"))
    manifest = json.dumps([{"Config": config_name, "RepoTags": names, "Layers": paths}]).encode()
    for name, data in ((config_name, document), ("manifest.json", manifest)):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        members.append((info, data))
    with open(path, "wb") as file:
        file.write(layer(members))


def good(root, out):
    layers = usual_layers(root)
    layout = Layout(out + "/layout")
    layout.add(layout.image(layers, USUAL_CONFIG), "latest")
    layout.finish()
    pack_tar(out + "/layout", out + "/oci.tar")

    many = Layout(out + "/many")
    base = layer([], root)
    for tag in ("one", "two"):
        here = many.image([base, layer([member("etc/tag", tag + "\n")])], {"Cmd": ["cat", "/etc/tag"]},
                          LAYER, lambda data: data)
        there = many.image([layer([member("etc/tag", "elsewhere\n")])], {})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {**there, "platform": {"architecture": "mips", "os": "linux"}},
            {**here, "platform": {"architecture": ARCHITECTURE, "os": "linux"}}]}
        many.add(many.blob(json.dumps(index).encode(), INDEX), tag)
    many.finish()

    docker_archive(out + "/docker.tar", layers, USUAL_CONFIG, ["test/image:1"])
    plain = layer([member("etc/.wh.kept", "a file as any other\n")], root)
    for name, pack in (("plain.tar", bytes), ("plain.tar.gz", gzip.compress), ("plain.tar.xz", lzma.compress),
                       ("plain.tar.zst", lambda data: subprocess.run(["zstd", "-q"], input=data, check=True,
                                                                     stdout=subprocess.PIPE).stdout)):
        with open(os.path.join(out, name), "wb") as file:
            file.write(pack(plain))


def hostile_layers(out):
    symlink, hard = dict(type=tarfile.SYMTYPE), dict(type=tarfile.LNKTYPE)
    deep = [member("/".join(["d"] * depth), type=tarfile.DIRTYPE, mode=0o755) for depth in (1, 2000, 3000)]
    for name, members in {
        "parent": [member("../escaped", "")],
        "parent-inside": [member("a/../../escaped", "")],
        "absolute": [member("/tmp/escaped", "")],
        "whiteout-parent": [member("etc/.wh...", "")],
        "whiteout-itself": [member("etc/.wh..", "")],
        "hard-link-outside": [member("escaped", linkname="../../etc/passwd", **hard)],
        "hard-link-absolute": [member("escaped", linkname="/etc/passwd", **hard)],
        "hard-link-nowhere": [member("escaped", linkname="etc/none", **hard)],
        "below-a-file": [member("file", ""), member("file/below", "")],
        "symlink-loop": [member("a", linkname="b", **symlink), member("b", linkname="a", **symlink), member("a/c", "")],
        "deep": deep,
    }.items():
        layout = Layout(os.path.join(out, name))
        layout.add(layout.image([layer(members)], {"Cmd": ["sh"]}))
        layout.finish()
    # A symlink that leads out of a layer leads nowhere but inside of the image.
    layout = Layout(out + "/symlink-outside")
    layout.add(layout.image([layer([member("way", linkname="/tmp", **symlink), member("way/nacre-escaped", "")])], {}))
    layout.finish()


def spoil(path, change):
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(change(data))


def hostile(out):
    hostile_layers(out)

    def fresh(name):
        layout = Layout(os.path.join(out, name))
        descriptor = layout.image([layer([member("a", "a" * 100000)])], {"Cmd": ["sh"]})
        layout.add(descriptor)
        layout.finish()
        with open(os.path.join(layout.path, "blobs/sha256", descriptor["digest"][7:])) as file:
            return layout, descriptor, json.load(file)

    def layer_path(layout, manifest):
        return os.path.join(layout.path, "blobs/sha256", manifest["layers"][0]["digest"][7:])

    layout, descriptor, manifest = fresh("other-content")
    spoil(layer_path(layout, manifest), lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    layout, descriptor, manifest = fresh("truncated")
    spoil(layer_path(layout, manifest), lambda data: data[:len(data) // 2])
    layout, descriptor, manifest = fresh("longer")
    spoil(layer_path(layout, manifest), lambda data: data + b"\0" * 4096)
    layout, descriptor, manifest = fresh("missing")
    os.unlink(layer_path(layout, manifest))
    layout, descriptor, manifest = fresh("wrong-size")
    layout.manifests[0]["size"] += 1
    layout.finish()
    layout, descriptor, manifest = fresh("digest-is-a-path")
    layout.manifests[0]["digest"] = "sha256:../../../../etc/passwd"
    layout.finish()
    layout, descriptor, manifest = fresh("blob-is-a-link")
    os.unlink(layer_path(layout, manifest))
    os.symlink("/etc/passwd", layer_path(layout, manifest))

    # Truthful digests all over a damaged gzip stream, and over a content which isn't the configuration's.
    for name, pack in (("truncated-gzip", lambda data: gzip.compress(data)[:60]),
                       ("not-a-tar", lambda data: gzip.compress(b"no tar " * 1000)),
                       ("another-tar", lambda data: gzip.compress(layer([member("b", "b")])))):
        layout = Layout(os.path.join(out, name))
        layout.add(layout.image([layer([member("a", "a" * 100000)])], {"Cmd": ["sh"]}, pack=pack))
        layout.finish()

    layout = Layout(out + "/nested-index")
    descriptor = layout.image([layer([])], {})
    for _ in range(20):
        descriptor = layout.blob(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode(), INDEX)
    layout.add(descriptor)
    layout.finish()
    layout = Layout(out + "/other-platform")
    layout.add({**layout.image([layer([])], {}), "platform": {"architecture": "mips", "os": "linux"}})
    layout.finish()

    with open(out + "/no-archive", "wb") as file:
        file.write(b"nothing that anybody knows\n" * 1000)
    with open(out + "/absolute.tar", "wb") as file:
        file.write(layer([member("/etc/escaped", "")]))
    with open(out + "/truncated.tar", "wb") as file:
        file.write(layer([member("a", "a" * 100000)])[:5000])


if __name__ == "__main__":
    target = sys.argv[-1]
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    if sys.argv[1] == "good":
        good(sys.argv[2], target)
    else:
        hostile(target)
