"""Results that were written earlier, read back: JSON, JSON lines, CSV, Parquet, NumPy, OpenPose."""

from rtmpose.results.read import Results, read_results
from rtmpose.writers.clip import Clip, PersonTracks

__all__ = ["Clip", "PersonTracks", "Results", "read_results"]
