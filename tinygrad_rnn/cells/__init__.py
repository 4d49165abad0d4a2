"""Recurrent cells: the decorator, the parameters, the built-in cells, and wrappers around any cell."""
