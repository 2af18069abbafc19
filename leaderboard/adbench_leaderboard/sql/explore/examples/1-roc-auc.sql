-- ROC AUC of each ranked run, from its scores, beside the figure on the site
with placed as (
    select run_id, label,
        rank() over (partition by run_id order by score)
            + (count(*) over (partition by run_id, score) - 1) / 2 as place
    from score
    where subset = 'test'
), counted as (
    select run_id,
        count(*) filter (label = 1) as abnormal,
        count(*) filter (label = 0) as normal,
        sum(place) filter (label = 1) as places
    from placed
    group by run_id
)
select dataset, variant, split, seed, normal, abnormal,
    (places - abnormal * (abnormal + 1) / 2) / (abnormal * normal) as roc_auc,
    value as on_the_site, low, high
from counted
join run using (run_id)
join metric using (run_id)
where ranked and task = 'all' and rule = 'none' and name = 'roc_auc'
order by dataset, variant, split, seed
