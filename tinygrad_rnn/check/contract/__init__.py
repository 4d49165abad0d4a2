"""What callers rely on beside the numbers: the protocol of a backward, and of a layer."""
