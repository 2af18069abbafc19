-- Sensitivity for each kind of abnormality, with its interval
select dataset, task, variant, split, seed, rule, oracle, value as sensitivity, low, high
from metric
join run using (run_id)
where ranked and name = 'sensitivity' and rule <> 'all-positive'
order by dataset, task, rule, value
