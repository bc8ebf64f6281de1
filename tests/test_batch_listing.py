"""Which sources a batch is made of."""

import os

import pytest
from jobs import image

from rtmpose.batch.listing import list_sources
from rtmpose.batch.settings import BatchSettings
from rtmpose.batch.storage import Fingerprint, fetched, fingerprint, sample_of
from rtmpose.batch.units import in_shard, make_units, parse_shard
from rtmpose.errors import InputError


def test_each_file_once_whatever_it_is_called(tmp_path, monkeypatch):
    image(tmp_path / "in" / "a.png")
    image(tmp_path / "in" / "b.png")
    monkeypatch.chdir(tmp_path)
    names = ["in", "in/a.png", str(tmp_path / "in" / "*.png"), f"file://{tmp_path}/in/b.png"]
    found = list_sources(names)
    assert found.sources == [str(tmp_path / "in" / name) for name in ("a.png", "b.png")]
    assert found.repeated == 4


def test_same_names_in_different_folders_are_two_sources(tmp_path):
    image(tmp_path / "one" / "a.png")
    image(tmp_path / "two" / "a.png")
    assert len(list_sources([str(tmp_path)], recursive=True).sources) == 2


def test_a_missing_file_is_a_source_that_fails_and_an_empty_folder_a_problem(tmp_path):
    (tmp_path / "empty").mkdir()
    found = list_sources([str(tmp_path / "gone.mp4"), str(tmp_path / "empty")])
    assert found.sources == [str(tmp_path / "gone.mp4")]
    assert len(found.problems) == 1
    assert "--recursive" in found.problems[0]
    with pytest.raises(InputError, match="nothing matches"):
        list_sources([str(tmp_path / "*.mp4")])


def test_lists_have_comments_and_paths_relative_to_themselves(tmp_path, monkeypatch):
    image(tmp_path / "data" / "a.png")
    listed = tmp_path / "data" / "list.txt"
    listed.write_text("\ufeff# photos\n\na.png\r\n  a.png\nhttp://host/clip.mp4\n")
    monkeypatch.chdir(tmp_path)
    found = list_sources(["data/list.txt"])
    assert found.sources == [str(tmp_path / "data" / "a.png"), "http://host/clip.mp4"]

    # Made by `find data > elsewhere/list.txt`.
    elsewhere = tmp_path / "elsewhere" / "list.txt"
    elsewhere.parent.mkdir()
    elsewhere.write_text("data/a.png\n")
    assert list_sources([str(elsewhere)]).sources == [str(tmp_path / "data" / "a.png")]


@pytest.mark.parametrize(("name", "delimiter"), [("m.csv", ","), ("m.tsv", "\t")])
def test_manifests_have_a_column_with_sources(tmp_path, name, delimiter):
    image(tmp_path / "a.png")
    rows = [["id", "path"], ["1", "a.png"], ["2", ""]]
    (tmp_path / name).write_text("\n".join(delimiter.join(row) for row in rows))
    assert list_sources([str(tmp_path / name)]).sources == [str(tmp_path / "a.png")]
    with pytest.raises(InputError, match="has no column movie"):
        list_sources([str(tmp_path / name)], column="movie")


@pytest.mark.parametrize("head", ["Video path", " FILE_NAME", "Path", "uri"])
def test_columns_are_found_whatever_their_case(tmp_path, head):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "m.csv").write_text(f"subject,{head},age\n1,a.mp4,30\n")
    assert list_sources([str(tmp_path / "m.csv")]).sources == [str(tmp_path / "a.mp4")]
    asked = list_sources([str(tmp_path / "m.csv")], column=head.strip().upper())
    assert asked.sources == [str(tmp_path / "a.mp4")]


def test_manifests_with_semicolons_and_without_entries(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "list.csv").write_text('path;note\n"a.mp4";"one, two"\n')
    assert list_sources([str(tmp_path / "list.csv")]).sources == [str(tmp_path / "a.mp4")]
    for name, text in (("none.csv", "path,note\n"), ("none.txt", "# nothing\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=f"{name} names no source"):
            list_sources([str(tmp_path / name)])


def test_names_with_commas_and_lists_made_on_windows(tmp_path):
    """As people bring them: a byte order mark, CRLF, backslashes, tabs in a .csv."""
    rows = b"\xef\xbb\xbfpath\r\nday 1, left.mp4\r\nclips\\b.mp4\r\n\r\n"
    (tmp_path / "one.csv").write_bytes(rows)
    expected = [str(tmp_path / "day 1, left.mp4"), str(tmp_path / "clips" / "b.mp4")]
    assert list_sources([str(tmp_path / "one.csv")]).sources == expected
    (tmp_path / "tabs.csv").write_text("subject\tpath\n1\tday 1, left.mp4\n")
    assert list_sources([str(tmp_path / "tabs.csv")]).sources == expected[:1]
    for text, words in (
        ("path,subject\na.mp4,1\nday 1, left.mp4,2\n", "line 3 of .* 3 cells for 2 columns"),
        ("a.mp4\nb.mp4\n", "first line must name the columns"),
    ):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(InputError, match=words):
            list_sources([str(tmp_path / "bad.csv")])


def test_a_parquet_manifest(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="reads Parquet")
    parquet = pytest.importorskip("pyarrow.parquet", reason="reads Parquet")
    image(tmp_path / "a.png")
    parquet.write_table(pyarrow.table({"clip": ["a.png", None]}), tmp_path / "m.parquet")
    found = list_sources([str(tmp_path / "m.parquet")], column="clip")
    assert found.sources == [str(tmp_path / "a.png")]
    (tmp_path / "bad.parquet").write_text("no table")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        list_sources([str(tmp_path / "bad.parquet")])


def test_a_list_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        list_sources([str(tmp_path / "list.txt")])


def test_stores_are_listed_and_copied(tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="reads stores")
    store = fsspec.filesystem("memory")
    photo = image(tmp_path / "a.png").read_bytes()
    for name in ("a.png", "b.png", "notes.txt", "deep/c.png"):
        store.pipe(f"/batch/{name}", photo)
    try:
        names = ["memory:///batch/a.png", "memory:///batch/b.png"]
        assert list_sources(["memory://batch"]).sources == names
        assert list_sources(["memory://batch/*.png"]).sources == names
        assert len(list_sources(["memory://batch"], recursive=True).sources) == 3
        assert list_sources(["memory://batch/a.png", *names]).sources == names

        with fetched(names[0]) as copy:
            assert copy.read_bytes() == photo
            assert copy.suffix == ".png"
        assert not copy.exists()
        assert fingerprint(names[0]).size == len(photo)
        with pytest.raises(InputError, match="does not exist"), fetched("memory://batch/gone.png"):
            pass
        with pytest.raises(InputError, match="cannot be read"):
            list_sources(["nosuchstore://bucket/a.png"])
    finally:
        store.rm("/batch", recursive=True)


def test_a_new_date_is_no_other_file(tmp_path):
    path = image(tmp_path / "a.png")
    before = fingerprint(str(path))
    before = Fingerprint(before.size, before.changed, sample_of(path))
    os.utime(path, (1, 1))
    assert not before.differs_from(str(path), fingerprint(str(path)))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert before.differs_from(str(path), fingerprint(str(path)))


def test_shards_share_the_sources_whatever_their_order():
    sources = [f"/data/{n}.mp4" for n in range(200)]
    shards = [[s for s in sources if in_shard(s, (i, 4))] for i in range(4)]
    assert sorted(source for shard in shards for source in shard) == sorted(sources)
    assert all(25 < len(shard) < 75 for shard in shards)


@pytest.mark.parametrize("text", ["4/4", "a/4", "1", "-1/4", "1/0", "1/" + "9" * 30])
def test_shards_are_counted_from_0(text):
    with pytest.raises(InputError, match="--shard"):
        parse_shard(text)


def test_photos_share_a_file_and_videos_do_not():
    sources = [f"/p/{n}.jpg" for n in range(5)] + ["/v/a.mp4"]
    units = make_units(sources, BatchSettings(), photos=2)
    assert sorted(len(unit.sources) for unit in units) == [1, 1, 2, 2]
    assert len({unit.name for unit in units}) == len(units)
    # Other settings, other names; another format, a file for each.
    other = make_units(sources, BatchSettings(box_thr=0.5), photos=2)
    assert not {unit.key for unit in units} & {unit.key for unit in other}
    assert len(make_units(sources, BatchSettings(format="csv"))) == 6
