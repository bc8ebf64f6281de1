"""The errors this package raises on purpose.

Every one derives from :class:`RtmposeError`; the command line prints its text as one paragraph. A
message says what was wrong, with which file or argument, and what to do about it.
"""

from __future__ import annotations


class RtmposeError(Exception):
    """Base of all errors raised on purpose by rtmpose."""


class InputError(RtmposeError, ValueError):
    """An image, video, box or argument that cannot be used."""


class UnknownArgumentError(InputError, TypeError):
    """A keyword that a function or class does not have; the message names those like it."""


class OutputError(RtmposeError, OSError):
    """A result that could not be written."""


class ModelError(RtmposeError):
    """A model that is unknown, cannot be fetched, is damaged, or is not of the expected kind."""


class BackendError(RtmposeError):
    """An inference engine or device that is missing or failed."""


class MissingDependencyError(RtmposeError, ImportError):
    """An optional package is not installed; the message names the extra to install."""
