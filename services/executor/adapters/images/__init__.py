"""What runs: build contexts of processors, their pinned packages, and the staged directory made of both."""
