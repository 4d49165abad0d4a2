"""A cell over time."""
