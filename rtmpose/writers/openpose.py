"""OpenPose's JSON: a folder with one file per frame of a video, or one file of an image."""

from __future__ import annotations

from pathlib import Path

from rtmpose.files import write_text
from rtmpose.files.folders import AtomicFolder
from rtmpose.text_files import to_json
from rtmpose.writers.base import FrameRecord, WriterContext
from rtmpose.writers.openpose_layouts import OpenPoseLayout, fill_layout, openpose_layout

SUFFIX = "_openpose"
POSE2SIM_SUFFIX = "_json"


class OpenPoseWriter:
    """``people`` with ``person_id`` and the points of body, face and hands, as OpenPose 1.7 writes
    them: every list is there, empty where the model has no such part.

    A video becomes the folder ``NAME_openpose`` with ``NAME_000000000000_keypoints.json`` and so
    on, an image the file ``NAME_keypoints.json``. For Pose2Sim the folder is ``NAME_json`` with
    ``NAME_000000.json`` and so on, numbered from 0 without gaps.

    Raises:
        InputError: the keypoint set does not fit the context's ``openpose_format``.
    """

    def __init__(self, path: Path, context: WriterContext) -> None:
        self.path = path
        self._layout = openpose_layout(context.openpose_format, context.skeleton)
        self._folder = None if context.still else AtomicFolder(path)
        self._text = ""
        self._first: int | None = None

    def write(self, record: FrameRecord) -> None:
        """Add a frame."""
        people = openpose_people(record, self._layout)
        text = to_json({"version": 1.3, "people": people})
        if self._folder is None:
            self._text = text
            return
        self._folder.write_text(self._file_name(record.index), text)

    def close(self) -> None:
        """Complete the folder, or the file."""
        if self._folder is None:
            write_text(self.path, self._text)
        else:
            self._folder.commit()

    def abandon(self) -> None:
        """Forget the folder."""
        if self._folder is not None:
            self._folder.abandon()

    def _file_name(self, index: int) -> str:
        # Zero-padded, so that names sort in the order of the frames.
        if not self._layout.pose2sim:
            return f"{self.path.name.removesuffix(SUFFIX)}_{index:012d}_keypoints.json"
        # Pose2Sim walks the numbers 0 to n - 1, whatever part of the clip was read.
        if self._first is None:
            self._first = index
        return f"{self.path.name.removesuffix(POSE2SIM_SUFFIX)}_{index - self._first:06d}.json"


def openpose_people(record: FrameRecord, layout: OpenPoseLayout) -> list[dict[str, object]]:
    """The people of a frame in OpenPose's form."""
    poses = record.poses
    people: list[dict[str, object]] = []
    for i in range(len(poses)):
        points, scores = poses.keypoints[i], poses.scores[i]
        people.append(
            {
                "person_id": [record.person_id(i)],
                "pose_keypoints_2d": fill_layout(layout.body, points, scores),
                "face_keypoints_2d": fill_layout(layout.face, points, scores),
                "hand_left_keypoints_2d": fill_layout(layout.left_hand, points, scores),
                "hand_right_keypoints_2d": fill_layout(layout.right_hand, points, scores),
                # Readers ask for these by name.
                "pose_keypoints_3d": [],
                "face_keypoints_3d": [],
                "hand_left_keypoints_3d": [],
                "hand_right_keypoints_3d": [],
            }
        )
    return people
