"""The routes, grouped by noun. A route is three steps: load, call one function of the market, dump."""

from market.web.api.routes import agents, credits, files, health, jobs, machines, price, settlements, users

AGENT_ROUTERS = (agents.router,)
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
