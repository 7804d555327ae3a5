"""Static files under hashed names, so that a CDN may keep them for ever."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class HashedStaticFilesStorage(ManifestStaticFilesStorage):
    # Rewrites the `import` statements of ES modules as well.
    support_js_module_import_aggregation = True
