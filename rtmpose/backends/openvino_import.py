"""Loading OpenVINO without its usage statistics."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

TELEMETRY = "openvino_telemetry"


def load_openvino() -> ModuleType:
    """The package ``openvino``.

    Raises:
        ImportError: it is not installed.
    """
    with no_telemetry():
        import openvino

    return cast(ModuleType, openvino)


@contextmanager
def no_telemetry() -> Iterator[None]:
    """Packages that are imported within the block send no usage data.

    Otherwise the import of OpenVINO, or NNCF, starts a child process that sends them, and writes an
    id of the user into the home folder. Without the package that does it they do nothing of this.
    What a program has loaded before stays as it is.
    """
    if TELEMETRY in sys.modules:
        yield
        return
    # An import of it fails then, as if it were not installed.
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[TELEMETRY]
