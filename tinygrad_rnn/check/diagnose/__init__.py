"""Which line is wrong, and what the mistake in it is: the right backward pass with one edit gives the same numbers."""
