-- What the newest run of each dataset says of its licence.
select dataset, coalesce(arg_max(manifest, (created, run_id)) ->> '$.dataset.licence', '') as licence
from run
group by dataset
order by dataset
