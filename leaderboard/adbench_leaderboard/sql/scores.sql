-- Some runs' scores, summed up by kind of image.
select run_id, subset, label, subtype, count(*), min(score), median(score), max(score)
from score
where run_id in (select unnest(?))
group by run_id, subset, label, subtype
order by run_id, subset desc, label, subtype
