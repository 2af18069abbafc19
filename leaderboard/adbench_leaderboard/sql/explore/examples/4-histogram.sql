-- Scores of one run in twenty bins, normal and abnormal images apart
with one as (
    select label, score, min(score) over () as low, max(score) over () as high
    from score
    where subset = 'test' and run_id = (select min(run_id) from run where ranked)
), binned as (
    select low + bin * (high - low) / 20 as from_score,
        count(*) filter (label = 0) as normal,
        count(*) filter (label = 1) as abnormal
    from (select *, least(floor((score - low) / nullif(high - low, 0) * 20), 19) as bin from one)
    group by bin, low, high
)
select from_score, normal, abnormal,
    repeat('o', (60 * normal / max(normal + abnormal) over ())::integer)
        || repeat('x', (60 * abnormal / max(normal + abnormal) over ())::integer) as o_normal_x_abnormal
from binned
order by from_score
