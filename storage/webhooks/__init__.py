"""Webhooks in SQL: endpoints, the outbox, deliveries."""
