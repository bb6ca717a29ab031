-- Frees the lease of an ended sync; the token grows, so that nothing of that sync can write later.
-- Parameters: agreement_number, sync_id.
update economic.sync_lease
set
    token = token + 1,
    holder = null,
    attempt = null,
    expires_at = null
where agreement_number = %(agreement_number)s and holder = %(sync_id)s;
