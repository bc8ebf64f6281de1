"""Where frames come from: images, folders, videos, cameras, streams."""

from rtmpose.sources.cameras import CameraSettings
from rtmpose.sources.images import decode_image, read_image
from rtmpose.sources.items import SourceItem, expand_sources
from rtmpose.sources.skipped import SkippedFiles
from rtmpose.sources.video import SourceInfo, iterate, open_frames, probe

__all__ = [
    "CameraSettings",
    "SkippedFiles",
    "SourceInfo",
    "SourceItem",
    "decode_image",
    "expand_sources",
    "iterate",
    "open_frames",
    "probe",
    "read_image",
]
