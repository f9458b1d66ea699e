"""The conformance kit: promises as cases that speak to any server over a channel; knows no pytest."""
