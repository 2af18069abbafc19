-- Every figure of a part of a run's test images.
select run_id, part, task, rule, oracle, name, value, low, high, method
from part_metric
order by run_id, part, task, rule, name
