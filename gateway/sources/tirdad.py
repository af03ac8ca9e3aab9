"""Tirdad: Flexprice under another brand, with the same wire format. See https://docs.tirdad.ai."""

from gateway.sources.flexprice import FlexpriceSource


class TirdadSource(FlexpriceSource):
    """Adapter of Tirdad."""

    platform = "tirdad"
    title = "Tirdad"
    default_api_url = "https://api.tirdad.ai/v1"
