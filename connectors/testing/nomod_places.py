"""What Nomod looks up: countries, provinces of some of them, and currencies with their decimals."""

import uuid
from dataclasses import dataclass

_COUNTRIES = """
AF Afghanistan|AX Åland Islands|AL Albania|DZ Algeria|AS American Samoa|AD Andorra|AO Angola|AI Anguilla|AQ Antarctica
AG Antigua and Barbuda|AR Argentina|AM Armenia|AW Aruba|AU Australia|AT Austria|AZ Azerbaijan|BS Bahamas|BH Bahrain
BD Bangladesh|BB Barbados|BY Belarus|BE Belgium|BZ Belize|BJ Benin|BM Bermuda|BT Bhutan|BO Bolivia
BQ Bonaire, Sint Eustatius and Saba|BA Bosnia and Herzegovina|BW Botswana|BV Bouvet Island|BR Brazil
IO British Indian Ocean Territory|BN Brunei|BG Bulgaria|BF Burkina Faso|BI Burundi|CV Cabo Verde|KH Cambodia
CM Cameroon|CA Canada|KY Cayman Islands|CF Central African Republic|TD Chad|CL Chile|CN China|CX Christmas Island
CC Cocos Islands|CO Colombia|KM Comoros|CG Congo|CD Congo (the Democratic Republic of the)|CK Cook Islands
CR Costa Rica|CI Côte d'Ivoire|HR Croatia|CU Cuba|CW Curaçao|CY Cyprus|CZ Czechia|DK Denmark|DJ Djibouti|DM Dominica
DO Dominican Republic|EC Ecuador|EG Egypt|SV El Salvador|GQ Equatorial Guinea|ER Eritrea|EE Estonia|SZ Eswatini
ET Ethiopia|FK Falkland Islands|FO Faroe Islands|FJ Fiji|FI Finland|FR France|GF French Guiana|PF French Polynesia
TF French Southern Territories|GA Gabon|GM Gambia|GE Georgia|DE Germany|GH Ghana|GI Gibraltar|GR Greece|GL Greenland
GD Grenada|GP Guadeloupe|GU Guam|GT Guatemala|GG Guernsey|GN Guinea|GW Guinea-Bissau|GY Guyana|HT Haiti
HM Heard Island and McDonald Islands|VA Holy See|HN Honduras|HK Hong Kong|HU Hungary|IS Iceland|IN India|ID Indonesia
IR Iran|IQ Iraq|IE Ireland|IM Isle of Man|IL Israel|IT Italy|JM Jamaica|JP Japan|JE Jersey|JO Jordan|KZ Kazakhstan
KE Kenya|KI Kiribati|KP North Korea|KR South Korea|KW Kuwait|KG Kyrgyzstan|LA Laos|LV Latvia|LB Lebanon|LS Lesotho
LR Liberia|LY Libya|LI Liechtenstein|LT Lithuania|LU Luxembourg|MO Macao|MG Madagascar|MW Malawi|MY Malaysia
MV Maldives|ML Mali|MT Malta|MH Marshall Islands|MQ Martinique|MR Mauritania|MU Mauritius|YT Mayotte|MX Mexico
FM Micronesia|MD Moldova|MC Monaco|MN Mongolia|ME Montenegro|MS Montserrat|MA Morocco|MZ Mozambique|MM Myanmar
NA Namibia|NR Nauru|NP Nepal|NL Netherlands|NC New Caledonia|NZ New Zealand|NI Nicaragua|NE Niger|NG Nigeria|NU Niue
NF Norfolk Island|MK North Macedonia|MP Northern Mariana Islands|NO Norway|OM Oman|PK Pakistan|PW Palau|PS Palestine
PA Panama|PG Papua New Guinea|PY Paraguay|PE Peru|PH Philippines|PN Pitcairn|PL Poland|PT Portugal|PR Puerto Rico
QA Qatar|RE Réunion|RO Romania|RU Russia|RW Rwanda|BL Saint Barthélemy|SH Saint Helena|KN Saint Kitts and Nevis
LC Saint Lucia|MF Saint Martin|PM Saint Pierre and Miquelon|VC Saint Vincent and the Grenadines|WS Samoa|SM San Marino
ST Sao Tome and Principe|SA Saudi Arabia|SN Senegal|RS Serbia|SC Seychelles|SL Sierra Leone|SG Singapore
SX Sint Maarten|SK Slovakia|SI Slovenia|SB Solomon Islands|SO Somalia|ZA South Africa
GS South Georgia and the South Sandwich Islands|SS South Sudan|ES Spain|LK Sri Lanka|SD Sudan|SR Suriname
SJ Svalbard and Jan Mayen|SE Sweden|CH Switzerland|SY Syria|TW Taiwan|TJ Tajikistan|TZ Tanzania|TH Thailand
TL Timor-Leste|TG Togo|TK Tokelau|TO Tonga|TT Trinidad and Tobago|TN Tunisia|TR Türkiye|TM Turkmenistan
TC Turks and Caicos Islands|TV Tuvalu|UG Uganda|UA Ukraine|AE United Arab Emirates|GB United Kingdom
US United States of America|UM United States Minor Outlying Islands|UY Uruguay|UZ Uzbekistan|VU Vanuatu|VE Venezuela
VN Vietnam|VG Virgin Islands (British)|VI Virgin Islands (U.S.)|WF Wallis and Futuna|EH Western Sahara|YE Yemen
ZM Zambia|ZW Zimbabwe
"""

_PROVINCES = {
    "AE": "Abu Dhabi|Ajman|Dubai|Fujairah|Ras al-Khaimah|Sharjah|Umm al-Quwain",
    "BH": "Capital|Muharraq|Northern|Southern",
    "CA": "Alberta|British Columbia|Manitoba|New Brunswick|Newfoundland and Labrador|Northwest Territories"
    "|Nova Scotia|Nunavut|Ontario|Prince Edward Island|Quebec|Saskatchewan|Yukon",
    "GB": "England|Northern Ireland|Scotland|Wales",
    "SA": "Al Bahah|Al Jawf|Al Madinah|Al Qassim|Asir|Eastern Province|Ha'il|Jazan|Makkah|Najran|Northern Borders"
    "|Riyadh|Tabuk",
    "US": "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|District of Columbia|Florida"
    "|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan"
    "|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York"
    "|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota"
    "|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming",
}

CURRENCIES = {
    "AED": 2, "USD": 2, "SAR": 2, "EUR": 2, "GBP": 2, "KWD": 3, "BHD": 3, "OMR": 3, "QAR": 2, "JOD": 3, "EGP": 2,
    "INR": 2, "AUD": 2, "CAD": 2, "CHF": 2, "CNY": 2, "HKD": 2, "IQD": 3, "JPY": 0, "KRW": 0, "MAD": 2, "NZD": 2,
    "PKR": 2, "SGD": 2, "TND": 3, "TRY": 2, "ZAR": 2,
}  # fmt: skip
"""Code → decimals of its money (ISO 4217), in the order of popularity in which Nomod lists them."""

_NAMESPACE = uuid.UUID("6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11")


@dataclass(frozen=True, slots=True)
class Province:
    """A part of a country. Requests name it by `id`, answers by `number`: the API's own contradiction."""

    id: str
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Country:
    """A country as `/v1/countries` has it."""

    id: str
    code: str
    name: str
    provinces: tuple[Province, ...]


def _read() -> dict[str, Country]:
    countries, number = {}, 0
    for entry in _COUNTRIES.strip().replace("\n", "|").split("|"):
        code, name = entry.split(" ", 1)
        provinces = []
        for province in filter(None, _PROVINCES.get(code, "").split("|")):
            number += 1
            key = str(uuid.uuid5(_NAMESPACE, f"{code}/{province}"))
            provinces.append(Province(key, number, province))
        countries[code] = Country(str(uuid.uuid5(_NAMESPACE, code)), code, name, tuple(provinces))
    return dict(sorted(countries.items(), key=lambda item: item[1].name))


COUNTRIES = _read()
"""ISO 3166-1 alpha-2 code → country, sorted by name."""
