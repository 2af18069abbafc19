-- Every figure of every run.
select run_id, task, rule, name, value, oracle
from metric
order by run_id, task, rule, name
