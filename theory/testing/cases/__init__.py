"""The promises of every service, one module per primitive."""
