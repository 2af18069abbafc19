-- Every figure of every run, as evaluated when it was taken in.
select run_id, task, rule, oracle, name, value, low, high, method
from metric
order by run_id, task, rule, name
