"""NWB with the extension ndx-pose: what archives of neuroscience hold."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from rtmpose.errors import InputError
from rtmpose.files.library import file_of_library
from rtmpose.writers.clip import Clip, PersonTracks
from rtmpose.writers.lab_options import LabOptions, person_name, rising_times, title_of

log = logging.getLogger(__name__)

FRAME = "x to the right and y down from the upper left corner of the image, in pixels"
PEOPLE = frozenset({"coco17", "halpe26", "coco-wholebody133", "halpe136", "crowdpose14", "mpii16"})
"""Keypoint sets of human bodies: the species of others is not known."""
UNKNOWN_AGE = "P0Y/"
"""Readers want an age: 0 years or more says nothing."""
EVEN = 1e-9
"""Seconds by which frames may be off a steady rate."""


def write_nwb(clip: Clip, path: Path, options: LabOptions) -> list[Path]:
    """Write a clip: in the processing module ``behavior`` a ``PoseEstimation`` per person, with a
    series per keypoint that has all frames, NaN where the person is not seen.

    Raises:
        InputError: people have no ids, or the start of the session is no date.
        OutputError: it cannot be written.
    """
    import ndx_pose
    import pynwb

    from rtmpose import __version__

    tracks = clip.tracks()
    title = title_of(clip)
    nwb: Any = pynwb.NWBFile(
        session_description=f"Poses of the people in {title}, estimated from video",
        identifier=str(uuid4()),
        session_start_time=_start(clip, options),
    )
    module = nwb.create_processing_module(name="behavior", description="Poses estimated from video")
    skeleton: Any = ndx_pose.Skeleton(
        name=clip.skeleton.name,
        nodes=list(clip.skeleton.keypoints),
        edges=np.array(clip.skeleton.links, np.uint8).reshape(-1, 2),
    )
    module.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    nwb.subject = pynwb.file.Subject(
        subject_id=options.subject or "-".join(person_name(number) for number in tracks.ids),
        description=f"Tracked in {title}",
        species="Homo sapiens" if clip.skeleton.name in PEOPLE else None,
        sex="U",
        age=options.age or UNKNOWN_AGE,
    )
    device = nwb.create_device(name="camera", description=f"The camera that recorded {title}")
    video = _video(clip, path, device)
    if video is not None:
        nwb.add_acquisition(video)
    for column, number in enumerate(tracks.ids):
        module.add(
            ndx_pose.PoseEstimation(
                name=person_name(number),
                pose_estimation_series=_series(clip, tracks, column),
                description=f"Person {number} of {clip.source}",
                source_video=video,
                device=device,
                scorer=clip.models.get("pose", "rtmpose"),
                source_software="rtmpose",
                source_software_version=__version__,
                skeleton=skeleton,
            )
        )
    with file_of_library(path) as made, pynwb.NWBHDF5IO(str(made), "w") as file:
        file.write(nwb)
    return [path]


def _series(clip: Clip, tracks: PersonTracks, column: int) -> list[Any]:
    """One series per keypoint; all share the times of the first."""
    import ndx_pose

    times: dict[str, Any] = _times(clip)
    made: list[Any] = []
    for k, name in enumerate(clip.skeleton.keypoints):
        series = ndx_pose.PoseEstimationSeries(
            name=name.replace("/", "_").replace(":", "_"),
            description=f"Place of {name} in the image",
            data=tracks.keypoints[:, column, k].astype(np.float64),
            unit="pixels",
            reference_frame=FRAME,
            **times,
            confidence=tracks.confidences[:, column, k].astype(np.float64),
            confidence_definition=_confidence(clip),
        )
        made.append(series)
        if "timestamps" in times:
            times = {"timestamps": made[0]}
    return made


def _video(clip: Clip, path: Path, device: Any) -> Any:
    """The video, as a file outside that is named from where the NWB file lies; None where it is
    not there.
    """
    import pynwb

    source = Path(clip.source)
    if not source.is_file() or not len(clip):
        return None
    try:
        place = os.path.relpath(source.resolve(), path.resolve().parent)
    except ValueError:  # on another drive of Windows
        place = str(source.resolve())
    return pynwb.image.ImageSeries(
        name="source_video",
        description=f"The video {source.name}",
        unit="n.a.",
        format="external",
        external_file=[Path(place).as_posix()],
        starting_frame=[0],
        starting_time=0.0,
        rate=clip.rate,
        num_samples=int(clip.frames[-1]) + 1,
        dimension=None if clip.size_wh is None else list(clip.size_wh),
        device=device,
    )


def _times(clip: Clip) -> dict[str, Any]:
    """Start and rate where all frames follow at one, else the time of each."""
    times = rising_times(clip)
    if len(times) > 1:
        rate = (len(times) - 1) / (times[-1] - times[0])
        even = times[0] + np.arange(len(times)) / rate
        if np.abs(even - times).max() < EVEN:
            return {"starting_time": float(times[0]), "rate": float(rate)}
    return {"timestamps": times}


def _confidence(clip: Clip) -> str:
    if clip.probabilities is not None:
        return "probability that the point is right, from the calibrated score"
    return "score of the model, cut off at 1"


def _start(clip: Clip, options: LabOptions) -> datetime:
    """When the recording began."""
    if options.session_start:
        try:
            start = datetime.fromisoformat(options.session_start.replace("Z", "+00:00"))
        except ValueError as error:
            raise InputError(
                "the start of the session is written as 2026-05-31T14:30:00+02:00, not"
                f" {options.session_start!r}"
            ) from error
        return start if start.tzinfo else start.astimezone()
    source = Path(clip.source)
    if source.is_file():
        return datetime.fromtimestamp(source.stat().st_mtime, timezone.utc)
    log.warning(
        "nothing says when %s was recorded: now is taken; --session-start says otherwise",
        clip.source,
    )
    return datetime.now(timezone.utc)
