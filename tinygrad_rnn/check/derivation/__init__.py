"""A hand-derived backward: each gradient that it returns, by an argument or a local variable, and the right one."""
