"""The plan of a cell: one traced step and its adjoint, split into what runs once, for all steps at once, and in a loop."""
