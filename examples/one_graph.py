"""The whole pipeline from one ONNX file, with nothing but ONNX Runtime, numpy and something that
reads pictures.

    rtmpose export rtmpose-s --to pipeline --detector yolox-tiny --out exports
    python examples/one_graph.py
    exports/yolox-tiny_humanart_416x416+rtmpose-s_body8-halpe26_256x192.onnx photo.jpg

The same file runs from C++, C#, Java, JavaScript, Rust ...: three inputs, four outputs.
"""

import sys

import cv2
import numpy as np
import onnxruntime


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    image = cv2.imread(sys.argv[2])  # BGR uint8 (H, W, 3), any size
    if image is None:
        raise SystemExit(f"{sys.argv[2]} is not a picture")
    nothing = np.zeros((0, 4), np.float32)
    feed = {"image": image, "boxes_in": nothing, "detect": np.array(True)}
    boxes, keypoints, scores = session.run(["boxes", "keypoints", "scores"], feed)
    # A tracker that knows where people are gives boxes instead: {"boxes_in": boxes, "detect":
    # np.array(False)}.
    for person, (points, sure) in enumerate(zip(keypoints, scores, strict=True)):
        print(
            f"person {person}: box {boxes[person].round()}, nose {points[0].round(1)}"
            f" ({sure[0]:.2f})"
        )
        for (x, y), score in zip(points, sure, strict=True):
            if score > 0.3:
                cv2.circle(image, (round(float(x)), round(float(y))), 3, (0, 255, 0), -1)
    cv2.imwrite("one_graph.jpg", image)
    print(f"{len(boxes)} people; wrote one_graph.jpg")


if __name__ == "__main__":
    main()
