"""What several services need of one product; imported by adapters and assembly alone."""
