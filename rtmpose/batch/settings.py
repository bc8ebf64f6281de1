"""What the results of a batch depend on. All runs into one folder must agree on it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtmpose.detector import DEFAULT_DETECTOR
from rtmpose.errors import InputError
from rtmpose.files import make_folder, output_errors, write_text
from rtmpose.files.locks import ProcessLock
from rtmpose.pose_estimator import DEFAULT_POSE_MODEL
from rtmpose.ranges import check_choice
from rtmpose.text_files import parse_json, read_json, to_json
from rtmpose.writers.lab_table import LAB_FORMATS
from rtmpose.writers.table import FORMATS, format_named

TASKS = ("predict", "track")
DATASET = "parquet"
"""The format whose files may hold many sources."""

SETTINGS_FILE = "settings.json"
SETTINGS_LOCK = ".settings.lock"
FOLDERS = ("data", "ledger", "runs", "work")
"""What a batch makes in its output folder."""


@dataclass(frozen=True)
class BatchSettings:
    """What every result depends on.

    Attributes:
        task: ``predict`` or ``track``.
        format: ``parquet``, or another row of :data:`rtmpose.writers.FORMATS`.
        pose: Name, path or URL of the pose model.
        detector: The same of the detector; ``none`` takes each whole image as one person.
        skeleton: Name or TOML file of the keypoint set to use instead of the model's.
        det_label: Class of the detector, its number or ``all``; None for people.
        card: Card of a model file that has none.
        box_thr: Lowest score of a box (``predict``).
        max_people: At most this many people per frame (``predict``).
        person_thr: Lowest person score (``predict``); None for that of the keypoint set.
        antialias: Crop large people without aliasing (``predict``).
        tracker: Fields of :class:`rtmpose.TrackerParams` (``track``).
        det_interval: Frames between detections, or ``auto`` (``track``).
        smooth_offline: Smooth each clip as a whole (``track``).
        fps_limit: At most this many frames per second (``track``).
        start_s: Seconds skipped at the start of each video.
        end_s: Second at which each video stops.
        limit: At most this many frames of each source.
        flip: Mirror the frames.
        strict: Refuse images with damaged pixels.
        segment_s: Length in seconds of the parts into which a longer video is cut; 0 never cuts.
    """

    task: str = "predict"
    format: str = DATASET
    pose: str = DEFAULT_POSE_MODEL
    detector: str = DEFAULT_DETECTOR
    skeleton: str | None = None
    det_label: str | None = None
    card: str | None = None
    box_thr: float = 0.3
    max_people: int | None = None
    person_thr: float | None = None
    antialias: bool = False
    tracker: dict[str, object] = field(default_factory=dict)
    det_interval: int | str = 1
    smooth_offline: bool = False
    fps_limit: float | None = None
    start_s: float = 0.0
    end_s: float | None = None
    limit: int | None = None
    flip: bool = False
    strict: bool = False
    segment_s: float = 600.0

    def __post_init__(self) -> None:
        check_choice("task", self.task, TASKS)
        if self.format in (row.name for row in LAB_FORMATS):
            raise InputError(
                f"a batch does not write {self.format} itself: write parquet, and then"
                f" `rtmpose convert OUT --to {self.format}` makes it of the results"
            )
        check_choice("format", self.format, tuple(row.name for row in FORMATS))

    @property
    def makes_dataset(self) -> bool:
        """Whether the output is the Parquet data set."""
        return self.format == DATASET

    @property
    def cuts(self) -> bool:
        """Whether long videos are cut: ids and a limit need the whole, and so do other formats."""
        wanted = self.task == "predict" and self.segment_s > 0
        return wanted and self.makes_dataset and self.limit is None

    def compared(self) -> dict[str, object]:
        """What must be equal in all runs, ready for JSON.

        A model that is a file is known by its content, so that its folder may differ.
        """
        found: dict[str, object] = asdict(self)
        for name in ("pose", "detector", "skeleton", "card"):
            found[name] = _identity_of(found[name])
        # The other task's settings change nothing.
        if self.task == "predict":
            for name in ("tracker", "det_interval", "smooth_offline", "fps_limit"):
                del found[name]
        else:
            for name in ("box_thr", "max_people", "person_thr", "antialias", "segment_s"):
                del found[name]
        return found

    def key(self) -> str:
        """A short text that differs where the settings do."""
        return key_of(to_json(self.compared(), sort_keys=True))


@dataclass(frozen=True)
class EngineOptions:
    """What the networks run on; may differ between machines.

    Attributes:
        backend: As in :class:`rtmpose.Pipeline`.
        device: Likewise.
        threads: Likewise; 0 for all cores, of a Ray worker for those it was given.
        precision: Likewise.
        allow_spinning: Likewise.
        shares_cores: The worker is one of several that share the cores of a machine: it decodes
            with ``threads`` threads, and with one it finds people and poses in turn.
    """

    backend: str = "auto"
    device: str = "auto"
    threads: int = 0
    precision: str = "auto"
    allow_spinning: bool = False
    shares_cores: bool = False


def key_of(*parts: str) -> str:
    """A short name that follows from texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def agree_on_settings(out: Path, settings: BatchSettings) -> None:
    """Write the settings into an output folder, or compare them with those that are there.

    Raises:
        InputError: an earlier run had other settings, or the folder has data of something else.
        OutputError: the folder cannot be written.
    """
    for name in FOLDERS:
        if (out / name).exists() and not (out / SETTINGS_FILE).exists():
            raise InputError(
                f"{out} has a folder {name!r} that `rtmpose batch` did not make; choose another"
                " --out"
            )
    # The folder of another batch has files of one kind only.
    if out.name in FOLDERS and (out.parent / SETTINGS_FILE).exists():
        raise InputError(f"{out} belongs to the batch in {out.parent}; choose another --out")
    format_named(settings.format).check_installed()
    # The settings come first: folders without them belong to somebody else.
    make_folder(out)
    _write_once(out, settings)
    for name in FOLDERS:
        make_folder(out / name)
    _compare(out, settings)


def _write_once(out: Path, settings: BatchSettings) -> None:
    lock = ProcessLock(out / SETTINGS_LOCK)
    with output_errors(out):
        lock.wait(f"the settings of {out}")
    try:
        path = out / SETTINGS_FILE
        if not path.exists():
            write_text(path, to_json(settings.compared(), indent=1, sort_keys=True) + "\n")
    finally:
        lock.release()


def _compare(out: Path, settings: BatchSettings) -> None:
    before = read_json(out / SETTINGS_FILE)
    # Through JSON, as tuples come back as lists.
    now = _through_json(settings.compared())
    if not isinstance(before, dict):
        raise InputError(f"{out / SETTINGS_FILE} is damaged; choose another --out")
    differing = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if "task" in differing:
        differing = ["task"]
    if differing:
        words = [f"{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in differing]
        raise InputError(
            f"{out} holds results made with other settings ({'; '.join(words)}); use the same"
            " settings, or another --out"
        )


def _through_json(value: dict[str, object]) -> dict[str, object]:
    table: dict[str, object] = parse_json(to_json(value), SETTINGS_FILE)
    return table


def _identity_of(model: object) -> object:
    """A file by its name and content, anything else as it is."""
    if not isinstance(model, str) or "://" in model:
        return model
    path = Path(model).expanduser()
    if not path.is_file():
        return model
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return f"{path.name} ({digest})"
