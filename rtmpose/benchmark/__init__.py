"""Timings of the stages of a frame, and of networks in every engine."""
