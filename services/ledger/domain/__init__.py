"""What the ledger promises: chains, accounts, settlements, receipts."""
