-- What is known of the test images of each chosen run, in the order of their places.
select run_id, image, label, subtype, group_id, attributes
from score
where subset = 'test' and list_contains(?::varchar[], run_id)
order by run_id, image
