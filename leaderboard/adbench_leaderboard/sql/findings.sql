-- What audits found, and of which state of which dataset; an audit that found nothing has one row without a finding.
select dataset, fingerprint, kind, severity, title, detail, images, numbers
from audit left join finding using (dataset, fingerprint)
order by dataset, fingerprint,
    case severity when 'serious' then 0 when 'warning' then 1 else 2 end, finding.rowid
