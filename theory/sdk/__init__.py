"""Clients of the five services, and what runs inside a container."""
