"""Write ``docs/skeletons/NAME.md`` and draw its ``.svg`` for every keypoint set.

    python scripts/skeleton_pages.py            # write them, and the table of docs/skeletons.md
    python scripts/skeleton_pages.py --check    # exit status 1 where one is out of date

The points lie where ``skeleton_layouts.toml`` says; other sets are laid out by their links.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from generated_files import write_or_check
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from rtmpose.skeletons import get_skeleton, skeleton_names
from rtmpose.text_files import read_toml
from rtmpose.types import Skeleton

ROOT = Path(__file__).parent.parent
LAYOUTS = Path(__file__).with_name("skeleton_layouts.toml")
BEGIN = "<!-- keypoint sets: made by `python scripts/skeleton_pages.py` -->"
END = "<!-- keypoint sets: end -->"
FACE_POINT = re.compile(r"(?:face|kpt)-(\d+)$")
HAND_POINT = re.compile(r"(?:(left|right)_)?(?:hand_(root)|((?:thumb|\w+_?finger)\d)|(wrist))$")
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """Points drawn together, in a coordinate frame of their own.

    Attributes:
        title: What the panel shows; empty for the only one of a drawing.
        indices: The K indices of the points in the set.
        points: ``(K, 2)`` x, y in units of the panel.
        box: Left, top, width and height of the panel in the drawing, in pixels.
    """

    title: str
    indices: tuple[int, ...]
    points: Points
    box: tuple[float, float, float, float]


def main() -> int:
    return write_or_check(__doc__, all_files())


def all_files() -> dict[Path, str]:
    """Path and content of every file that this script makes."""
    files = {}
    skeletons = [get_skeleton(name) for name in skeleton_names()]
    for skeleton in skeletons:
        panels, designed = lay_out(skeleton)
        drawing = ROOT / "docs" / "images" / "skeletons" / f"{skeleton.name}.svg"
        files[drawing] = draw(skeleton, panels)
        page = ROOT / "docs" / "skeletons" / f"{skeleton.name}.md"
        files[page] = page_text(skeleton, designed)

    index = ROOT / "docs" / "skeletons.md"
    head, rest = index.read_text(encoding="utf-8").split(BEGIN)
    _, tail = rest.split(END)
    files[index] = f"{head}{BEGIN}\n\n{index_table(skeletons)}\n\n{END}{tail}"
    return files


# -------------------------------------------------------------------------------------- layout


def lay_out(skeleton: Skeleton) -> tuple[list[Panel], bool]:
    """The panels of a drawing, and whether they come from the layouts, not from the links."""
    layouts = read_toml(LAYOUTS)
    everything = tuple(range(len(skeleton)))
    names = skeleton.keypoints

    # One face, one hand or one animal fills the drawing.
    if skeleton.name in layouts["face"]:
        face = face_points(layouts["face"][skeleton.name], skeleton)
        return [Panel("", everything, face, (0, 0, 900, 800))], True
    if set(names) <= set(layouts["hand"]):
        hand = np.array([layouts["hand"][name] for name in names], float)
        return [Panel("", everything, hand, (0, 0, 560, 640))], True
    if set(names) <= set(layouts["animal"]):
        animal = np.array([layouts["animal"][name] for name in names], float)
        return [Panel("", everything, animal, (0, 0, 720, 560))], True

    body = {i: body_point(layouts["body"], name) for i, name in enumerate(names)}
    faces = [i for i, name in enumerate(names) if FACE_POINT.match(name)]
    hands = {
        side: [i for i, name in enumerate(names) if hand_name(name, side) and body[i] is None]
        for side in ("left", "right")
    }
    on_body = [i for i in everything if body[i] is not None]
    placed = len(on_body) + len(faces) + sum(map(len, hands.values()))
    if placed != len(skeleton) or len(faces) not in (0, 68):
        return [Panel("", everything, spring_layout(skeleton), (0, 0, 640, 640))], False

    # A person: the body, and face and hands enlarged next to it.
    body_panel = Panel("", tuple(on_body), np.array([body[i] for i in on_body]), (0, 0, 440, 820))
    if not faces:
        return [body_panel], True
    face = face_points(layouts["face"]["300w68"], get_skeleton("300w68"))
    panels = [body_panel, Panel("face", tuple(faces), face, (450, 0, 720, 470))]
    for side, left in (("right", 450.0), ("left", 815.0)):
        points = np.array(
            [layouts["hand"][hand_name(names[i], side)] for i in hands[side]], float
        ) * (1 if side == "left" else -1, 1)
        panels.append(Panel(f"{side} hand", tuple(hands[side]), points, (left, 470, 355, 350)))
    return panels, True


def body_point(layout: dict[str, list[float]], name: str) -> tuple[float, float] | None:
    if name in layout:
        x, y = layout[name]
        return x, y
    if name.startswith("right_") and name.replace("right", "left") in layout:
        x, y = layout[name.replace("right", "left")]
        return -x, y
    return None


def hand_name(name: str, side: str) -> str:
    """The name of a hand's point without its side; empty where it is not one of that hand."""
    match = HAND_POINT.match(name)
    if match is None or match[1] != side:
        return ""
    return match[2] or match[3] or ""


def face_points(curves: list[dict[str, object]], skeleton: Skeleton) -> Points:
    """Points spread along the curves of a face; flip partners are mirrored at x = 0."""
    points = np.full((len(skeleton), 2), np.nan)
    for curve in curves:
        indices = index_list(str(curve["indices"]))
        through = np.array(curve["through"], float)
        points[indices] = resample(through, len(indices), bool(curve.get("closed", False)))
    for i, partner in enumerate(skeleton.flip_indices):
        if np.isnan(points[i, 0]):
            points[i] = points[partner] * (-1, 1)
    if np.isnan(points).any():
        raise SystemExit(f"{LAYOUTS.name} leaves points of {skeleton.name} without a place")
    return points


def index_list(text: str) -> list[int]:
    """``0-2,5`` as 0, 1, 2, 5."""
    indices: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        indices += range(int(first), int(last or first) + 1)
    return indices


def resample(through: Points, count: int, closed: bool) -> Points:
    """``count`` points along a curve, at equal distances; a curve of as many points is kept."""
    if len(through) == count:
        return through
    if closed:
        through = np.vstack([through, through[:1]])
    lengths = np.linalg.norm(np.diff(through, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(lengths)])
    places = np.linspace(0, along[-1], count, endpoint=not closed)
    if len(through) > 3 and not closed:
        smooth: Points = CubicSpline(along, through)(places)
        return smooth
    return np.column_stack([np.interp(places, along, through[:, axis]) for axis in (0, 1)])


def spring_layout(skeleton: Skeleton, rounds: int = 300) -> Points:
    """Points pushed apart by each other and pulled together by links, from a circle on."""
    count = len(skeleton)
    angles = 2 * np.pi * np.arange(count) / count
    points = np.column_stack([np.cos(angles), np.sin(angles)]) * count**0.5
    ends = np.array(skeleton.links, int).reshape(-1, 2)
    for step in range(rounds):
        offset = points[:, None] - points[None]
        distance = np.maximum(np.linalg.norm(offset, axis=2), 0.01)
        force = (offset / distance[..., None] ** 2).sum(1)
        pull = points[ends[:, 0]] - points[ends[:, 1]]
        pull *= np.linalg.norm(pull, axis=1, keepdims=True)
        np.add.at(force, ends[:, 0], -pull)
        np.add.at(force, ends[:, 1], pull)

        # Steps get shorter, so that the layout settles.
        length = np.maximum(np.linalg.norm(force, axis=1, keepdims=True), 1e-9)
        points = points + force / length * np.minimum(length, 0.3 * (1 - step / rounds))
    return points


# ------------------------------------------------------------------------------------- drawing


def draw(skeleton: Skeleton, panels: list[Panel]) -> str:
    """The set as SVG, with the index of every point."""
    places: dict[int, tuple[float, float]] = {}
    for panel in panels:
        places.update(zip(panel.indices, fit(panel), strict=True))
    width = max(panel.box[0] + panel.box[2] for panel in panels)
    height = max(panel.box[1] + panel.box[3] for panel in panels)
    dense = len(skeleton) > 60
    radius = 3.2 if dense else 6.0
    size = 10 if dense else 14

    title = f"{skeleton.name}: {skeleton.description}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
        f' width="{width:g}" height="{height:g}" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{width:g}" height="{height:g}" rx="12" fill="#20252e"/>',
        f'<g stroke-linecap="round" stroke-width="{radius * 0.9:g}">',
    ]
    for (a, b), color in zip(skeleton.links, skeleton.link_colors, strict=True):
        (xa, ya), (xb, yb) = places[a], places[b]
        ends = f'x1="{xa:.1f}" y1="{ya:.1f}" x2="{xb:.1f}" y2="{yb:.1f}"'
        lines.append(f'<line {ends} stroke="{hex_color(color)}"/>')
    lines.append('</g>\n<g stroke="#20252e" stroke-width="1">')
    for i, (x, y) in sorted(places.items()):
        fill = hex_color(skeleton.keypoint_colors[i])
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}"/>')

    lines.append(
        f'</g>\n<g font-family="sans-serif" font-size="{size}" fill="#ffffff" text-anchor="middle"'
        ' stroke="#20252e" stroke-width="2.5" paint-order="stroke" stroke-linejoin="round">'
    )
    for i, (x, y) in label_places(places, skeleton, radius, size).items():
        lines.append(f'<text x="{x:.1f}" y="{y + size * 0.35:.1f}">{i}</text>')
    for panel in panels:
        if panel.title:
            x = panel.box[0] + panel.box[2] / 2
            lines.append(
                f'<text x="{x:.1f}" y="{panel.box[1] + 26:.1f}" font-size="16"'
                f' fill="#9aa4b5">{panel.title}</text>'
            )
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"


def fit(panel: Panel, margin: float = 44) -> list[tuple[float, float]]:
    """The panel's points in pixels of the drawing: same scale for x and y, in the middle."""
    left, top, width, height = panel.box
    low = panel.points.min(axis=0)
    span = np.maximum(panel.points.max(axis=0) - low, 1e-6)
    scale = min((width - 2 * margin) / span[0], (height - 2 * margin) / span[1])
    corner = np.array([left, top]) + (np.array([width, height]) - span * scale) / 2
    return [(float(x), float(y)) for x, y in corner + (panel.points - low) * scale]


def label_places(
    places: dict[int, tuple[float, float]], skeleton: Skeleton, radius: float, size: int
) -> dict[int, tuple[float, float]]:
    """Where each index is written: the direction around its point that is least crowded."""
    points = np.array(list(places.values()))
    starts = np.array([places[a] for a, _ in skeleton.links]).reshape(-1, 2)
    ends = np.array([places[b] for _, b in skeleton.links]).reshape(-1, 2)
    angles = np.arange(16) * np.pi / 8
    labels: dict[int, tuple[float, float]] = {}
    for i, place in sorted(places.items()):
        # Numbers are wider than high.
        away_y = radius + size * 0.75
        away_x = away_y + 0.15 * size * len(str(i))
        spots = np.array(place) + np.column_stack(
            [np.cos(angles) * away_x, np.sin(angles) * away_y]
        )

        taken = np.array(list(labels.values())).reshape(-1, 2)
        crowding = 100 * closeness(spots, points) + 200 * closeness(spots, taken)
        crowding += (30 / (1 + segment_distances(spots, starts, ends))).sum(1)
        x, y = spots[int(np.argmin(crowding.round(6)))]
        labels[i] = (float(x), float(y))
    return labels


def closeness(spots: Points, points: Points) -> Points:
    """How near each of ``(S, 2)`` spots is to ``(N, 2)`` points, summed: ``(S,)``."""
    squares = ((spots[:, None] - points[None]) ** 2).sum(2)
    near: Points = (1 / (1 + squares)).sum(1)
    return near


def segment_distances(spots: Points, starts: Points, ends: Points) -> Points:
    """Distance of ``(S, 2)`` spots from ``(L, 2)`` to ``(L, 2)`` segments: ``(S, L)``."""
    along = ends - starts
    offset = spots[:, None] - starts[None]
    t = (offset * along).sum(2) / np.maximum((along**2).sum(1), 1e-9)
    distances: Points = np.linalg.norm(offset - np.clip(t, 0, 1)[..., None] * along, axis=2)
    return distances


def hex_color(bgr: tuple[int, int, int]) -> str:
    blue, green, red = bgr
    return f"#{red:02x}{green:02x}{blue:02x}"


# --------------------------------------------------------------------------------------- pages


def page_text(skeleton: Skeleton, designed: bool) -> str:
    """The page of a set: drawing, table of points, links."""
    sigmas = "with OKS constants" if skeleton.sigmas else "without OKS constants"
    lines = [
        f"# {skeleton.name}",
        "",
        f"{skeleton.description}. {len(skeleton)} points, {len(skeleton.links)} links, {sigmas}.",
        "",
        f"![The points of {skeleton.name} with their indices](../images/skeletons/"
        f"{skeleton.name}.svg)",
        "",
    ]
    if not designed:
        lines += ["The drawing is laid out by the links alone; it is no pose.", ""]
    lines += [
        "Left and right are the subject's own. `mirror` is the point that takes this one's place in"
        " a mirrored image.",
        "",
        "| index | name | side | mirror | sigma |",
        "| ---: | --- | --- | ---: | ---: |",
    ]
    for i, name in enumerate(skeleton.keypoints):
        sigma = f"{skeleton.sigmas[i]:g}" if skeleton.sigmas else "–"
        mirror = skeleton.flip_indices[i]
        lines.append(f"| {i} | `{name}` | {skeleton.sides[i]} | {mirror} | {sigma} |")
    lines += ["", "Links, by index: " + ", ".join(f"{a}–{b}" for a, b in skeleton.links) + "."]
    lines += ["", "[All keypoint sets](../skeletons.md)", ""]
    return "\n".join(lines)


def index_table(skeletons: list[Skeleton]) -> str:
    """The table of all sets for docs/skeletons.md."""
    lines = ["| set | what | points | links | OKS constants |", "| --- | --- | ---: | ---: | --- |"]
    for skeleton in skeletons:
        sigmas = "yes" if skeleton.sigmas else "no"
        lines.append(
            f"| [`{skeleton.name}`](skeletons/{skeleton.name}.md) | {skeleton.description} |"
            f" {len(skeleton)} | {len(skeleton.links)} | {sigmas} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
