"""What leaves the artifact store again: blobs that nothing refers to, worlds, damaged bytes."""
