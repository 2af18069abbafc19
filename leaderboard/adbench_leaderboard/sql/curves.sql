-- The points of a run's training curves.
select phase, name, epoch, value
from curve
where run_id = ?
order by phase, name, epoch, value
