"""A rehearsed failure: a database that hangs up in the middle of a query.

Nothing is pretended towards the program that asks. A thread plays the database on the loopback
interface, takes the query and closes with SO_LINGER at zero, upon which the kernel sends a reset
instead of a farewell; the other side's recv then fails as it does when a real database dies.
"""

import socket
import struct
from threading import Thread

LINGER_NOT = struct.pack("ii", 1, 0)
QUERY = b"SELECT name, kind FROM names;\n"


def query_dying_database() -> bytes:
    """Ask for names over a fresh connection, and never get them: ConnectionResetError."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        database = Thread(target=_hang_up, args=(listener,), name="dying-database")
        database.start()
        try:
            with socket.create_connection(listener.getsockname()) as connection:
                connection.sendall(QUERY)
                return connection.recv(4096)
        finally:
            database.join()


def _hang_up(listener: socket.socket) -> None:
    """Serve one client: read its query to the end, then reset the connection."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(len(QUERY))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
