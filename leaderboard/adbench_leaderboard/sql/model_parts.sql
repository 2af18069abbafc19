-- Figures of parts of test images over some runs, on a dataset all of one split: how many runs have each, its mean, interval and range.
select dataset, fingerprint, part, task, rule, name, count(*), avg(value), avg(part_metric.low), avg(part_metric.high), min(value), max(value)
from part_metric
join run using (run_id)
where run_id in (select unnest(?))
group by dataset, fingerprint, part, task, rule, name
order by dataset, fingerprint, min(part_metric.rowid)
