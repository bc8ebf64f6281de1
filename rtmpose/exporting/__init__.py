"""Writing models for other engines and runtimes."""
