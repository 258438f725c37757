"""DistributedMarket: a pool of lent machines, paid for in credits, run by Airflow on YARN."""
