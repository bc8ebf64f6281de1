"""The command `track`: outputs, options, resuming."""

import json
import os

import av
import cv2
import numpy as np
import pytest
from clips import clip, threads
from networks import fixed_detector, spot_pose

from rtmpose import InputError
from rtmpose.cli import main


@pytest.fixture
def models(tmp_path):
    (tmp_path / "models").mkdir()
    pose = spot_pose(tmp_path / "models" / "spot.onnx")
    detector = fixed_detector(tmp_path / "models" / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    engine = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]
    return ["--pose", str(pose), "--detector", str(detector), *engine, "--pose-min-keypoints", "0"]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def visible(folder):
    return {p.name for p in folder.iterdir() if not p.name.startswith(".")}


def test_track_command(tmp_path, models, capsys):
    video = clip(tmp_path / "a.avi")
    out = tmp_path / "out"
    formats = []
    for name in ("json", "jsonl", "csv", "mot", "openpose", "npz"):
        formats += [f"--{name}", str(out)]
    arguments = ["track", str(video), *models, "-o", str(out), *formats, "--trail", "5"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "20 frames, 1 person in" in text
    names = {"a.mp4", "a.json", "a.jsonl", "a.csv", "a.mot.txt", "a_openpose", "a_people"}
    assert {p.name for p in out.iterdir()} == {*names, ".rtmpose.done"}
    assert len(lines(out / "a.jsonl")) == 20
    assert main([*arguments, "--resume"]) == 0
    assert "1 source was finished" in capsys.readouterr().out
    assert threads() == 0


def test_one_file_for_all_sources(tmp_path, models):
    videos = [str(clip(tmp_path / f"{n}.avi", 4)) for n in "ab"]
    out = tmp_path / "out"
    files = ["--csv", str(out / "all.csv"), "--json", str(out / "all.json")]
    assert main(["track", *videos, *models, *files]) == 0
    assert {p.name for p in out.iterdir()} == {"all.csv", "all.json"}
    sources = [row.split(",")[0] for row in (out / "all.csv").read_text().splitlines()[1:]]
    assert sources == [videos[0]] * 4 + [videos[1]] * 4
    people = json.loads((out / "all.json").read_text())
    assert [(p["image"], p["frame"], p["track_id"]) for p in people] == [
        (v, k, 1) for v in videos for k in range(4)
    ]


def test_a_video_by_default(tmp_path, models, monkeypatch):
    video = clip(tmp_path / "a.avi", 4)
    monkeypatch.chdir(tmp_path)
    assert main(["track", str(video), *models]) == 0
    assert visible(tmp_path / "tracks") == {"a.mp4"}
    # Where something else is asked for there is none.
    assert main(["track", str(video), *models, "--csv", "a.csv"]) == 0
    assert visible(tmp_path) == {"a.avi", "a.csv", "models", "tracks"}


def test_track_options(tmp_path, models, capsys):
    videos = [str(clip(tmp_path / f"{n}.avi")) for n in "ab"]
    out = tmp_path / "o"
    base = [*models, "--jsonl", str(out)]
    assert main(["track", *videos, *base, "--together", "--start", "0.5", "--end", "1.5"]) == 0
    assert "20 frames, 2 people" in capsys.readouterr().out
    assert [r["frame"] for r in lines(out / "b.jsonl")] == list(range(5, 15))
    slow = ["--smooth", "offline", "--det-interval", "5", "--fps-limit", "5"]
    assert main(["track", videos[0], *base, *slow]) == 0
    assert len(lines(out / "a.jsonl")) == 10
    assert main(["track", videos[0], *base, "--limit", "3"]) == 0
    assert len(lines(out / "a.jsonl")) == 3
    assert main(["track", videos[0], *base, "--box-thr", "0.95"]) == 0
    assert [r["people"] for r in lines(out / "a.jsonl")] == [[]] * 20
    auto = ["--det-interval", "auto", "--flip", "--background", "black"]
    assert main(["track", videos[0], *base, *auto]) == 0
    big = ["-o", str(out), "--output-size", "40", "--no-draw-skeleton", "--no-ids"]
    assert main(["track", videos[0], *models, *big]) == 0
    assert cv2.VideoCapture(str(out / "a.mp4")).read()[1].shape[:2] == (30, 40)


def test_flip_mirrors_both_passes(tmp_path, models):
    video = str(clip(tmp_path / "a.avi", 6))
    x = {}
    for extra in ((), ("--flip",), ("--flip", "--smooth", "offline")):
        out = tmp_path / "_".join(("o", *extra))
        assert main(["track", video, *models, "--jsonl", str(out), *extra]) == 0
        x[extra] = lines(out / "a.jsonl")[0]["people"][0]["keypoints"][0]
    assert x[()] != x["--flip",]
    assert x["--flip", "--smooth", "offline"] == pytest.approx(x["--flip",], abs=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--smooth", "very"], "--smooth takes"),
        (["--det-interval", "often"], "--det-interval takes"),
        (["--smooth-params", "1,2"], "--smooth-params takes"),
        (["--smooth", "offline", "--together"], "one after the other"),
        (["--start", "2", "--end", "1"], "must be later"),
    ],
)
def test_track_refusals(tmp_path, models, capsys, arguments, message):
    video = clip(tmp_path / "a.avi", 2)
    assert main(["track", str(video), *models, "-o", str(tmp_path / "o"), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_bad_clip_among_good_ones(tmp_path, models, capsys):
    good, bad = clip(tmp_path / "a.avi"), tmp_path / "b.avi"
    bad.write_bytes(b"RIFF----AVI nothing")
    out = tmp_path / "o"
    assert main(["track", str(bad), str(good), *models, "--jsonl", str(out)]) == 1
    assert visible(out) == {"a.jsonl"}
    assert "b.avi" in capsys.readouterr().err


def failing_at(monkeypatch, call, error):
    """The tracker fails at its n-th frame; gives the function that repairs it."""
    from rtmpose.tracking.tracker import PoseTracker

    calls, batch = [], PoseTracker.track_batch

    def failing(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise error
        return batch(self, *args, **kwargs)

    monkeypatch.setattr(PoseTracker, "track_batch", failing)
    return lambda: monkeypatch.setattr(PoseTracker, "track_batch", batch)


def test_what_was_done_before_an_error_is_kept(tmp_path, models, monkeypatch, capsys):
    video, out = clip(tmp_path / "a.avi"), tmp_path / "o"
    arguments = ["track", str(video), *models, "--jsonl", str(out)]
    repair = failing_at(monkeypatch, 12, InputError("the network broke"))
    assert main(arguments) == 1
    assert len(lines(out / "a.jsonl")) == 11
    assert threads() == 0
    repair()
    # The file is there, but not whole: it is done again, and only once.
    assert main([*arguments, "--resume"]) == 0
    assert len(lines(out / "a.jsonl")) == 20
    assert sorted(p.name for p in out.iterdir()) == [".rtmpose.done", "a.jsonl"]
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 0
    assert "1 source was finished" in capsys.readouterr().out


def test_fragments_are_never_taken_for_whole(tmp_path, models, monkeypatch, capsys):
    """Interrupt, resume, interrupt, resume: the last run does all of it."""
    video, out = clip(tmp_path / "a.avi"), tmp_path / "o"
    arguments = ["track", str(video), *models, "--csv", str(out), "-o", str(out)]
    for resume in ([], ["--resume"]):
        repair = failing_at(monkeypatch, 6, KeyboardInterrupt())
        assert main([*arguments, *resume]) == 130
        assert len((out / "a.csv").read_text().splitlines()) == 6
        repair()
    assert main([*arguments, "--resume"]) == 0
    assert "20 frames" in capsys.readouterr().out
    assert len((out / "a.csv").read_text().splitlines()) == 21


def test_resume_with_other_settings_is_refused(tmp_path, models, capsys):
    video, out = str(clip(tmp_path / "a.avi", 4)), str(tmp_path / "o")
    assert main(["track", video, *models, "--csv", out]) == 0
    for extra, word in (
        (["--track-iou-thr", "0.3"], "track_iou_thr"),
        (["--detector", "none"], "detector"),
        (["--limit", "2"], "limit"),
        (["--jsonl", out], "outputs"),
    ):
        assert main(["track", video, *models, "--csv", out, *extra, "--resume"]) == 1
        error = capsys.readouterr().err
        assert "other settings" in error
        assert word in error


def test_a_deleted_file_is_made_again(tmp_path, models, capsys):
    video, out = str(clip(tmp_path / "a.avi", 4)), tmp_path / "o"
    arguments = ["track", video, *models, "--csv", str(out), "--resume"]
    assert main(arguments) == 0
    (out / "a.csv").unlink()
    assert main(arguments) == 0
    assert (out / "a.csv").exists()


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path, models, capsys):
    video, out = str(clip(tmp_path / "a.avi", 4)), tmp_path / "o"
    (out / "a_openpose").mkdir(parents=True)
    (out / "a_openpose" / "birthday.jpg").write_bytes(b"mine")
    assert main(["track", video, *models, "--openpose", str(out)]) == 1
    assert "did not write" in capsys.readouterr().err
    assert os.listdir(out / "a_openpose") == ["birthday.jpg"]  # noqa: PTH208


@pytest.mark.parametrize("extra", [[], ["--smooth", "offline"]])
def test_sources_are_never_overwritten(tmp_path, models, capsys, extra):
    video = clip(tmp_path / "a.avi", 4)
    (tmp_path / "a.mp4").write_bytes(video.read_bytes())
    before = (tmp_path / "a.mp4").read_bytes()
    arguments = ["track", str(tmp_path / "a.mp4"), *models, "-o", str(tmp_path), *extra]
    assert main(arguments) == 1
    assert "one of the sources" in capsys.readouterr().err
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_predict_and_track_write_the_same_video(tmp_path, models):
    """One encoder: the same codec, frame rate and size, and sound where the source has it."""
    source = tmp_path / "sound.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        sound = container.add_stream("aac", rate=44100)
        stream.width, stream.height, stream.pix_fmt = 80, 60, "yuv420p"
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((60, 80, 3), np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for k in range(80):
            tone = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, 1024 * k
            container.mux(sound.encode(frame))
        container.mux(sound.encode())

    found = {}
    for command in ("predict", "track"):
        out = tmp_path / command
        own = models if command == "track" else models[:-2]
        assert main([command, str(source), *own, "-o", str(out)]) == 0
        with av.open(str(out / "sound.mp4")) as container:
            video = container.streams.video[0]
            found[command] = (
                video.codec_context.name,
                len(container.streams.audio),
                video.frames,
                (video.width, video.height),
            )
    assert found["predict"] == found["track"] == ("h264", 1, 20, (80, 60))
