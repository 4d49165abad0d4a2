"""The forms of a picture: DOT, SVG, PNG, PDF, HTML, Mermaid, JSON and text."""
