"""Theory: the library, its command line and its conformance kit. See the sub-packages; nothing is imported here."""
