"""Processes that fork after an engine was used.

The child has none of the engine's threads. Whatever is deleted in it that was made before, at its
end at the latest, would wait for them forever. So it is never deleted there.
"""

from __future__ import annotations

import ctypes
import os
import weakref

_made: weakref.WeakSet[object] = weakref.WeakSet()


def keep_in_forks(made: object) -> None:
    """Never delete an object of an engine in processes that are forked from this one."""
    _made.add(made)


def _keep_all() -> None:
    for made in list(_made):
        # A reference that is never given back, not even when Python ends.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    _made.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_keep_all)
