-- Some runs' figures of parts of their test images.
select run_id, part, task, rule, name, value, low, high
from part_metric
where run_id in (select unnest(?))
order by run_id, rowid
