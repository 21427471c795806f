"""What is remembered: people, calls, projects, usage and the ledger of events, in Django's models."""
