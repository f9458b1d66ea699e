"""What streams promise, whichever store holds the chunks."""
