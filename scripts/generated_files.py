"""Files of the documentation that scripts make: written, or compared with ``--check``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def write_or_check(description: str, files: Mapping[Path, str]) -> int:
    """Write the files that differ; with ``--check`` on the command line only name them.

    Args:
        description: Of the script; its first line is its help.
        files: Path and content of each.

    Returns:
        The exit status: 1 where something is out of date and was not written.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check

    outdated = []
    for path, text in files.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        outdated.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    for path in outdated:
        print(f"{'out of date' if check else 'wrote'}: {path.relative_to(ROOT)}")
    return int(check and bool(outdated))
