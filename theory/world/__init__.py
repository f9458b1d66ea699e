"""Worlds laid out as directories of this machine: a cache of blobs, and folders of links to them.

For the executor, which mounts worlds for attempts, and for the SDK, which mounts them for people. Nothing here asks a
service: whoever uses it says how a blob is fetched.
"""
