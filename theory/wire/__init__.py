"""The only meeting of gRPC and theory.core."""
