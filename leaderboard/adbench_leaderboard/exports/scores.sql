-- Every score with the dataset of its run.
select run_id, dataset, image, label, subset, score
from score join run using (run_id)
order by dataset, run_id, subset, image
