"""The price list, the margin of each price, and proposals to follow the provider's prices.

Prices are never edited: a new row replaces an older one. What a job was ordered at is stored with its spend.
"""
