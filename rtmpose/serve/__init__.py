"""The service: keypoints over HTTP, WebSocket and gRPC. Needs the extra ``serve``.

:func:`rtmpose.serve.app.create_app` makes the application of settings and an engine;
:mod:`rtmpose.serve.server` runs it. The rest of the package never imports this folder.
"""
