"""The sources of a command: those that exist, and a word on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmpose.cli.standard_streams import tell
from rtmpose.errors import InputError

if TYPE_CHECKING:
    from rtmpose.cli.options import InputOptions
    from rtmpose.sources import SourceItem
    from rtmpose.writers.report import JobReport


@dataclass(frozen=True)
class NamedSources:
    """What the sources on a command line stand for.

    Attributes:
        items: The single sources.
        failures: What was wrong with those that cannot be used.
        left_out: Lines on files of folders that were not taken.
    """

    items: list[SourceItem]
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add_to(self, report: JobReport) -> None:
        """Note in the account of a job what it was not given."""
        report.failures[:0] = self.failures
        report.left_out += self.left_out


def read_sources(sources: Sequence[str], frames: InputOptions) -> NamedSources:
    """Expand the sources of a command. One that does not exist does not stop the others.

    Raises:
        InputError: none of them can be used.
    """
    from rtmpose.sources import SkippedFiles, expand_sources

    items: list[SourceItem] = []
    failures: list[str] = []
    skipped = SkippedFiles()
    for source in sources:
        try:
            items += expand_sources(
                [source],
                start_s=frames.start,
                end_s=frames.end,
                limit=frames.limit,
                flip=frames.flip,
                camera=frames.camera(),
                strict=frames.strict,
                recursive=frames.recursive,
                sequence=frames.sequence,
                fps=frames.fps,
                skipped=skipped,
            )
        except InputError as error:
            failures.append(str(error))
    if not items:
        raise InputError("\nrtmpose: ".join(dict.fromkeys(failures)))

    # Said at once, as the others may take hours.
    for failure in failures:
        tell(f"rtmpose: {failure}; going on with the others")
    return NamedSources(items, failures, skipped.lines())
