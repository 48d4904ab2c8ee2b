"""The log server: records of other processes and hosts, logged in this one.

In: bytes from clients, as the standard library's `SocketHandler` sends them, or in our own protocol
(`queuelog.wire`). Out: log calls, which put lines into the spool as any other does, and answers to
those clients that wait for them. Nothing that a client sends is executed, makes this process wait,
or takes more than a bounded share of it.

    server      the thread and its event loop     listening   sockets, and who may come
    acceptor    lets clients in                   connection  one of them
    hub         what all connections share        clients     how much is here, by client
    streams     what a client sends               refusals    counted, and reported
    pickles     a pickled record, checked         unpickler   which executes nothing
    logs        records into the logger tree
"""
