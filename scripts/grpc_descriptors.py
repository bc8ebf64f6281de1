"""Compile rtmpose/serve/open_inference.proto into the descriptor file beside it.

The messages are made of that file when the service starts, in a pool of their own: clients of
others, whose messages have the same names, can live in the same process.

    pip install grpcio-tools && python scripts/grpc_descriptors.py
"""

import sys
from pathlib import Path

from grpc_tools import protoc

FOLDER = Path(__file__).parents[1] / "rtmpose" / "serve"


def compile_to(path: Path) -> int:
    arguments = [
        "protoc",
        f"--proto_path={FOLDER}",
        f"--descriptor_set_out={path}",
        "open_inference.proto",
    ]
    return int(protoc.main(arguments))


if __name__ == "__main__":
    sys.exit(compile_to(FOLDER / "open_inference.pb"))
