"""The web page: pictures in, numbered heads with names out. Needs starlette, uvicorn and jinja2; no state, nothing on disk.

app.py       routes, and what happens to a request from its first byte to its answer
guard.py     security headers, which hosts and origins may ask
uploads.py   limits on size, number and time; the queue
live.py      the recognizer, loaded again when its bundle changes
answers.py   one picture to one answer, whatever the picture is
rendering.py answers and the page to HTML: templates/ with static/style.css
server.py    the port, the start and the end

A new element of the page: markup in templates/, its look in static/style.css, its behavior (if any) in static/page.js.
"""
