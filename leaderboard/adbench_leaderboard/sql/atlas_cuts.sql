-- How many test images of each chosen run lie at or below each rule's threshold; the others are called abnormal.
select run_id, rule, count(*) filter (score <= value)
from score
join metric using (run_id)
where subset = 'test' and name = 'threshold' and task = 'all' and list_contains(?::varchar[], run_id)
group by run_id, rule
