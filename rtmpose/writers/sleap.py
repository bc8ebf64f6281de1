"""SLEAP's .slp: predicted people with tracks, for SLEAP and what reads its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtmpose.files.library import file_of_library
from rtmpose.writers.clip import Clip
from rtmpose.writers.lab_options import LabOptions, person_name


def write_sleap(clip: Clip, path: Path, options: LabOptions) -> list[Path]:
    """Write a clip: an instance for everybody in a frame, numbered as in the source.

    Point scores are confidences in 0..1, instance scores those of the boxes.

    Raises:
        OutputError: it cannot be written.
    """
    import sleap_io

    names = list(clip.skeleton.keypoints)
    edges = [(names[a], names[b]) for a, b in clip.skeleton.links]
    skeleton: Any = sleap_io.Skeleton(list(names), edges=edges, name=clip.skeleton.name)
    video = sleap_io.Video(clip.source, open_backend=False, backend_metadata=_shape(clip))
    tracks = {number: sleap_io.Track(person_name(number)) for number in clip.person_ids}

    # Only frames with people: the others have nothing to hold.
    people: dict[int, list[Any]] = {}
    confidences = clip.confidences
    for row, place in enumerate(clip.rows.tolist()):
        number = None if clip.ids is None else int(clip.ids[row])
        instance = sleap_io.PredictedInstance.from_numpy(
            clip.keypoints[row].astype("float64"),
            skeleton,
            point_scores=confidences[row].astype("float64"),
            score=float(clip.box_scores[row]),
            track=None if number is None else tracks[number],
            tracking_score=None if number is None else 1.0,
        )
        people.setdefault(int(clip.frames[place]), []).append(instance)
    frames = [
        sleap_io.LabeledFrame(video=video, frame_idx=frame, instances=instances)
        for frame, instances in people.items()
    ]
    labels = sleap_io.Labels(
        frames, videos=[video], skeletons=[skeleton], tracks=list(tracks.values())
    )
    with file_of_library(path) as made:
        labels.save(str(made), embed=False, verbose=False)
    return [path]


def _shape(clip: Clip) -> dict[str, Any]:
    """What SLEAP shows of a video that is not at its place."""
    if clip.size_wh is None or not len(clip):
        return {}
    width, height = clip.size_wh
    return {"shape": (int(clip.frames[-1]) + 1, height, width, 3)}
