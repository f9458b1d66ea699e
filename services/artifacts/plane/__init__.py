"""The data plane: blobs over HTTP, for whoever holds a signed URL. Beside the gRPC server, in its process and loop."""
