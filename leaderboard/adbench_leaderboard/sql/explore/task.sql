-- Which kinds of abnormal images each task of a run has, besides "all".
select run_id, task, subtype
from task
order by run_id, task, subtype
