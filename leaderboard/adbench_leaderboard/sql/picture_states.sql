-- States of a dataset's files that pictures are wanted of: how many ranked runs are on each, whether it was audited, and its images by kind.
select fingerprint, count(run_id) filter (unranked is null) as runs, bool_or(file is not null) as audited,
    coalesce(arg_max(manifest, (created, run_id)) -> '$.dataset.subtypes', '{}') as kinds
from (select * from run where dataset = $dataset)
full join (select * from audit where dataset = $dataset) using (fingerprint)
group by fingerprint
having runs > 0 or audited
order by fingerprint
