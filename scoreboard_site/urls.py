"""Every HTTP path. Only the admin site has trailing slashes; any other path is a 404 problem."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.generic import RedirectView

from realtime.events import SOCKET_PATH
from scoreboard_site.static import static_file
from scores.api import docs, page, problems, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", page.page, {"socket_path": SOCKET_PATH}, name="page"),
    path(
        "score/update",
        views.ScoreViewSet.as_view({"post": "update_score", "patch": "update_score"}),
        name="score-update",
    ),
    path("score/top10", views.ScoreViewSet.as_view({"get": "top10"}), name="score-top10"),
    path("score/me", views.ScoreViewSet.as_view({"get": "me"}), name="score-me"),
    path("score/me/name", views.ScoreViewSet.as_view({"put": "rename"}), name="score-name"),
    path("api/schema", docs.schema, name="api-schema"),
    path("api/docs", docs.docs, name="api-docs"),
]
if settings.LOCAL_ISSUER:
    urlpatterns.append(path("demo/sign-in", page.demo_sign_in, name="demo-sign-in"))
if settings.SCOREBOARD_ADMIN:
    from django.contrib import admin

    urlpatterns += [
        path("admin", RedirectView.as_view(pattern_name="admin:index")),
        path("admin/", admin.site.urls),
    ]
if settings.DEBUG:  # elsewhere they are on the CDN
    urlpatterns.append(path("static/<path:path>", static_file, name="static"))
urlpatterns.append(re_path("", problems.not_found))
# Django's own are HTML. They answer what fails outside all views.
handler400 = problems.bad_request
handler403 = problems.bad_request
handler404 = problems.not_found
handler500 = problems.unavailable
