"""What the registry promises: a ref names one document for ever, and a snapshot answers for ever the same."""
