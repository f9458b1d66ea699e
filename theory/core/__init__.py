"""The words every part of Theory shares. Pure: no I/O, no protobuf, no gRPC, no provider."""
