"""Model cards as text: read, written, checked. The card itself is :mod:`rtmpose.model_card`."""
