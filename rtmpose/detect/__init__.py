"""Find the boxes: letterbox, network, decoding."""
