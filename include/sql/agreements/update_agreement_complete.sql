-- Notes the end of an agreement's first full sync that is proven complete: from then on the history
-- holds every change.
-- Parameters: agreement_number.
update economic.agreement
set complete_since = clock_timestamp()
where agreement_number = %(agreement_number)s and complete_since is null;
