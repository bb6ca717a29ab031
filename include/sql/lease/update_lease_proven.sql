-- Keeps the totals that the copy is proven to equal until another sync takes the lease; in the
-- transaction that frees it.
-- Parameters: agreement_number, totals.
update economic.sync_lease
set
    proven_token = token,
    proven_totals = %(totals)s
where agreement_number = %(agreement_number)s and holder is null;
