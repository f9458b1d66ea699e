"""Histories of clients whose servers are killed, and the judges that decide by them what was lost."""
