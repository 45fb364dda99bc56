"""Compares the provider's balance and the stored files with our books, and records what explains the differences.

Entries and answers are only added, never edited. It works on readings that were stored before and asks nobody.
"""
