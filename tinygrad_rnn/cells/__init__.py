"""Recurrent cells: equations with parameters, the built-in ones, and wrappers around any of them."""
