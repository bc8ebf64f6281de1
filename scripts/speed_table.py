"""Measure the table "Stages of a frame" of docs/benchmarks.md on this machine and put it in.

    python scripts/speed_table.py [--limit 200]

The table is what ``rtmpose bench --backend all --people 1,5,20 --markdown`` prints. Further words
are passed on to that command.
"""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- speed: made by `python scripts/speed_table.py` -->", "<!-- speed: end -->"
COMMAND = ["bench", "--backend", "all", "--people", "1,5,20", "--markdown"]


def main() -> None:
    command = [sys.executable, "-m", "rtmpose", *COMMAND, *sys.argv[1:]]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, tail = rest.split(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
