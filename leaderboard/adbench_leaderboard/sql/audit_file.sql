-- Where the audit of a state of a dataset was read from, and what it held then.
select file, sha256
from audit
where dataset = ? and fingerprint = ?
