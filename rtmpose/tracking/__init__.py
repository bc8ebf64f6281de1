"""People followed through a video: ids, smoothing, boxes from the last pose."""

from rtmpose.tracking.params import TrackerParams
from rtmpose.tracking.smoothing import OneEuro, smooth_offline
from rtmpose.tracking.state import TrackState
from rtmpose.tracking.tracker import PoseTracker

__all__ = ["OneEuro", "PoseTracker", "TrackState", "TrackerParams", "smooth_offline"]
