"""The lines of invoices: read, stored, and proven to add up. Loaded only where they are wanted."""
