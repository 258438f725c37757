"""What a job's Python finds beside PySpark: it starts programs, and opens the market's addresses."""
