"""Client and agent of DistributedMarket. Imports nothing by itself: each part is loaded when it is used."""

VERSION = "0.2.0"
