-- Every score of a dataset's runs.
select run_id, dataset, image, label, subset, score
from score join run using (run_id)
where dataset = ?
order by run_id, subset, image
