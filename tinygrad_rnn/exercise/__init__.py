"""Deriving a backward as an exercise: a file with blanks, graded line by line, with hints."""
