-- What every table, view and column means, for people who look with \d+.

comment on schema economic is 'The PostgreSQL copy of booked e-conomic invoices, kept by airflow-provider-economic.';

comment on table economic.schema_version is 'The steps of this schema that were applied.';

comment on table economic.agreement is 'One row for each e-conomic agreement (company) whose invoices are copied.';

comment on table economic.invoice is
'Every booked invoice and credit note, as e-conomic delivered it last. Rows are never deleted.';

comment on table economic.invoice_history is
'What changed on an invoice, when it was seen: above all remainder, the only record of payments there is.';

comment on table economic.employee is 'Employees by number, for their names; asked of e-conomic once an hour at most.';

comment on table economic.sync_run is 'One row for each sync: its progress while it runs, its result afterwards.';

comment on table economic.sync_lease is 'Who may write an agreement''s invoices now.';

comment on table economic.staged_invoice is
'Validated invoices on their way into invoice. Unlogged: empty after a crash of PostgreSQL.';

comment on table economic.rejected_invoice is
'Items that could not be stored, with the reason and their own text, until they come right.';

comment on view economic.sync_status is
'One row for each agreement: its last sync, its last success, whether one runs or has stalled, how many invoices '
'are held.';

comment on view economic.invoice_overview is
'Invoices with their derived status: settled, open, overdue or credit, as of today in Copenhagen.';

comment on view economic.payments is
'Changes of remainder, as two syncs saw them: a positive amount was paid or matched with a credit note, a '
'negative one was taken back.';

comment on view economic.receivables_aging is
'What customers owe, by customer and currency, by how long it is overdue. Currencies are never added together.';

comment on view economic.invoices is
'Invoices that are not missing, under the column names of the Laravel program that this replaces.';

comment on column economic.invoice.agreement_number is 'The company: e-conomic''s agreement number.';
comment on column economic.invoice.invoice_number is
'e-conomic: bookedInvoiceNumber. Unique within an agreement; gaps are normal.';
comment on column economic.invoice.order_number is 'e-conomic: orderNumber; the order or draft it was booked from.';
comment on column economic.invoice.invoice_date is 'e-conomic: date; chosen by the user, may be backdated.';
comment on column economic.invoice.due_date is 'e-conomic: dueDate; null when the invoice has none.';
comment on column economic.invoice.currency is 'e-conomic: currency; ISO 4217 code of the amounts without _base.';
comment on column economic.invoice.exchange_rate is
'e-conomic: exchangeRate; price of 100 units of currency in the base currency.';
comment on column economic.invoice.net_amount is
'e-conomic: netAmount; before VAT, in currency; negative on a credit note.';
comment on column economic.invoice.vat_amount is 'e-conomic: vatAmount; in currency.';
comment on column economic.invoice.gross_amount is
'e-conomic: grossAmount; with VAT, in currency; negative on a credit note.';
comment on column economic.invoice.remainder is
'e-conomic: remainder; what is still owed, in currency; the field that moves with payments, also back up.';
comment on column economic.invoice.net_amount_base is
'Net amount in the base currency of the agreement (e-conomic: netAmountInBaseCurrency).';
comment on column economic.invoice.gross_amount_base is
'Gross amount in the base currency of the agreement (e-conomic: grossAmountInBaseCurrency).';
comment on column economic.invoice.remainder_base is
'Remainder in the base currency of the agreement (e-conomic: remainderInBaseCurrency).';
comment on column economic.invoice.rounding_amount is 'e-conomic: roundingAmount; in the base currency.';
comment on column economic.invoice.customer_number is 'e-conomic: customer.customerNumber.';
comment on column economic.invoice.customer_name is
'e-conomic: recipient.name; as printed when booked, not the customer''s present name.';
comment on column economic.invoice.recipient_address is 'e-conomic: recipient.address; may hold line breaks.';
comment on column economic.invoice.recipient_zip is 'e-conomic: recipient.zip; text, for leading zeros.';
comment on column economic.invoice.recipient_city is 'e-conomic: recipient.city.';
comment on column economic.invoice.recipient_country is 'e-conomic: recipient.country.';
comment on column economic.invoice.recipient_ean is 'e-conomic: recipient.ean; text, for leading zeros.';
comment on column economic.invoice.recipient_cvr is 'e-conomic: recipient.cvr; Danish company registration number.';
comment on column economic.invoice.vat_zone_number is 'e-conomic: recipient.vatZone.vatZoneNumber.';
comment on column economic.invoice.subject is 'e-conomic: notes.heading.';
comment on column economic.invoice.external_reference is 'e-conomic: references.other.';
comment on column economic.invoice.employee_number is 'e-conomic: references.salesPerson.employeeNumber.';
comment on column economic.invoice.employee_name is
'Name of employee_number from e-conomic''s employees; never taken away once known.';
comment on column economic.invoice.vendor_employee_number is 'e-conomic: references.vendorReference.employeeNumber.';
comment on column economic.invoice.payment_terms_number is 'e-conomic: paymentTerms.paymentTermsNumber.';
comment on column economic.invoice.payment_terms_name is 'e-conomic: paymentTerms.name.';
comment on column economic.invoice.payment_terms_type is
'e-conomic: paymentTerms.paymentTermsType (net, invoiceMonth, paidInCash, dueDate, ...).';
comment on column economic.invoice.days_of_credit is 'e-conomic: paymentTerms.daysOfCredit; days.';
comment on column economic.invoice.project_number is 'e-conomic: project.projectNumber.';
comment on column economic.invoice.layout_number is 'e-conomic: layout.layoutNumber.';
comment on column economic.invoice.pdf_url is 'e-conomic: pdf.download; opens with the API tokens only.';
comment on column economic.invoice.raw_data is 'The whole item as e-conomic delivered it.';
comment on column economic.invoice.first_seen_at is 'When this copy saw the invoice first.';
comment on column economic.invoice.last_changed_at is
'When a value last differed from the one stored before; names and raw_data do not count.';
comment on column economic.invoice.missing_since is
'When a proven complete scan first did not show the invoice any more; null while it is there.';

comment on column economic.schema_version.version is 'Number of the step.';
comment on column economic.schema_version.name is 'Name of the step.';
comment on column economic.schema_version.applied_at is 'When it was applied.';

comment on column economic.agreement.agreement_number is 'e-conomic''s agreement number.';
comment on column economic.agreement.conn_id is
'The Airflow connection that reaches it; bound to the first agreement it reached.';
comment on column economic.agreement.company_name is 'e-conomic: company.name of /self.';
comment on column economic.agreement.base_currency is
'e-conomic: settings.baseCurrency; ISO 4217 code of all amounts ending in _base.';
comment on column economic.agreement.first_seen_at is 'When the first sync reached it.';

comment on column economic.employee.agreement_number is 'The company.';
comment on column economic.employee.employee_number is 'e-conomic: employeeNumber.';
comment on column economic.employee.name is 'e-conomic: name; the last one known.';
comment on column economic.employee.unknown is 'Whether e-conomic does not list the employee (any more).';
comment on column economic.employee.fetched_at is 'When e-conomic was asked last.';

comment on column economic.invoice_history.change_id is 'Order of the changes.';
comment on column economic.invoice_history.agreement_number is 'The company.';
comment on column economic.invoice_history.invoice_number is 'The invoice.';
comment on column economic.invoice_history.changed_at is 'When the change was seen; it happened since the sync before.';
comment on column economic.invoice_history.sync_id is 'The sync that saw it.';
comment on column economic.invoice_history.old_values is 'The changed columns with their values before.';
comment on column economic.invoice_history.new_values is 'The changed columns with their values after.';

comment on column economic.sync_run.sync_id is 'Number of the sync; new for every beginning.';
comment on column economic.sync_run.dag_id is 'The DAG that began it.';
comment on column economic.sync_run.run_id is 'The DAG run that began it.';
comment on column economic.sync_run.run_type is 'scheduled, manual or backfill, as Airflow has it.';
comment on column economic.sync_run.conn_id is 'The connection it used.';
comment on column economic.sync_run.agreement_number is 'The company; null until e-conomic said so.';
comment on column economic.sync_run.scope is 'full, or range when limited by invoice dates.';
comment on column economic.sync_run.date_from is 'First invoice date of a range.';
comment on column economic.sync_run.date_to is 'Last invoice date of a range.';
comment on column economic.sync_run.force is 'Whether it was forced.';
comment on column economic.sync_run.phase is 'begin, waiting, fetch, upsert, names, ended.';
comment on column economic.sync_run.status is
'running, completed, completed_with_errors, failed, skipped, superseded, abandoned.';
comment on column economic.sync_run.percentage is
'How much is done, 0 to 100; each invoice counts once when fetched and once when stored.';
comment on column economic.sync_run.current is 'Invoices done in this phase.';
comment on column economic.sync_run.total is 'Invoices of this phase, as e-conomic counts them.';
comment on column economic.sync_run.message is 'What it does, or how it ended, in words.';
comment on column economic.sync_run.started_at is 'When it began.';
comment on column economic.sync_run.updated_at is 'When it was heard of last.';
comment on column economic.sync_run.finished_at is 'When it ended.';
comment on column economic.sync_run.scan_number is 'Which scan of this sync: 2 when the first was started again.';
comment on column economic.sync_run.scan_cursor is 'Highest invoice number read.';
comment on column economic.sync_run.scan_seen is 'Distinct invoices read.';
comment on column economic.sync_run.scan_drifted is 'Whether something was booked or removed among those read.';
comment on column economic.sync_run.staged_rows is 'Rows staged, by page.';
comment on column economic.sync_run.stored_pages is 'Pages taken over into invoice.';
comment on column economic.sync_run.booked_count is 'e-conomic''s own count at the end of the scan.';
comment on column economic.sync_run.totals is 'e-conomic''s own totals: count and net sum in base currency.';
comment on column economic.sync_run.complete is 'Whether the scan is proven to have seen every invoice.';
comment on column economic.sync_run.reconciled is 'Whether the copy agrees with the totals; null when not compared.';
comment on column economic.sync_run.verdict is 'How it compares, in words.';
comment on column economic.sync_run.warning is
'What a person should look at although the invoices are stored, in words; null when nothing.';
comment on column economic.sync_run.held is
'What the copy held after this sync: counts, sums in base currency, invoices by month.';
comment on column economic.sync_run.statistics is 'The counts; after the end, the statistics people read.';

comment on column economic.sync_lease.agreement_number is 'The company.';
comment on column economic.sync_lease.token is 'Fencing token: grows with every taking, every attempt and on release.';
comment on column economic.sync_lease.holder is 'The sync that may write; null when free.';
comment on column economic.sync_lease.attempt is 'The task attempt that may write, for people.';
comment on column economic.sync_lease.acquired_at is 'When the holder took it.';
comment on column economic.sync_lease.heartbeat_at is 'When the holder was heard of last.';
comment on column economic.sync_lease.expires_at is 'When anyone may take it.';

comment on column economic.rejected_invoice.agreement_number is 'The company.';
comment on column economic.rejected_invoice.item_key is
'invoice:NUMBER, or sha256:HASH of an item without a usable number.';
comment on column economic.rejected_invoice.invoice_number is 'The invoice''s number, when it has one.';
comment on column economic.rejected_invoice.field is
'The field that was refused, as e-conomic spells it, or the constraint.';
comment on column economic.rejected_invoice.reason is 'Short code for counting.';
comment on column economic.rejected_invoice.message is 'What was wrong, in words.';
comment on column economic.rejected_invoice.raw_data is 'The item as it came.';
comment on column economic.rejected_invoice.first_seen_at is 'When it was refused first.';
comment on column economic.rejected_invoice.last_seen_at is 'When it was refused last.';
comment on column economic.rejected_invoice.seen_count is 'By how many syncs it was refused.';
comment on column economic.rejected_invoice.last_sync_id is 'The sync that refused it last.';
comment on column economic.rejected_invoice.resolved_at is
'When a sync stored it, or no longer found it; null while it is open.';

comment on column economic.staged_invoice.sync_id is 'The sync it belongs to.';
comment on column economic.staged_invoice.page is 'Page of the scan.';
comment on column economic.staged_invoice.position is 'Place within the page.';
comment on column economic.staged_invoice.invoice_number is
'e-conomic: bookedInvoiceNumber. Unique within an agreement; gaps are normal.';
comment on column economic.staged_invoice.order_number is
'e-conomic: orderNumber; the order or draft it was booked from.';
comment on column economic.staged_invoice.invoice_date is 'e-conomic: date; chosen by the user, may be backdated.';
comment on column economic.staged_invoice.due_date is 'e-conomic: dueDate; null when the invoice has none.';
comment on column economic.staged_invoice.currency is
'e-conomic: currency; ISO 4217 code of the amounts without _base.';
comment on column economic.staged_invoice.exchange_rate is
'e-conomic: exchangeRate; price of 100 units of currency in the base currency.';
comment on column economic.staged_invoice.net_amount is
'e-conomic: netAmount; before VAT, in currency; negative on a credit note.';
comment on column economic.staged_invoice.vat_amount is 'e-conomic: vatAmount; in currency.';
comment on column economic.staged_invoice.gross_amount is
'e-conomic: grossAmount; with VAT, in currency; negative on a credit note.';
comment on column economic.staged_invoice.remainder is
'e-conomic: remainder; what is still owed, in currency; the field that moves with payments, also back up.';
comment on column economic.staged_invoice.net_amount_base is
'Net amount in the base currency of the agreement (e-conomic: netAmountInBaseCurrency).';
comment on column economic.staged_invoice.gross_amount_base is
'Gross amount in the base currency of the agreement (e-conomic: grossAmountInBaseCurrency).';
comment on column economic.staged_invoice.remainder_base is
'Remainder in the base currency of the agreement (e-conomic: remainderInBaseCurrency).';
comment on column economic.staged_invoice.rounding_amount is 'e-conomic: roundingAmount; in the base currency.';
comment on column economic.staged_invoice.customer_number is 'e-conomic: customer.customerNumber.';
comment on column economic.staged_invoice.customer_name is
'e-conomic: recipient.name; as printed when booked, not the customer''s present name.';
comment on column economic.staged_invoice.recipient_address is 'e-conomic: recipient.address; may hold line breaks.';
comment on column economic.staged_invoice.recipient_zip is 'e-conomic: recipient.zip; text, for leading zeros.';
comment on column economic.staged_invoice.recipient_city is 'e-conomic: recipient.city.';
comment on column economic.staged_invoice.recipient_country is 'e-conomic: recipient.country.';
comment on column economic.staged_invoice.recipient_ean is 'e-conomic: recipient.ean; text, for leading zeros.';
comment on column economic.staged_invoice.recipient_cvr is
'e-conomic: recipient.cvr; Danish company registration number.';
comment on column economic.staged_invoice.vat_zone_number is 'e-conomic: recipient.vatZone.vatZoneNumber.';
comment on column economic.staged_invoice.subject is 'e-conomic: notes.heading.';
comment on column economic.staged_invoice.external_reference is 'e-conomic: references.other.';
comment on column economic.staged_invoice.employee_number is 'e-conomic: references.salesPerson.employeeNumber.';
comment on column economic.staged_invoice.vendor_employee_number is
'e-conomic: references.vendorReference.employeeNumber.';
comment on column economic.staged_invoice.payment_terms_number is 'e-conomic: paymentTerms.paymentTermsNumber.';
comment on column economic.staged_invoice.payment_terms_name is 'e-conomic: paymentTerms.name.';
comment on column economic.staged_invoice.payment_terms_type is
'e-conomic: paymentTerms.paymentTermsType (net, invoiceMonth, paidInCash, dueDate, ...).';
comment on column economic.staged_invoice.days_of_credit is 'e-conomic: paymentTerms.daysOfCredit; days.';
comment on column economic.staged_invoice.project_number is 'e-conomic: project.projectNumber.';
comment on column economic.staged_invoice.layout_number is 'e-conomic: layout.layoutNumber.';
comment on column economic.staged_invoice.pdf_url is 'e-conomic: pdf.download; opens with the API tokens only.';
comment on column economic.staged_invoice.raw_data is 'The item as text, as it came.';

comment on column economic.sync_status.agreement_number is 'The company.';
comment on column economic.sync_status.company_name is 'Its name in e-conomic.';
comment on column economic.sync_status.base_currency is 'ISO 4217 code of the amounts ending in _base.';
comment on column economic.sync_status.conn_id is 'The Airflow connection that reaches it.';
comment on column economic.sync_status.last_synced_at is 'When a full sync last went through.';
comment on column economic.sync_status.success_sync_id is 'That sync.';
comment on column economic.sync_status.success_status is 'completed, or completed_with_errors.';
comment on column economic.sync_status.complete is 'Whether its scan is proven to have seen every invoice.';
comment on column economic.sync_status.reconciled is
'Whether the copy agreed with e-conomics totals then; null when not compared.';
comment on column economic.sync_status.verdict is 'How it compared, in words.';
comment on column economic.sync_status.warning is 'What a person should look at, in words.';
comment on column economic.sync_status.last_sync_id is 'The newest sync, whatever became of it.';
comment on column economic.sync_status.last_dag_id is 'Its DAG.';
comment on column economic.sync_status.last_run_id is 'Its DAG run.';
comment on column economic.sync_status.last_run_type is 'scheduled, manual or backfill.';
comment on column economic.sync_status.last_force is 'Whether it was forced.';
comment on column economic.sync_status.last_scope is 'full or range.';
comment on column economic.sync_status.last_date_from is 'First invoice date of a range.';
comment on column economic.sync_status.last_date_to is 'Last invoice date of a range.';
comment on column economic.sync_status.last_status is 'How it stands.';
comment on column economic.sync_status.last_phase is 'What it is doing.';
comment on column economic.sync_status.last_percentage is 'How much is done, 0 to 100.';
comment on column economic.sync_status.last_current is 'Invoices done in this phase.';
comment on column economic.sync_status.last_total is 'Invoices of this phase.';
comment on column economic.sync_status.last_message is 'What it does or how it ended, in words.';
comment on column economic.sync_status.last_started_at is 'When it began.';
comment on column economic.sync_status.last_updated_at is 'When it was heard of last.';
comment on column economic.sync_status.last_finished_at is 'When it ended.';
comment on column economic.sync_status.running is 'Whether it runs.';
comment on column economic.sync_status.stalled is
'Whether it should run, but its lease has expired: its process is gone, the next sync takes over.';
comment on column economic.sync_status.held_sync_id is 'The sync that counted what is held.';
comment on column economic.sync_status.held is
'What the copy held then: counts, sums in base currency, invoices by month.';
comment on column economic.sync_status.invoices is 'Invoices held then, missing ones left out.';
comment on column economic.sync_status.missing is 'Invoices that e-conomic no longer showed then.';
comment on column economic.sync_status.rejected is 'Items set aside now.';

comment on column economic.invoice_overview.agreement_number is 'The company: e-conomic''s agreement number.';
comment on column economic.invoice_overview.invoice_number is
'e-conomic: bookedInvoiceNumber. Unique within an agreement; gaps are normal.';
comment on column economic.invoice_overview.order_number is
'e-conomic: orderNumber; the order or draft it was booked from.';
comment on column economic.invoice_overview.invoice_date is 'e-conomic: date; chosen by the user, may be backdated.';
comment on column economic.invoice_overview.due_date is 'e-conomic: dueDate; null when the invoice has none.';
comment on column economic.invoice_overview.status is
'settled (nothing left), credit (negative remainder), overdue, or open; as of today in Copenhagen.';
comment on column economic.invoice_overview.days_overdue is 'Days since the due date; null unless overdue.';
comment on column economic.invoice_overview.is_credit_note is 'Whether the gross amount is negative.';
comment on column economic.invoice_overview.currency is
'e-conomic: currency; ISO 4217 code of the amounts without _base.';
comment on column economic.invoice_overview.exchange_rate is
'e-conomic: exchangeRate; price of 100 units of currency in the base currency.';
comment on column economic.invoice_overview.net_amount is
'e-conomic: netAmount; before VAT, in currency; negative on a credit note.';
comment on column economic.invoice_overview.vat_amount is 'e-conomic: vatAmount; in currency.';
comment on column economic.invoice_overview.gross_amount is
'e-conomic: grossAmount; with VAT, in currency; negative on a credit note.';
comment on column economic.invoice_overview.remainder is
'e-conomic: remainder; what is still owed, in currency; the field that moves with payments, also back up.';
comment on column economic.invoice_overview.base_currency is 'ISO 4217 code of the amounts ending in _base.';
comment on column economic.invoice_overview.net_amount_base is
'Net amount in the base currency of the agreement (e-conomic: netAmountInBaseCurrency).';
comment on column economic.invoice_overview.gross_amount_base is
'Gross amount in the base currency of the agreement (e-conomic: grossAmountInBaseCurrency).';
comment on column economic.invoice_overview.remainder_base is
'Remainder in the base currency of the agreement (e-conomic: remainderInBaseCurrency).';
comment on column economic.invoice_overview.customer_number is 'e-conomic: customer.customerNumber.';
comment on column economic.invoice_overview.customer_name is
'e-conomic: recipient.name; as printed when booked, not the customer''s present name.';
comment on column economic.invoice_overview.recipient_city is 'e-conomic: recipient.city.';
comment on column economic.invoice_overview.recipient_country is 'e-conomic: recipient.country.';
comment on column economic.invoice_overview.subject is 'e-conomic: notes.heading.';
comment on column economic.invoice_overview.external_reference is 'e-conomic: references.other.';
comment on column economic.invoice_overview.employee_number is 'e-conomic: references.salesPerson.employeeNumber.';
comment on column economic.invoice_overview.employee_name is
'Name of employee_number from e-conomic''s employees; never taken away once known.';
comment on column economic.invoice_overview.payment_terms_name is 'e-conomic: paymentTerms.name.';
comment on column economic.invoice_overview.days_of_credit is 'e-conomic: paymentTerms.daysOfCredit; days.';
comment on column economic.invoice_overview.project_number is 'e-conomic: project.projectNumber.';
comment on column economic.invoice_overview.pdf_url is 'e-conomic: pdf.download; opens with the API tokens only.';
comment on column economic.invoice_overview.first_seen_at is 'When this copy saw the invoice first.';
comment on column economic.invoice_overview.last_changed_at is
'When a value last differed from the one stored before; names and raw_data do not count.';
comment on column economic.invoice_overview.missing_since is
'When a proven complete scan first did not show the invoice any more; null while it is there.';
comment on column economic.invoice_overview.last_synced_at is 'When a full sync of the company last went through.';

comment on column economic.payments.agreement_number is 'The company.';
comment on column economic.payments.invoice_number is 'The invoice.';
comment on column economic.payments.seen_at is 'When the change was seen; it happened since the sync before.';
comment on column economic.payments.amount is
'By how much the remainder went down, in currency; negative when it went up again.';
comment on column economic.payments.currency is 'e-conomic: currency; ISO 4217 code of the amounts without _base.';
comment on column economic.payments.amount_base is 'The same in the base currency.';
comment on column economic.payments.remainder_after is 'What was still owed afterwards, in currency.';
comment on column economic.payments.customer_number is 'e-conomic: customer.customerNumber.';
comment on column economic.payments.customer_name is
'e-conomic: recipient.name; as printed when booked, not the customer''s present name.';
comment on column economic.payments.sync_id is 'The sync that saw it.';

comment on column economic.receivables_aging.agreement_number is 'The company.';
comment on column economic.receivables_aging.customer_number is 'e-conomic: customer.customerNumber.';
comment on column economic.receivables_aging.customer_name is 'One of the names printed on the invoices.';
comment on column economic.receivables_aging.currency is 'ISO 4217 code of the amounts without _base.';
comment on column economic.receivables_aging.invoices is 'Invoices and credit notes with something left.';
comment on column economic.receivables_aging.remainder is 'What is left in all, credits taken off.';
comment on column economic.receivables_aging.not_due is 'Owed, but not due yet, or without a due date.';
comment on column economic.receivables_aging.overdue_1_to_30 is 'Overdue by 1 to 30 days.';
comment on column economic.receivables_aging.overdue_31_to_60 is 'Overdue by 31 to 60 days.';
comment on column economic.receivables_aging.overdue_61_to_90 is 'Overdue by 61 to 90 days.';
comment on column economic.receivables_aging.overdue_over_90 is 'Overdue by more than 90 days.';
comment on column economic.receivables_aging.credit is
'Negative remainders: credit notes not matched yet, overpayments.';
comment on column economic.receivables_aging.remainder_base is 'What is left in all, in the base currency.';

comment on column economic.invoices.invoice_number is
'e-conomic: bookedInvoiceNumber. Unique within an agreement; gaps are normal.';
comment on column economic.invoices.invoice_date is 'e-conomic: date; chosen by the user, may be backdated.';
comment on column economic.invoices.due_date is 'e-conomic: dueDate; null when the invoice has none.';
comment on column economic.invoices.customer_number is 'e-conomic: customer.customerNumber.';
comment on column economic.invoices.customer_name is
'e-conomic: recipient.name; as printed when booked, not the customer''s present name.';
comment on column economic.invoices.subject is 'e-conomic: notes.heading.';
comment on column economic.invoices.gross_amount is
'e-conomic: grossAmount; with VAT, in currency; negative on a credit note.';
comment on column economic.invoices.remainder is
'e-conomic: remainder; what is still owed, in currency; the field that moves with payments, also back up.';
comment on column economic.invoices.currency is 'e-conomic: currency; ISO 4217 code of the amounts without _base.';
comment on column economic.invoices.external_reference is 'e-conomic: references.other.';
comment on column economic.invoices.external_id is 'e-conomic: externalId; not known to be sent for booked invoices.';
comment on column economic.invoices.employee_number is 'e-conomic: references.salesPerson.employeeNumber.';
comment on column economic.invoices.employee_name is
'Name of employee_number from e-conomic''s employees; never taken away once known.';
comment on column economic.invoices.pdf_url is 'e-conomic: pdf.download; opens with the API tokens only.';
comment on column economic.invoices.raw_data is 'The whole item as e-conomic delivered it.';
comment on column economic.invoices.last_synced_at is 'When a full sync of the company last went through.';
comment on column economic.invoices.agreement_number is 'The company.';
