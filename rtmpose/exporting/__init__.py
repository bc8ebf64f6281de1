"""Writing models for other engines and runtimes. What needs torch is imported only when it is used."""
