"""What keeps the bytes (`blobs`), what keeps the paths (`bindings`), and the other services (`peers`)."""
