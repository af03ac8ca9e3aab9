"""The gateway: receives signed webhooks, decides what they ask for, and sees it done exactly once."""
