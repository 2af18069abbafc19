-- Abnormal images that are hardest to find: the share of normal images that score at least as high
with share as (
    select run_id, image, subtype, label,
        sum(1 - label) over (partition by run_id order by score desc)
            / sum(1 - label) over (partition by run_id) as false_alarms
    from score
    where subset = 'test'
)
select dataset, image, subtype,
    count(distinct variant) as models,
    count(*) as runs,
    min(false_alarms) as best_run,
    avg(false_alarms) as mean
from share
join run using (run_id)
where ranked and label = 1
group by dataset, fingerprint, image, subtype
order by mean desc, dataset, image
limit 50
