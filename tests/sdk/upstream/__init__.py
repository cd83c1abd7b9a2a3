"""Upstreams that play a model in each dialect, as strict about requests as the real services are."""
