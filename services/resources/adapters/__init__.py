"""What the service needs of others, whichever primitive asks."""
