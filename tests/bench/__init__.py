"""The measured hot paths: each run states its machine and compares within itself."""
