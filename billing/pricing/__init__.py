"""The price list, the margin of each price, and proposals to follow the provider's prices.

Prices are never edited: a newer row replaces an older one. The price at which a job was ordered is stored in its `Spend`.
"""
