"""The books of an invented company: the same bytes for the same seed and size, whatever the clock or the port."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from simulator import vocabulary
from simulator.dice import Dice
from simulator.vocabulary import Terms

LAST_DAY = date(2026, 10, 30)
YEARS = 7
SOLD_EVERY = 3
FIRST_NUMBER = 10001
UNITS_OF_RATE = 100_000_000  # an exchange rate is the price of 100 units, kept in millionths


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who is invoiced; `former_name` is what older invoices still print."""

    number: int
    name: str
    former_name: str
    address: str | None
    zip: str
    city: str
    country: str
    currency: str
    cvr: str | None
    ean: str | None
    vat_percent: int
    terms: Terms


@dataclass(slots=True)
class Employee:
    """Somebody who works there."""

    number: int
    name: str
    email: str | None = None
    phone: str | None = None
    group: int = 1
    barred: bool = False


@dataclass(slots=True)
class Invoice:
    """A booked invoice; amounts are whole hundredths of the currency, the rate is in millionths per 100 units."""

    number: int
    index: int
    date: str
    due: str | None
    customer: Customer
    currency: str
    rate: int
    net: int
    vat: int
    remainder: int
    sales_person: int | None
    terms: Terms
    age: int  # 0 the oldest fifth of the books .. 4 the newest

    @property
    def gross(self) -> int:
        return self.net + self.vat

    def in_base(self, amount: int) -> int:
        """Convert, rounding each amount by itself, halves away from zero."""
        value = abs(amount) * self.rate
        rounded = (2 * value + UNITS_OF_RATE) // (2 * UNITS_OF_RATE)
        return -rounded if amount < 0 else rounded


@lru_cache(maxsize=8192)
def iso(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def due_date(issued: int, terms: Terms) -> int:
    """Count the days of credit, from the end of the month where the terms say so; an agreed date lies five years on."""
    day = date.fromordinal(issued)
    if terms.days is None:
        return day.replace(year=day.year + 5, day=min(day.day, 28)).toordinal()
    if terms.kind == "invoiceMonth":
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return day.toordinal() + terms.days


class Books:
    """Draws customers, employees and invoices; holds nothing that changes.

    :param sold_every: one in this many invoices names a salesperson; 1: all of them.
    :param until: the day of the last invoice.
    """

    def __init__(
        self,
        invoices: int,
        employees: int,
        seed: int,
        base_currency: str = "DKK",
        sold_every: int = SOLD_EVERY,
        until: date = LAST_DAY,
    ) -> None:
        if base_currency not in vocabulary.KRONER_FOR_100:
            raise ValueError(f"no exchange rates are known for the base currency {base_currency}")
        self.seed, self.size, self.base_currency = seed, invoices, base_currency
        self.sold_every, self.until = sold_every, until
        self.customers = [self._customer(index) for index in range(max(5, min(3000, invoices // 25)))]
        self.staff = [self._employee(index, employees) for index in range(employees)]
        # One employee has left and is gone from the list, but the invoices still name the number.
        self.gone_employee = employees + 89
        sellers = [employee.number for employee in self.staff]
        self._sellers = [*sellers[: max(1, len(sellers) * 6 // 10)], *sellers[-1:], self.gone_employee]

    def invoices(self) -> Iterator[Invoice]:
        """Draw the booked invoices, by ascending number with a gap here and there."""
        number = FIRST_NUMBER
        for index in range(self.size):
            yield self.invoice(index, number)
            number += 1 if (index * 7919 + self.seed) % 97 else 2 + index % 3

    def invoice(
        self, index: int, number: int, issued: date | None = None, customer: int | None = None
    ) -> Invoice:
        """Draw one invoice; a date or a customer that is given is not drawn."""
        dice = Dice(self.seed, "invoice", index)
        back = dice.below(40) if dice.chance(30) else 0
        day = issued.toordinal() if issued else self._day(index) - back
        buyer = self._known_customer(customer) if customer is not None else self._buyer(dice)
        currency = buyer.currency if dice.chance(985) else dice.pick(("EUR", "SEK", "USD", "NOK"))
        net = (500 + dice.below(10 ** (4 + dice.below(4)))) * (10 if dice.chance(400) else 1)
        credit = dice.chance(28)
        net = -net if credit else net
        vat = (abs(net) * buyer.vat_percent + 50) // 100 * (-1 if credit else 1)
        recent = self.until.toordinal() - day < 45
        is_open = dice.chance(600 if recent else 9) or issued is not None
        terms = vocabulary.AGREED_DATE if dice.chance(150 if is_open and not issued else 4) else buyer.terms
        due = None if dice.chance(15) and not issued else iso(due_date(day, terms))
        remainder = net + vat if is_open else 0
        if is_open and not issued:
            portion = dice.below(20)
            if portion < 4:  # part-paid; one in twenty has paid too much
                remainder = remainder * (portion + 1) // 7 if portion else -(abs(remainder) // 50)
        sales_person = None
        if (index + self.seed) % self.sold_every == 0:
            sales_person = self._sellers[index // self.sold_every % len(self._sellers)]
        age = min(4, index * 5 // max(1, self.size))
        return Invoice(
            number, index, iso(day), due, buyer, currency, self._rate(currency, dice), net, vat, remainder,
            sales_person, terms, age,
        )  # fmt: skip

    def _day(self, index: int) -> int:
        span = YEARS * 365
        return self.until.toordinal() - span + (span * (index + 1)) // max(1, self.size)

    def _rate(self, currency: str, dice: Dice) -> int:
        if currency == self.base_currency:
            return UNITS_OF_RATE
        kroner = vocabulary.KRONER_FOR_100[currency] + dice.below(300) * 10_000
        return kroner * UNITS_OF_RATE // vocabulary.KRONER_FOR_100[self.base_currency]

    def _buyer(self, dice: Dice) -> Customer:
        regulars = max(1, len(self.customers) // 10)
        return self.customers[dice.below(regulars if dice.chance(400) else len(self.customers))]

    def _known_customer(self, number: int) -> Customer:
        for customer in self.customers:
            if customer.number == number:
                return customer
        raise ValueError(f"there is no customer {number}")

    def _customer(self, index: int) -> Customer:
        dice = Dice(self.seed, "customer", index)
        name = f"{dice.pick(vocabulary.COMPANY_HEADS)} {dice.pick(vocabulary.COMPANY_TRADES)}"
        form = dice.pick(vocabulary.COMPANY_FORMS)
        address: str | None = f"{dice.pick(vocabulary.STREETS)} {1 + dice.below(180)}"
        if dice.chance(300):
            address = f"{address}{dice.pick(chr(10) + chr(13))}{dice.pick(vocabulary.FLOORS)}"
        zip_code, city = dice.pick(vocabulary.TOWNS)
        country, currency, vat_percent = "Danmark", self.base_currency, 25
        if dice.chance(70) or index == 1:
            place = dice.below(len(vocabulary.ABROAD))
            country, zip_code, city = vocabulary.ABROAD[place]
            currency = vocabulary.ABROAD_CURRENCIES[place]
            vat_percent = 25 if dice.chance(300) else 0
        return Customer(
            number=3001 + index * 3,
            name=f"{name} {form}",
            former_name=name if dice.chance(100) else f"{name} {form}",
            address=address if dice.chance(930) else None,
            zip=zip_code,
            city=city,
            country=country,
            currency=currency,
            cvr=str(10_000_000 + dice.below(89_999_999)) if dice.chance(600) else None,
            ean=f"579{dice.below(10**10):010d}" if dice.chance(60) else None,
            vat_percent=vat_percent,
            terms=dice.pick(vocabulary.USUAL_TERMS),
        )

    def _employee(self, index: int, employees: int) -> Employee:
        dice = Dice(self.seed, "employee", index)
        first = vocabulary.FIRST_NAMES[(index + self.seed) % len(vocabulary.FIRST_NAMES)]
        return Employee(
            number=index + 1,
            name=f"{first} {dice.pick(vocabulary.LAST_NAMES)}",
            email=f"medarbejder{index + 1}@example.dk" if dice.chance(800) else None,
            phone=f"{20_000_000 + dice.below(70_000_000)}" if dice.chance(600) else None,
            group=1 + dice.below(2),
            barred=index == employees - 1 and employees > 1,
        )
