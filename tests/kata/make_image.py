#!/usr/bin/python3
"""make_image.py ROOTFS FOLDER: an OCI image of that root, tagged 1, as the archive FOLDER.tar."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../boot"))
import make_images

root, folder = sys.argv[1:]
layout = make_images.Layout(folder)
layout.add(layout.image([make_images.layer([], root)], {"Env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"], "Cmd": ["sh"]}), "1")
layout.finish()
make_images.pack_tar(folder, folder + ".tar")
