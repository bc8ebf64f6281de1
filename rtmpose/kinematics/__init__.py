"""Joint and segment angles of people over time, from results; see docs/angles.md."""

from rtmpose.kinematics.angles import AngleOptions, PersonAngles, person_angles
from rtmpose.kinematics.definitions import ANGLES
from rtmpose.kinematics.scale import FloorLine, Scale

__all__ = ["ANGLES", "AngleOptions", "FloorLine", "PersonAngles", "Scale", "person_angles"]
