"""Pruning: channels, heads and taps that a network can do without."""
