"""The routes, grouped by noun. A route is three steps: load, call one function of the market, dump."""

from market.web.api.routes import (
    accounts,
    admission,
    agents,
    alerts,
    audit,
    credits,
    files,
    health,
    jobs,
    machines,
    notifications,
    price,
    projects,
    secrets,
    settlements,
    tokens,
    users,
)

AGENT_ROUTERS = (agents.router,)
ROUTERS = (
    users.router,
    accounts.router,
    admission.router,
    tokens.router,
    credits.router,
    projects.router,
    files.router,
    secrets.router,
    jobs.router,
    machines.router,
    price.router,
    settlements.router,
    alerts.router,
    audit.router,
    notifications.router,
    health.router,
)
