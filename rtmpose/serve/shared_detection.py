"""The boxes of people in images of several requests, found in one call of the detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtmpose.detector import Detector
from rtmpose.errors import RtmposeError
from rtmpose.families import PoseModel
from rtmpose.serve.tickets import ImageTask
from rtmpose.types import Detections, Outputs

IMAGES_ON_GPU = 8
"""Images of a call on a GPU, unless the settings say otherwise. On CPUs one: there a call of four
takes as long as four calls, and the first of them waits for the last.
"""
SAME = 0.05
"""Share of the largest value by which the outputs of a batch may differ from those of one image."""


class SharedDetection:
    """Finds the people of some images, in one call where the detector takes a batch.

    Args:
        model: Has the detector.
        most: Images of a call; None for :data:`IMAGES_ON_GPU` on a GPU, and one on a CPU.

    Attributes:
        images: Images of a call; 1 where the detector takes no batch.
    """

    def __init__(self, model: PoseModel, most: int | None = None) -> None:
        self._model = model
        found = model.detector
        self._detector = found if isinstance(found, Detector) else None
        self.images = 1 if self._detector is None else _images_of_a_call(self._detector, most)

    def __call__(self, tasks: Sequence[ImageTask]) -> list[Detections]:
        """The boxes in each image, highest score first."""
        if self._detector is None or self.images == 1 or len(tasks) == 1:
            return [
                self._model.detect(task.image, box_thr=task.box_thr, max_people=task.max_people)
                for task in tasks
            ]

        # Inputs of one size share a call; rectangular ones are of several.
        found = [Detections.empty()] * len(tasks)
        canvases, factors = _fitted(self._detector, tasks)
        for shape in dict.fromkeys(canvas.shape for canvas in canvases):
            places = [i for i, canvas in enumerate(canvases) if canvas.shape == shape]
            batch = np.stack([canvases[i] for i in places])
            outputs = _infer(self._detector, batch)
            for row, i in enumerate(places):
                task = tasks[i]
                own = tuple(output[row : row + 1] for output in outputs)
                boxes = self._detector.decode(own, factors[i], box_thr=task.box_thr)
                found[i] = boxes[: task.max_people]
        return found


def _images_of_a_call(detector: Detector, most: int | None) -> int:
    fixed = detector.backend.input.shape[0]
    if most is None:
        # A file with a fixed batch computes all of it in any case.
        on_gpu = detector.backend.device.startswith("cuda")
        most = IMAGES_ON_GPU if on_gpu else fixed or 1
    if fixed is not None:
        most = min(most, fixed)
    return most if most > 1 and _takes_a_batch(detector) else 1


def _takes_a_batch(detector: Detector) -> bool:
    """Whether the rows of a batch's outputs are those of its images. Files may say that they take
    any batch, and return the boxes of the first image only, or of all in one list.
    """
    width, height = detector.card.input_wh
    ramp = np.linspace(0, 255, width * height * 3).astype(np.uint8)
    images = np.stack([np.full((height, width, 3), 114, np.uint8), ramp.reshape(height, width, 3)])
    try:
        together = _infer(detector, images)
        alone = [detector.infer(image[None]) for image in images]
    except RtmposeError:
        return False
    if any(len(output) != len(images) for output in together):
        return False
    rows = [tuple(output[row : row + 1] for output in together) for row in range(len(images))]
    return all(map(_alike, rows, alone))


def _alike(row: Outputs, expected: Outputs) -> bool:
    """Whether outputs are nearly equal. Of lists of boxes the lengths may differ, as a batch is
    filled up to that of its fullest image.
    """
    for values, wanted in zip(row, expected, strict=True):
        if values.shape == wanted.shape:
            limit = SAME * max(1.0, float(np.abs(wanted.astype(np.float64)).max(initial=0)))
            if not np.allclose(values, wanted, rtol=0, atol=limit):
                return False
    return True


def _fitted(
    detector: Detector, tasks: Sequence[ImageTask]
) -> tuple[list[NDArray[np.uint8]], list[tuple[float, float]]]:
    """The images as inputs of the network, and the factors of each."""
    canvases = []
    factors = []
    for task in tasks:
        # The canvas is overwritten by the next image.
        canvas, of_image = detector.letterbox(task.image)
        canvases.append(canvas[0].copy())
        factors.append(of_image)
    return canvases, factors


def _infer(detector: Detector, images: NDArray[np.uint8]) -> Outputs:
    """Outputs for a batch; filled up by its last image where the file fixes a larger one."""
    fixed = detector.backend.input.shape[0] or len(images)
    if fixed <= len(images):
        return detector.backend(images)
    filled = np.concatenate([images, np.repeat(images[-1:], fixed - len(images), axis=0)])
    return tuple(output[: len(images)] for output in detector.backend(filled))
