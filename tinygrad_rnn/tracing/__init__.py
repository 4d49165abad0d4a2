"""One recorded computation: its values and equations, their names, and its backward pass as formulas."""
