"""The contract of a backward and of a layer: what callers rely on, apart from the numbers."""
