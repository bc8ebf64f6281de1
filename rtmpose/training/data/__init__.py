"""Samples for training: read, augmented and put into batches."""
