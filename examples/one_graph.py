r"""The whole pipeline from one ONNX file, with nothing but ONNX Runtime, numpy and something that
reads images.

    rtmpose export rtmpose-s --to pipeline --detector yolox-tiny --output exports
    python examples/one_graph.py \
        exports/yolox-tiny_humanart_416x416+rtmpose-s_body8-halpe26_256x192.onnx photo.jpg

The same file runs from C++, C#, Java, JavaScript, Rust ...: three inputs, four outputs.
"""

import sys

import cv2
import numpy as np
import onnxruntime

MIN_SCORE = 0.3


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    image = cv2.imread(sys.argv[2])  # BGR uint8 (H, W, 3), any size
    if image is None:
        raise SystemExit(f"{sys.argv[2]} is not an image")

    # A tracker that knows where people are gives boxes instead:
    # {"boxes_in": boxes, "detect": np.array(False)}.
    no_boxes = np.zeros((0, 4), np.float32)
    feed = {"image": image, "boxes_in": no_boxes, "detect": np.array(True)}
    boxes, keypoints, scores = session.run(["boxes", "keypoints", "scores"], feed)

    for number, (points, point_scores) in enumerate(zip(keypoints, scores, strict=True)):
        nose = f"nose {points[0].round(1)} ({point_scores[0]:.2f})"
        print(f"person {number}: box {boxes[number].round()}, {nose}")
        for (x, y), score in zip(points, point_scores, strict=True):
            if score > MIN_SCORE:
                cv2.circle(image, (round(float(x)), round(float(y))), 3, (0, 255, 0), -1)
    cv2.imwrite("one_graph.jpg", image)
    print(f"{len(boxes)} people; wrote one_graph.jpg")


if __name__ == "__main__":
    main()
