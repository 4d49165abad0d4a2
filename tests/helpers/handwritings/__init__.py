"""Layers, functions and losses with a backward by hand, in the styles of students: plain NumPy files, all right.

`table` lists the mistakes that are planted in them, as changes of a line of text. `at_random` draws a layer at random.
"""
