"""TLS 1.2 and 1.3 (BCP 195) with the certificates of the settings."""

from __future__ import annotations

import ssl

from gateway.settings import Settings


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """What senders meet; None where there is no certificate.

    Raises:
        OSError: if a file cannot be used.
    """
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    if settings.tls_client_ca is not None:
        context.load_verify_locations(settings.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: Settings) -> ssl.SSLContext | None:
    """What a destination of C-STORE meets; None where it speaks none.

    It is believed by the system's authorities, as every peer over HTTPS is, and is shown the
    gateway's own certificate if it asks.

    Raises:
        OSError: if a file cannot be used.
    """
    if not settings.destination_tls:
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_certificate is not None:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context
