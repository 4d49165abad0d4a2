"""Objects with a forward and a backward of their own: made from what a user names, copied, run."""
