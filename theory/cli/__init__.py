"""The theory command."""
