"""Compares the provider's balance and the stored files with our books, and records what explains the differences.

Entries and explanations are only added, never edited. The code here uses stored readings of the balance and makes no
network calls.
"""
