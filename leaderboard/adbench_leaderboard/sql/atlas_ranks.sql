-- Where each test image of each chosen run stands among the run's own test images: twice its mid-rank, whole whatever the ties.
-- Its number is its place in the run that the comparison goes by, -1 where that run has no such image.
with
chosen as (select unnest(?::varchar[]) as run_id, unnest(?::varchar[]) as reference, unnest(range(?::bigint)) as run),
place as (
    select run_id as reference, image, label, row_number() over (partition by run_id order by image) - 1 as place
    from score
    where subset = 'test' and run_id in (select reference from chosen)
),
ranked as (
    select
        run_id, image, label,
        2 * rank() over (partition by run_id order by score) + count(*) over (partition by run_id, score) - 1 as half_rank
    from score
    where subset = 'test' and run_id in (select run_id from chosen)
)
select run::integer as run, coalesce(place, -1)::integer as place, half_rank::integer as half_rank
from ranked
join chosen using (run_id)
left join place using (reference, image, label)
