"""What is wrong with settings, files, keys, plugins and consents."""

from gateway.errors.base import GatewayError


class SettingError(GatewayError):
    """A LEDGERGATE_* name is unknown, or its value is not usable."""

    code = "setting_invalid"
    title = "Setting invalid"
    cause = "An environment variable of ledgergate is unknown or has a value that cannot be used."
    resolution = "Correct the setting that the line names; docs/configuration.md lists them all."
    status = 400


class ConfigFileError(GatewayError):
    """What is to be configured cannot be used; nothing was changed."""

    code = "config_invalid"
    title = "Configuration invalid"
    cause = "A file, form or command has a key or value that cannot be used, or names a secret that is not set."
    resolution = "Correct what is named, then try again: nothing was changed."
    status = 400


class SecretKeyError(GatewayError):
    """The secret key does not fit the database."""

    code = "secret_key_wrong"
    title = "Secret key wrong"
    cause = "The secrets in the database were encrypted with another key."
    resolution = (
        "Start with the key that belongs to this database: LEDGERGATE_SECRET_KEY or LEDGERGATE_SECRET_KEY_FILE."
    )
    status = 500


class PluginError(GatewayError):
    """A connector or source plugin cannot be used."""

    code = "plugin_unusable"
    title = "Plugin unusable"
    cause = "The plugin is not installed, fails to import, or was written for another version of the interface."
    resolution = "Install or upgrade the plugin, then `ledgergate connection resume NAME`."
    status = 400


class ListenError(GatewayError):
    """The port cannot be listened on."""

    code = "cannot_listen"
    title = "Cannot listen"
    cause = "The address is in use, is none, belongs to another machine, or may not be used by this account."
    resolution = "Stop the other program, or set LEDGERGATE_HOST and LEDGERGATE_PORT to an address that is free."


class GatewayUnreachableError(GatewayError):
    """No gateway answered at the address that was asked."""

    code = "gateway_unreachable"
    title = "Gateway unreachable"
    cause = "Nothing answered at the gateway's own address, or something else than a gateway did."
    resolution = "Start it with `ledgergate serve`, or name its address with `--url` or LEDGERGATE_PUBLIC_URL."
    status = 502


class AccountChangedError(GatewayError):
    """The credentials are of another account than the one that the connection's mappings belong to."""

    code = "account_changed"
    title = "Another account"
    cause = "The credentials belong to another company than the one that this connection was made with."
    resolution = (
        "Connect the same company again, or add another connection: the mappings of one are wrong in the other."
    )
    status = 409


class ConsentInvalidError(GatewayError):
    """What came back from a consent belongs to none that is under way."""

    code = "consent_invalid"
    title = "Consent unknown or expired"
    cause = "The answer belongs to no consent that is under way: it was used before, is too old, or a newer one began."
    resolution = "Start again with `ledgergate connection authorize NAME`, or in the console."
    status = 400
