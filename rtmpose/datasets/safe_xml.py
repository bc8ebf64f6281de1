"""XML from others: read without document types and entities, within limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from rtmpose.errors import InputError

MAX_DEPTH = 32
MAX_TEXT = 4 * 1024 * 1024
"""Characters of text in one element."""


@dataclass
class XmlElement:
    """An element with its attributes, the text directly in it, and the elements in it."""

    tag: str
    attributes: dict[str, str]
    children: list[XmlElement] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> list[XmlElement]:
        """Elements directly in it with a tag."""
        return [child for child in self.children if child.tag == tag]

    def text_of(self, tag: str) -> str:
        """Text of the first element with a tag; empty without one."""
        return next((child.text.strip() for child in self.all(tag)), "")


def read_xml(path: Path, on_element: Callable[[XmlElement], None]) -> str:
    """Read a file element by element.

    Args:
        path: The file.
        on_element: Called with each element directly below the root when it is complete; it is
            forgotten then, so that large files need little memory.

    Returns:
        The tag of the root.

    Raises:
        InputError: it cannot be read, is not XML, has a document type (which may hold entities),
            or is nested too deeply.
        ValueError: its encoding is not supported.
        LookupError: its encoding is unknown.
    """
    parser = expat.ParserCreate()
    stack: list[XmlElement] = []
    root: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) >= MAX_DEPTH:
            raise InputError(f"{path} is nested too deeply")
        if not stack:
            root.append(tag)
        stack.append(XmlElement(tag, attributes))

    def end(_: str) -> None:
        element = stack.pop()
        if len(stack) == 1:
            on_element(element)
        elif stack:
            stack[-1].children.append(element)

    def text(characters: str) -> None:
        if stack and len(stack[-1].text) < MAX_TEXT:
            stack[-1].text += characters

    def refuse(*_: object) -> None:
        raise InputError(f"{path} has a document type or entities, which are not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except expat.ExpatError as error:
        raise InputError(f"{path} is not valid XML: {error}") from error
    return root[0]
