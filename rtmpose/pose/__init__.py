"""Find the keypoints in given boxes: crop, network, decoding."""
