"""Automatic differentiation: Tensors, operations, the graph, and transforms of functions."""
