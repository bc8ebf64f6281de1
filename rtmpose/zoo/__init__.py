"""The model zoo: what models are published, and their files on this machine."""

from rtmpose.paths import cache_folder
from rtmpose.zoo.cache import cached_path, cached_state, is_offline, verify, weights_folder
from rtmpose.zoo.catalog import find, load_zoo
from rtmpose.zoo.download import Progress
from rtmpose.zoo.fetch import fetch
from rtmpose.zoo.resolve import known_card, model_kind, resolve

__all__ = [
    "Progress",
    "cache_folder",
    "cached_path",
    "cached_state",
    "fetch",
    "find",
    "is_offline",
    "known_card",
    "load_zoo",
    "model_kind",
    "resolve",
    "verify",
    "weights_folder",
]
