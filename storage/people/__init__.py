"""Accounts, their sessions and tokens, and what reviewers claim and decide."""
