"""Chinese: thousands apart, as money is written; Django's own way groups nothing here."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
