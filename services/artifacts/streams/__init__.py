"""The World's live series: chunks by index, the newest of them kept."""
