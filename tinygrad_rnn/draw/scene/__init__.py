"""The picture as geometry: boxes, lines and texts with their places."""
