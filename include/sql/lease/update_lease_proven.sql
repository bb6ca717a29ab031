-- Keeps which quick sync has proven the copy, until another one takes the lease; in the transaction
-- that frees it.
-- Parameters: agreement_number, sync_id.
update economic.sync_lease
set
    proven_token = token,
    proven_sync_id = %(sync_id)s
where agreement_number = %(agreement_number)s and holder is null;
