"""Units of work: one source, some photos together, or a part of a long video.

Which unit a source belongs to changes nothing of its results.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rtmpose.batch.settings import BatchSettings, key_of
from rtmpose.errors import InputError
from rtmpose.sources.kinds import IMAGE_SUFFIXES
from rtmpose.text_files import parse_json, to_json
from rtmpose.writers.names import clean_name

PHOTOS = 100
"""Photos in one file of the data set; a file for each would be slow to write and to read."""
MANY = 1_000_000


@dataclass(frozen=True)
class Unit:
    """What one worker does at once.

    Attributes:
        key: Follows from sources, part and settings; the name of its entry in the ledger.
        name: Of its files, without a suffix.
        sources: Absolute paths and addresses.
        tries: How often each of them was tried before.
        part: Which part of the source this is, from 0.
        parts: How many parts the source has.
        start_s: Second at which the part begins; None for the settings' own.
        end_s: Second at which it ends; None likewise.
    """

    key: str
    name: str
    sources: tuple[str, ...]
    tries: tuple[int, ...]
    part: int = 0
    parts: int = 1
    start_s: float | None = None
    end_s: float | None = None

    def to_text(self) -> str:
        """As JSON, for a worker elsewhere."""
        return to_json(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Unit:
        """The unit that :meth:`to_text` wrote."""
        table = parse_json(text, "a unit")
        return cls(**{**table, "sources": tuple(table["sources"]), "tries": tuple(table["tries"])})


def make_units(
    sources: Sequence[str],
    settings: BatchSettings,
    *,
    tries: dict[str, int] | None = None,
    photos: int = PHOTOS,
) -> list[Unit]:
    """Units of whole sources; photos together where one file may hold many.

    Args:
        sources: From :func:`rtmpose.batch.listing.list_sources`.
        settings: What the results depend on.
        tries: How often a source was tried before.
        photos: Photos per unit.
    """
    before = tries or {}
    settings_key = settings.key()
    units: list[Unit] = []
    waiting: list[str] = []

    def flush() -> None:
        if waiting:
            units.append(_unit(tuple(waiting), settings_key, before))
            waiting.clear()

    for source in sources:
        if settings.makes_dataset and is_photo(source):
            waiting.append(source)
            if len(waiting) >= photos:
                flush()
        else:
            units.append(_unit((source,), settings_key, before))
    flush()
    return units


def parts_of(unit: Unit, settings: BatchSettings, cuts: Sequence[float]) -> list[Unit]:
    """A unit of one video, cut at moments.

    Args:
        unit: The whole video.
        settings: What the results depend on.
        cuts: Seconds, rising, within the range of time that is read.
    """
    if not cuts:
        return [unit]
    starts: list[float | None] = [None, *cuts]
    ends: list[float | None] = [*cuts, None]
    parts = len(starts)
    key = settings.key()
    return [
        _unit(
            unit.sources,
            key,
            dict(zip(unit.sources, unit.tries, strict=True)),
            place=(part, parts),
            times=(start, end),
        )
        for part, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def in_shard(source: str, shard: tuple[int, int] | None) -> bool:
    """Whether a source belongs to a shard; it does so whatever else is in the list."""
    if shard is None:
        return True
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).digest()
    number = int.from_bytes(digest[:8], "big")
    return number % shard[1] == shard[0]


def parse_shard(text: str) -> tuple[int, int]:
    """``3/16`` as numbers.

    Raises:
        InputError: it is something else, or the first number is not below the second.
    """
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal() and len(text) < 20):
        raise InputError(f"--shard takes I/N such as 0/16, not {text!r}")
    index, count = int(first), int(second)
    if not 0 <= index < count <= MANY:
        raise InputError(
            f"--shard {text}: I counts from 0, so the shards of {count} are 0/{count} to"
            f" {max(count - 1, 0)}/{count} (SLURM: --array=0-{max(count - 1, 0)})"
        )
    return index, count


def is_photo(source: str) -> bool:
    """Whether a source is a single image, by its name."""
    return Path(source.split("?")[0]).suffix.lower() in IMAGE_SUFFIXES


def _unit(
    sources: tuple[str, ...],
    settings_key: str,
    tries: dict[str, int],
    place: tuple[int, int] = (0, 1),
    times: tuple[float | None, float | None] = (None, None),
) -> Unit:
    part, parts = place
    key = key_of(settings_key, str(part), str(parts), *sources)
    stem = "images" if len(sources) > 1 else clean_name(Path(sources[0].split("?")[0]).stem)
    name = f"{stem or 'source'}-{key}"
    if parts > 1:
        name += f"-part{part:04d}"
    counts = tuple(tries.get(source, 0) for source in sources)
    return Unit(key, name, sources, counts, part, parts, *times)


def sources_of(units: Iterable[Unit]) -> Iterator[str]:
    """Every source of some units."""
    for unit in units:
        yield from unit.sources
