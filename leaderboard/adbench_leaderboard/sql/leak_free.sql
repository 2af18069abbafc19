-- Figures of the test images that no training image is a duplicate of.
select run_id, name, value, low, high
from part_metric
where part = 'without duplicates of training images' and task = 'all' and rule = 'none'
order by run_id, name
