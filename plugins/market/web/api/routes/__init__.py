"""The routes, grouped by noun. A route is three steps: load, call one function of the market, dump."""

from market.web.api.routes import credits, files, health, jobs, machines, price, settlements, users

ROUTERS = (
    users.router,
    credits.router,
    files.router,
    jobs.router,
    machines.router,
    price.router,
    settlements.router,
    health.router,
)
