"""The words the invented books are written with: names, streets, towns, terms."""

from __future__ import annotations

from typing import NamedTuple

FIRST_NAMES = (
    "Mette", "Søren", "Åse", "Jørgen", "Bjørn", "René", "Kirsten", "Ærø", "Line", "Øystein",
    "Anne-Grethe", "Lærke", "Håkon", "André", "Pia", "Niels", "Gülsüm", "Zoë", "Ole", "Birgitte",
)  # fmt: skip
LAST_NAMES = (
    "Sørensen", "Ågård", "Østergaard", "Kjær", "Bæk", "Møller", "Holm", "Nørgaard", "Lindqvist", "O'Brien",
    "Thaarup", "Skærbæk", "Rasmussen", "Dahl", "Vestergård",
)  # fmt: skip
COMPANY_HEADS = (
    "Nordhavn", "Æblegården", "Østerbro", "Fjord", "Sønderskov", "Blåvand", "Hedeland", "Kærby", "Café Åen",
    "Vinkælderen", "Lærkevej", "Grønne", "Strandby", "Rødding", "Ådalens", "Møllebæk", "Tårnby", "Skjern",
)  # fmt: skip
COMPANY_TRADES = (
    "Byg", "Tømrer & Snedker", "El-teknik", "VVS", "Auto", "Møbler", "Rådgivning", "Fødevarer", "Transport",
    "Ejendomme", "Kontorforsyning", "Design", "Maskinværksted", "Gartneri", "Tandlægerne", "IT",
)  # fmt: skip
COMPANY_FORMS = ("ApS", "A/S", "I/S", "ApS", "A/S", "P/S", "v/ R. Bæk", "Amba")
STREETS = (
    "Prøvevej", "Åboulevarden", "Søndergade", "Ærtevej", "Industrivej", "Nørre Allé", "Havnegade", "Ørstedsvej",
)  # fmt: skip
FLOORS = ("2. sal", "st. tv.", "Att.: Bogholderiet", "Bygning Ø")
TOWNS = (
    ("8000", "Aarhus C"), ("1050", "København K"), ("5000", "Odense C"), ("9000", "Aalborg"), ("6700", "Esbjerg"),
    ("3700", "Rønne"), ("4600", "Køge"), ("8900", "Randers C"), ("0999", "København C"),
)  # fmt: skip
ABROAD = (
    ("Sverige", "211 20", "Malmö"), ("Tyskland", "24937", "Flensburg"), ("Norge", "0150", "Oslo"),
    ("USA", "60601", "Chicago"), ("Frankrig", "69001", "Lyon"),
)  # fmt: skip
ABROAD_CURRENCIES = ("SEK", "EUR", "NOK", "USD", "EUR")
HEADINGS = (
    "Levering uge 3", "Serviceaftale, 1. kvartal", "Montage af køkken", "Månedsafregning", "Acontofaktura",
    'Skilte 60x90 "Åbent"', "Løbende rådgivning", "Reparation / udkald", "Café-inventar", "Ordre",
)  # fmt: skip
CHANNELS = ("Webshop", "Butik", "Telefon", "Messe")
REFERENCES = ("PO-", "Rekv. ", "Sag ", "ØK-", *CHANNELS)


class Terms(NamedTuple):
    """Terms of payment as an invoice repeats them."""

    number: int
    name: str
    kind: str
    days: int | None


NET_14 = Terms(2, "Netto 14 dage", "net", 14)
NET_8 = Terms(1, "Netto 8 dage", "net", 8)
NET_30 = Terms(3, "Netto 30 dage", "net", 30)
MONTH_15 = Terms(4, "Løbende måned 15 dage", "invoiceMonth", 15)
CASH = Terms(5, "Netto kontant", "paidInCash", 0)
AGREED_DATE = Terms(6, "Forfaldsdato", "dueDate", None)
USUAL_TERMS = (NET_14, NET_14, NET_14, NET_8, NET_8, NET_30, MONTH_15, CASH)

# The price of 100 units in Danish kroner, in millionths.
KRONER_FOR_100 = {
    "DKK": 100_000_000,
    "EUR": 745_900_000,
    "SEK": 65_120_000,
    "NOK": 63_870_000,
    "USD": 687_450_000,
    "GBP": 868_300_000,
}
