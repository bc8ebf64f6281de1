"""What people type on their first day, and where it leads."""

import contextlib
import importlib
import io
import re

import av
import pytest
from clips import clip
from jobs import image

import rtmpose
from rtmpose.cli import main
from rtmpose.cli.commands import COMMANDS
from rtmpose.cli.options import DrawOptions
from rtmpose.errors import InputError, ModelError
from rtmpose.sources import SourceItem, expand_sources
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.names import output_names
from rtmpose.writers.outputs import Outputs


# ---- a file where a folder is expected
@pytest.mark.parametrize("name", ["out.mp4", "new/Out.MP4"])
def test_the_drawn_video_of_one_source_may_have_a_name(tmp_path, job_pipeline, name):
    source = clip(tmp_path / "v.avi", 6)
    out = tmp_path / name
    # Named files are replaced, like those of the other options.
    for _ in range(2):
        report = predict_to_files(job_pipeline, expand_sources([source]), Outputs({}, out))
        assert report.written == [out]
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 6
    # Nothing lies about.
    assert {path for path in out.parent.iterdir() if path.is_file()} <= {out, source}


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".PNG"])
def test_the_drawn_image_of_one_source_may_have_a_name(tmp_path, job_pipeline, suffix):
    photo = image(tmp_path / "photo.jpg")
    before = photo.read_bytes()
    out = tmp_path / f"drawn{suffix}"
    predict_to_files(job_pipeline, expand_sources([photo]), Outputs({}, out))
    png = out.read_bytes().startswith(b"\x89PNG")
    assert png == (suffix.lower() == ".png")
    assert photo.read_bytes() == before


def test_a_named_file_is_never_the_source(tmp_path, job_pipeline):
    photo = image(tmp_path / "photo.jpg")
    before = photo.read_bytes()
    with pytest.raises(InputError, match="one of the sources"):
        predict_to_files(job_pipeline, expand_sources([photo]), Outputs({}, photo))
    assert photo.read_bytes() == before


def test_a_named_file_is_no_other_output(tmp_path, job_pipeline):
    photo = image(tmp_path / "photo.jpg")
    out = tmp_path / "x.jpg"
    fine = Outputs({"csv": tmp_path / "x.csv", "json": tmp_path / "x.json"}, out)
    report = predict_to_files(job_pipeline, expand_sources([photo]), fine)
    assert sorted(report.written) == sorted([out, tmp_path / "x.csv", tmp_path / "x.json"])


@pytest.mark.parametrize(
    ("name", "words"),
    [("out.mp4", "ends in .jpg or .jpeg or .png"), ("out.json", "ends in .jpg")],
)
def test_a_name_that_does_not_fit(tmp_path, job_pipeline, name, words):
    photo = image(tmp_path / "photo.jpg")
    with pytest.raises(InputError, match=words):
        predict_to_files(job_pipeline, expand_sources([photo]), Outputs({}, tmp_path / name))


def test_one_name_for_two_sources(tmp_path, job_pipeline):
    items = expand_sources([image(tmp_path / "a.jpg"), image(tmp_path / "b.jpg")])
    with pytest.raises(InputError, match="2 sources; give the name of a folder"):
        predict_to_files(job_pipeline, items, Outputs({}, tmp_path / "out.jpg"))


# ---- names of sources
@pytest.mark.parametrize("name", ['"{}"', "'{}'", "{} "])
def test_quotes_around_a_name(tmp_path, name):
    photo = image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"quotes or spaces around it; did you mean .*a.jpg"):
        expand_sources([name.format(photo)])


@pytest.mark.parametrize("slip", ["Holiday.jpg", "holidya.jpg", "HOLIDAY.JPEG"])
def test_a_slip_in_a_name(tmp_path, slip):
    image(tmp_path / "holiday.jpg")
    with pytest.raises(InputError, match=r"did you mean .*holiday\.jpg"):
        expand_sources([tmp_path / slip])


def test_nothing_like_the_name(tmp_path):
    image(tmp_path / "holiday.jpg")
    with pytest.raises(InputError, match=r"does not exist$"):
        expand_sources([tmp_path / "zebra.mp4"])


def test_files_from_servers_have_letters_in_their_names():
    item = SourceItem("http://host/a/my%20clip%20%C3%BC.mp4?x=1", "video")
    assert output_names([item]) == {item.name: "my clip \u00fc"}
    # What was escaped leads nowhere else.
    item = SourceItem("http://host/..%2F..%2Fx.mp4", "video")
    assert "/" not in output_names([item])[item.name]


# ---- no command
def test_a_photo_without_a_command(tmp_path, capsys):
    photo = image(tmp_path / "my photo.jpg")
    assert main([str(photo), "-o", "out"]) == 2
    assert f"rtmpose predict '{photo}' -o out" in capsys.readouterr().err


def test_a_word_that_is_no_command(capsys):
    assert main(["detect"]) == 2
    assert "To find people" not in capsys.readouterr().err


@pytest.mark.parametrize("line", [["help", "angles"], ["angles", "-h"], ["angles", "--help"]])
def test_the_ways_to_ask_for_help(line, capsys):
    assert main(line) == 0
    assert "Usage: rtmpose angles" in capsys.readouterr().out


def test_the_name_of_a_spreadsheet_program(tmp_path, capsys):
    assert main(["convert", str(tmp_path / "walk.csv"), "--to", "excel"]) == 1
    assert "rtmpose track --csv" in capsys.readouterr().err


def test_angles_of_a_video_name_the_step_before(tmp_path, capsys):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    assert main(["angles", str(clip), "-o", str(tmp_path / "a.csv")]) == 1
    assert "--jsonl clip.jsonl" in capsys.readouterr().err


def test_mot_with_a_large_suffix(tmp_path, job_pipeline):
    source = clip(tmp_path / "v.avi", 3)
    outputs = Outputs({"mot": tmp_path / "x.TXT"})
    predict_to_files(job_pipeline, expand_sources([source]), outputs)
    assert (tmp_path / "x.seqinfo.ini").is_file()


def test_a_file_that_looks_like_an_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.mp4").write_bytes(b"")
    assert main(["predict", "-x.mp4"]) == 2
    assert "-x.mp4 is a file here: write ./-x.mp4" in capsys.readouterr().err
    assert main(["predict", "-y.mp4"]) == 2
    assert "is a file here" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["points.csv", "points.xlsx", "points.parquet"])
@pytest.mark.parametrize("command", [["data", "check"], ["eval", "pose"]])
def test_a_table_of_anybody_is_no_annotation_file(name, command, tmp_path, capsys):
    (tmp_path / name).write_bytes(b"image,left_eye_x,left_eye_y\na.jpg,1,2\n")
    assert main([*command, str(tmp_path / name)]) == 1
    error = capsys.readouterr().err
    assert "is a table" in error
    assert "DeepLabCut" in error
    assert "rtmpose data formats" in error


# ---- names of other tools, and what is missing
@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (["predict", "a.jpg", "--conf", "0.5"], "--conf: --box-thr is the lowest score"),
        (["track", "a.mp4", "--save_json=x"], "--save_json: -o FOLDER draws"),
        (["predict", "--source", "a.jpg"], "are named without an option"),
        (["train"], "rtmpose train list"),
        (["convert", "a.jsonl"], "rtmpose convert clip.jsonl --to trc"),
    ],
)
def test_usage_errors_say_what_to_write(line, hint, capsys):
    assert main(line) == 2
    assert hint in capsys.readouterr().err


def test_hints_are_of_the_option_that_is_wrong(capsys):
    # What `--output-size` begins with is an option here.
    assert main(["predict", "a.jpg", "--outputs", "x"]) == 2
    assert "draws" not in capsys.readouterr().err


def test_every_option_of_a_hint_exists():
    from rtmpose.cli.usage_hints import MISSING, OTHER_NAMES

    helps = {name: run_help(name) for name in ("predict", "track")}
    for hint in OTHER_NAMES.values():
        for option in re.findall(r"--[a-z-]+", hint):
            assert option in helps["track"] + helps["predict"], option
    assert set(MISSING) <= {row.name for row in COMMANDS}


def run_help(command):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([command, "--help"]) == 0
    return out.getvalue()


def test_a_model_of_another_kind_is_not_downloaded(monkeypatch):
    def no_fetch(*args, **kwargs):
        raise AssertionError("fetched")

    # The package has a function of the name of the module.
    module = importlib.import_module("rtmpose.zoo.resolve")
    monkeypatch.setattr(module, "fetch", no_fetch)
    with pytest.raises(ModelError, match="not a detector"):
        rtmpose.Detector("rtmpose-m")
    for pose in ("rtmdet-m", "yolox-tiny"):
        with pytest.raises(ModelError, match="not a pose model"):
            rtmpose.Pipeline(pose=pose)


def test_files_that_are_no_images(tmp_path):
    for name, content, words in (
        ("scan.dcm", b"\0" * 128 + b"DICM" + b"\0" * 60, "a DICOM file"),
        ("clip.jpg", b"\0\0\0\x18ftypmp42" + b"\0" * 60, "a video, not an image"),
        ("clip.png", b"\x1a\x45\xdf\xa3" + b"\0" * 60, "a video, not an image"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            rtmpose.read_image(path)


def test_a_page_with_a_player_is_no_video():
    from rtmpose.sources.containers import open_refusal

    words = open_refusal("https://www.youtube.com/watch?v=a", ValueError("x"), "", local=False)
    assert "yt-dlp" in words


def test_a_percentage_for_a_score_is_said(caplog):
    DrawOptions(kpt_thr=0.9).style()
    assert not caplog.records
    DrawOptions(kpt_thr=30).style()
    assert "--kpt-thr 30: with most models keypoints score from 0 to 1" in caplog.text
