-- A run's figures of parts of its test images.
select part, task, rule, name, value, low, high
from part_metric
where run_id = ?
order by rowid
