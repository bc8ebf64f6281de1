"""Draw ``docs/images/angles/*.svg``: the segments and joints of docs/angles.md.

python scripts/angle_drawings.py            # write them
python scripts/angle_drawings.py --check    # exit status 1 where one is out of date
"""

import math
import sys
from pathlib import Path

from generated_files import write_or_check

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "images" / "angles"
BACK, BONE, JOINT, ARC = "#20252e", "#8fa3bf", "#ffffff", "#ffb03a"
TEXT, SOFT = "#ffffff", "#9aa4b5"

# A person who faces right, y up.
POSE = {
    "hip": (0, 0), "neck": (14, 100), "head": (24, 150), "knee": (38, -66), "ankle": (8, -136),
    "heel": (-6, -150), "toe": (40, -142), "elbow": (44, 52), "wrist": (84, 64),
}  # fmt: skip
SEGMENTS = (
    ("foot", "heel", "toe"), ("shank", "knee", "ankle"), ("thigh", "hip", "knee"),
    ("trunk", "hip", "neck"), ("head", "neck", "head"), ("arm", "neck", "elbow"),
    ("forearm", "elbow", "wrist"),
)  # fmt: skip
JOINTS = (
    ("ankle_dorsiflexion", "heel", ("heel", "toe"), ("knee", "ankle"), 90, 1),
    ("knee_flexion", "knee", ("knee", "ankle"), ("hip", "knee"), 0, -1),
    ("hip_flexion", "hip", ("hip", "knee"), ("hip", "neck"), 180, 1),
    ("shoulder_flexion", "neck", ("neck", "elbow"), ("hip", "neck"), 180, 1),
    ("elbow_flexion", "elbow", ("elbow", "wrist"), ("neck", "elbow"), 0, 1),
)
"""Name, where it is drawn, the segment that moves, the one it is measured from, how far it stands
from that one at 0 degrees, and 1 where it turns to the front.
"""


def main() -> int:
    return write_or_check(__doc__, all_files())


def all_files() -> dict[Path, str]:
    """Path and content of every drawing."""
    return {
        FOLDER / "segments.svg": drawing("Segments", segment_marks(), 7, 230),
        FOLDER / "joints.svg": drawing("Joints", joint_marks(), 5, 230),
    }


def place(point: str, panel: int, width: float) -> tuple[float, float]:
    x, y = POSE[point]
    return panel * width + width / 2 - 10 + x, 190 - y


def drawing(title: str, marks: list[tuple[str, list[str]]], count: int, width: float) -> str:
    height = 390
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {count * width:g} {height}"'
        f' width="{count * width:g}" height="{height}" role="img" font-family="sans-serif">',
        f"<title>{title}: each angle on a person who faces right</title>",
        f'<rect width="{count * width:g}" height="{height}" rx="12" fill="{BACK}"/>',
    ]
    for panel, (caption, parts) in enumerate(marks):
        lines.append('<g stroke-linecap="round">')
        for _, start, end in (*SEGMENTS, ("", "ankle", "heel"), ("", "ankle", "toe")):
            lines.append(line(place(start, panel, width), place(end, panel, width), BONE, 4))
        lines += parts
        x = panel * width + width / 2
        lines.append(
            f'</g><text x="{x:.1f}" y="374" fill="{TEXT}" font-size="15"'
            f' text-anchor="middle">{caption}</text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def segment_marks() -> list[tuple[str, list[str]]]:
    """Each segment, with the arc from the horizontal that points forward."""
    marks = []
    for panel, (name, start, end) in enumerate(SEGMENTS):
        origin, tip = place(start, panel, 230), place(end, panel, 230)
        ahead = (origin[0] + 62, origin[1])
        degrees = direction(start, end)
        parts = [
            line(origin, ahead, SOFT, 1.5, dashed=True),
            line(origin, tip, ARC, 6),
            arc(origin, 0, degrees, 34),
            dot(origin),
        ]
        marks.append((f"{name}: {degrees:.0f}°", parts))
    return marks


def joint_marks() -> list[tuple[str, list[str]]]:
    """Each joint, with the arc from where it is 0."""
    marks = []
    for panel, (name, at, own, reference, offset, sign) in enumerate(JOINTS):
        center = place(at, panel, 230)
        zero = direction(*reference) + offset
        turn = (direction(*own) - zero + 180) % 360 - 180
        radians = math.radians(zero)
        ray = (center[0] + 62 * math.cos(radians), center[1] - 62 * math.sin(radians))
        parts = [
            line(center, ray, SOFT, 1.5, dashed=True),
            line(place(own[0], panel, 230), place(own[1], panel, 230), ARC, 6),
            arc(center, zero, zero + turn, 34),
            dot(center),
        ]
        marks.append((f"{name.replace('_', ' ')}: {sign * turn:.0f}°", parts))
    return marks


def direction(start: str, end: str) -> float:
    (xa, ya), (xb, yb) = POSE[start], POSE[end]
    return math.degrees(math.atan2(yb - ya, xb - xa))


def line(
    start: tuple[float, float], end: tuple[float, float], color: str, width: float, *, dashed=False
) -> str:
    dashes = ' stroke-dasharray="5 5"' if dashed else ""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        f' stroke="{color}" stroke-width="{width:g}"{dashes}/>'
    )


def arc(center: tuple[float, float], start: float, end: float, radius: float) -> str:
    turn = (end - start + 180) % 360 - 180
    points = []
    for degrees in (start, start + turn):
        radians = math.radians(degrees)
        points.append(
            (center[0] + radius * math.cos(radians), center[1] - radius * math.sin(radians))
        )
    (xa, ya), (xb, yb) = points
    sweep = int(turn < 0)
    return (
        f'<path d="M{xa:.1f} {ya:.1f} A{radius} {radius} 0 0 {sweep} {xb:.1f} {yb:.1f}"'
        f' fill="none" stroke="{ARC}" stroke-width="2.5"/>'
    )


def dot(center: tuple[float, float]) -> str:
    return f'<circle cx="{center[0]:.1f}" cy="{center[1]:.1f}" r="5" fill="{JOINT}"/>'


if __name__ == "__main__":
    sys.exit(main())
