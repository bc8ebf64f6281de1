"""What people type on their first day, and where it leads."""

import av
import pytest
from clips import clip
from jobs import image

from rtmpose.cli import main
from rtmpose.errors import InputError
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
