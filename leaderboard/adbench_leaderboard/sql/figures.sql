-- Every figure of every run, with its interval.
select run_id, task, rule, name, value, low, high, oracle
from metric
order by run_id, task, rule, name
