"""Webhooks out: the process that sends what the outbox holds (`facewarden deliver`)."""
