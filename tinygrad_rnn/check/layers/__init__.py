"""User-defined layers: copied, run, and compared with a cell."""
