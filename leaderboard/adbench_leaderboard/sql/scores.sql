-- A run's scores, summed up by kind of image.
select subset, label, subtype, count(*), min(score), median(score), max(score)
from score
where run_id = ?
group by subset, label, subtype
order by subset desc, label, subtype
