"""The C library from Python, as the conformance runner and the tests use it: a thin layer of ctypes
that shows what the C interface does, and nothing else.
"""

from __future__ import annotations

import ctypes as c
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS = {"bgr": 0, "rgb": 1, "bgra": 2, "rgba": 3, "gray": 4}


class CImage(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("format", c.c_int32),
        ("data", c.c_void_p),
        ("width", c.c_int32),
        ("height", c.c_int32),
        ("stride", c.c_int64),
    ]


class COptions(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("threads", c.c_int32),
        ("device", c.c_char_p),
        ("allow_spinning", c.c_int32),
    ]


class CDetectParams(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("box_thr", c.c_float),
        ("label", c.c_int32),
        ("max_people", c.c_int32),
    ]


class CDetections(c.Structure):
    _fields_ = [
        ("count", c.c_int32),
        ("boxes", c.POINTER(c.c_float)),
        ("scores", c.POINTER(c.c_float)),
        ("labels", c.POINTER(c.c_int32)),
    ]


class CPoses(c.Structure):
    _fields_ = [
        ("count", c.c_int32),
        ("keypoint_count", c.c_int32),
        ("boxes", c.POINTER(c.c_float)),
        ("box_scores", c.POINTER(c.c_float)),
        ("keypoints", c.POINTER(c.c_float)),
        ("scores", c.POINTER(c.c_float)),
        ("ids", c.POINTER(c.c_int64)),
    ]


class CTrackerParams(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("det_interval", c.c_int32),
        ("det_label", c.c_int32),
        ("det_thr", c.c_float),
        ("det_min_bbox_size", c.c_float),
        ("det_nms_thr", c.c_float),
        ("pose_max_num_bboxes", c.c_int32),
        ("pose_kpt_thr", c.c_float),
        ("pose_min_keypoints", c.c_int32),
        ("pose_bbox_scale", c.c_float),
        ("pose_min_bbox_size", c.c_float),
        ("pose_nms_thr", c.c_float),
        ("track_iou_thr", c.c_float),
        ("track_max_missing", c.c_int32),
        ("track_history_size", c.c_int32),
        ("std_weight_position", c.c_float),
        ("std_weight_velocity", c.c_float),
        ("smooth_params", c.c_float * 3),
        ("smooth", c.c_int32),
        ("repair_swaps", c.c_int32),
        ("remember_s", c.c_float),
        ("confirm", c.c_int32),
        ("person_thr", c.c_float),
        ("whole_image", c.c_int32),
    ]


class CFrame(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("detect", c.c_int32),
        ("stream", c.c_void_p),
        ("image", c.POINTER(CImage)),
        ("time_s", c.c_double),
        ("boxes", c.c_void_p),
        ("box_scores", c.c_void_p),
        ("box_count", c.c_int32),
    ]


class LibraryError(Exception):
    """What the library said."""


@dataclass(frozen=True)
class Detections:
    """Boxes ``(N, 4)``, scores and labels ``(N,)``."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int32]


@dataclass(frozen=True)
class Poses:
    """Boxes ``(N, 4)``, box scores ``(N,)``, keypoints ``(N, K, 2)``, scores ``(N, K)``, ids."""

    boxes: NDArray[np.float32]
    box_scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    ids: NDArray[np.int64]


class Library:
    """An opened librtmpose."""

    def __init__(self, path: Path) -> None:
        self.c = c.CDLL(str(path.resolve()))
        self.c.rtmpose_last_error.restype = c.c_char_p
        self.c.rtmpose_engine_version.restype = c.c_char_p
        self.c.rtmpose_pose_detector_apply.argtypes = [
            c.c_void_p,
            c.c_void_p,
            c.c_void_p,
            c.c_int32,
            c.c_float,
            c.c_void_p,
        ]

    def _check(self, status: int) -> None:
        if status:
            raise LibraryError(self.c.rtmpose_last_error().decode())

    def _made(self, function: str, *arguments: object) -> c.c_void_p:
        handle = c.c_void_p()
        self._check(getattr(self.c, function)(*arguments, c.byref(handle)))
        return handle

    def _image(self, image: NDArray[np.uint8], pixels: str) -> CImage:
        assert image.flags.c_contiguous
        made = CImage()
        self.c.rtmpose_image_init(c.byref(made), c.sizeof(made))
        made.format = PIXELS[pixels]
        made.data = image.ctypes.data
        made.height, made.width = image.shape[:2]
        return made

    def open(self, path: Path, threads: int = 1, device: str = "cpu") -> c.c_void_p:
        """A model."""
        options = COptions()
        self.c.rtmpose_options_init(c.byref(options), c.sizeof(options))
        options.threads = threads
        options.device = device.encode()
        return self._made("rtmpose_model_open", str(path).encode(), c.byref(options))

    def detector(self, model: c.c_void_p) -> c.c_void_p:
        """A detector."""
        return self._made("rtmpose_detector_create", model)

    def pose_detector(self, model: c.c_void_p) -> c.c_void_p:
        """A pose detector."""
        return self._made("rtmpose_pose_detector_create", model)

    def detect(
        self, detector: c.c_void_p, image: NDArray[np.uint8], box_thr: float, pixels: str = "bgr"
    ) -> Detections:
        """Boxes."""
        params = CDetectParams()
        self.c.rtmpose_detect_params_init(c.byref(params), c.sizeof(params))
        params.box_thr = box_thr
        found = self._made(
            "rtmpose_detector_apply",
            detector,
            c.byref(self._image(image, pixels)),
            c.byref(params),
        )
        r = c.cast(found, c.POINTER(CDetections)).contents
        result = Detections(
            _array(r.boxes, (r.count, 4), np.float32),
            _array(r.scores, (r.count,), np.float32),
            _array(r.labels, (r.count,), np.int32),
        )
        self.c.rtmpose_detections_release(found)
        return result

    def estimate(
        self,
        pose: c.c_void_p,
        image: NDArray[np.uint8],
        boxes: NDArray[np.float32] | None,
        pixels: str = "bgr",
    ) -> Poses:
        """Poses in boxes; None for the whole image."""
        given = None if boxes is None else np.ascontiguousarray(boxes, np.float32)
        at = None if given is None else _address(given)
        count = 0 if given is None else len(given)
        found = self._made(
            "rtmpose_pose_detector_apply",
            pose,
            c.byref(self._image(image, pixels)),
            at,
            count,
            -1.0,
        )
        return self._poses(found)

    def tracker(
        self, detector: c.c_void_p | None, pose: c.c_void_p, settings: dict[str, Any]
    ) -> tuple[c.c_void_p, c.c_void_p]:
        """A tracker and a stream."""
        params = CTrackerParams()
        self.c.rtmpose_tracker_params_init(c.byref(params), c.sizeof(params))
        for name, value in settings.items():
            if name == "smooth_params":
                params.smooth_params[:] = value
            else:
                setattr(params, name, value)
        tracker = self._made("rtmpose_tracker_create", detector, pose, c.byref(params))
        return tracker, self._made("rtmpose_stream_create", tracker)

    def track(
        self,
        tracker: c.c_void_p,
        stream: c.c_void_p,
        image: NDArray[np.uint8],
        time_s: float | None = None,
        boxes: NDArray[np.float32] | None = None,
    ) -> Poses:
        """People with ids."""
        pixels = self._image(image, "bgr")
        frame = CFrame()
        self.c.rtmpose_frame_init(c.byref(frame), c.sizeof(frame))
        frame.stream = stream
        frame.image = c.pointer(pixels)
        if time_s is not None:
            frame.time_s = time_s
        given = None if boxes is None else np.ascontiguousarray(boxes, np.float32)
        if given is not None:
            frame.boxes = _address(given)
            frame.box_count = len(given)
        return self._poses(self._made("rtmpose_tracker_apply", tracker, c.byref(frame)))

    def _poses(self, found: c.c_void_p) -> Poses:
        r = c.cast(found, c.POINTER(CPoses)).contents
        n, k = r.count, r.keypoint_count
        result = Poses(
            _array(r.boxes, (n, 4), np.float32),
            _array(r.box_scores, (n,), np.float32),
            _array(r.keypoints, (n, k, 2), np.float32),
            _array(r.scores, (n, k), np.float32),
            _array(r.ids, (n if r.ids else 0,), np.int64),
        )
        self.c.rtmpose_poses_release(found)
        return result


def _address(values: NDArray[np.float32]) -> int:
    # An array without elements has an address, too, which says that nobody is there.
    return int(values.ctypes.data)


def _array(pointer: Any, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.ctypeslib.as_array(pointer, shape).astype(dtype, copy=True)
