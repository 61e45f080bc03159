"""Programs that make file systems."""
import os
import shutil
import subprocess

from .entries import ListError

# The administration's folders too: users' PATHs don't have them.
SEARCH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


def run(package, arguments, environment=None, **options):
    """The standard output of a program that a Debian package has; CalledProcessError where it fails."""
    program = shutil.which(arguments[0], path=SEARCH)
    if not program:
        raise ListError(f"{arguments[0]} is not installed (on Debian: apt-get install {package})")
    return subprocess.run([program] + arguments[1:], check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "LC_ALL": "C", "TZ": "UTC", **(environment or {})}, **options)
