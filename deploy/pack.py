#!/usr/bin/env python3
"""Packs a binary into a zip file or a tar archive with one executable file. Equal binaries result in equal files.

usage: pack.py zip|tar BINARY NAME ARCHIVE
"""

import gzip
import io
import sys
import tarfile
import zipfile
from pathlib import Path

# The earliest time that a zip file can contain.
TIME = (1980, 1, 1, 0, 0, 0)
MODE = 0o755


def zip_file(binary: bytes, name: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        entry = zipfile.ZipInfo(name, TIME)
        # Unix, with a regular file: Lambda requires that the file is executable.
        entry.create_system, entry.external_attr = 3, (0o100000 | MODE) << 16
        zipped.writestr(entry, binary, zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def tar_archive(binary: bytes, name: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(binary), MODE
        tar.addfile(entry, io.BytesIO(binary))
    return gzip.compress(archive.getvalue(), mtime=0)


def main() -> None:
    kind, binary, name, path = sys.argv[1:]
    pack = {"zip": zip_file, "tar": tar_archive}[kind]
    Path(path).write_bytes(pack(Path(binary).read_bytes(), name))


if __name__ == "__main__":
    main()
