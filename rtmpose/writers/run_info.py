"""What a table of people cannot say: length, rate and size of each clip, keypoints and models."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rtmpose.files import is_special, write_text
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext

INFO_SUFFIX = ".info.json"


@dataclass
class ClipSummary:
    """What was seen of one source.

    Attributes:
        still: It is a single image.
        fps: Frames per second; None where unknown.
        size_wh: Width and height of its first frame.
        frames: Number of frames that were processed, those without people included.
        first_frame: Index of the first of them.
        last_frame: Index of the last.
        last_time_s: Time of the last in seconds.
    """

    still: bool = False
    fps: float | None = None
    size_wh: tuple[int, int] | None = None
    frames: int = 0
    first_frame: int = 0
    last_frame: int = 0
    last_time_s: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Ready for JSON; times and rates are left out for images."""
        width, height = self.size_wh or (None, None)
        size: dict[str, object] = {"width": width, "height": height}
        if self.still:
            return size
        return {
            **size,
            "fps": self.fps,
            "frames": self.frames,
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "last_time_s": self.last_time_s,
        }


@dataclass
class RunInfo:
    """Collects what is said about all sources of a file.

    Attributes:
        context: Keypoint set, models and frame rates.
        clips: Source to its summary, in the order of appearance.
    """

    context: WriterContext
    clips: dict[str, ClipSummary] = field(default_factory=dict)

    def add(self, record: FrameRecord) -> None:
        """Take a frame into account."""
        clip = self.clips.get(record.source)
        if clip is None:
            fps = self.context.fps_of(record.source)
            clip = ClipSummary(record.still, fps, record.size_wh, first_frame=record.index)
            self.clips[record.source] = clip
        clip.frames += 1
        clip.last_frame = record.index
        clip.last_time_s = record.time_s

    def to_dict(self) -> dict[str, object]:
        """All of it, ready for JSON."""
        return {**header(self.context), "sources": self.sources()}

    def sources(self) -> list[dict[str, object]]:
        """What was seen of each source, ready for JSON."""
        return [{"source": name, **clip.to_dict()} for name, clip in self.clips.items()]

    def write_next_to(self, path: Path) -> None:
        """Write ``NAME.info.json`` next to a file of results.

        Nothing is written next to a device or pipe, nor for a single image, of which there may be
        thousands in a folder.

        Raises:
            OutputError: it cannot be written.
        """
        single_image = len(self.clips) == 1 and all(clip.still for clip in self.clips.values())
        if is_special(path) or single_image:
            return
        write_text(info_path(path), to_json(self.to_dict(), indent=1) + "\n")


def header(context: WriterContext) -> dict[str, object]:
    """Keypoints, models and version, as the first line of JSON lines has them."""
    from rtmpose import __version__

    skeleton = context.skeleton
    return {
        "rtmpose": __version__,
        "models": dict(context.models),
        "networks": dict(context.networks),
        "skeleton": skeleton.name,
        "keypoints": list(skeleton.keypoints),
        "links": [list(link) for link in skeleton.links],
    }


def info_path(path: Path) -> Path:
    """``poses.csv`` to ``poses.info.json``."""
    name = path.name.removesuffix(".mot.txt")
    stem = name if name != path.name else path.stem
    return path.with_name(stem + INFO_SUFFIX)
