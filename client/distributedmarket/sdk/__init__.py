"""The market for programs: `from distributedmarket import Market`."""

from distributedmarket.sdk.job import Job, WaitTimeoutError
from distributedmarket.sdk.market import Market, NotLoggedInError

__all__ = ["Job", "Market", "NotLoggedInError", "WaitTimeoutError"]
