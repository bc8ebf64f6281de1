"""Results that were written earlier, read back: JSON, JSON lines, CSV, Parquet, NumPy, OpenPose."""

from rtmpose.results.read import read_results
from rtmpose.writers.clip import Clip, PersonTracks

__all__ = ["Clip", "PersonTracks", "read_results"]
