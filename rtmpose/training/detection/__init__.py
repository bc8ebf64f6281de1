"""Training of detectors: the task, its losses, assignment and distillation."""
