"""The pages in Airflow's menu: Market, My jobs and the like; and those for administrators."""
