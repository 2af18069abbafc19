-- The finite points of some runs' training curves, as lists; phases and values in the order in which they were logged.
select run_id, phase, name, list(epoch order by epoch, value), list(value order by epoch, value)
from curve
where run_id in (select unnest(?)) and isfinite(value)
group by run_id, phase, name
order by run_id, min(rowid)
