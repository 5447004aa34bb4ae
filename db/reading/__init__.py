"""Reads for people and their machines: orders, fulfillments, parcels, movements; pages by key, never by offset."""
