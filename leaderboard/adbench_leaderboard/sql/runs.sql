-- Every run, and whether it stands for its cell (the same model, options, data, fit rules, split and seed): of those that most is
-- known of, run here or sent by others, the newest.
select
    run_id, model, variant, options, dataset, fingerprint, protocol, protocol_version, fit_digest, evaluation_digest,
    unranked, split, seed, strftime(created, '%Y-%m-%dT%H:%M:%SZ'), device, seconds, parameters, manifest,
    row_number() over (
        partition by model, options, dataset, fingerprint, protocol, fit_digest, unranked, split, seed
        order by list_position(['self-reported', 're-scored', 're-trained', 'run here'], status) desc, created desc, run_id desc
    ) = 1,
    status, checks
from run
order by dataset, fingerprint, lower(variant), variant, options, split, seed, created desc, run_id
