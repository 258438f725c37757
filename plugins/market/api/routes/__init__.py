"""The routes, grouped by noun. A route is three steps: load, call one function of the market, dump."""

from market.api.routes import health, users

ROUTERS = (health.router, users.router)
