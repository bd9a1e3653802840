"""Our client beside grpc.aio and stock betterproto, against one server."""
