"""Run the Python program of a job; the modules that do it come with PySpark's archive."""

from market_runner.program import main

main()
