"""Every number that a user can give has a range: options of all commands, fields of all settings,
arrays of boxes and scores.
"""

import inspect
import math
import typing
from dataclasses import is_dataclass

import numpy as np
import pytest
from jobs import image
from numeric_fields import numeric_fields, refuse_wrong_numbers

import rtmpose
from rtmpose import (
    BackendOptions,
    Calibration,
    Codec,
    Detections,
    ExportOptions,
    Frame,
    ModelCard,
    Normalization,
    Poses,
    TrackerParams,
    get_skeleton,
)
from rtmpose.cli import main
from rtmpose.cli.app import make_app
from rtmpose.draw import DrawStyle
from rtmpose.errors import InputError
from rtmpose.pose_estimator import as_detections
from rtmpose.ranges import (
    COUNT,
    FRACTION,
    POSITIVE,
    Range,
    check_choice,
    check_flag,
    check_number,
    shown,
)

NUMBERS = {int, float}


# ---- the ranges themselves


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.int64(1), np.float64(0)])
def test_numbers_of_python_and_numpy_are_taken(value):
    found = check_number("x", value, FRACTION)
    assert type(found) in (int, float)
    assert found == value


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, -1, 1e300, 10**400, True, np.bool_(True), "0.5", None, [0.5]],
)
def test_what_is_no_number_of_the_range_is_refused_in_a_line(value):
    with pytest.raises(InputError, match=r"^x must be a number from 0 to 1, not ") as caught:
        check_number("x", value, FRACTION)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 120


def test_ranges_say_what_they_hold():
    assert str(Range(0, 1, below=True)) == "a number from 0 to below 1"
    assert str(POSITIVE) == "a number above 0 and at most 1e+09"
    assert str(COUNT.optional()) == "a whole number from 1 to 1,000,000, or None"
    with pytest.raises(InputError, match="whole number"):
        check_number("x", 2.0, COUNT)
    for value in (0, -0.0):
        with pytest.raises(InputError, match="above 0"):
            check_number("x", value, POSITIVE)
    assert shown(10**5000) == "a int too long to show"
    assert len(shown("a\n" * 1000)) < 70


def test_texts_are_no_booleans():
    assert check_flag("x", np.bool_(True)) is True
    for value in ("no", 1, None):
        with pytest.raises(InputError, match="x must be True or False"):
            check_flag("x", value)
    with pytest.raises(InputError, match="x must be a or b, not 'c'"):
        check_choice("x", "c", ("a", "b"))


# ---- options of all commands


def commands(app, path=()):
    """Path and function of every command."""
    for command in app.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")
        yield (*path, name), command.callback
    for group in app.registered_groups:
        yield from commands(group.typer_instance, (*path, group.name))


def numeric_options():
    """Path, option and range (None without one) of every option that is a number."""
    for path, function in commands(make_app()):
        hints = typing.get_type_hints(function, include_extras=True)
        for name in inspect.signature(function).parameters:
            hint = hints[name]
            if typing.get_origin(hint) is not typing.Annotated:
                continue
            kind, *extras = typing.get_args(hint)
            if {*typing.get_args(kind), kind} & NUMBERS:
                allowed = next((e for e in extras if isinstance(e, Range)), None)
                info = next(e for e in extras if hasattr(e, "param_decls"))
                names = [d for d in (info.default, *info.param_decls) if isinstance(d, str)]
                yield path, (names or [f"--{name.replace('_', '-')}"])[0], allowed


OPTIONS = list(numeric_options())
REQUIRED = {
    ("batch",): ["--out", "out"],
    ("convert",): ["--to", "trc"],
    ("prune",): ["--macs", "50%"],
    ("eval", "classifier"): ["--classifier", "x"],
}
"""What a command needs besides one argument."""
NO_SOURCE = (("models", "list"), ("serve",))
"""Commands without an argument."""


def test_there_are_options_to_try():
    assert len(OPTIONS) > 50
    assert {path[0] for path, _, _ in OPTIONS} >= {"predict", "track", "bench", "eval", "train"}


@pytest.mark.parametrize(("path", "option", "allowed"), OPTIONS)
def test_every_number_of_every_command_has_a_range(path, option, allowed, capsys):
    assert allowed is not None, "annotate it: Annotated[int, COUNT, typer.Option(...)]"
    assert math.isfinite(allowed.low)
    assert math.isfinite(allowed.high)

    # What no option takes, and what lies just outside of this one.
    outside = [f"{allowed.low - 1:.0f}", f"{allowed.high * 2 + 1:.0f}"]
    for value in ("nan", "inf", "-inf", "1e300", "9" * 5000, "abc", *outside):
        arguments = [*path, "x", *REQUIRED.get(path, []), f"{option}={value}"]
        if path in NO_SOURCE:
            arguments.remove("x")
        assert main(arguments) == 2, value
        printed = capsys.readouterr()
        assert f"Invalid value for '{option}'" in printed.err, value
        assert "Traceback" not in printed.err
        # Refused before anything is looked for.
        assert "file" not in printed.err.replace(option, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["track", "x.mp4", "--det-thr", "3"], "must be a number from 0 to 1, not 3"),
        (["predict", "x.jpg", "--output-size", "1000000"], "from 16 to 16,384, not 1000000"),
        (["bench", "--threads", "100000"], "from 0 to 1,024, not 100000"),
        (["bench", "--people", "100000"], "--people takes numbers from 1 to 1,000"),
        (["bench", "--networks", "--batch", "1,100000"], "--batch takes numbers from 1 to 256"),
        (["bench", "--people", "9" * 5000], "--people takes numbers"),
        (["track", "PHOTO", "--det-interval", "9" * 5000], "--det-interval takes"),
        (["track", "PHOTO", "--smooth-params", "nan,1,1"], "smooth_params must be a number from 0"),
        (["track", "PHOTO", "--smooth-params", "1e300,1,1"], "smooth_params must be a number"),
        (["export", "rtmpose-s-finetuned", "--batch", "100000"], "batch must be a whole number"),
        (["export", "rtmdet-nano-finetuned", "--input-size", "99999x320"], "input_wh must be"),
        (["predict", "PHOTO", "--start", "2", "--end", "1"], "later than the start"),
    ],
)
def test_limits_are_said_in_a_line(arguments, words, tmp_path, capsys):
    if arguments[0] == "export":
        pytest.importorskip("torch", reason="exporting needs torch")
    arguments = [str(image(tmp_path / "a.png")) if a == "PHOTO" else a for a in arguments]
    assert main(arguments) in (1, 2)
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert len(error) < 500


# ---- fields of all settings


CARD = ModelCard(
    "mine",
    "body",
    "rtmpose-s",
    (192, 256),
    Normalization((0, 0, 0), (1, 1, 1), "rgb"),
    Codec("simcc"),
)
SETTINGS = [
    BackendOptions(),
    CARD,
    CARD.normalization,
    CARD.codec,
    Calibration((1.0,), (0.0,)),
    DrawStyle(),
    ExportOptions("onnx"),
    Frame(np.zeros((4, 4, 3), np.uint8)),
    TrackerParams(),
    get_skeleton("coco17"),
]
"""One of every dataclass that users fill in."""
RESULTS = {"Detections", "Evaluation", "Poses", "Result", "TrackedFrame"}
"""Public dataclasses that are results, or hold arrays, which have tests of their own."""


FIELDS = numeric_fields(SETTINGS)


def test_every_public_dataclass_is_tried():
    public = {n for n in rtmpose.__all__ if n not in ("export", "train")}
    classes = {n for n in public if is_dataclass(getattr(rtmpose, n))}
    assert classes - RESULTS <= {type(s).__name__ for s in SETTINGS}


@pytest.mark.parametrize(("settings", "name", "optional"), FIELDS)
def test_every_number_of_every_setting_has_a_range(settings, name, optional):
    refuse_wrong_numbers(settings, name, optional)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Normalization((0, 0, 0), (1, 0, 1), "rgb"), "std must be a number above 0"),
        (lambda: Normalization((0, 0), (1, 1, 1), "rgb"), "mean must be three numbers"),
        (lambda: Codec("simcc", split_ratio=0), "split_ratio must be"),
        (lambda: Codec("heatmap", heatmap_wh=(0, 48)), "heatmap_wh must be"),
        (lambda: Codec("heatmaps"), "kind must be simcc, heatmap"),
        (lambda: TrackerParams(smooth="no"), "smooth must be off or live"),
        (lambda: TrackerParams(smooth_params=(1, 2)), "smooth_params must be three numbers"),
        (lambda: TrackerParams(smooth_params="live"), "smooth_params must be three numbers"),
        (lambda: TrackerParams(repair_swaps="no"), "repair_swaps must be True or False"),
        (lambda: DrawStyle(background="white"), "background must be image or black"),
        (lambda: DrawStyle(draw_ids=None), "draw_ids must be True or False"),
        (lambda: BackendOptions(device=0), "device must be a text"),
    ],
)
def test_what_is_no_range_is_refused_too(make, words):
    with pytest.raises(InputError, match=words):
        make()


# ---- constructors and functions


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rtmpose.Pipeline(box_thr=math.nan), "box_thr must be a number from 0 to 1"),
        (lambda: rtmpose.Pipeline(box_thr="0.5"), "box_thr must be a number"),
        (lambda: rtmpose.Pipeline(max_people=True), "max_people must be a whole number"),
        (lambda: rtmpose.Pipeline(max_people=2.5), "max_people must be a whole number"),
        (lambda: rtmpose.Pipeline(threads=10**6), "threads must be"),
        (lambda: rtmpose.Pipeline(whole_image="no"), "whole_image must be True or False"),
        (lambda: rtmpose.Detector(box_thr=math.inf), "box_thr must be a number from 0 to 1"),
        (lambda: rtmpose.Detector(label=-1), "label must be a whole number"),
        (lambda: rtmpose.Detector(fit="square"), "fit must be auto, letterbox or rectangular"),
        (lambda: rtmpose.OneStage("rtmo-s", box_thr=2), "box_thr must be"),
        (lambda: rtmpose.PoseEstimator(antialias=1), "antialias must be True or False"),
        (lambda: rtmpose.PoseTracker(det_thr=math.nan), "det_thr must be"),
        (lambda: rtmpose.track("x.mp4", det_thr="high"), "x.mp4 does not exist"),
        (lambda: rtmpose.evaluate("x.json", box_thr=-1), "box_thr must be"),
        (lambda: rtmpose.evaluate("x.json", limit=0), "limit must be"),
    ],
)
def test_constructors_refuse_numbers_before_models_are_opened(call, words, monkeypatch):
    def opened(*args, **kwargs):
        raise AssertionError("a model was opened")

    for module in ("detector", "pose_estimator", "one_stage"):
        monkeypatch.setattr(f"rtmpose.{module}.open_backend", opened)
    with pytest.raises(InputError, match=words):
        call()


# ---- arrays


GOOD = {
    "boxes": [[10, 20, 30, 60]],
    "box_scores": [0.9],
    "keypoints": np.full((1, 17, 2), 15),
    "scores": np.ones((1, 17)),
}


def poses(**changes):
    return Poses(**{**GOOD, **changes}, skeleton=get_skeleton("coco17"))


def test_lists_and_other_numbers_are_converted():
    found = Detections([[1, 2, 3, 4]], [0.5], [0])
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (
        np.float32,
        np.float32,
        np.int64,
    )
    person = poses(ids=[3])
    assert person.keypoints.dtype == np.float32
    assert person.ids.tolist() == [3]

    # Arrays of the right kind are not copied.
    boxes = np.zeros((2, 4), np.float32)
    assert Detections(boxes, np.zeros(2, np.float32), np.zeros(2, np.int64)).boxes is boxes


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[math.nan, 2, 3, 4]], "NaN or infinity"),
        ([[1, 2, math.inf, 4]], "NaN or infinity"),
        ([[1, 2, 1e300, 4]], "NaN or infinity"),
        ([[1, 2, 1e12, 4]], "lies in no image"),
        ([[30, 2, 3, 4]], "no positive width|smaller first"),
        ([["a", "b", "c", "d"]], "array of numbers"),
        ([[1, 2, 3]], r"\(N, 4\)|need boxes"),
        ([[1, 2, 3, 4], [1, 2]], "array of numbers"),
        ([[True, False, True, True]], "array of numbers"),
    ],
)
def test_boxes_that_cannot_be_used(boxes, words):
    with pytest.raises(InputError, match=words):
        Detections.from_boxes(boxes)
    with pytest.raises(InputError, match=words):
        as_detections(Detections(boxes, [0.5] * len(boxes), [0] * len(boxes)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Detections.from_boxes([[1, 2, 3, 4]], [math.nan]),
        lambda: Detections([[1, 2, 3, 4]], [math.inf], [0]),
        lambda: Detections([[1, 2, 3, 4]], [0.5], [0.5]),
        lambda: Detections(5, 0.5, 0),
        lambda: poses(boxes=[[math.nan, 0, 1, 1]]),
        lambda: poses(box_scores=[math.nan]),
        lambda: poses(scores=np.full((1, 17), math.inf)),
        lambda: poses(scores=[["high"] * 17]),
        lambda: poses(keypoints=np.zeros((1, 17))),
        lambda: poses(keypoints=np.zeros((1, 16, 2))),
        lambda: poses(ids=[1.5]),
        lambda: poses(ids=["a"]),
    ],
)
def test_arrays_that_cannot_be_used(make):
    with pytest.raises(InputError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_keypoints_that_are_not_known_may_be_nan():
    assert poses(keypoints=np.full((1, 17, 2), math.nan)).to_dict()["people"][0]["keypoints"][
        "nose"
    ] == [None, None, 1.0]
