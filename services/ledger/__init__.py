"""Hash-chained events, budgets and receipts."""
