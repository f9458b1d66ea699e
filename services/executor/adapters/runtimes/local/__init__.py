"""Containers of a Docker Engine on this machine, closed off as far as the engine can."""
