"""Measures pages and acts over a long history, in a database of its own that is gone afterwards."""
