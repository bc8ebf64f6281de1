"""Boxes of the people (or hands) in a frame."""

from __future__ import annotations

import threading
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends import Backend, BackendOptions, open_backend
from rtmpose.backends.loading import card_of_file
from rtmpose.errors import InputError
from rtmpose.keywords import checked_keywords
from rtmpose.model_card import ModelCard
from rtmpose.ops.decoders import box_decoder
from rtmpose.ops.letterbox import letterbox, rectangle, unletterbox
from rtmpose.ranges import CLASS, FRACTION, check_choice, check_number, check_optional
from rtmpose.recognize import recognize_detector
from rtmpose.types import Detections, Image, check_image
from rtmpose.value_types import one_process
from rtmpose.zoo import known_card, resolve

DEFAULT_DETECTOR = "rtmdet-nano-finetuned"
DEFAULT_BOX_THR = 0.3


@one_process
class Detector:
    """A detection network with its letterbox and decoding.

    Reads exports of RTMDet and YOLOX with the suppression inside (``dets``, ``labels``), RTMDet
    exports up to the head (class and box maps, or both joined with the channels last), and what
    exports of the YOLO families return (:data:`rtmpose.ops.detector_outputs.READ_FORMS`).

    Args:
        model: Name from the zoo, path or URL of an ``.onnx`` file, or a card.
        options: Engine, device, threads, precision.
        card: Describes a file the zoo does not know; without it the family is recognized from the
            layers' names.
        box_thr: Lowest score returned unless a call says otherwise.
        label: Class to keep, by its index or by its name in the card; None keeps all. ``auto``
            keeps people; all classes, where the card names others only.
        fit: ``letterbox`` fills every frame up to the network's input; ``rectangular`` computes the
            smallest rectangle only; ``auto`` does what the card says, where the engine can
            (:attr:`rectangular` tells).

    May be called from several threads.

    Raises:
        ModelError: the model is not available, is damaged, or is not a detector.
        BackendError: engine or device are not available.
    """

    @checked_keywords
    def __init__(
        self,
        model: str | Path | ModelCard = DEFAULT_DETECTOR,
        *,
        options: BackendOptions | None = None,
        card: ModelCard | None = None,
        box_thr: float = DEFAULT_BOX_THR,
        label: int | str | None = "auto",
        fit: str = "auto",
    ) -> None:
        self.box_thr = check_number("box_thr", box_thr, FRACTION)
        if not isinstance(label, str):
            check_optional("label", label, CLASS)
        check_choice("fit", fit, ("auto", "letterbox", "rectangular"))

        # A model of another kind is not worth its download.
        named = card or known_card(model)
        if named is not None:
            box_decoder(named)

        # A file without a card is recognized by what is in it.
        path, zoo_card = resolve(model)
        card = card or zoo_card or card_of_file(path) or recognize_detector(path)
        self._decoder = box_decoder(card)
        self.path = path
        self.label = _label_index(card, label)
        self.options = options or BackendOptions()
        self.backend: Backend = open_backend(path, card, self.options)

        # The size that the file itself declares goes before the card's.
        height, width = self.backend.input.shape[2:]
        self.card = replace(card, input_wh=(width or card.input_wh[0], height or card.input_wh[1]))

        # Rectangular inputs need an engine that takes any size.
        if fit == "auto":
            fit = self.card.input_fit
        self.rectangular = self.backend.flexible and fit == "rectangular"

        # One black frame warms the engine up, and raises if this is no detector. Rectangular inputs
        # are compiled for each size when it first occurs.
        self._local = threading.local()  # a canvas per thread
        if not self.rectangular:
            black = np.zeros((1, self.card.input_wh[1], self.card.input_wh[0], 3), np.uint8)
            self.decode(self.infer(black), (1.0, 1.0))

    def __call__(self, image: Image, *, box_thr: float | None = None) -> Detections:
        """Detect.

        Args:
            image: BGR uint8 ``(H, W, 3)``.
            box_thr: Lowest score to return, 0..1.

        Returns:
            Detections in image pixels, highest score first; boxes may reach past the border.

        Raises:
            InputError: the image is not usable, or the threshold no number in 0..1.
        """
        check_optional("box_thr", box_thr, FRACTION)
        canvas, factors = self.letterbox(image)
        return self.decode(self.infer(canvas), factors, box_thr=box_thr)

    def __repr__(self) -> str:
        return f"Detector({self.card.id!r}, {self.backend.engine} on {self.backend.device})"

    def with_backend(self, backend: Backend) -> Detector:
        """The same detector, its network run by another backend."""
        other = copy(self)
        other.backend = backend
        return other

    def letterbox(self, image: Image) -> tuple[NDArray[np.uint8], tuple[float, float]]:
        """The image as a network batch ``(1, h, w, 3)``, overwritten by this thread's next call,
        and the factors.
        """
        # The size of this frame's input.
        size_wh = self.card.input_wh
        if self.rectangular:
            size_wh = rectangle((check_image(image).shape[1], image.shape[0]), size_wh)

        # A canvas per thread, made anew when the size changes.
        canvas: NDArray[np.uint8] | None = getattr(self._local, "canvas", None)
        if canvas is None or canvas.shape[1:3] != size_wh[::-1]:
            canvas = self._local.canvas = np.empty((1, size_wh[1], size_wh[0], 3), np.uint8)
        _, factors = letterbox(
            check_image(image),
            self.card.input_wh,
            canvas[0],
            truncate=self._decoder.truncate,
        )
        return canvas, factors

    def infer(self, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Raw outputs for a batch ``(1, h, w, 3)``; where the file fixes a larger batch, the image
        is repeated.
        """
        fixed = self.backend.input.shape[0] or 1
        if fixed == 1:
            return self.backend(canvas)
        outputs = self.backend(np.repeat(canvas, fixed, axis=0))
        return tuple(output[:1] for output in outputs)

    def decode(
        self,
        outputs: tuple[NDArray[np.generic], ...],
        factors: tuple[float, float],
        *,
        box_thr: float | None = None,
    ) -> Detections:
        """Network outputs as detections in image pixels."""
        thr = self.box_thr if box_thr is None else box_thr
        found = self._decoder.decode(outputs, thr, str(self.path), self.card.input_wh)

        # Exports pad their rows with empty boxes of score 0.
        keep = found.scores >= thr
        keep &= np.isfinite(found.boxes).all(axis=1)
        keep &= (found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)
        if self.label is not None:
            keep &= found.labels == self.label
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(-found.scores[rows], kind="stable")]

        boxes = unletterbox(found.boxes[rows], factors)
        return Detections(boxes, found.scores[rows], found.labels[rows])


def _label_index(card: ModelCard, label: int | str | None) -> int | None:
    """The index of a class; None for all of them."""
    if label == "auto":
        # Without names the first class is the person.
        if not card.classes:
            return 0
        return card.classes.index("person") if "person" in card.classes else None
    if label is None or isinstance(label, int):
        return label
    if label not in card.classes:
        known = ", ".join(card.classes[:12]) or "none that its card names"
        raise InputError(f"the detector {card.id} has no class {label!r}; it has {known}")
    return card.classes.index(label)
