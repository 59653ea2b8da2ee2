"""The verifier: how large are some files? `python size.py PATTERN ...` prints METRIC bytes and compressed_bytes.

A folder stands for all files in it. A link is not followed; a pattern that names no file is an error.
"""

import gzip
import os
import sys
from pathlib import Path


def files_of(pattern):
    found = [Path(pattern)] if os.path.lexists(pattern) else sorted(Path().glob(pattern))
    found = [file for path in found for file in ((path, *path.rglob("*")) if path.is_dir() else (path,))]
    if links := [str(path) for path in found if path.is_symlink()]:
        sys.exit(f"{', '.join(links)}: a link, so its size says nothing")
    if not (files := [path for path in found if path.is_file()]):
        sys.exit(f"{pattern} names no file; was it built?")
    return files


contents = [path.read_bytes() for path in {path for pattern in sys.argv[1:] for path in files_of(pattern)}]
print(f"METRIC bytes={sum(map(len, contents))}")
print(f"METRIC compressed_bytes={sum(len(gzip.compress(content, 9, mtime=0)) for content in contents)}")
