-- Every score of a dataset's runs; equal images lie together, which packs well.
select score.run_id, score.image, score.label, score.subtype, score.group_id, score.subset, score.score
from score
join run using (run_id)
where run.dataset = ?
order by score.subset desc, score.label, score.subtype, score.image, score.run_id, score.score
