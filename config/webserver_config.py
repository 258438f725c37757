"""Flask-AppBuilder's settings, read by Airflow for its login pages and for the market's pages."""

from flask_appbuilder.const import AUTH_DB

from market.airflow.security_manager import MarketSecurityManager

AUTH_TYPE = AUTH_DB
SECURITY_MANAGER_CLASS = MarketSecurityManager
# Its limit knows only the login form; the market's stands where a password is checked, whatever leads there.
AUTH_RATE_LIMITED = False
RATELIMIT_ENABLED = False
FAB_API_MAX_PAGE_SIZE = 100
