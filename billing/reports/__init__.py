"""What operators read first: figures of a stretch of time, forecasts, charts and tables. Reads only; counts no history."""
