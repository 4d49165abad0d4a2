"""Generators of random programs, cells and stories, and what they are compared with."""
