"""The Connect project's conformance suite, over our client and its generated stubs.

The suite is a program in Go. It starts servers that answer rightly and wrongly, tells
``client`` by its standard input which calls to make, and checks what came of them.
"""
