"""The pages in Airflow's menu: Market, My jobs, My machines, My credits; Operations for administrators."""
