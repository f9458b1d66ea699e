"""The World: immutable files by path and CID, and live streams."""
