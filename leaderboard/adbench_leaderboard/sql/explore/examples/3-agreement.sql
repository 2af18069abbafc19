-- How far two detectors order the same images alike: Spearman's correlation, on the first split and seed
with placed as (
    select run_id, image,
        rank() over (partition by run_id order by score)
            + (count(*) over (partition by run_id, score) - 1) / 2 as place
    from score
    where subset = 'test'
), one as (
    select variant, dataset, fingerprint, fit_digest, image, place
    from placed
    join run using (run_id)
    where ranked and split = 0 and seed = 0
)
select a.dataset, a.variant as one_model, b.variant as another, count(*) as images,
    corr(a.place, b.place) as spearman
from one a
join one b using (dataset, fingerprint, fit_digest, image)
where a.variant < b.variant
group by a.dataset, fingerprint, fit_digest, a.variant, b.variant
order by spearman
