"""What the artifact store promises, whichever adapters keep the bytes and the paths."""
