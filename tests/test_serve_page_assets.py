"""/v1/web: what the page needs to run the model in the browser, and the words of the page."""

import re
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from serving import serving

from rtmpose.errors import InputError
from rtmpose.serve.page_assets import ENGINES, SDK, read_web_assets

STATIC = Path(__file__).parents[1] / "rtmpose" / "serve" / "static"
TOKEN = "a-token-that-is-long"


@pytest.fixture
def folder(tmp_path):
    """A folder as scripts/web_assets.py leaves it, but for the content."""
    made = tmp_path / "web"
    for name in (SDK, *ENGINES.values(), "ort/ort.wasm", "model.onnx", "model.onnx.verify.json"):
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}")
    return made


def test_the_files_and_no_others(job_pipeline, folder, tmp_path):
    (tmp_path / "secret.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    with serving(job_pipeline.model, web_assets=folder, token=TOKEN) as service:
        listed = service.get("/v1/web").json()
        assert listed["available"]
        assert len(listed["files"]) == 5
        root = listed["root"]
        for name in listed["files"]:
            answer = service.get(name)
            assert answer.body.decode() == f"this is {name.removeprefix(root)}"
            assert "immutable" in answer.headers["cache-control"]
        assert service.get(listed["sdk"]).headers["content-type"].startswith("text/javascript")
        assert service.get(f"{root}ort/ort.wasm").headers["content-type"] == "application/wasm"
        for path in (
            f"{root}../secret.js",
            f"{root}%2e%2e/secret.js",
            f"{root}link.js",
            f"{root}model.onnx.verify.json",
            f"{root}",
            "/v1/web/other/model.onnx",
        ):
            assert service.get(path).status == 404
        # They are for those who may use the service.
        service.headers.clear()
        assert service.get(listed["model"]).status == 401


def test_another_version_has_other_addresses(folder):
    before = read_web_assets(folder)
    assert read_web_assets(folder).version == before.version
    (folder / SDK).write_text("something longer than it was")
    assert read_web_assets(folder).version != before.version


def test_without_the_folder(job_pipeline):
    with serving(job_pipeline.model) as service:
        assert service.get("/v1/web").json() == {"available": False}
        assert service.get("/v1/web/a/model.onnx").status == 404


def test_folders_that_lack_something(folder, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        read_web_assets(tmp_path / "missing")
    (folder / "second.onnx").write_text("one too many")
    with pytest.raises(InputError, match="exactly one model; it has 2"):
        read_web_assets(folder)
    (folder / SDK).unlink()
    with pytest.raises(InputError, match=SDK):
        read_web_assets(folder)


def words():
    """Names and words of the two languages."""
    source = (STATIC / "js" / "texts.js").read_text("utf-8").partition("const LANGUAGES")[0]
    parts = source.partition("const ZH")
    pattern = re.compile(r'^  (\w+):\s*"(.*)",$', re.M)
    return [dict(pattern.findall(part)) for part in (parts[0], parts[2])]


def test_both_languages_have_the_same_words():
    english, chinese = words()
    assert len(english) > 80
    assert list(english) == list(chinese)
    for name, phrase in english.items():
        places = [sorted(re.findall(r"\{\w+\}", text)) for text in (phrase, chinese[name])]
        assert places[0] == places[1], name


def test_every_word_that_is_used_is_there():
    sources = [path.read_text("utf-8") for path in STATIC.glob("js/*.js")]
    page = (STATIC / "index.html").read_text("utf-8")
    used = set(re.findall(r'data-text="(\w+)"', page))
    for source in sources:
        used |= set(re.findall(r'\btext\(\s*"(\w+)"', source))
    assert used <= set(words()[0])
    assert len(used) > 50


def test_nothing_is_loaded_from_elsewhere_and_no_script_is_inline():
    page = (STATIC / "index.html").read_text("utf-8")
    for script in re.findall(r"<script[^>]*>(.*?)</script>", page, re.S):
        assert script == ""
    assert not re.search(r"\son\w+=|style=", page)
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert address.startswith("/static/")
        assert (STATIC / address.removeprefix("/static/")).is_file()
