"""Prints the chapters of the package that README.md names, in order, each below its title."""

import json
import sys
from pathlib import Path

folder, parts = Path(sys.argv[1]), []
for name in [*(f"chapter_{number}" for number in range(1, 136)), "epilogue"]:
    chapter = json.loads((folder / f"{name}.json").read_text())
    title = f"CHAPTER {chapter['chapter']}. " * ("chapter" in chapter) + chapter["title"]
    parts.append(f"{title}\n\n{chapter['text'].strip()}\n")
sys.stdout.write("\n\n".join(parts))
