"""Plain child processes for trusted code on a machine without a container engine. Nothing is isolated."""
