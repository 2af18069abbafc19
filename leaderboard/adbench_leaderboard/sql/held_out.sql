-- Scores that some runs gave to held-out normal images.
select run_id, score
from score
where subset = 'held_out' and run_id in (select unnest(?))
order by run_id, score
