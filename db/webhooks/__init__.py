"""Webhook endpoints and deliveries in SQL; nothing is sent from here."""

from db.webhooks.endpoints import ensure_endpoint

__all__ = ["ensure_endpoint"]
