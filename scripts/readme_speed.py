"""Measure the speed table of README.md on this machine and put it in.

    python scripts/readme_speed.py

It is what ``rtmpose bench --backend all --people 1,5,20 --markdown`` prints, between two comments
of the file.
"""

import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
ARGUMENTS = ("bench", "--backend", "all", "--people", "1,5,20", "--markdown")
BEGIN = f"<!-- rtmpose {' '.join(ARGUMENTS)} -->"
END = "<!-- end -->"


def main() -> None:
    command = [sys.executable, "-m", "rtmpose", *ARGUMENTS]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    head, rest = README.read_text(encoding="utf-8").split(BEGIN)
    _, tail = rest.split(END)
    README.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
