"""The rules by which things go: never what is referred to, never before their time, and once they go, altogether."""
