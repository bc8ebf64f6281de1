"""Timings of the stages of a frame, of whole pipelines, and of networks with every backend."""
