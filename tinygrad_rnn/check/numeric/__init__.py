"""Numerical gradients from the values of a function alone, and the verdict on a gradient compared with them."""
