"""The security headers of every answer, also of those that Django does not make."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings


def _security_headers() -> dict[str, str]:
    # 'self' covers the socket of the same origin; no inline code or style anywhere. Signing in exchanges
    # a code for a token at the pool's own domain.
    connect = " ".join(filter(None, ["'self'", settings.COGNITO_DOMAIN]))
    static = urlsplit(settings.STATIC_URL)
    files = f"'self' {static.scheme}://{static.netloc}" if static.netloc else "'self'"
    headers = {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {files}; style-src {files}; img-src {files} data:; "
            f"font-src {files}; connect-src {connect}; manifest-src {files}; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if settings.SECURE_HSTS_SECONDS:
        others = "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}{others}"
    return headers


#: Sent with every answer, also those made before Django is asked.
SECURITY_HEADERS = _security_headers()
