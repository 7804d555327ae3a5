#!/bin/bash
# On every instance before the new version serves, in its folder and with its settings. May be repeated.
set -euo pipefail
source /var/app/venv/*/bin/activate
python manage.py create_tables
python manage.py collectstatic --noinput --verbosity 0
