-- The test images of a split of a state of a dataset, by the newest run on it that kept the rules of its protocol.
select image
from score
where subset = 'test' and run_id = (
    select arg_max(run_id, (created, run_id))
    from run
    where dataset = ? and fingerprint = ? and protocol = ? and split = ? and unranked is null
)
