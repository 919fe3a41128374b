"""What is remembered: tables, transactions, outbox, audit."""
