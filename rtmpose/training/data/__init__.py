"""Samples for training: read, augmented and assembled into batches."""
