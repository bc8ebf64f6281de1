"""ncnn: phones and small ARM boards; half precision where the CPU has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtmpose import backend_table as table
from rtmpose.backend_table import Precision
from rtmpose.backends.base import BackendOptions, Outputs, TensorSpec
from rtmpose.backends.ncnn_files import check_ncnn_files
from rtmpose.errors import BackendError, ModelError
from rtmpose.model_card import ModelCard


def devices() -> dict[str, tuple[Precision, ...]]:
    """Devices here and their precisions: the CPU."""
    return {"cpu": ("fp16", "fp32")}


def _let_idle_threads_sleep() -> None:
    """Keep the engine's idle threads from burning CPU, which other busy programs need.

    Its OpenMP library reads this setting once, when the engine is first imported. What the user has
    set counts.
    """
    if "ncnn" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")


class NcnnBackend:
    """A network run by ncnn, one image after the other. See :class:`rtmpose.backends.base.Backend`.

    Args:
        model: The ``.param`` file; the ``.bin`` file of the same name lies next to it.
        card: Its description.
        options: ``device`` must be ``cpu``. ``precision`` ``fp32`` switches half-precision
            arithmetic off. ``allow_spinning`` counts for the first network of a process.

    Raises:
        MissingDependencyError: ncnn is not installed.
        BackendError: another device was asked for, or a run fails.
        ModelError: a file is missing or damaged.
    """

    engine = "ncnn"
    device = "cpu"

    def __init__(self, model: Path, card: ModelCard, options: BackendOptions) -> None:
        row = table.row(self.engine)
        if not options.allow_spinning:
            _let_idle_threads_sleep()
        try:
            import ncnn
        except ImportError as error:
            raise row.missing() from error

        # Checks that ncnn itself does not make, or only with a crash.
        if options.device != "cpu":
            raise BackendError(f"the ncnn backend runs on the CPU only, not on {options.device!r}")
        weights = model.with_suffix(row.weights_suffix)
        check_ncnn_files(model, weights)
        if card.input_wh == (0, 0):
            raise ModelError(
                f"{model} does not say its input size: {model.name}.card.json is missing next to it"
            )

        # Options count only when they are set before the network is loaded.
        self._ncnn = ncnn
        self._net = ncnn.Net()
        if options.threads:
            self._net.opt.num_threads = options.threads
        half = options.precision != "fp32"
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
            setattr(self._net.opt, name, half)
        self._net.opt.use_bf16_storage = False
        if self._net.load_param(str(model)) or self._net.load_model(str(weights)):
            raise ModelError(
                f"{model} could not be opened by ncnn; it may be damaged or need a newer ncnn"
            )
        self.precision = "fp16" if half else "fp32"

        # One image in; the outputs are whatever the file lists.
        self._normalization = card.normalization
        self._input_names: list[str] = list(self._net.input_names())
        self._output_names: list[str] = list(self._net.output_names())
        if len(self._input_names) != 1:
            raise ModelError(
                f"{model} takes {len(self._input_names)} inputs; this package runs networks that"
                " take one image"
            )

        # The file does not hold the shapes: the card has the input's, a black image shows the rest.
        width, height = card.input_wh
        self.input = TensorSpec(self._input_names[0], (None, 3, height, width))
        self.metadata: Mapping[str, str] = {}
        self.flexible = False
        results = self(np.zeros((1, height, width, 3), np.uint8))
        self.outputs = tuple(
            TensorSpec(name, (None, *result.shape[1:]))
            for name, result in zip(self._output_names, results, strict=True)
        )

    def __call__(self, images: NDArray[np.uint8]) -> Outputs:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        # ncnn knows no batches: one call per image, stacked afterwards.
        rows = [self._run_one(np.ascontiguousarray(image)) for image in images]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    def _run_one(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The outputs for one image ``(H, W, 3)``, without the batch axis."""
        # Channel order and normalization are done by ncnn while it reads the pixels.
        pixel_types = self._ncnn.Mat.PixelType
        rgb = self._normalization.color == "rgb"
        order = pixel_types.PIXEL_BGR2RGB if rgb else pixel_types.PIXEL_BGR
        pixels = self._ncnn.Mat.from_pixels(image, order, image.shape[1], image.shape[0])
        scales = [1 / s for s in self._normalization.std]  # ncnn multiplies
        pixels.substract_mean_normalize(list(self._normalization.mean), scales)  # ncnn's spelling

        # An extractor holds the state of one run; it is cheap to create.
        extractor = self._net.create_extractor()
        extractor.input(self._input_names[0], pixels)
        results = []
        for name in self._output_names:
            status, value = extractor.extract(name)
            if status:
                raise BackendError(f"ncnn failed at the output {name} (status {status})")
            results.append(np.array(value, np.float32))
        return results
