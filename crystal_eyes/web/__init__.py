"""The web page: pictures in, numbered heads with names out. Needs starlette, uvicorn and jinja2; no state, nothing on disk.

app.py       routes, and how a request is answered
guard.py     security headers, allowed hosts and origins
uploads.py   limits on size, number and time; the queue
live.py      the recognizer, loaded again when its bundle changes
answers.py   one picture to one answer, even if the picture is unusable
finding.py   the search in a collection; collection_routes.py: its routes
rendering.py answers and the page to HTML: templates/ with static/style.css
server.py    port, startup and shutdown

A new element of the page: markup in templates/, its style in static/style.css, its behavior (if any) in static/page.js.
"""
