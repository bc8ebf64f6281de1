"""The code blocks, headings and links of the documents, read without a Markdown parser."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^(\s*)```\s*([\w+-]*)")
NOTE = re.compile(r"<!--\s*(no-run|needs):\s*(.*?)\s*-->")
LINK = re.compile(
    r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)[^)]*\)"
    r"|<(?:img|a)[^>]*?(?:src|href)=\"([^\"]+)\""
)
SHELLS = {"bash", "sh", "shell", "console", "bat", "powershell", "pwsh"}


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        page: Path below the project, with slashes.
        line: The line of its fence, from 1.
        language: What stands behind the fence; empty where nothing does.
        text: Its lines, dedented as far as the fence is indented.
        note: ``no-run``, ``needs`` or empty: a comment in the line above the fence.
        reason: What the comment says.
    """

    page: str
    line: int
    language: str
    text: str
    note: str = ""
    reason: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """All documents for people."""
    names = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md")
    return [*(ROOT / name for name in names), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced code blocks of a document, from top to bottom."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    start, note = None, None
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if start is None and fence:
            start, indent, language = number, len(fence[1]), fence[2].lower()
            above = next((text for text in reversed(lines[: number - 1]) if text.strip()), "")
            note = NOTE.search(above)
        elif start is not None and fence and not fence[2]:
            text = "\n".join(text[indent:] for text in lines[start : number - 1]) + "\n"
            kind, reason = (note[1], note[2]) if note else ("", "")
            name = page.relative_to(ROOT).as_posix()
            found.append(Block(name, start, language, text, kind, reason))
            start = None
    assert start is None, f"{page}:{start}: the code block does not end"
    return found


def without_blocks(page: Path) -> str:
    """The document with its code blocks blanked, every line in its place."""
    inside, kept = False, []
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = FENCE.match(line)
        kept.append("" if inside or fence else line)
        inside = inside != bool(fence)
    return "\n".join(kept)


def headings(page: Path) -> list[tuple[int, str]]:
    """Level and text of every heading."""
    found = re.findall(r"^(#{1,6})\s+(.*?)\s*$", without_blocks(page), re.M)
    return [(len(marks), text) for marks, text in found]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    made: set[str] = set()
    for _, text in headings(page):
        plain = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", text).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        made.add(slug)
    return made


def links(page: Path) -> list[str]:
    """The targets of all links and images."""
    return [a or b for a, b in LINK.findall(without_blocks(page))]


def inline_code(page: Path) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", without_blocks(page))


def commands(block: Block, program: str = "rtmpose") -> list[list[str]]:
    """The words behind ``rtmpose`` for each call of it in a shell block.

    Understands prompts, continued lines, comments, pipes, ``&&``, environment variables before the
    command, ``NAME=...`` and ``for NAME in ...; do`` with ``$NAME`` later on, ``python -m``, and a
    program in a virtual environment.
    """
    text = re.sub(r"\\\n\s*", " ", block.text)
    variables: dict[str, str] = {}
    found = []
    for raw in text.splitlines():
        line = re.sub(r"^\s*(\$|>|%|PS>)\s+", "", raw).strip()
        windows = "\\Scripts\\" in line
        try:
            words = shlex.split(line.replace("\\", "/") if windows else line, comments=True)
        except ValueError as error:
            raise AssertionError(f"{block.place}: not a shell line: {raw!r}: {error}") from error
        for call in split_calls(words):
            call = expand(call, variables)
            while call and re.match(r"[A-Za-z_]\w*=", call[0]):
                name, _, value = call.pop(0).partition("=")
                variables[name] = value
            if len(call) > 3 and call[0] == "for" and call[2] == "in":
                variables[call[1]] = call[3]
                continue
            if call and call[0] in ("do", "then", "sudo", "time", "!"):
                call = call[1:]
            at = program_at(call, program)
            if at is not None:
                found.append(call[at + 1 :])
    return found


def expand(call: list[str], variables: dict[str, str]) -> list[str]:
    """The words with variables put in; a value with blanks is several words."""
    expanded: list[str] = []
    for word in call:
        put_in = re.sub(r"\$\{?(\w+)\}?", lambda m: variables.get(m[1], m[0]), word)
        expanded += shlex.split(put_in) if put_in != word and word.startswith("$") else [put_in]
    return expanded


def split_calls(words: list[str]) -> list[list[str]]:
    """Words split at pipes, ``&&``, ``;``."""
    calls: list[list[str]] = [[]]
    for word in words:
        if word in ("|", "&&", "||", ";", "&"):
            calls.append([])
        elif word.endswith(";"):
            calls[-1].append(word[:-1])
            calls.append([])
        elif word in (">", ">>", "2>", "<"):
            calls[-1].append(word)
        else:
            calls[-1].append(word)
    return [call[: call.index(">")] if ">" in call else call for call in calls if call]


def program_at(call: list[str], program: str) -> int | None:
    """Where a call names the program: first, after ``python -m``, or as ``$(which rtmpose)``."""
    for i, word in enumerate(call):
        name = word.rsplit("/", 1)[-1].removesuffix(".exe").rstrip(")")
        if name == program and (i == 0 or call[i - 1] in ("-m", "$(which", "run")):
            return i
    return None
