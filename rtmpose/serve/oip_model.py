"""The service as a model of the Open Inference Protocol: what it says of itself, and inference.

    image   UINT8 (H, W, 3) or (N, H, W, 3), BGR     or     images  BYTES (N), encoded files
    boxes   FP32 (M, 4), optional: x1, y1, x2, y2, for a single image

    boxes FP32 (P, 4)  box_scores FP32 (P)  keypoints FP32 (P, K, 2)  scores FP32 (P, K)
    ids INT64 (P), 0 without a sequence  image_index INT64 (P)  people INT64 (N)

P are the people of all images, one after the other. Requests with a ``sequence_id`` are frames of
one stream: its people keep their ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtmpose import __version__
from rtmpose.errors import InputError
from rtmpose.serve.faults import bad_request, not_found, too_large, unusable
from rtmpose.serve.models import ALIAS, protocol_name
from rtmpose.serve.oip_sequences import Sequences
from rtmpose.serve.oip_tensors import Array, InferRequest, InputTensor
from rtmpose.serve.pose_options import PoseOptions, check_boxes, with_options
from rtmpose.serve.service import Service
from rtmpose.serve.tickets import ImageTask
from rtmpose.types import Detections, Image, Poses

VERSION = "1"
PLATFORM = "rtmpose"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "sequence")
OPTIONS = ("box_thr", "person_thr", "max_people")
SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")
IGNORED = ("binary_data_output", "priority", "timeout", "triton_enable_empty_final_response")
INPUTS = (
    ("image", "UINT8", (-1, -1, 3)),
    ("images", "BYTES", (-1,)),
    ("boxes", "FP32", (-1, 4)),
)


class ProtocolModel:
    """The one model of the service, under its own name and as ``rtmpose``.

    Args:
        service: The service.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._sequences = Sequences(service)
        self.name = protocol_name(service.engine.model)

    def close(self) -> None:
        """End the threads of sequences."""
        self._sequences.close()

    # ---- what it says of itself

    def server(self) -> dict[str, Any]:
        """Metadata of the server."""
        return {"name": PLATFORM, "version": __version__, "extensions": list(EXTENSIONS)}

    def check(self, name: str, version: str = "") -> None:
        """Refuse names and versions that are not there (404)."""
        if name not in (self.name, ALIAS):
            raise not_found(f"there is no model {name[:80]!r}; there is {self.name}")
        if version not in ("", VERSION):
            raise not_found(f"there is no version {version[:20]!r} of {name}")

    def metadata(self) -> dict[str, Any]:
        """Metadata of the model."""
        inputs = [_tensor(name, kind, shape) for name, kind, shape in INPUTS]
        outputs = [_tensor(name, kind, shape) for name, kind, shape in self._outputs()]
        return {
            "name": self.name,
            "versions": [VERSION],
            "platform": PLATFORM,
            "inputs": inputs,
            "outputs": outputs,
        }

    def configuration(self) -> dict[str, Any]:
        """The configuration in Triton's form."""
        inputs = [
            {
                "name": name,
                "data_type": _config_type(kind),
                "dims": list(shape),
                "optional": True,
            }
            for name, kind, shape in INPUTS
        ]
        outputs = [
            {"name": name, "data_type": _config_type(kind), "dims": list(shape)}
            for name, kind, shape in self._outputs()
        ]
        return {
            "name": self.name,
            "platform": PLATFORM,
            "backend": PLATFORM,
            "max_batch_size": 0,
            "input": inputs,
            "output": outputs,
        }

    def repository(self) -> list[dict[str, str]]:
        """The models that are there."""
        state = "READY" if self._service.ready else "UNAVAILABLE"
        return [{"name": self.name, "version": VERSION, "state": state, "reason": ""}]

    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in their order."""
        return tuple(name for name, _, _ in self._outputs())

    def _outputs(self) -> list[tuple[str, str, tuple[int, ...]]]:
        count = len(self._service.engine.skeleton)
        return [
            ("boxes", "FP32", (-1, 4)),
            ("box_scores", "FP32", (-1,)),
            ("keypoints", "FP32", (-1, count, 2)),
            ("scores", "FP32", (-1, count)),
            ("ids", "INT64", (-1,)),
            ("image_index", "INT64", (-1,)),
            ("people", "INT64", (-1,)),
        ]

    # ---- inference

    async def infer(self, request: InferRequest, client: str) -> dict[str, Array]:
        """The outputs that are wanted, by name.

        Raises:
            ServiceError: the request is not usable, or the queue is full.
        """
        self._service.check_ready()
        for name in request.outputs:
            if name not in self.output_names():
                raise bad_request(f"there is no output {name[:40]!r}")
        options = _options(request.parameters)
        images = await self._images(request)
        boxes = self._boxes(request, images)

        number = request.parameters.get("sequence_id", 0)
        if number:
            poses = [await self._in_sequence(request, images, boxes, client)]
        else:
            poses = await self._apart(images, boxes, options, client)
        found = _arrays(poses, len(self._service.engine.skeleton))
        return {name: found[name] for name in request.outputs or found}

    async def _apart(
        self,
        images: list[Image],
        boxes: Detections | None,
        options: PoseOptions,
        client: str,
    ) -> list[Poses]:
        limits = self._service.settings
        box_thr = limits.box_thr if options.box_thr is None else options.box_thr
        person_thr = limits.person_thr if options.person_thr is None else options.person_thr
        most = min(options.max_people or limits.max_people, limits.max_people)
        tasks = [
            ImageTask(image, boxes, box_thr=box_thr, max_people=most, person_thr=person_thr)
            for image in images
        ]
        results = await self._service.estimate(tasks, client)
        return [result.poses for result in results]

    async def _in_sequence(
        self,
        request: InferRequest,
        images: list[Image],
        boxes: Detections | None,
        client: str,
    ) -> Poses:
        if len(images) != 1 or boxes is not None:
            raise bad_request("a request of a sequence has one image, and no boxes")
        return await self._sequences.track(request.parameters, images[0], client)

    async def _images(self, request: InferRequest) -> list[Image]:
        pixels = request.inputs.get("image")
        files = request.inputs.get("images")
        unknown = set(request.inputs) - {name for name, _, _ in INPUTS}
        if unknown:
            raise bad_request(f"there is no input {min(unknown)[:40]!r}")
        if (pixels is None) == (files is None):
            raise bad_request("a request has either image or images")
        if pixels is not None:
            return self._pixels(pixels)
        assert files is not None
        if not isinstance(files.data, list) or len(files.shape) not in (1, 2):
            raise bad_request("images must be BYTES of shape (N)")
        self._check_count(len(files.data))
        return [
            await self._service.decode(data, f"images[{number}]")
            for number, data in enumerate(files.data)
        ]

    def _pixels(self, tensor: InputTensor) -> list[Image]:
        shape = tensor.shape
        if isinstance(tensor.data, list) or tensor.datatype != "UINT8":
            raise bad_request("image must be UINT8")
        if len(shape) not in (3, 4) or shape[-1] != 3 or 0 in shape:
            raise bad_request("image must have the shape (H, W, 3) or (N, H, W, 3)")
        height, width = shape[-3:-1]
        if height * width > self._service.settings.max_pixels:
            raise too_large(f"an image has at most {self._service.settings.max_pixels} pixels")
        batch = tensor.data.reshape(-1, height, width, 3)
        self._check_count(len(batch))
        return list(batch)

    def _boxes(self, request: InferRequest, images: list[Image]) -> Detections | None:
        tensor = request.inputs.get("boxes")
        if tensor is None:
            return None
        if not self._service.engine.model.needs_boxes:
            raise unusable("this model finds people by itself: it takes no boxes")
        if len(images) != 1 or isinstance(tensor.data, list) or tensor.shape[1:] != (4,):
            raise bad_request("boxes must have the shape (M, 4), for a single image")
        if len(tensor.data) > self._service.settings.max_people:
            raise too_large(f"at most {self._service.settings.max_people} boxes are taken")
        try:
            boxes = Detections.from_boxes(tensor.data)
        except InputError as error:
            raise unusable(str(error)) from error
        check_boxes(boxes, images[0])
        return boxes

    def _check_count(self, count: int) -> None:
        if not 0 < count <= self._service.settings.max_images:
            raise too_large(f"a request has 1 to {self._service.settings.max_images} images")


def _options(parameters: Mapping[str, object]) -> PoseOptions:
    for name in parameters:
        if name not in (*OPTIONS, *SEQUENCE, *IGNORED):
            raise bad_request(
                f"there is no parameter {name[:40]!r}; there are {', '.join(OPTIONS)}"
            )
    given = {name: parameters[name] for name in OPTIONS if name in parameters}
    return with_options(PoseOptions(), given)


def _arrays(poses: list[Poses], count: int) -> dict[str, Array]:
    people = np.array([len(of_image) for of_image in poses], np.int64)
    ids = [np.zeros(len(found), np.int64) if found.ids is None else found.ids for found in poses]
    return {
        "boxes": np.concatenate([found.boxes for found in poses]).astype(np.float32),
        "box_scores": np.concatenate([found.box_scores for found in poses]).astype(np.float32),
        "keypoints": np.concatenate([found.keypoints for found in poses]).reshape(-1, count, 2),
        "scores": np.concatenate([found.scores for found in poses]).reshape(-1, count),
        "ids": np.concatenate(ids),
        "image_index": np.repeat(np.arange(len(poses), dtype=np.int64), people),
        "people": people,
    }


def _tensor(name: str, kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": list(shape)}


def _config_type(kind: str) -> str:
    return "TYPE_STRING" if kind == "BYTES" else f"TYPE_{kind}"
