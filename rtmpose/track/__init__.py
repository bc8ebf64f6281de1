"""People followed through a video: ids, smoothing, boxes from the last pose."""

from rtmpose.track.params import TrackerParams
from rtmpose.track.smooth import OneEuro, smooth_offline
from rtmpose.track.state import TrackState
from rtmpose.track.tracker import PoseTracker

__all__ = ["OneEuro", "PoseTracker", "TrackState", "TrackerParams", "smooth_offline"]
