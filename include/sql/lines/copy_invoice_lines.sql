-- Receives the lines of invoices, by the COPY protocol.
copy economic.invoice_line (
    agreement_number, invoice_number, line_number, shown_number, product_number, description,
    quantity, quantity2, unit_number, unit2_number, unit_net_price, unit_cost_price,
    recommended_price, discount_percentage, vat_rate, vat_amount, net_amount, department_number,
    booked_account, project_close_account, accrue, accrue_start_date, accrue_end_date, raw_data
) from stdin;
