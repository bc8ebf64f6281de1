"""Results that were written earlier, by this package or by others, read back."""

from rtmpose.results.read import Results, read_results
from rtmpose.writers.clip import Clip, PersonTracks

__all__ = ["Clip", "PersonTracks", "Results", "read_results"]
