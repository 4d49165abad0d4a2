"""The plan of a cell: one traced step and its adjoint, split by what runs once, for all steps at once, or in a loop."""
