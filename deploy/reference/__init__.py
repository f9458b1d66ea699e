"""The reference pages of docs/reference, written from what they describe: settings, protos, command line, catalog."""
