-- What are 250 euros in kroner, at a price of 746.15 for 100?
select economic.in_base(250, 'EUR', 'DKK', 746.15) as kroner;
