"""The web applications of the examples, under load and with failures.

Each runs as its users run it, as a process of a real server with a real socket:
FastAPI and Django on uvicorn, Flask and Django on gunicorn with two forked workers. The
service that they call is a ``LocalService`` in the test. ``servers`` starts them.
"""
