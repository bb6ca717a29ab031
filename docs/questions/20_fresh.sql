-- How fresh is the copy, and is it proven complete?
select company_name, last_synced_at, complete, reconciled, invoices, missing, rejected, complete_since
from economic.sync_status;
