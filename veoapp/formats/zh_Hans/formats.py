"""Chinese: thousands are grouped, which Django does not do; 9月2日, not 09月2日."""

MONTH_DAY_FORMAT = "n月j日"
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
