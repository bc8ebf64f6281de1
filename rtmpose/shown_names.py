"""Names of files as they are shown: on one line, in characters that every terminal can print."""

from __future__ import annotations

import re
from pathlib import Path

PASSWORD = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*):[^\s/]*@")
"""In an address: of a camera, for example."""
MAX_SHOWN = 300
"""Characters of a name that are shown; of longer ones the middle is left out."""


def shown_name(name: str | Path) -> str:
    """A name for a message.

    Line breaks, other control characters and bytes that are not UTF-8 are escaped as in Python.
    Names of thousands of characters lose their middle.
    """
    text = "".join(_shown(character) for character in str(name))
    if len(text) > MAX_SHOWN:
        half = MAX_SHOWN // 2
        text = f"{text[:half]}...{text[-half:]}"
    return text


def without_password(address: str) -> str:
    """An address with stars in place of its password, for messages and results."""
    return PASSWORD.sub(r"\g<before>:***@", address)


def utf8_name(name: str | Path) -> str:
    """A name that can be written to a UTF-8 file: other bytes are escaped as in Python.

    OpenCV takes no other text: it ends the process.
    """
    text = str(name)
    if is_utf8(text):
        return text
    return "".join(c if is_utf8(c) else _shown(c) for c in text)


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8. Names of files with other bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(character: str) -> str:
    # A byte that is not UTF-8, as Python holds it.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else ascii(character)[1:-1]
