"""Models that are published as checkpoints only: converted once, or one line on how."""

import http.server
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rtmpose import PoseEstimator, zoo
from rtmpose.cli import main
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelFile, Source
from rtmpose.zoo import conversion

NAME = "rtmpose-m-wholebody"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr(conversion, "weights_folder", lambda: folder)
    return folder


def fake_converter(monkeypatch, action):
    class Module:
        export = staticmethod(action)
        ExportOptions = staticmethod(lambda to: to)

    monkeypatch.setattr(conversion, "importlib", SimpleNamespace(import_module=lambda _: Module))
    monkeypatch.setattr("rtmpose.zoo.conversion.has_converter", lambda: True)


def test_a_checkpoint_is_converted_once(cache, monkeypatch, caplog):
    calls = []

    def export(model, out, options, *, card):
        calls.append((model.id, options))
        path = out / f"{card.id}.onnx"
        path.write_bytes(b"exported")
        return path, None

    fake_converter(monkeypatch, export)
    first, card = zoo.resolve(NAME)
    second, _ = zoo.resolve(card)
    assert first == second
    assert first.read_bytes() == b"exported"
    assert cache in first.parents
    assert calls == [("rtmpose-m_coco-wholebody_256x192", "onnx")]
    assert "fetching and converting it" in caplog.text


def test_a_conversion_that_differs_leaves_nothing(cache, monkeypatch):
    def export(*_, **__):
        raise ModelError("it is not the same model any more")

    fake_converter(monkeypatch, export)
    with pytest.raises(ModelError, match="not the same model"):
        zoo.resolve(NAME)
    assert not list(cache.rglob("*.onnx"))


def test_models_with_an_export_are_not_converted():
    assert not conversion.is_convertible(zoo.find("rtmpose-s"))
    assert not conversion.is_convertible(zoo.find("rtmo-s-coco"))
    assert conversion.is_convertible(zoo.find(NAME))


def test_without_torch_one_line_says_the_command(cache, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("rtmpose.zoo.conversion.has_converter", lambda: False)
    options = ["--pose", NAME, "--detector", "none", "-o", str(tmp_path / "out")]
    photo = Path(__file__).parents[1] / "rtmpose" / "assets" / "photos" / "astronaut.jpg"
    assert main(["predict", str(photo), *options]) == 1
    told = capsys.readouterr().err
    assert "pip install 'rtmpose[export]'" in told
    assert len(told.strip().splitlines()) == 1


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Handler, directory=str(folder))
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield folder, f"http://127.0.0.1:{http_server.server_port}"
    http_server.shutdown()
    thread.join()
    http_server.server_close()


@pytest.mark.slow
def test_a_served_checkpoint_becomes_a_model(server, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    from rtmpose.networks import build, config_for

    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "cache"))
    folder, url = server
    card = replace(zoo.find("rtmpose-t_body8_256x192"), id="served", input_wh=(64, 64))
    torch.manual_seed(0)
    torch.save({"state_dict": build(config_for(card)).state_dict()}, folder / "served.pth")
    source = Source("url", url=f"{url}/served.pth")
    card = replace(card, aliases=(), files=(ModelFile("pth", "served.pth", (source,)),))

    estimator = PoseEstimator(card)
    assert estimator.path == conversion.converted_path(card)
    assert estimator.path.with_name("served.onnx.verify.json").is_file()
    poses = estimator(np.zeros((80, 80, 3), np.uint8), [[5, 5, 70, 70]])
    assert poses.keypoints.shape == (1, 17, 2)

    # The second time neither the server nor torch is needed.
    (folder / "served.pth").unlink()
    monkeypatch.setattr(conversion, "EXPORTER", "nowhere")
    assert PoseEstimator(card).path == estimator.path
