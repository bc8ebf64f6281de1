"""Training of pose networks: the task, its losses, metrics and distillation."""
