-- Everything that was logged in training.
select run_id, phase, name, epoch, value
from curve
order by run_id, phase, name, epoch, value
