"""The debugger of hand-derived gradients: it finds the wrong line in the user's source, and a patch that was run."""
