-- How much luck there is: ROC AUC over the seeds of a split, and the interval of one run
select dataset, variant, split,
    count(*) as seeds,
    avg(value) as mean,
    min(value) as lowest,
    max(value) as highest,
    avg(high - low) as interval_width
from metric
join run using (run_id)
where ranked and task = 'all' and rule = 'none' and name = 'roc_auc'
group by dataset, fingerprint, fit_digest, evaluation_digest, variant, options, split
order by dataset, variant, split
