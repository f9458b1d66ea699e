"""What queues promise, whichever store holds the messages."""
