"""TLS 1.2 and 1.3 (BCP 195) with the certificates of the settings."""

from __future__ import annotations

import ssl

from gateway.outcomes import StartError
from gateway.settings import Settings


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """What senders meet; None where there is no certificate.

    Raises:
        StartError: if a file cannot be used.
    """
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(context, settings)
    if settings.tls_client_ca is not None:
        try:
            context.load_verify_locations(settings.tls_client_ca)
        except OSError as error:
            raise StartError("SOLO_GATEWAY_TLS_CLIENT_CA holds no certificate in PEM") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: Settings) -> ssl.SSLContext | None:
    """What a destination of C-STORE meets; None where it speaks none.

    It is believed by the system's authorities, as every peer over HTTPS is, and is shown the
    gateway's own certificate if it asks.

    Raises:
        StartError: if a file cannot be used.
    """
    if not settings.destination_tls:
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_certificate is not None:
        _show(context, settings)
    return context


def _show(context: ssl.SSLContext, settings: Settings) -> None:
    try:
        # A key with a password would have Python ask for it, where nobody is.
        context.load_cert_chain(str(settings.tls_certificate), settings.tls_key, lambda: "")
    except (OSError, ValueError) as error:
        raise StartError(
            "SOLO_GATEWAY_TLS_CERTIFICATE and SOLO_GATEWAY_TLS_KEY are no certificate in PEM with "
            "its key, without a password"
        ) from error
