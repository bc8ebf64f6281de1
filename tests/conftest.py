"""Shared fixtures: where the data that is not part of the repository lies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from serve_fixtures import (  # noqa: F401 (of the tests of the service)
    browser,
    browser_with_camera,
    camera_file,
    fake,
    page_service,
    pipeline,
    playwright,
    service,
    street_clip,
    video,
)

if TYPE_CHECKING:
    from batch_runs import BatchRuns

    from rtmpose import Pipeline

# The same examples in every run; slow machines are no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

GOLDEN = Path(__file__).parent / "golden"


def shared_folder() -> Path | None:
    """The folder with evaluation data and weights: ``$RTMPOSE_SHARED``, or ``../shared`` next to
    the checkout.
    """
    folder = Path(os.environ.get("RTMPOSE_SHARED", Path(__file__).parents[2] / "shared"))
    return folder if folder.is_dir() else None


LOGGERS = ("", "rtmpose", "rtmpose.serve.access")


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A service that a test started sets up the process's log: undone after each test, whose
    standard error is closed then.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    root = loggers[0]
    root.handlers = [h for h in root.handlers if type(h) is not logging.StreamHandler]


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = shared_folder()
    if folder is None:
        pytest.skip(
            "needs the evaluation data: set RTMPOSE_SHARED or put it in ../shared next to the"
            " checkout"
        )
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def rtmpose_s(shared: Path) -> Path:
    """The genuine RTMPose-s, 26 keypoints, ONNX."""
    return next((shared / "weights" / "rtmpose").glob("rtmpose-s*.onnx"))


@pytest.fixture(scope="session")
def rtmdet_nano(shared: Path) -> Path:
    """The genuine RTMDet-nano person detector, NMS inside, ONNX."""
    return shared / "weights" / "rtmdet" / "rtmdet-nano_person_320_nms.onnx"


@pytest.fixture(scope="session")
def rtmdet_nano_raw(shared: Path) -> Path:
    """The same weights exported up to the head."""
    return shared / "weights" / "rtmdet" / "rtmdet-nano_person_320_rawhead.onnx"


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Losses that are compared to the last digit need one thread."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small annotated set that a network learns in seconds: images with dots as keypoints."""
    pytest.importorskip("torch", reason="torch is not installed")
    import trainable

    return trainable.write_set(tmp_path_factory.mktemp("dots") / "set")


@pytest.fixture
def job_models(tmp_path: Path) -> tuple[str, str]:
    """Detector and pose network of tests that run whole jobs."""
    from jobs import small_models

    folder = tmp_path / "models"
    folder.mkdir()
    return small_models(folder)


@pytest.fixture
def job_options(job_models: tuple[str, str]) -> list[str]:
    """The same, as options of the command line."""
    engine = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]
    # The network's scores are those of nobody sure.
    models = ["--detector", job_models[0], "--pose", job_models[1], "--person-thr", "0"]
    return [*models, *engine]


@pytest.fixture
def job_pipeline(job_models: tuple[str, str]) -> Pipeline:
    """The same, opened."""
    from rtmpose import Pipeline

    return Pipeline(*job_models, backend="onnxruntime", device="cpu", threads=1, person_thr=0)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder of five photos, a clip, and two files that are neither."""
    from batch_runs import make_sources

    return make_sources(tmp_path / "in")


@pytest.fixture
def batch(tmp_path: Path, job_options: list[str], capsys: pytest.CaptureFixture[str]) -> BatchRuns:
    """Runs `rtmpose batch` with small models."""
    from batch_runs import BatchRuns

    return BatchRuns(tmp_path, job_options, capsys)
